"""Paired tests against counts by hand and against every swap there is."""

import itertools
import math

import pytest
from test_metrics import outsider, row

from drugasr.evaluation.significance import compare_pairs, holm


def rows_of(hits: str, **changes) -> list[dict]:
    """A clip a letter, each of a name of its own: `1` is right, `0` wrong, `x` not heard."""
    return [
        row(id=str(i), drug_id=f"d{i}", ranked=[f"d{i}" if hit == "1" else "other"], ranked_levenshtein=["other"], error="broken" if hit == "x" else None) | changes
        for i, hit in enumerate(hits)
    ]


def test_counts_and_p_values_by_hand():
    pair = compare_pairs({"a": rows_of("1111110000"), "b": rows_of("1100001000")})[0]
    assert (pair.one, pair.other, pair.num_clips, pair.only_one, pair.only_other, pair.difference) == ("a", "b", 10, 4, 1, pytest.approx(0.3))
    # Of 5 clips that part them, 4 or 5 on one side, or on the other: 2 (5 + 1) / 32.
    assert pair.p_mcnemar == pytest.approx(12 / 32)
    assert pair.p == pytest.approx(12 / 32, abs=0.02)  # a clip a name: swapping names is swapping clips
    assert pair.low < 0.3 < pair.high


def test_whole_names_are_swapped():
    """Four names of several clips: every one of the 16 swaps, counted."""
    clips = {"d0": ("11", "00"), "d1": ("111", "011"), "d2": ("1", "0"), "d3": ("10", "11")}
    rows = {"a": [], "b": []}
    for name, hits in clips.items():
        for key, letters in zip(rows, hits, strict=True):
            rows[key] += [row(id=f"{name} {i}", drug_id=name, ranked=[name if hit == "1" else "other"]) for i, hit in enumerate(letters)]
    gains = [sum(map(int, one)) - sum(map(int, other)) for one, other in clips.values()]
    sums = [sum(sign * gain for sign, gain in zip(signs, gains, strict=True)) for signs in itertools.product((1, -1), repeat=4)]
    expected = 2 * min(sum(s >= sum(gains) for s in sums), sum(s <= sum(gains) for s in sums)) / len(sums)
    pair = compare_pairs(rows)[0]
    assert pair.p == pytest.approx(min(1.0, expected)) and pair.difference == pytest.approx(sum(gains) / 8)


def test_equal_recognisers_do_not_differ():
    pair = compare_pairs({"a": rows_of("1010"), "b": rows_of("1010")})[0]
    assert (pair.p, pair.p_mcnemar, pair.difference, pair.low) == (1.0, 1.0, 0.0, None)


def test_only_clips_that_both_heard_are_compared():
    pair = compare_pairs({"a": [*rows_of("11x1"), outsider(id="9")], "b": [*rows_of("x100"), outsider(id="9")]})[0]
    assert (pair.num_clips, pair.only_one) == (2, 1)


def test_a_ranking_by_likelihood_is_compared_with_its_own_text():
    pairs = compare_pairs({"a": rows_of("1110"), "text": rows_of("1000", ranked=None)})
    assert [(pair.one, pair.other) for pair in pairs] == [("a", "text"), ("a, CTC likelihood", "a, Levenshtein")]
    assert pairs[1].only_one == 3 and pairs[1].only_other == 0


def test_holm_by_hand_and_by_its_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
    ps = [0.2, 0.001, 0.049, 0.01, 0.011]
    for level in (0.01, 0.05, 0.06, 0.3):
        ordered = sorted(ps)
        rejected = next((i for i, p in enumerate(ordered) if p > level / (len(ps) - i)), len(ps))
        assert sum(p <= level + 1e-12 for p in holm(ps)) == rejected
    assert all(math.isfinite(p) for p in holm(ps))
