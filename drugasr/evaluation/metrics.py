"""Numbers from predictions: how often the right drug is among the first k, and how much confidence is worth.

Pure: a table goes in, plain JSON comes out. A rate is a fraction from 0 to 1, and None where no clip can tell.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

import jiwer
import pyarrow as pa

from drugasr.errors import InputError

COLUMNS = (
    "drug_id", "text", "transcript", "ranked", "ranked_levenshtein", "confidence", "engine", "voice", "accent", "snr_db", "seen",
)  # fmt: skip
"""What a prediction must have; a clip may carry more (`id`, `drug`, `log_likelihoods`, `duration_s`)."""

NUM_RANKS = 5
NUM_CALIBRATION_BINS = 10
SNR_BANDS = ((-math.inf, 10.0, "below 10 dB"), (10.0, 20.0, "10 to 20 dB"), (20.0, math.inf, "20 dB and above"))
"""Half-open bands: lower bound in dB, upper bound in dB, name."""
NO_NOISE = "no noise added"


class Scores(TypedDict):
    """One group of clips."""

    num_clips: int
    top1: float | None
    """Share of the clips whose drug ranks first by CTC likelihood."""
    top2: float | None
    top3: float | None
    top4: float | None
    top5: float | None
    levenshtein_top1: float | None
    """The same by Levenshtein distance from the greedy transcript."""
    levenshtein_top2: float | None
    levenshtein_top3: float | None
    levenshtein_top4: float | None
    levenshtein_top5: float | None
    cer: float | None
    """Character errors of the greedy transcripts over the characters said; above 1 if there are more errors."""
    wer: float | None
    ece: float | None
    """Expected calibration error of `confidence` against top-1, over ten bins of equal width."""


class Metrics(TypedDict):
    overall: Scores
    by_voice: dict[str, Scores]
    by_engine: dict[str, Scores]
    by_accent: dict[str, Scores]
    by_snr: dict[str, Scores]
    by_seen: dict[str, Scores]
    """`seen` and `unseen` names, both always there."""


Rows = Sequence[Mapping[str, Any]]


def compute_metrics(predictions: pa.Table | Iterable[Mapping[str, Any]]) -> Metrics:
    """Metrics of one recogniser's predictions, one row a clip. Raises InputError on a missing column."""
    rows = predictions.to_pylist() if isinstance(predictions, pa.Table) else list(predictions)
    for row in rows:
        if missing := [name for name in COLUMNS if name not in row]:
            raise InputError(f"the predictions lack the columns {', '.join(missing)}")
    seen = _grouped(rows, lambda row: "seen" if row["seen"] else "unseen")
    return {
        "overall": score(rows),
        "by_voice": _grouped(rows, lambda row: row["voice"]),
        "by_engine": _grouped(rows, lambda row: row["engine"]),
        "by_accent": _grouped(rows, lambda row: row["accent"] or "unknown"),
        "by_snr": _grouped(rows, lambda row: snr_band(row["snr_db"])),
        "by_seen": {name: seen.get(name) or score([]) for name in ("seen", "unseen")},
    }


def score(rows: Rows) -> Scores:
    """The scores of one group of clips."""
    texts, transcripts = [row["text"] or "" for row in rows], [row["transcript"] or "" for row in rows]
    return {
        "num_clips": len(rows),
        **{f"top{k}": _hit_rate(rows, "ranked", k) for k in range(1, NUM_RANKS + 1)},
        **{f"levenshtein_top{k}": _hit_rate(rows, "ranked_levenshtein", k) for k in range(1, NUM_RANKS + 1)},
        "cer": _error_rate(jiwer.process_characters, texts, transcripts),
        "wer": _error_rate(jiwer.process_words, texts, transcripts),
        "ece": expected_calibration_error([(row["confidence"], _is_hit(row, "ranked", 1)) for row in rows]),
    }  # type: ignore[typeddict-item]


def expected_calibration_error(answers: Iterable[tuple[float | None, bool]]) -> float | None:
    """Mean gap between confidence and share right over ten equal bins, weighted by their clips.

    An answer is (confidence from 0 to 1, whether it is right); answers without a confidence do not count.
    """
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in answers:
        if confidence is not None and math.isfinite(confidence):
            # A confidence of exactly 1 belongs to the last bin.
            index = min(int(confidence * NUM_CALIBRATION_BINS), NUM_CALIBRATION_BINS - 1)
            bins.setdefault(index, []).append((confidence, right))
    total = sum(map(len, bins.values()))
    if not total:
        return None
    # In each bin the mean gap times its clips is the gap between the two sums.
    return sum(abs(sum(c for c, _ in answers) - sum(r for _, r in answers)) for answers in bins.values()) / total


def snr_band(snr_db: float | None) -> str:
    """The band of `SNR_BANDS`, or `NO_NOISE` for None and NaN."""
    if snr_db is None or math.isnan(snr_db):
        return NO_NOISE
    return next(name for low, high, name in SNR_BANDS if low <= snr_db < high or snr_db == high == math.inf)


def _grouped(rows: Rows, key: Callable[[Mapping[str, Any]], str]) -> dict[str, Scores]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: score(groups[name]) for name in sorted(groups)}


def _is_hit(row: Mapping[str, Any], column: str, k: int) -> bool:
    return row["drug_id"] in (row[column] or ())[:k]


def _hit_rate(rows: Rows, column: str, k: int) -> float | None:
    return sum(_is_hit(row, column, k) for row in rows) / len(rows) if rows else None


def _error_rate(process: Callable[..., Any], references: list[str], hypotheses: list[str]) -> float | None:
    """Errors over the length said, all clips together; with nothing said, 1 if something was heard, else 0."""
    if not references:
        return None
    counts = process(references, hypotheses)
    errors = counts.substitutions + counts.deletions + counts.insertions
    length = counts.hits + counts.substitutions + counts.deletions
    return errors / length if length else float(errors > 0)
