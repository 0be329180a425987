"""Bootstrap confidence intervals of the scores: whole names are drawn anew, with all their clips.

Clips of one name are no independent witnesses: a hard name is hard in every voice. Names are drawn with replacement, those
of the list and the outsiders' each among themselves, and every score is computed again from sums (scipy's BCa bootstrap).
A calibration error near 0 has no fair interval: chance alone parts confidence and share, and never below 0.

Shapes: B resamples, U names, N clips, K sums or scores, G bins of confidence.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy import stats

from drugasr.decoding.calibration import OUTSIDER_SHARE
from drugasr.evaluation.metrics import NUM_CALIBRATION_BINS, NUM_RANKS, Rows, is_first_right

NUM_RESAMPLES = 1000
CONFIDENCE = 0.95
SHARES = (
    *(f"top{k}" for k in range(1, NUM_RANKS + 1)), *(f"levenshtein_top{k}" for k in range(1, NUM_RANKS + 1)), "exact", "exact_text", "sound_alike", "accepted",
)  # fmt: skip
"""Scores that are shares of the clips of the list's names."""
SCORES = (*SHARES, "cer", "wer", "rtf", "rejected", "ece", "rejected_at_90")
"""All that have an interval."""
_OF_OUTSIDERS = ("rejected", "rejected_at_90")
_BATCH_RESAMPLES = 250  # at once: what they take of the memory is this times the clips
_MIN_NAMES = 2

Interval = tuple[float, float]


def compute_intervals(rows: Rows, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Score -> its interval, lower bound first; only of what more than one name can tell.

    Where no resample differs, as when no clip is wrong, a share has Wilson's interval for as many trials as there are names.
    """
    rows = [row for row in rows if row["error"] is None]
    listed, outside = (_Table([row for row in rows if (row["drug_id"] is None) == is_outside]) for is_outside in (False, True))
    drawn = [table for table in (listed, outside) if table.num_names >= _MIN_NAMES]
    if not drawn:
        return {}

    def scores(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        counts = {id(table): _counts(sample_BU, table.num_names) for table, sample_BU in zip(drawn, samples, strict=True)}
        return _scores(listed, outside, counts.get(id(listed)), counts.get(id(outside)))

    samples = [np.arange(table.num_names) for table in drawn]
    level = _level(drawn[0].num_names)
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):  # of what never varies, or is not there, BCa is not a number
        point_K = scores(*samples)
        found = stats.bootstrap(
            samples, scores, vectorized=True, n_resamples=num_resamples, batch=_BATCH_RESAMPLES, confidence_level=level, rng=np.random.default_rng(seed)
        )
        plain_2K = np.nanquantile(found.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    intervals = {}
    for score, point, bca, plain in zip(SCORES, point_K, zip(*found.confidence_interval), plain_2K.T, strict=True):
        if math.isfinite(point):
            low, high = bca if all(map(math.isfinite, bca)) else plain
            if low == high and point in (0.0, 1.0) and score in (*SHARES, *_OF_OUTSIDERS):
                num_names = (outside if score in _OF_OUTSIDERS else listed).num_names
                low, high = stats.binomtest(round(point * num_names), num_names).proportion_ci(CONFIDENCE, method="wilson")
            intervals[score] = (float(low), float(high))
    return intervals


def group_intervals(
    groups: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], num_resamples: int = NUM_RESAMPLES
) -> dict[str, dict[str, dict[str, Interval]]]:
    """The intervals of every group of `metrics.grouped`."""
    return {by: {name: compute_intervals(rows, num_resamples) for name, rows in members.items()} for by, members in groups.items()}


def _level(num_names: int) -> float:
    """The quantiles' level that gives `CONFIDENCE` with so few names: as a t-test widens a normal interval (Hesterberg, 2015, "expanded percentile")."""
    t = stats.t.ppf((1 + CONFIDENCE) / 2, num_names - 1) * math.sqrt(num_names / (num_names - 1))
    return float(1 - 2 * stats.norm.cdf(-t))


class _Table:
    """The clips of the list's names, or the outsiders', added up by name."""

    def __init__(self, rows: Rows) -> None:
        numbers: dict[str, int] = {}
        name_N = np.array([numbers.setdefault(row["drug_id"] or row["drug"] or row["text"] or "", len(numbers)) for row in rows], dtype=np.int64)
        self.num_names = len(numbers)
        sums = [_sums(row) for row in rows]
        self._column = {name: i for i, name in enumerate(sums[0])} if sums else {}
        self._sums_UK = np.zeros((self.num_names, len(self._column)))
        if sums:
            np.add.at(self._sums_UK, name_N, np.array([list(one.values()) for one in sums]))
        in_list_N = np.array([math.nan if row["in_list"] is None else row["in_list"] for row in rows])
        known = np.flatnonzero(np.isfinite(in_list_N))
        order = known[np.argsort(-in_list_N[known], kind="stable")]
        self.in_list_N, self._name_by_in_list_N = in_list_N[order], name_N[order]

    def sums(self, counts_BU: np.ndarray | None, shape: tuple[int, ...]) -> "_Drawn":
        """Of names that are drawn so often; all 0 without clips, and not a number for one name alone, which cannot be drawn."""
        if counts_BU is None:
            return _Drawn(np.full((*shape, 1), np.nan if self.num_names else 0.0), None)
        return _Drawn(counts_BU @ self._sums_UK, self._column)

    def clips(self, counts_BU: np.ndarray) -> np.ndarray:
        """How often each clip counts [B, N], those that seem surest to be of the list first."""
        return counts_BU[..., self._name_by_in_list_N]


class _Drawn:
    """Sums [B] by name of the column."""

    def __init__(self, sums_BK: np.ndarray, column: Mapping[str, int] | None) -> None:
        self._sums_BK, self._column = sums_BK, column

    def __getitem__(self, name: str) -> np.ndarray:
        return self._sums_BK[..., 0 if self._column is None else self._column[name]]

    @property
    def gaps_BG(self) -> np.ndarray:
        return np.stack([self[f"gap{i}"] for i in range(NUM_CALIBRATION_BINS)], axis=-1)


def _sums(row: Mapping[str, Any]) -> dict[str, float]:
    """What is added up over clips; a rank that is not there is not a number, and nor is its sum."""
    said, heard, first = (row["text"] or "").strip(), (row["transcript"] or "").strip(), is_first_right(row)
    confidence = row["confidence"]
    is_known = confidence is not None and math.isfinite(confidence)
    bin_ = min(int(confidence * NUM_CALIBRATION_BINS), NUM_CALIBRATION_BINS - 1) if is_known else None
    return {
        **{f"top{k}": _hit(row, "ranked", k) for k in range(1, NUM_RANKS + 1)},
        **{f"levenshtein_top{k}": _hit(row, "ranked_levenshtein", k) for k in range(1, NUM_RANKS + 1)},
        "exact": first and row["said_dose"] == row["dose"],
        "exact_text": (row["text"] or "") == (row["transcript"] or ""),
        "sound_alike": bool(row["sound_alike"]),
        "accepted": row["answer"] is not None,
        "clips": 1,
        "character_errors": Levenshtein.distance(said, heard),
        "characters": len(said),
        "word_errors": Levenshtein.distance(said.split(), heard.split()),
        "words": len(said.split()),
        "compute_s": row["compute_s"],
        "audio_s": row["duration_s"],
        "known": is_known,
        **{f"gap{i}": confidence - first if i == bin_ else 0.0 for i in range(NUM_CALIBRATION_BINS)},
    }


def _hit(row: Mapping[str, Any], column: str, k: int) -> float:
    return math.nan if row[column] is None else float(row["drug_id"] in row[column][:k])


def _counts(sample_BU: np.ndarray, num_names: int) -> np.ndarray:
    """How often each name was drawn [B, U]; B may be any number of dimensions, none too."""
    flat_BU = sample_BU.reshape(-1, sample_BU.shape[-1])
    offset_B1 = num_names * np.arange(len(flat_BU))[:, None]
    return np.bincount((flat_BU + offset_B1).ravel(), minlength=num_names * len(flat_BU)).reshape(*sample_BU.shape[:-1], num_names)


def _scores(listed: _Table, outside: _Table, listed_BU: np.ndarray | None, outside_BU: np.ndarray | None) -> np.ndarray:
    """`SCORES` [K, B] of names that count so often; None where a sort has too few names to draw from."""
    shape = next(counts_BU.shape[:-1] for counts_BU in (listed_BU, outside_BU) if counts_BU is not None)
    inside, others = listed.sums(listed_BU, shape), outside.sums(outside_BU, shape)
    weights = (1 - OUTSIDER_SHARE, OUTSIDER_SHARE) if listed.num_names and outside.num_names else (1.0, 1.0)
    gap_BG = sum(weight * sums.gaps_BG / np.maximum(sums["known"], 1)[..., None] for weight, sums in zip(weights, (inside, others), strict=True))
    at_90_B = np.full(shape, np.nan) if listed_BU is None or outside_BU is None else _rejected_at_90(listed, outside, listed_BU, outside_BU)
    return np.stack(
        [
            *(inside[name] / inside["clips"] for name in SHARES),
            inside["character_errors"] / inside["characters"],
            inside["word_errors"] / inside["words"],
            (inside["compute_s"] + others["compute_s"]) / (inside["audio_s"] + others["audio_s"]),
            1 - others["accepted"] / others["clips"],
            np.where(inside["known"] + others["known"] > 0, np.abs(gap_BG).sum(axis=-1), np.nan),
            at_90_B,
        ]
    )


def _rejected_at_90(listed: _Table, outside: _Table, listed_BU: np.ndarray, outside_BU: np.ndarray) -> np.ndarray:
    """As `metrics.rejected_at_90`, [B]."""
    inside_BN, others_BN = listed.clips(listed_BU), outside.clips(outside_BU)
    if not inside_BN.shape[-1] or not others_BN.shape[-1]:
        return np.full(inside_BN.shape[:-1], np.nan)
    reached_BN = np.cumsum(inside_BN, axis=-1)
    needed_B1 = -(-9 * reached_BN[..., -1:] // 10)
    threshold_B = listed.in_list_N[(reached_BN >= needed_B1).argmax(axis=-1)]
    return (others_BN * (outside.in_list_N < threshold_B[..., None])).sum(axis=-1) / others_BN.sum(axis=-1)
