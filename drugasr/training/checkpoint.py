"""A checkpoint: the model folder, and beside it what is needed to go on as if nothing had happened."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

STATE_FILE = "training_state.pt"


@dataclass(kw_only=True)
class TrainingState:
    epoch: int = 0
    """Epochs that are finished."""
    optimiser: dict[str, Any] | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of every finished epoch."""

    def save(self, folder: Path) -> None:
        torch.save(asdict(self), folder / STATE_FILE)

    @classmethod
    def load(cls, folder: Path) -> "TrainingState":
        return cls(**torch.load(folder / STATE_FILE, weights_only=True))
