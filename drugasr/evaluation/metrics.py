"""Numbers from predictions: how often the right drug is among the first k, and how much confidence is worth.

Pure: a table goes in, plain JSON comes out. A rate is a fraction from 0 to 1, and None where no clip can tell.
A row whose `drug_id` is null is an outsider's: a name was said that is not in the list. A row with an `error` is of a
clip that could not be heard: it is counted, and scored nowhere.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

import jiwer
import pyarrow as pa

from drugasr.decoding.calibration import OUTSIDER_SHARE
from drugasr.errors import InputError

COLUMNS = (
    "drug_id", "text", "transcript", "ranked", "ranked_levenshtein", "answer", "confidence", "in_list", "engine", "voice", "accent", "snr_db", "seen",
    "dose", "said_dose", "sound_alike", "error", "compute_s", "duration_s",
)  # fmt: skip
"""What a prediction must have; a clip may carry more (`id`, `drug`, `log_likelihoods`)."""

NUM_RANKS = 5
NUM_CALIBRATION_BINS = 10
NUM_COVERAGES = 10
SNR_BANDS = ((-math.inf, 10.0, "below 10 dB"), (10.0, 20.0, "10 to 20 dB"), (20.0, math.inf, "20 dB and above"))
"""Half-open bands: lower bound in dB, upper bound in dB, name."""
NO_NOISE = "no noise added"


class Scores(TypedDict):
    """One group of clips."""

    num_clips: int
    """Of names of the list. The ranks and the errors of the transcripts are theirs alone."""
    num_outsiders: int
    """Clips of names outside the list."""
    num_failed: int
    """Clips that could not be heard, of either sort; they are in no other number."""
    top1: float | None
    """Share of the clips whose drug ranks first by CTC likelihood; None of a recogniser that writes text alone."""
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
    exact: float | None
    """Share of the clips whose drug ranks first, with the dose that was said, or none where none was."""
    exact_text: float | None
    """Share of the clips whose transcript is what was said, letter for letter."""
    sound_alike: float | None
    """Share of the clips in which a listed sound-alike of what was said ranks first."""
    ece: float | None
    """Expected calibration error of `confidence` against top-1, over ten bins of equal width; outsiders weigh `OUTSIDER_SHARE`."""
    accepted: float | None
    """Share of the clips of the list's names that are answered with a name: not with "none of these"."""
    rejected: float | None
    """Share of the outsiders that are not."""
    rejected_at_90: float | None
    """The same at the threshold on `in_list` that accepts 90 % of the clips of the list's names in this group."""
    rtf: float | None
    """Real-time factor: seconds of computing a second of audio, on the machine that it ran on."""


class RiskCoverage(TypedDict):
    threshold: float
    coverage: float
    """Share of the clips with that much confidence or more."""
    risk: float
    """Share of those whose first rank is wrong."""


class CalibrationBin(TypedDict):
    weight: float
    """Share of the answers, weighted as in `weighted_answers`."""
    confidence: float
    """Mean."""
    right: float
    """Share of them that are."""


class Metrics(TypedDict):
    overall: Scores
    by_voice: dict[str, Scores]
    by_engine: dict[str, Scores]
    by_accent: dict[str, Scores]
    by_snr: dict[str, Scores]
    by_seen: dict[str, Scores]
    by_dose: dict[str, Scores]
    """`seen` and `unseen` names of the list, both always there."""
    reliability: list[CalibrationBin]
    risk_coverage: list[RiskCoverage]


Rows = Sequence[Mapping[str, Any]]
# Confidence, whether it is right, weight.
Answer = tuple[float, bool, float]


def compute_metrics(predictions: pa.Table | Iterable[Mapping[str, Any]]) -> Metrics:
    """Metrics of one recogniser's predictions, one row a clip. Raises InputError on a missing column."""
    rows = checked_rows(predictions)
    return {
        "overall": score(rows),
        **{name: {group: score(members) for group, members in groups.items()} for name, groups in grouped(rows).items()},
        "reliability": calibration_bins(weighted_answers(rows)),
        "risk_coverage": risk_coverage(rows),
    }  # type: ignore[typeddict-item]


def checked_rows(predictions: pa.Table | Iterable[Mapping[str, Any]]) -> Rows:
    """Raises InputError on a missing column."""
    rows = predictions.to_pylist() if isinstance(predictions, pa.Table) else list(predictions)
    for row in rows:
        if missing := [name for name in COLUMNS if name not in row]:
            raise InputError(f"the predictions lack the columns {', '.join(missing)}")
    return rows


def grouped(rows: Rows) -> dict[str, dict[str, Rows]]:
    """What the clips are told apart by -> group -> its rows; outsiders are neither seen nor unseen, nor with a dose or without."""
    listed = _listed(rows)
    both = {"seen": [], "unseen": []}
    return {
        "by_voice": _grouped(rows, lambda row: row["voice"]),
        "by_engine": _grouped(rows, lambda row: row["engine"]),
        "by_accent": _grouped(rows, lambda row: row["accent"] or "unknown"),
        "by_snr": _grouped(rows, lambda row: snr_band(row["snr_db"])),
        "by_seen": both | _grouped(listed, lambda row: "seen" if row["seen"] else "unseen"),
        "by_dose": _grouped(listed, lambda row: "with a dose" if row["dose"] else "name alone"),
    }


def score(rows: Rows) -> Scores:
    """The scores of one group of clips."""
    num_failed, rows = sum(row["error"] is not None for row in rows), [row for row in rows if row["error"] is None]
    listed, outsiders = _listed(rows), [row for row in rows if row["drug_id"] is None]
    texts, transcripts = [row["text"] or "" for row in listed], [row["transcript"] or "" for row in listed]
    in_list, outside = ([row["in_list"] for row in group if _is_number(row["in_list"])] for group in (listed, outsiders))
    return {
        "num_clips": len(listed),
        "num_outsiders": len(outsiders),
        "num_failed": num_failed,
        **{f"top{k}": _hit_rate(listed, "ranked", k) for k in range(1, NUM_RANKS + 1)},
        **{f"levenshtein_top{k}": _hit_rate(listed, "ranked_levenshtein", k) for k in range(1, NUM_RANKS + 1)},
        "cer": _error_rate(jiwer.process_characters, texts, transcripts),
        "wer": _error_rate(jiwer.process_words, texts, transcripts),
        "exact": _share(is_first_right(row) and row["said_dose"] == row["dose"] for row in listed),
        "exact_text": _share(said == heard for said, heard in zip(texts, transcripts, strict=True)),
        "sound_alike": _share(bool(row["sound_alike"]) for row in listed),
        "ece": expected_calibration_error(weighted_answers(rows)),
        "accepted": _share(row["answer"] is not None for row in listed),
        "rejected": _share(row["answer"] is None for row in outsiders),
        "rejected_at_90": rejected_at_90(in_list, outside),
        "rtf": sum(row["compute_s"] for row in rows) / audio_s if (audio_s := sum(row["duration_s"] for row in rows)) else None,
    }  # type: ignore[typeddict-item]


def weighted_answers(rows: Rows) -> list[Answer]:
    """The first rank of each clip, never right for an outsider's; all outsiders' together weigh `OUTSIDER_SHARE`.

    Clips without a confidence do not count. Where there are clips of one sort alone, they weigh the same.
    """
    known = [row for row in rows if row["error"] is None and _is_number(row["confidence"])]
    num_listed = len(_listed(known))
    weights = [OUTSIDER_SHARE / (len(known) - num_listed) if row["drug_id"] is None else (1 - OUTSIDER_SHARE) / num_listed for row in known]
    return [(row["confidence"], is_first_right(row), weight) for row, weight in zip(known, weights, strict=True)]


def expected_calibration_error(answers: Sequence[Answer]) -> float | None:
    """Mean gap between confidence (0 to 1) and share right over ten equal bins, weighted by what is in them."""
    return sum(bin_["weight"] * abs(bin_["confidence"] - bin_["right"]) for bin_ in calibration_bins(answers)) if answers else None


def calibration_bins(answers: Sequence[Answer]) -> list[CalibrationBin]:
    """The bins that hold an answer, lowest confidence first."""
    bins: dict[int, list[Answer]] = {}
    for answer in answers:
        # A confidence of exactly 1 belongs to the last bin.
        bins.setdefault(min(int(answer[0] * NUM_CALIBRATION_BINS), NUM_CALIBRATION_BINS - 1), []).append(answer)
    total = sum(weight for _, _, weight in answers)
    found: list[CalibrationBin] = []
    for _, members in sorted(bins.items()):
        weight = sum(weight for _, _, weight in members)
        confidence, right = (sum(answer[i] * answer[2] for answer in members) / weight for i in (0, 1))
        found.append({"weight": weight / total, "confidence": confidence, "right": right})
    return found


def rejected_at_90(in_list: Sequence[float], outside: Sequence[float]) -> float | None:
    """Share of `outside` below the highest threshold that 90 % of `in_list` reach; what is equal to it is not rejected."""
    if not in_list or not outside:
        return None
    threshold = sorted(in_list, reverse=True)[-(-9 * len(in_list) // 10) - 1]
    return sum(p < threshold for p in outside) / len(outside)


def risk_coverage(rows: Rows) -> list[RiskCoverage]:
    """The risk of acting on the most confident clips alone, for at least a tenth of them, two tenths and so on to all.

    Clips are weighted as in `weighted_answers`. Equal confidences stand and fall together, so a step may cover more.
    """
    answers = sorted(weighted_answers(rows), key=lambda answer: -answer[0])
    total = sum(weight for _, _, weight in answers)
    steps: list[RiskCoverage] = []
    covered = wrong = 0.0
    for number, (confidence, right, weight) in enumerate(answers):
        covered += weight / total
        wrong += weight / total * (not right)
        is_last_of_equals = number + 1 == len(answers) or answers[number + 1][0] < confidence
        # The sums of many weights are a hair off.
        while is_last_of_equals and len(steps) < NUM_COVERAGES and covered > (len(steps) + 1) / NUM_COVERAGES - 1e-9:
            steps.append({"threshold": confidence, "coverage": min(covered, 1.0), "risk": min(wrong / covered, 1.0)})
    return steps


def snr_band(snr_db: float | None) -> str:
    """The band of `SNR_BANDS`, or `NO_NOISE` for None and NaN."""
    if snr_db is None or math.isnan(snr_db):
        return NO_NOISE
    return next(name for low, high, name in SNR_BANDS if low <= snr_db < high or snr_db == high == math.inf)


def is_first_right(row: Mapping[str, Any]) -> bool:
    """By CTC likelihood where the recogniser has one, else by Levenshtein distance."""
    return _is_hit(row, "ranked_levenshtein" if row["ranked"] is None else "ranked", 1)


def _grouped(rows: Rows, key: Callable[[Mapping[str, Any]], str]) -> dict[str, Rows]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: groups[name] for name in sorted(groups)}


def _listed(rows: Rows) -> Rows:
    return [row for row in rows if row["drug_id"] is not None]


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _is_hit(row: Mapping[str, Any], column: str, k: int) -> bool:
    return row["drug_id"] in (row[column] or ())[:k]


def _hit_rate(rows: Rows, column: str, k: int) -> float | None:
    return _share(_is_hit(row, column, k) for row in rows) if any(row[column] is not None for row in rows) else None


def _share(truths: Iterable[bool]) -> float | None:
    truths = list(truths)
    return sum(truths) / len(truths) if truths else None


def _error_rate(process: Callable[..., Any], references: list[str], hypotheses: list[str]) -> float | None:
    """Errors over the length said, all clips together; with nothing said, 1 if something was heard, else 0."""
    if not references:
        return None
    counts = process(references, hypotheses)
    errors = counts.substitutions + counts.deletions + counts.insertions
    length = counts.hits + counts.substitutions + counts.deletions
    return errors / length if length else float(errors > 0)
