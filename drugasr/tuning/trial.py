"""One trial of a search as plain data, and the order in which trials stand.

A metric that was not reported, or is not a finite number, counts as NaN, and NaN is worse than any number.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Status = Literal["finished", "stopped early", "failed", "diverged"]

METRICS = ("top1", "top5", "cer", "wer", "loss", "train_loss", "blank_fraction")
"""What an epoch reports beside its cost; rates are fractions from 0 to 1, losses are nats a clip."""

SEARCHED = ("frozen_layers", "learning_rate")
"""What every search sets."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    trial_id: str
    params: dict[str, float | str]
    """`frozen_layers`, `learning_rate`, and what else was searched."""
    status: Status
    """`stopped early` is ASHA's doing; `diverged` is a loss that is no longer a number."""
    epochs: tuple[dict[str, float], ...] = ()
    """Metrics of each epoch in order: `epoch` (from 1), `METRICS`, `clips_per_s`, and `wall_s` since the search began."""
    start_s: float = math.nan
    """When the trial began, in seconds since the search did; NaN when nobody noted it."""
    num_starts: int = 1
    """How often it was begun: more than once after a failure, or when the search itself was stopped."""
    error: str = ""
    checkpoint: str = ""
    """URI of the best epoch's checkpoint, or empty."""

    def __post_init__(self):
        if self.status not in get_args(Status):
            raise ValueError(f"trial {self.trial_id!r}: status {self.status!r} is none of {', '.join(get_args(Status))}")

    @property
    def best_epoch(self) -> dict[str, float] | None:
        """The epoch with the highest top-1, then the lowest CER, then the earliest; None if no epoch has a top-1."""
        measured = [epoch for epoch in self.epochs if math.isfinite(metric(epoch, "top1"))]
        return min(measured, key=_order, default=None)

    @property
    def is_usable(self) -> bool:
        """Whether the trial ran to its end, or to where ASHA stopped it, and has a best epoch."""
        return self.status in ("finished", "stopped early") and self.best_epoch is not None

    @property
    def wall_s(self) -> float:
        """When the last epoch ended, in seconds since the search began; NaN without one."""
        return metric(self.epochs[-1], "wall_s") if self.epochs else math.nan

    @property
    def duration_s(self) -> float:
        """How long the trial took; without `start_s`, the first epoch is taken to be as long as the others; or NaN."""
        if math.isfinite(self.start_s):
            return self.wall_s - self.start_s
        if len(self.epochs) < 2:
            return math.nan
        return (self.wall_s - metric(self.epochs[0], "wall_s")) * len(self.epochs) / (len(self.epochs) - 1)

    @property
    def clips_per_s(self) -> float:
        """Mean training speed over the epochs that report one; NaN if none does."""
        speeds = [speed for epoch in self.epochs if math.isfinite(speed := metric(epoch, "clips_per_s"))]
        return sum(speeds) / len(speeds) if speeds else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Values that strict JSON can hold: a number that is not finite becomes None."""
        return {
            "trial_id": self.trial_id,
            "params": _without_nan(self.params),
            "status": self.status,
            "epochs": [_without_nan(epoch) for epoch in self.epochs],
            "start_s": _none_if_nan(self.start_s),
            "num_starts": self.num_starts,
            "error": self.error,
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Trial":
        """The inverse of `to_dict`; None becomes NaN. Raises ValueError on an unknown status."""
        start_s = values.get("start_s")
        return cls(
            trial_id=values["trial_id"],
            params=_with_nan(values["params"]),
            status=values["status"],
            epochs=tuple(_with_nan(epoch) for epoch in values["epochs"]),
            start_s=math.nan if start_s is None else start_s,
            num_starts=values.get("num_starts", 1),
            error=values.get("error", ""),
            checkpoint=values.get("checkpoint", ""),
        )


def metric(epoch: Mapping[str, Any] | None, name: str) -> float:
    """The metric of an epoch as a finite number, else NaN."""
    value = (epoch or {}).get(name)
    return float(value) if value is not None and math.isfinite(value) else math.nan


def leaderboard(trials: Iterable[Trial]) -> list[Trial]:
    """Best first by the best epoch; after the usable trials come the failed, the diverged and those without a top-1."""
    return sorted(trials, key=lambda trial: (not trial.is_usable, *_order(trial.best_epoch), trial.trial_id))


def params_of(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Names of what was searched."""
    return tuple(dict.fromkeys((*SEARCHED, *(name for trial in trials for name in trial.params))))


def to_csv(trials: Iterable[Trial]) -> str:
    """`trials.csv`: one row a trial, best first, with the metrics of its best epoch; what is unknown is empty."""
    ranked, text = leaderboard(trials), io.StringIO()
    columns = (
        "rank", "trial_id", "status", *params_of(ranked), "num_epochs", "best_epoch", *METRICS,
        "clips_per_s", "duration_s", "wall_s", "num_starts", "checkpoint", "error",
    )  # fmt: skip
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for rank, trial in enumerate(ranked, start=1):
        best = trial.best_epoch
        numbers = {name: metric(best, name) for name in METRICS} | {
            "clips_per_s": trial.clips_per_s,
            "duration_s": trial.duration_s,
            "wall_s": trial.wall_s,
        }
        writer.writerow({
            "rank": rank,
            "trial_id": trial.trial_id,
            "status": trial.status,
            **trial.params,
            "num_epochs": len(trial.epochs),
            "best_epoch": (best or {}).get("epoch"),
            **_without_nan(numbers),
            "num_starts": trial.num_starts,
            "checkpoint": trial.checkpoint,
            "error": trial.error,
        })  # fmt: skip
    return text.getvalue()


def _order(epoch: Mapping[str, Any] | None) -> tuple[float, float]:
    """Sorts better epochs first; NaN becomes infinite, for NaN itself has no place in an order."""
    top1, cer = metric(epoch, "top1"), metric(epoch, "cer")
    return (-top1 if math.isfinite(top1) else math.inf, cer if math.isfinite(cer) else math.inf)


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _none_if_nan(value) for name, value in values.items()}


def _with_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}
