"""On-the-fly augmentation: half of a training's clips are degraded anew in every epoch.

What a clip sounds like in an epoch depends on its id, the epoch and the seed alone: in line, on another node and
after a resume it is the same to the bit. Torch-free, for the tasks that do it have no need of torch.

Shapes: S samples.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from drugasr import audio
from drugasr.config import Config
from drugasr.corpus.augmentation import augment
from drugasr.fingerprint import fraction_of, seed_of
from drugasr.training.clips import Clips

_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class StepClips:
    """One rank's clips of one step, and all that is needed to make their waves anywhere."""

    ids: Sequence[str]
    flacs: Sequence[bytes]
    min_s: Sequence[float]
    """The shortest that each clip may become."""
    max_s: float
    recipe: str
    noise_folder: str
    seed: int
    epoch: int


MakeWaves = Callable[[StepClips], list[np.ndarray]]
MapInOrder = Callable[[MakeWaves, Iterable[StepClips]], Iterator[list[np.ndarray]]]
"""Like the built-in `map`; it may work ahead."""


class TrainingWaves:
    """The waves that a training hears: the stored clips, or with augmentation a new draw in every epoch."""

    def __init__(self, clips: Clips, config: Config, map_in_order: MapInOrder = map) -> None:
        self._clips, self._settings, self._noise_folder = clips, config.training, config.corpus.noise_folder
        self._map = map_in_order

    def of_epoch(self, epoch: int, steps: Sequence[Sequence[int]]) -> Iterator[list[np.ndarray]]:
        """The waves [S] of each step's clips (indices), step by step."""
        if self._settings.augmentation == "none":
            return ([self._clips.wave(i) for i in step] for step in steps)
        return self._map(make_waves, (self._step_clips(epoch, step) for step in steps))

    def _step_clips(self, epoch: int, step: Sequence[int]) -> StepClips:
        clips, settings = self._clips, self._settings
        return StepClips(
            ids=[clips.ids[i] for i in step],
            flacs=[clips.flacs[i].as_py() for i in step],
            min_s=[float(clips.min_s[i]) for i in step],
            max_s=settings.max_clip_s,
            recipe=settings.augmentation,
            noise_folder=self._noise_folder,
            seed=settings.seed,
            epoch=epoch,
        )


def make_waves(step: StepClips) -> list[np.ndarray]:
    """Samples [S] of each clip, float32 at 16 kHz. Raises AudioError, and ConfigError about the noise folder."""
    return [_wave(step, *clip) for clip in zip(step.ids, step.flacs, step.min_s, strict=True)]


def _wave(step: StepClips, clip_id: str, flac: bytes, min_s: float) -> np.ndarray:
    clean_S = audio.decode(flac)
    if fraction_of("augmented", step.seed, clip_id, step.epoch) >= _SHARE:
        return clean_S
    seed = seed_of("augmentation", step.seed, clip_id, step.epoch)
    # Where a recipe has fixed variants, any number chooses one of them.
    wave_S, _, _ = augment(clean_S, step.recipe, seed, copy=seed, noise_folder=step.noise_folder)
    # Sped up too far, CTC could not align its text; stretched too far, it would not fit the batch.
    return wave_S if min_s <= audio.duration_s(wave_S) <= step.max_s else clean_S
