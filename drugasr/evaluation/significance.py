"""Is one recogniser better than another on the same clips, or was it luck? Paired by clip, and whole names at a time.

Shapes: U names.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from drugasr.evaluation.intervals import CONFIDENCE, NUM_RESAMPLES
from drugasr.evaluation.metrics import is_first_right

CTC, LEVENSHTEIN = "CTC likelihood", "Levenshtein"
_NUM_PERMUTATIONS = 9999
_BATCH_RESAMPLES = 250
_MIN_NAMES = 2

Hits = Mapping[str, tuple[str, bool]]
"""Id of a clip -> the name that is said in it, and whether that ranked first."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    one: str
    other: str
    num_clips: int
    """Clips of the list's names that both heard."""
    only_one: int
    """Clips that `one` alone got right."""
    only_other: int
    difference: float
    """Top-1 of `one` less that of `other`."""
    low: float | None
    """Bounds of its interval, over names drawn anew; None with fewer than two names."""
    high: float | None
    p: float
    """Probability of a difference as large if the two were equally good: their answers swapped name by name, at random."""
    p_holm: float
    """The same, corrected by Holm for the number of pairs that are looked at."""
    p_mcnemar: float
    """McNemar's exact test, as if clips of one name were independent."""


def compare_pairs(predictions: Mapping[str, Sequence[Mapping[str, Any]]], seed: int = 0) -> list[Paired]:
    """Each recogniser against each other by its first rank, and each one's CTC ranking against its Levenshtein ranking."""
    hits = {name: hits_of(rows) for name, rows in predictions.items()}
    pairs = [(one, other, hits[one], hits[other]) for one, other in combinations(hits, 2)]
    for name, rows in predictions.items():
        if any(row["ranked"] is not None for row in rows):
            pairs.append((f"{name}, {CTC}", f"{name}, {LEVENSHTEIN}", hits[name], hits_of([row | {"ranked": None} for row in rows])))
    found = [_compare(*pair, seed) for pair in pairs]
    corrected = holm([values["p"] for values in found])
    return [Paired(**values, p_holm=p) for values, p in zip(found, corrected, strict=True)]


def hits_of(rows: Sequence[Mapping[str, Any]]) -> Hits:
    """Of the clips of the list's names that were heard."""
    return {row["id"]: (row["drug_id"], is_first_right(row)) for row in rows if row["drug_id"] is not None and row["error"] is None}


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction for so many tests: the probability of one false alarm among them all stays what it was."""
    corrected, largest = [0.0] * len(ps), 0.0
    for place, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[i]))
        corrected[i] = largest
    return corrected


def _compare(one: str, other: str, one_hits: Hits, other_hits: Hits, seed: int) -> dict[str, Any]:
    shared = sorted(one_hits.keys() & other_hits.keys())
    by_name: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for clip in shared:
        by_name[one_hits[clip][0]].append((one_hits[clip][1], other_hits[clip][1]))
    right_2U = np.array([[sum(column) for column in zip(*clips)] for clips in by_name.values()], dtype=np.float64).reshape(-1, 2).T
    num_clips_U = np.array([len(clips) for clips in by_name.values()])
    only_one = sum(a and not b for clips in by_name.values() for a, b in clips)
    only_other = sum(b and not a for clips in by_name.values() for a, b in clips)
    low = high = None
    p = 1.0
    if len(by_name) >= _MIN_NAMES and only_one + only_other:
        low, high = _interval(right_2U[0] - right_2U[1], num_clips_U, seed)
        p = float(
            stats.permutation_test(
                tuple(right_2U), lambda a, b, axis: (a - b).sum(axis=axis), permutation_type="samples", vectorized=True,
                n_resamples=_NUM_PERMUTATIONS, batch=_BATCH_RESAMPLES, rng=np.random.default_rng(seed),
            ).pvalue
        )  # fmt: skip
    return {
        "one": one,
        "other": other,
        "num_clips": len(shared),
        "only_one": only_one,
        "only_other": only_other,
        "difference": (only_one - only_other) / max(1, len(shared)),
        "low": low,
        "high": high,
        "p": p,
        "p_mcnemar": float(stats.binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0,
    }


def _interval(gain_U: np.ndarray, num_clips_U: np.ndarray, seed: int) -> tuple[float, float]:
    """Of the gain a clip; the plain quantiles where BCa is not a number."""
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (gain_U, num_clips_U), lambda gain, clips, axis: gain.sum(axis=axis) / clips.sum(axis=axis), paired=True, vectorized=True,
            n_resamples=NUM_RESAMPLES, batch=_BATCH_RESAMPLES, confidence_level=CONFIDENCE, rng=np.random.default_rng(seed),
        )  # fmt: skip
    bounds = tuple(map(float, found.confidence_interval))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    return bounds if all(map(math.isfinite, bounds)) else tuple(map(float, np.quantile(found.bootstrap_distribution, tails)))
