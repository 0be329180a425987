"""Metrics against counts made by hand."""

import json
import math

import pyarrow as pa
import pytest

from drugasr.errors import InputError
from drugasr.evaluation.metrics import compute_metrics, expected_calibration_error, score, snr_band


def row(**changes):
    """A clip of drug `a` that everything got right, with `changes`."""
    return {
        "id": "1", "drug_id": "a", "drug": "A", "text": "aspirin", "transcript": "aspirin", "ranked": ["a", "b", "c", "d", "e"],
        "log_likelihoods": [-1.0, -2.0, -3.0, -4.0, -5.0], "ranked_levenshtein": ["a", "b", "c", "d", "e"], "confidence": 1.0,
        "engine": "espeak", "voice": "espeak:en-us+f5", "accent": "en-us", "snr_db": None, "seen": True, "duration_s": 1.0,
    } | changes  # fmt: skip


def test_top_k_counts_the_place_of_the_right_drug():
    ranks = [["a"], ["b", "a"], ["b", "c", "a"], ["b", "c", "d", "e", "a"], ["b", "c", "d", "e", "f"], [], None, ["b", "c", "d", "e", "f", "a"]]
    scores = score([row(ranked=ranked) for ranked in ranks])
    assert [scores[f"top{k}"] for k in range(1, 6)] == [1 / 8, 2 / 8, 3 / 8, 3 / 8, 4 / 8]
    assert [scores[f"levenshtein_top{k}"] for k in range(1, 6)] == [1.0] * 5


def test_levenshtein_rank_is_independent_of_the_ctc_rank():
    scores = score([row(ranked=["b"], ranked_levenshtein=["c", "a"]), row()])
    assert (scores["top1"], scores["levenshtein_top1"], scores["levenshtein_top2"]) == (0.5, 0.5, 1.0)


def test_error_rates_weigh_clips_by_their_length():
    # 1 of 2 + 4 words wrong; 1 substituted and 2 deleted of 5 + 7 characters.
    scores = score([row(text="ab cd", transcript="ab cx"), row(text="a b c d", transcript="a b c d")])
    assert scores["wer"] == pytest.approx(1 / 6)
    assert scores["cer"] == pytest.approx(1 / 12)
    scores = score([row(text="abcde", transcript="xbc")])
    assert scores["cer"] == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("text", "transcript", "rate"), [("a", "", 1.0), ("a", None, 1.0), ("", "", 0.0), ("", "a", 1.0), ("a", "a b c", 2.0)]
)
def test_empty_texts_have_a_word_error_rate(text, transcript, rate):
    assert score([row(text=text, transcript=transcript)])["wer"] == rate


def test_empty_reference_among_others_adds_its_insertions():
    assert score([row(text="", transcript="x"), row(text="a b", transcript="a b")])["wer"] == 0.5


def test_calibration_error_by_hand():
    # Bin [.9, 1]: .95 and 1.0, one right: gap .475, weight 2/4. Bin [.1, .2): .1 and .15, none right: gap .125, weight 2/4.
    answers = [(0.95, True), (1.0, False), (0.1, False), (0.15, False)]
    assert expected_calibration_error(answers) == pytest.approx(0.5 * 0.475 + 0.5 * 0.125)


def test_calibration_error_does_not_cancel_between_bins():
    # On the whole 1 of 2 is right at a mean confidence of .5, but each bin is as wrong as can be.
    assert expected_calibration_error([(0.0, True), (1.0, False)]) == 1.0


def test_calibration_error_needs_a_confidence():
    assert expected_calibration_error([(None, True), (math.nan, True)]) is None
    assert expected_calibration_error([(None, True), (0.5, True)]) == 0.5


@pytest.mark.parametrize(
    ("snr_db", "band"),
    [(None, "no noise added"), (math.nan, "no noise added"), (-3.0, "below 10 dB"), (9.99, "below 10 dB"), (10.0, "10 to 20 dB"),
     (20.0, "20 dB and above"), (math.inf, "20 dB and above"), (-math.inf, "below 10 dB")],
)  # fmt: skip
def test_snr_bands(snr_db, band):
    assert snr_band(snr_db) == band


def test_groups_partition_the_clips():
    rows = [
        row(voice="pico:en-GB", engine="pico", accent="en-GB", snr_db=5.0, seen=False, ranked=["b"]),
        row(snr_db=15.0, accent=None),
        row(seen=False),
    ]
    metrics = compute_metrics(rows)
    assert {name: group["num_clips"] for name, group in metrics["by_voice"].items()} == {"espeak:en-us+f5": 2, "pico:en-GB": 1}
    assert metrics["by_engine"]["pico"]["top1"] == 0.0 and metrics["by_engine"]["espeak"]["top1"] == 1.0
    assert {name: group["num_clips"] for name, group in metrics["by_accent"].items()} == {"en-GB": 1, "en-us": 1, "unknown": 1}
    assert {name: group["num_clips"] for name, group in metrics["by_snr"].items()} == {"below 10 dB": 1, "10 to 20 dB": 1, "no noise added": 1}
    assert (metrics["by_seen"]["seen"]["top1"], metrics["by_seen"]["unseen"]["top1"]) == (1.0, 0.5)
    assert metrics["overall"]["num_clips"] == 3 and metrics["overall"]["top1"] == pytest.approx(2 / 3)


def test_a_table_and_its_rows_give_the_same():
    rows = [row(), row(ranked=["b", "a"], snr_db=12.0, confidence=None)]
    assert compute_metrics(pa.Table.from_pylist(rows)) == compute_metrics(rows)


def test_no_clips_give_no_numbers_but_the_same_keys():
    metrics = compute_metrics([])
    assert metrics["overall"]["num_clips"] == 0 and metrics["overall"]["top1"] is None and metrics["overall"]["wer"] is None
    assert metrics["overall"].keys() == compute_metrics([row()])["overall"].keys()
    assert metrics["by_seen"].keys() == {"seen", "unseen"}


def test_metrics_are_strict_json():
    json.dumps(compute_metrics([row(seen=True, confidence=math.nan)]), allow_nan=False)


def test_a_missing_column_is_named():
    bad = row()
    del bad["ranked"]
    with pytest.raises(InputError, match="ranked"):
        compute_metrics([bad])
