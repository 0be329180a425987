"""Noise of an exact level on a clip, of a kind that its id draws: every recogniser hears the same.

Shapes: S samples.
"""

import random

import numpy as np
from audiomentations import AddColorNoise

from drugasr.corpus.babble import Babble
from drugasr.corpus.background import Hum
from drugasr.corpus.transforms import apply_transforms
from drugasr.fingerprint import seed_of

NOISES = ("babble", "colour", "ventilation", "hum")
"""The kinds of noise that the recipe `clinic` makes, each for a quarter of the clips."""


def noise_of(clip_id: str) -> str:
    """The kind of noise that a clip gets."""
    return NOISES[seed_of("noise", clip_id) % len(NOISES)]


def add_noise(wave_S: np.ndarray, clip_id: str, snr_db: float) -> np.ndarray:
    """The clip (speech alone, without silence around) with the noise of its kind; scaled down where it would clip."""
    exactly = {"min_snr_db": snr_db, "max_snr_db": snr_db, "p": 1.0}
    match noise_of(clip_id):
        case "babble":
            transform = Babble(snr_db)
        case "colour":
            transform = AddColorNoise(min_f_decay=-4.5, max_f_decay=1.5, **exactly)  # dB an octave, as `clinic` has them
        case "ventilation":
            transform = AddColorNoise(min_f_decay=-9, max_f_decay=-6, **exactly)
        case "hum":
            transform = Hum(snr_db)
    seed_noise("the noise itself", clip_id)
    noisy_S, _ = apply_transforms([transform], wave_S)
    return (noisy_S / max(1.0, float(np.abs(noisy_S).max()))).astype(np.float32)


def seed_noise(what: str, clip_id: str) -> None:
    """audiomentations draws from the two global generators."""
    seed = seed_of(what, clip_id)
    random.seed(seed)
    np.random.seed(seed)
