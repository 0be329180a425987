"""Recipes that degrade a clip the way rooms, microphones and telephones do; every draw comes from the clip's seed.

Shapes: S samples.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import audiomentations
import numpy as np

from drugasr.audio import SAMPLE_RATE_HZ


def augment(wave_S: np.ndarray, recipe: str, seed: int) -> tuple[np.ndarray, dict[str, dict], float | None]:
    """The degraded clip, the parameters drawn by each transform that was applied, and the SNR in dB (None: no noise)."""
    snr_db = None
    drawn: dict[str, dict] = {}
    with _seeded(seed):
        transforms = _RECIPES[recipe]()
        for transform in transforms:
            wave_S = transform(samples=wave_S, sample_rate=SAMPLE_RATE_HZ)
            if transform.parameters["should_apply"]:
                name = type(transform).__name__
                drawn[name] = {k: _plain(v) for k, v in transform.parameters.items() if k != "should_apply"}
                if isinstance(transform, audiomentations.AddColorNoise):
                    snr_db = transform.min_snr_db
                    drawn[name]["snr_db"] = snr_db
    peak = np.abs(wave_S).max(initial=0.0)
    return (wave_S / peak if peak > 1 else wave_S).astype(np.float32), drawn, snr_db


def _light() -> list[audiomentations.core.transforms_interface.BaseWaveformTransform]:
    """Speed, pitch, tone, band, level, then noise at a drawn SNR: enough variety for clean offline voices."""
    # Drawn here, not by the transform, so that the SNR itself is on record.
    snr_db = round(random.uniform(5.0, 30.0), 1)
    return [
        audiomentations.TimeStretch(min_rate=0.85, max_rate=1.2, leave_length_unchanged=False, p=0.6),
        audiomentations.PitchShift(min_semitones=-2.5, max_semitones=2.5, p=0.5),
        audiomentations.SevenBandParametricEQ(min_gain_db=-6, max_gain_db=6, p=0.5),
        audiomentations.BandPassFilter(
            min_center_freq=900, max_center_freq=1600, min_bandwidth_fraction=1.4, max_bandwidth_fraction=1.8, p=0.2
        ),
        audiomentations.Gain(min_gain_db=-12, max_gain_db=3, p=0.8),
        audiomentations.AddColorNoise(min_snr_db=snr_db, max_snr_db=snr_db, min_f_decay=-6, max_f_decay=3, p=0.7),
    ]


_RECIPES = {"light": _light}


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """audiomentations draws from the two global generators: seed them, and put them back afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
