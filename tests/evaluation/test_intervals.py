"""Intervals: their point is the score itself, they cover a planted truth, and they say nothing where nothing can be said."""

import math
import random

import jiwer
import numpy as np
import pytest
from test_metrics import outsider, row

from drugasr.evaluation import intervals
from drugasr.evaluation.intervals import SCORES, compute_intervals
from drugasr.evaluation.metrics import compute_metrics, grouped, score

TEXTS = ("aspirin", "a b", "", "insulin glargine ten units", " x  y ")


def random_rows(draws: random.Random, size: int, num_outsiders: int) -> list[dict]:
    rows = []
    for i in range(size):
        changes = {
            "drug_id": draws.choice("abcdefgh"), "ranked": draws.choice((draws.sample("abcdefgh", 5), [])), "ranked_levenshtein": draws.sample("abcdefgh", 5),
            "text": draws.choice(TEXTS), "transcript": draws.choice((*TEXTS, "asprin x", None)), "confidence": draws.choice((None, draws.random(), 1.0)),
            "in_list": draws.choice((None, draws.random(), 0.5)), "answer": draws.choice((None, "A")), "dose": draws.choice((None, "5 mg")),
            "said_dose": draws.choice((None, "5 mg")), "sound_alike": draws.random() < 0.2, "compute_s": draws.random(), "snr_db": draws.choice((None, 5.0, 15.0)),
            "error": draws.choice((None, None, None, "broken")),
        }  # fmt: skip
        rows.append(row(**changes) if i >= num_outsiders else row(**changes | {"drug_id": None, "drug": f"outsider {i % 7}"}))
    return rows


def points(rows: list[dict]) -> dict[str, float]:
    """The scores as the bootstrap computes them, every name drawn once."""
    heard = [one for one in rows if one["error"] is None]
    tables = [intervals._Table([one for one in heard if (one["drug_id"] is None) == outside]) for outside in (False, True)]
    counts = [np.ones(table.num_names, int) if table.num_names > 1 else None for table in tables]
    with np.errstate(all="ignore"):
        return dict(zip(SCORES, intervals._scores(*tables, *counts).tolist(), strict=True))


@pytest.mark.parametrize(("size", "num_outsiders"), [(300, 60), (40, 0), (40, 40), (12, 3)])
def test_the_sums_give_the_scores(size, num_outsiders):
    draws = random.Random(size + num_outsiders)
    for _ in range(5):
        rows = random_rows(draws, size, num_outsiders)
        expected = score(rows)
        for name, point in points(rows).items():
            if expected[name] is None:
                assert not math.isfinite(point) or name == "ece", name
            else:
                assert point == pytest.approx(expected[name], abs=1e-9), name


def test_error_rates_agree_with_jiwer_whole():
    rows = [one for one in random_rows(random.Random(3), 200, 0) if one["error"] is None]
    said, heard = [one["text"] for one in rows], [one["transcript"] or "" for one in rows]
    kept = [i for i, text in enumerate(said) if text.strip()]  # jiwer.wer refuses an empty reference
    rows, said, heard = ([one[i] for i in kept] for one in (rows, said, heard))
    found = points(rows)
    assert found["wer"] == pytest.approx(jiwer.wer(said, heard)) and found["cer"] == pytest.approx(jiwer.cer(said, heard))
    assert score(rows)["wer"] == pytest.approx(jiwer.wer(said, heard)) and score(rows)["cer"] == pytest.approx(jiwer.cer(said, heard))


def test_shares_agree_with_brute_force_counts():
    rows = random_rows(random.Random(4), 300, 50)
    heard = [one for one in rows if one["error"] is None and one["drug_id"] is not None]
    scores = score(rows)
    for k in range(1, 6):
        for prefix, column in (("top", "ranked"), ("levenshtein_top", "ranked_levenshtein")):
            assert scores[f"{prefix}{k}"] == len([1 for one in heard for place, name in enumerate(one[column], 1) if name == one["drug_id"] and place <= k]) / len(heard)
    right = [one for one in heard if one["ranked"][:1] == [one["drug_id"]]]
    assert scores["exact"] == len([one for one in right if one["dose"] == one["said_dose"]]) / len(heard)
    assert scores["exact_text"] == len([one for one in heard if one["text"] == (one["transcript"] or "")]) / len(heard)
    assert scores["num_failed"] == len([one for one in rows if one["error"]])
    by_dose = grouped(rows)["by_dose"]
    assert sum(map(len, by_dose.values())) == len([one for one in rows if one["drug_id"] is not None]) and set(by_dose) == {"with a dose", "name alone"}


def planted(draws: np.random.Generator, num_names: int, num_clips: int, mean: float) -> list[dict]:
    """Names that are hard or easy: each has a share right of its own, with mean `mean`; a word of two is wrong as often as a name."""
    rows = []
    for name, share in enumerate(draws.beta(8 * mean, 8 * (1 - mean), num_names)):
        for right, first, second in draws.random((num_clips, 3)) < share:
            transcript = f"{'aa' if first else 'x'} {'bb' if second else 'x'}"
            rows.append(row(drug_id=str(name), ranked=[str(name) if right else "other"], text="aa bb", transcript=transcript))
    return rows


def test_the_intervals_cover_a_planted_truth_in_93_to_97_of_100_cases():
    mean, num_cases = 0.85, 400
    draws = np.random.default_rng(5)
    covered = dict.fromkeys(("top1", "wer"), 0)
    for case in range(num_cases):
        found = compute_intervals(planted(draws, 100, 2, mean), num_resamples=400, seed=case)
        for name, truth in (("top1", mean), ("wer", 1 - mean)):
            covered[name] += found[name][0] <= truth <= found[name][1]
    assert all(0.93 <= count / num_cases <= 0.97 for count in covered.values()), covered


def test_clips_of_one_name_are_no_independent_witnesses():
    """Ten copies of every clip tell no more than one."""
    rows = planted(np.random.default_rng(0), 40, 1, 0.8)
    once, often = compute_intervals(rows)["top1"], compute_intervals(rows * 10)["top1"]
    assert often == pytest.approx(once)


def test_without_a_mistake_the_interval_is_wilsons():
    low, high = compute_intervals([row(drug_id=str(i), ranked=[str(i)]) for i in range(50)])["top1"]
    assert high == 1.0 and low == pytest.approx(50 / (50 + 1.959964**2), abs=1e-4)


def test_one_name_alone_has_no_interval():
    assert compute_intervals([row(), row(ranked=["b"])]) == {} == compute_intervals([])
    assert "top1" not in compute_intervals([row(), outsider(drug="C"), outsider(drug="D")])


def test_what_a_recogniser_of_text_lacks_has_no_interval():
    found = compute_intervals([row(drug_id=str(i), ranked=None, ranked_levenshtein=[str(i % 3)]) for i in range(10)])
    assert "top1" not in found and found["levenshtein_top1"][0] < 0.3 < found["levenshtein_top1"][1]


def test_the_same_rows_give_the_same_bounds():
    rows = random_rows(random.Random(1), 80, 20)
    assert compute_intervals(rows) == compute_intervals(rows)
    assert all(low <= high for low, high in compute_intervals(rows).values())


def test_scores_of_text_alone_rest_on_levenshtein():
    rows = [row(ranked=None, ranked_levenshtein=["a"], confidence=0.7), row(ranked=None, ranked_levenshtein=["b"], confidence=0.7)]
    scores = compute_metrics(rows)["overall"]
    assert scores["top1"] is None and scores["levenshtein_top1"] == scores["exact"] == 0.5 and scores["ece"] == pytest.approx(0.2)
