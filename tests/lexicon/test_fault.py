from hypothesis import given
from hypothesis import strategies as st

from drugasr.lexicon.fault import Fault, report, shown


def test_the_first_fifty_in_full_and_all_others_by_their_lines():
    faults = [Fault(line=i, kind="odd" if i % 2 else "even", detail=f"'x{i}' is bad") for i in range(1, 61)]
    faults += [Fault(line=i, kind="long", detail="'y' is long") for i in range(100, 200)]
    lines = report("a.csv", faults[::-1], 500).splitlines()
    assert lines[0] == "a.csv: 160 bad rows of 500:"
    assert lines[1:51] == [f"  line {i}: 'x{i}' is bad" for i in range(1, 51)]
    assert lines[51:] == ["and 110 more:", "  odd: lines 51, 53, 55, 57, 59", "  even: lines 52, 54, 56, 58, 60", "  long: lines 100-199"]


def test_a_row_with_two_faults_is_one_bad_row():
    faults = [Fault(line=3, kind="a", detail="one"), Fault(line=3, kind="b", detail="two")]
    assert report("a.csv", faults, 9) == "a.csv: 1 bad row of 9:\n  line 3: one\n  line 3: two"


@given(st.sets(st.integers(1, 400), min_size=51))
def test_every_line_is_named(numbers):
    text = report("a.csv", [Fault(line=i, kind="bad", detail=f"{i} is bad") for i in numbers], 400)
    spans = text.partition(" more:\n  bad: ")[2].removeprefix("lines ").removeprefix("line ").split(", ")
    named = {i for span in spans for i in range(int(span.partition("-")[0]), int(span.rpartition("-")[2]) + 1)}
    assert named == set(sorted(numbers)[50:])


def test_long_values_are_cut():
    assert shown("a'b") == '"a\'b"'
    assert shown("x" * 10**6) == repr("x" * 77 + "...")
