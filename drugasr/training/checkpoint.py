"""A checkpoint: the model folder, and beside it what is needed to go on as if nothing had happened."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

STATE_FILE = "training_state.pt"


@dataclass(kw_only=True)
class TrainingState:
    epoch: int = 0
    """Epochs that are finished."""
    step: int = 0
    """Steps that are finished of the epoch under way."""
    loss_sum: float = 0.0
    """Training loss of these steps, over all clips and workers."""
    optimiser: dict[str, Any] | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of every finished epoch."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the model as it is: those of the last epoch, or of the mean of the best."""
    best: list[tuple[float, dict[str, torch.Tensor]]] = field(default_factory=list)
    """Score and trained weights of the best epochs, for their mean."""
    is_averaged: bool = False
    """The model is the mean of the best epochs: there is nothing left to do."""

    def save(self, folder: Path) -> None:
        torch.save({field.name: getattr(self, field.name) for field in dataclasses.fields(self)}, folder / STATE_FILE)

    @classmethod
    def load(cls, folder: Path) -> "TrainingState":
        return cls(**torch.load(folder / STATE_FILE, weights_only=True))
