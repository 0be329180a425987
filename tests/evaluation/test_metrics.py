"""Metrics against counts made by hand."""

import json
import math
import random

import pyarrow as pa
import pytest

from drugasr.errors import InputError
from drugasr.evaluation.metrics import (
    compute_metrics,
    expected_calibration_error,
    rejected_at_90,
    risk_coverage,
    score,
    snr_band,
    weighted_answers,
)


def row(**changes):
    """A clip of drug `a` that everything got right, with `changes`."""
    return {
        "id": "1", "drug_id": "a", "drug": "A", "text": "aspirin", "transcript": "aspirin", "ranked": ["a", "b", "c", "d", "e"],
        "log_likelihoods": [-1.0, -2.0, -3.0, -4.0, -5.0], "ranked_levenshtein": ["a", "b", "c", "d", "e"], "answer": "A", "confidence": 1.0, "in_list": 1.0,
        "engine": "espeak", "voice": "espeak:en-us+f5", "accent": "en-us", "snr_db": None, "seen": True, "duration_s": 1.0,
        "dose": None, "said_dose": None, "sound_alike": False, "error": None, "compute_s": 0.1,
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
    answers = [(0.95, True, 2.0), (1.0, False, 2.0), (0.1, False, 2.0), (0.15, False, 2.0)]
    assert expected_calibration_error(answers) == pytest.approx(0.5 * 0.475 + 0.5 * 0.125)


def test_calibration_error_does_not_cancel_between_bins():
    # On the whole 1 of 2 is right at a mean confidence of .5, but each bin is as wrong as can be.
    assert expected_calibration_error([(0.0, True, 1.0), (1.0, False, 1.0)]) == 1.0


def test_calibration_error_needs_a_confidence():
    assert score([row(confidence=None), row(confidence=math.nan)])["ece"] is None
    assert score([row(confidence=None), row(confidence=0.5)])["ece"] == 0.5


def outsider(**changes):
    """A clip of a name outside the list, that everything took for drug `a`, with `changes`."""
    return row(**{"drug_id": None, "drug": "B", "text": "zolpidem"} | changes)


def test_outsiders_weigh_a_tenth_in_the_calibration_error_by_hand():
    rows = [row(confidence=0.95), row(confidence=0.85, ranked=["b"]), *(outsider(confidence=confidence) for confidence in (0.92, 0.05, 0.15))]
    # .45 each of the list, .1 / 3 each outside. Bin [.9, 1]: .45 * (.95 - 1) + .1/3 * .92; then .85, .05 and .15, none right.
    expected = abs(0.45 * -0.05 + 0.1 / 3 * 0.92) + 0.45 * 0.85 + 0.1 / 3 * 0.05 + 0.1 / 3 * 0.15
    assert score(rows)["ece"] == pytest.approx(expected)
    # However many they are.
    assert score([*rows, *rows[2:], *rows[2:]])["ece"] == pytest.approx(expected)
    assert score([*rows, outsider(confidence=None), row(confidence=None)])["ece"] == pytest.approx(expected)
    assert score(rows[:2])["ece"] == pytest.approx(0.5 * 0.05 + 0.5 * 0.85)
    assert score(rows[2:])["ece"] == pytest.approx((0.92 + 0.05 + 0.15) / 3)


def test_outsiders_count_in_no_rank_and_no_error_rate():
    listed = [row(), row(ranked=["b", "a"], transcript="aspirin x")]
    alone, among = score(listed), score([*listed, outsider(transcript="rubbish", ranked=["b"]), outsider(transcript="")])
    same = [name for name in alone if name.startswith(("top", "lev")) or name in ("num_clips", "cer", "wer", "accepted")]
    assert len(same) == 14 and {name: among[name] for name in same} == {name: alone[name] for name in same}
    assert (alone["num_outsiders"], among["num_outsiders"]) == (0, 2)
    assert alone["rejected"] is None and alone["rejected_at_90"] is None


def test_acceptance_and_rejection_by_hand():
    scores = score([*(row(answer=answer) for answer in ("A", "B", None)), *(outsider(answer=answer) for answer in ("A", None, None, None))])
    assert (scores["accepted"], scores["rejected"]) == (pytest.approx(2 / 3), 3 / 4)


def test_rejection_at_90_by_hand():
    assert rejected_at_90([0.1 * i for i in range(1, 11)], [0.1, 0.15, 0.2, 0.25]) == 0.5  # the threshold is 0.2, which an outsider has too
    assert rejected_at_90([0.3], [0.3, 0.29]) == 0.5
    assert rejected_at_90([1.0] * 10, [1.0] * 5) == 0.0
    assert rejected_at_90([], [0.5]) is None and rejected_at_90([0.5], []) is None


def test_rejection_at_90_is_the_best_of_all_thresholds_that_accept_enough():
    draws = random.Random(0)
    for _ in range(300):
        # Few values, so that many are equal.
        listed, outside = ([draws.randrange(12) / 12 for _ in range(draws.randrange(1, 40))] for _ in range(2))
        allowed = [t for t in {*listed, *outside} if 10 * sum(p >= t for p in listed) >= 9 * len(listed)]
        # A threshold between two values of the list rejects what lies between: those of the list alone are thresholds.
        best = max(sum(p < t for p in outside) / len(outside) for t in allowed if t in listed)
        assert rejected_at_90(listed, outside) == best


def test_groups_hold_their_outsiders_but_seen_and_unseen_do_not():
    metrics = compute_metrics([row(), row(seen=False), outsider(), outsider(voice="pico:en-GB", engine="pico", answer=None)])
    assert {name: (group["num_clips"], group["num_outsiders"]) for name, group in metrics["by_voice"].items()} == {
        "espeak:en-us+f5": (2, 1), "pico:en-GB": (0, 1)
    }  # fmt: skip
    assert metrics["by_engine"]["pico"]["rejected"] == 1.0 and metrics["by_engine"]["pico"]["top1"] is None
    assert [(group["num_clips"], group["num_outsiders"]) for group in metrics["by_seen"].values()] == [(1, 0), (1, 0)]
    assert (metrics["overall"]["num_clips"], metrics["overall"]["num_outsiders"]) == (2, 2)


def test_risk_and_coverage_by_hand():
    wrong = {"ranked": ["b"]}
    steps = risk_coverage([row(confidence=0.9), row(confidence=0.8, **wrong), row(confidence=0.7), row(confidence=0.7, **wrong), row(confidence=None)])
    seen = [(step["threshold"], step["coverage"], pytest.approx(step["risk"])) for step in steps]
    assert seen == [(0.9, 0.25, 0.0)] * 2 + [(0.8, 0.5, 0.5)] * 3 + [(0.7, 1.0, 0.5)] * 5
    assert risk_coverage([]) == [] == risk_coverage([row(confidence=None)])


def test_risk_and_coverage_against_every_threshold_tried():
    draws = random.Random(1)
    for size in (1, 2, 9, 10, 70, 200):
        rows = [
            (outsider if draws.random() < 0.3 else row)(confidence=draws.choice((draws.random(), 0.5, 0.25)), ranked=[draws.choice("ab")]) for _ in range(size)
        ]
        answers = weighted_answers(rows)
        total = sum(weight for _, _, weight in answers)
        steps = risk_coverage(rows)
        assert len(steps) == 10
        for tenths, step in enumerate(steps, start=1):

            def covered(threshold):
                return sum(weight for confidence, _, weight in answers if confidence >= threshold) / total

            threshold = max(confidence for confidence, _, _ in answers if covered(confidence) >= tenths / 10 - 1e-9)
            risk = sum(weight for confidence, right, weight in answers if confidence >= threshold and not right) / total / covered(threshold)
            assert step == {"threshold": threshold, "coverage": pytest.approx(covered(threshold)), "risk": pytest.approx(risk)}
    outsiders_wrong = risk_coverage([row(), outsider(), outsider()])
    assert outsiders_wrong[-1]["risk"] == pytest.approx(0.1)


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
    rows = [row(), row(ranked=["b", "a"], snr_db=12.0, confidence=None), outsider(in_list=None)]
    assert compute_metrics(pa.Table.from_pylist(rows)) == compute_metrics(rows)


def test_no_clips_give_no_numbers_but_the_same_keys():
    metrics = compute_metrics([])
    assert metrics["overall"]["num_clips"] == 0 and metrics["overall"]["top1"] is None and metrics["overall"]["wer"] is None
    assert metrics["overall"].keys() == compute_metrics([row()])["overall"].keys()
    assert metrics["by_seen"].keys() == {"seen", "unseen"}


def test_metrics_are_strict_json():
    json.dumps(compute_metrics([row(seen=True, confidence=math.nan), row(), outsider(in_list=math.nan)]), allow_nan=False)


def test_a_missing_column_is_named():
    bad = row()
    del bad["ranked"]
    with pytest.raises(InputError, match="ranked"):
        compute_metrics([bad])
