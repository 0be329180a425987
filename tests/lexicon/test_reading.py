import os
import time
from importlib import resources
from itertools import islice, product

import pytest

from drugasr.errors import LexiconError
from drugasr.lexicon.reading import TIERS, read_lexicon


@pytest.mark.parametrize(
    ("tier", "count", "first"), [("quick50", 50, "lisinopril"), ("top500", 500, "lisinopril"), ("full", 6965, "abacavir")]
)
def test_tiers_are_shipped(tier, count, first):
    lexicon = read_lexicon(tier)
    assert (lexicon.name, len(lexicon), lexicon.drugs[0].spoken) == (tier, count, first)
    assert len({drug.id for drug in lexicon.drugs}) == len({drug.spoken for drug in lexicon.drugs}) == count
    assert {drug.kind for drug in lexicon.drugs} == {"generic", "brand"}


def test_shipped_lists_hold_no_use_rank():
    for tier in TIERS:
        header = (resources.files("drugasr.lexicon") / "data" / f"{tier}.tsv").read_text().splitlines()[0]
        assert header.split("\t") == ["name", "kind", "rxcui", "unii", "generic", "ndc_products", "sources"]


def test_provenance_is_shipped_with_the_sentence_that_nlm_requires():
    text = (resources.files("drugasr.lexicon") / "data" / "PROVENANCE.md").read_text()
    assert "NLM is not responsible for the product and does not endorse or recommend this or any other product." in text
    assert "checked against FDA" in text


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ("name,kind\nAspirin,generic\nCo-codamol,generic\n", "a.csv"),
        ("\ufeffname,kind\r\nAspirin,generic\r\n\r\nCo-codamol,generic\r\n", "a.csv"),
        ('"name","kind"\n"Aspirin","generic"\n"Co-codamol","generic"', "a.csv"),
        ("kind;Name;price, EUR\ngeneric;Aspirin;1,5\ngeneric;Co-codamol;2", "a.csv"),
        ("name\tkind\nAspirin\tgeneric\nCo-codamol\tgeneric\n", "a.tsv"),
        ("name\tkind\nAspirin\tgeneric\nCo-codamol\tgeneric\n", "a"),
        ("name\nAspirin\nCo-codamol\n", "a.csv"),
        ("name\nAspirin\nCo-codamol\n", "a.txt"),
        ("# my list, short\nAspirin\n\n  # more\nCo-codamol # with codeine\n", "a.txt"),
        ("\ufeffAspirin\r\nCo-codamol\r\n", "a.txt"),
        ("Aspirin\rCo-codamol", "a.txt"),
    ],
)
def test_every_kind_of_file(write, content, file):
    lexicon = read_lexicon(write(content, file))
    assert lexicon.name == "a"
    assert [drug.name for drug in lexicon.drugs] == ["Aspirin", "Co-codamol"]
    assert [drug.spoken for drug in lexicon.drugs] == ["aspirin", "co codamol"]


def test_uri(write):
    assert len(read_lexicon("file://" + write("name\naspirin\n"))) == 1


def test_optional_columns(write):
    drug = read_lexicon(write("id,rxcui,name,kind,generic\nd1,11,Tylenol,brand,acetaminophen\n")).drugs[0]
    assert (drug.id, drug.name, drug.kind, drug.generic) == ("d1", "Tylenol", "brand", "acetaminophen")


def test_id_falls_back_to_a_rxcui_of_its_own_then_to_the_spoken_form(write):
    lexicon = read_lexicon(write("name,id,rxcui\nAlpha,x,1\nBeta,,2\nGamma,,3\nDelta,,3\nEpsilon,,\nZeta,,x\n"))
    assert [drug.id for drug in lexicon.drugs] == ["x", "2", "gamma", "delta", "epsilon", "zeta"]


def test_every_bad_row_is_listed_with_its_line_and_what_to_do(write):
    rows = ["aspirin,", "dextrose 5%,", "", "Aspirin,", ",brand", "q,", "foo (bar),", "œstradiol,", "a" * 61 + ",", "x,y,z", "fine,"]
    path = write("\n".join(["name,kind", *rows]))
    with pytest.raises(LexiconError) as caught:
        read_lexicon(path)
    message = str(caught.value)
    assert message.splitlines()[0] == f"{path}: 8 bad rows of 10:"
    for expected in (
        "line 3: 'dextrose 5%' holds '%': write it as it is said",
        "line 5: 'Aspirin' is said like line 2 ('aspirin'): keep one",
        "line 6: '' has no name: write one or delete the row",
        "line 7: 'q' has fewer than 2 letters",
        "line 8: 'foo (bar)' holds '(', ')'",
        "line 9: 'œstradiol' holds 'œ' (U+0153)",
        f"line 10: '{'a' * 61}' has 61 letters, above the limit of 60: shorten it (or raise lexicon.max_letters)",
        "line 11: 'x' has more cells than the header: put quotes around",
    ):
        assert expected in message


def test_line_numbers_count_lines_inside_quotes(write):
    with pytest.raises(LexiconError, match="line 4: 'b%'"):
        read_lexicon(write('name,note\naspirin,"two\nlines"\nb%,\n'))


def test_every_row_of_a_huge_bad_list_is_named(write):
    with pytest.raises(LexiconError) as caught:
        read_lexicon(write("".join(f"drug{i}%\n" for i in range(120)), "a.txt"))
    assert str(caught.value).count("  line ") == 50
    assert str(caught.value).endswith("and 70 more:\n  cannot be said: lines 51-120")


def test_max_letters_counts_letters_alone(write):
    assert len(read_lexicon(write("a-b-c d's", "a.txt"), max_letters=5)) == 1
    with pytest.raises(LexiconError, match="has 5 letters, above the limit of 4"):
        read_lexicon(write("a-b-c d's", "a.txt"), max_letters=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("name,kind\n", "empty"),
        ("drug,kind\naspirin,x\n", "no `name` column, but 'drug', 'kind'"),
        ("name,kind,name\naspirin,x,y\n", "more than one `name` column"),
        ("name,id, ID \naspirin,x,y\n", "more than one `id` column"),
        (",".join(f"c{i}" for i in range(1000)) + "\n", "no `name` column, but 'c0', 'c1'"),
        ('name,kind\naspirin,"x\n', "line 2: broken quotes"),
        (b"name\ncaf\xe9ine\n", "line 2: byte 0xe9 is not UTF-8: save the list as 'CSV UTF-8'"),
        ("name\naspirin\n".encode("utf-16"), "is UTF-16, not UTF-8: save the list as 'CSV UTF-8'"),
        ("name\naspirin\n".encode("utf-16-le"), "line 1: a NUL byte: this is no text, or UTF-16"),
        ("name\naspirin\nco\0deine\n", "line 3: a NUL byte"),
        ("name,kind\naspirin,x\n" + "b" * 200_000 + ",x\n", "line 3: broken quotes (field larger"),
        ("id,name\n1,aspirin\n1,codeine\n", "line 3: 'codeine' has the id '1' of line 2"),
        ("id,name\ncodeine,aspirin\n,codeine\n", "line 3: 'codeine' has no id, and is itself the id of line 2"),
    ],
)
def test_bad_files(write, content, message):
    with pytest.raises(LexiconError) as caught:
        read_lexicon(write(content))
    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["", "no/such/list.csv", "quick500", "nope://bucket/list.csv", ".", "no/such/release.zip", "/x/RXNCONSO.RRF"])
def test_a_missing_list_says_what_there_is(source):
    with pytest.raises(LexiconError, match="quick50, top500, full"):
        read_lexicon(source)


def test_a_line_as_long_as_a_file_is_one_short_complaint(write):
    with pytest.raises(LexiconError) as caught:
        read_lexicon(write("aspirin\n" + "b%9 " * 5_000_000, "a.txt"))
    assert "line 2" in str(caught.value) and "19,999,999 characters: write a name" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_file_of_hundreds_of_megabytes_is_no_list(tmp_path):
    path = tmp_path / "huge.csv"
    path.touch()
    os.truncate(path, 101_000_000)
    with pytest.raises(LexiconError, match="has 101 MB, and a list of names at most 100"):
        read_lexicon(str(path))


@pytest.mark.parametrize("kind", ["plain", "table"])
def test_a_hundred_thousand_names_are_read_in_time(write, kind):
    syllables = [consonant + vowel for consonant in "bdfglmnprt" for vowel in "aeiou"]
    names = ["".join(parts) for parts in islice(product(syllables, repeat=4), 100_000)]
    rows = names if kind == "plain" else ["name\taliases\tkind\tid\thigh_alert", *(f"{name}\t{name} xl\tgeneric\td{i}\tno" for i, name in enumerate(names))]
    path = write("\n".join(rows), "big.txt" if kind == "plain" else "big.tsv")
    start_s = time.process_time()
    assert len(read_lexicon(path)) == len(names)
    assert time.process_time() - start_s < 5  # seconds; it takes 1 to 2, and these cores are shared


def test_salts_are_kept_or_stripped(write):
    path = write("metoprolol tartrate\npotassium chloride\n", "a.txt")
    assert [drug.spoken for drug in read_lexicon(path).drugs] == ["metoprolol tartrate", "potassium chloride"]
    stripped = read_lexicon(path, salts="strip")
    assert [(drug.name, drug.spoken) for drug in stripped.drugs] == [("metoprolol tartrate", "metoprolol"), ("potassium chloride",) * 2]
    assert stripped.fingerprint != read_lexicon(path).fingerprint
    with pytest.raises(LexiconError, match="salts='drop': there are keep, strip"):
        read_lexicon(path, salts="drop")
