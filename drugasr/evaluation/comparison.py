"""Recognisers side by side: from their predictions to what `metrics.json` holds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from drugasr.evaluation.intervals import NUM_RESAMPLES, Interval, compute_intervals, group_intervals
from drugasr.evaluation.metrics import Metrics, compute_metrics, grouped
from drugasr.evaluation.significance import compare_pairs


class Intervals(TypedDict):
    """95 % intervals beside the scores of the same names, lower bound first."""

    overall: dict[str, Interval]
    by_voice: dict[str, dict[str, Interval]]
    by_engine: dict[str, dict[str, Interval]]
    by_accent: dict[str, dict[str, Interval]]
    by_snr: dict[str, dict[str, Interval]]
    by_seen: dict[str, dict[str, Interval]]
    by_dose: dict[str, dict[str, Interval]]


class Measured(Metrics):
    """One recogniser."""

    intervals: Intervals


class Comparison(TypedDict):
    recognisers: dict[str, Measured]
    paired: list[dict[str, Any]]
    """The fields of `significance.Paired`."""


def compare_predictions(predictions: Mapping[str, Sequence[Mapping[str, Any]]], num_resamples: int = NUM_RESAMPLES) -> Comparison:
    """`predictions` are the rows of each recogniser, by its name. Raises InputError for a row that lacks a column."""
    return {
        "recognisers": {name: _measure(rows, num_resamples) for name, rows in predictions.items()},
        "paired": [dataclasses.asdict(pair) for pair in compare_pairs(predictions)],
    }


def _measure(rows: Sequence[Mapping[str, Any]], num_resamples: int) -> Measured:
    metrics = compute_metrics(rows)
    return metrics | {"intervals": {"overall": compute_intervals(rows, num_resamples)} | group_intervals(grouped(rows), num_resamples)}  # type: ignore[return-value]
