"""What Ray Tune knows of its trials, as plain data."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
from ray import tune

from drugasr import storage
from drugasr.tuning.trainable import DIVERGENCE, read_starts, starts_uri_of
from drugasr.tuning.trial import Trial


def trials_of(results: tune.ResultGrid, num_epochs: int, search_uri: str, trainings_uri: str) -> list[Trial]:
    """In the order in which they began; a restored search has them in another one."""
    begun = sorted(((_begin_s(rows), i, rows) for i, rows in enumerate(_rows(result.metrics_dataframe) for result in results)), key=lambda one: one[:2])
    search_start_s = begun[0][0] if begun and math.isfinite(begun[0][0]) else 0.0
    trials = []
    for number, (_, i, trial_rows) in enumerate(begun, start=1):
        result = results[i]
        divergences = [row[DIVERGENCE] for row in trial_rows if isinstance(row.get(DIVERGENCE), str)]
        epochs = [row for row in trial_rows if not isinstance(row.get(DIVERGENCE), str)]
        if divergences:
            status = "diverged"
        elif result.error is not None:
            status = "failed"
        else:
            status = "finished" if epochs and epochs[-1]["epoch"] >= num_epochs else "stopped early"
        point = result.config["point"]
        trials.append(
            Trial(
                trial_id=f"{number:02d}",
                params=point,
                status=status,
                epochs=tuple(row | {"wall_s": row["timestamp"] - search_start_s} for row in epochs),
                start_s=_begin_s(epochs) - search_start_s if epochs else math.nan,
                num_starts=read_starts(starts_uri_of(trainings_uri, point)),
                error=divergences[0] if divergences else str(result.error or ""),
                checkpoint=_best_checkpoint(result, epochs, search_uri),
            )
        )
    return trials


def _rows(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """One row an epoch: a trial that was resumed reports its earlier epochs again, without their checkpoints."""
    rows = [] if frame is None else frame.to_dict("records")
    return list({(row["epoch"], str(row.get(DIVERGENCE))): row for row in reversed(rows)}.values())[::-1]


def _begin_s(rows: list[dict[str, Any]]) -> float:
    """When a trial began, in seconds since 1970; infinite when it reported nothing."""
    return rows[0]["timestamp"] - rows[0]["time_total_s"] if rows else math.inf


def _best_checkpoint(result: tune.Result, epochs: list[dict[str, Any]], search_uri: str) -> str:
    """Where the best epoch's checkpoint is, which is kept beside the last one: Tune has it, or the trial's trainer."""
    kept = [(metrics["score"], checkpoint.path) for checkpoint, metrics in result.best_checkpoints if "score" in metrics]
    kept += [(epoch["score"], epoch["checkpoint_path"]) for epoch in epochs if isinstance(epoch.get("checkpoint_path"), str)]
    if not kept:
        return ""
    path = Path(max(kept)[1])
    # Ray gives the path on its file system; all of a search lies under its folder.
    folder = search_uri.rpartition("/")[2]
    return storage.join(search_uri, *path.parts[len(path.parts) - path.parts[::-1].index(folder) :])
