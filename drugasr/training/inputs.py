"""What reaches the trained part of a model for a batch of clips: waves, or the states that a frozen prefix makes of them.

Shapes: B clips, S samples, T frames, C features at the cut.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel, Wav2Vec2Processor

from drugasr.acoustic.model import can_pad, frame_s, num_frames_of, prepare_inputs
from drugasr.acoustic.split import Split, Whole, pad_states
from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.training.augmenting import TrainingWaves
from drugasr.training.clips import Clips
from drugasr.training.prefix_cache import CachedStates

# Batches that can be padded are, to a multiple of this: on a CPU, oneDNN compiles its kernels anew for each shape that it has
# not seen of late, which took half of the time of a training whose batches had every length (`python -m benchmarks.training_step`).
_QUANTUM_S = 0.16

Batch = tuple[dict[str, torch.Tensor], list[int]]
"""The arguments of the trained part, and the number of frames of each clip."""


class Inputs(Protocol):
    trained_part: torch.nn.Module
    """Arguments of a batch -> logits [B, T, V]; shares its modules with the model."""
    can_pad: bool
    """Whether clips of different lengths may stand in one batch."""

    def of_epoch(self, epoch: int, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Batch by batch, each of the clips with these indices."""


class WaveInputs:
    """Waves, for a model that trains down to its convolution."""

    def __init__(self, model: PreTrainedModel, processor: Wav2Vec2Processor, waves: TrainingWaves) -> None:
        self.trained_part, self.can_pad = Whole(model), can_pad(model, processor)
        self._model, self._processor, self._waves = model, processor, waves
        self._multiple = round(_QUANTUM_S * SAMPLE_RATE_HZ) if self.can_pad else None

    def of_epoch(self, epoch: int, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        for waves in self._waves.of_epoch(epoch, batches):
            yield dict(prepare_inputs(self._processor, waves, self._multiple).to(self._model.device)), num_frames_of(self._model, waves)


class PrefixInputs:
    """States at the cut, computed anew from waves."""

    def __init__(self, split: Split, waves: TrainingWaves) -> None:
        self.trained_part, self.can_pad = split.top, split.can_pad_states
        self._split, self._waves = split, waves

    def of_epoch(self, epoch: int, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        for waves in self._waves.of_epoch(epoch, batches):
            yield _batch(self._split.prefix(waves), self._split)


class CachedInputs:
    """States at the cut, read from the cache."""

    def __init__(self, split: Split, states: CachedStates, clips: Clips) -> None:
        self.trained_part, self.can_pad = split.top, split.can_pad_states
        self._split, self._states, self._clips = split, states, clips

    def of_epoch(self, epoch: int, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        for batch in batches:
            states = [self._states[self._clips.ids[i]].astype(np.float32) for i in batch]
            yield _batch([torch.from_numpy(state_TC).to(self._split.model.device) for state_TC in states], self._split)


def _batch(states: Sequence[torch.Tensor], split: Split) -> Batch:
    states_BTC, mask_BT = pad_states(states, round(_QUANTUM_S / frame_s(split.model)) if split.can_pad_states else 1)
    return {"states_BTC": states_BTC, "mask_BT": mask_BT}, [len(state_TC) for state_TC in states]
