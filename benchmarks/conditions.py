"""What stands between the speaker and the recogniser: nothing, noise at exactly 10 dB, or a telephone line.

Every draw comes from the clip's id, so that every model hears the same.

Shapes: S samples.
"""

import random

import numpy as np
from audiomentations import AddColorNoise

from drugasr.corpus.babble import Babble
from drugasr.corpus.background import Hum
from drugasr.corpus.transforms import Telephone, apply_transforms
from drugasr.fingerprint import seed_of

SNR_DB = 10.0
NOISES = ("babble", "colour", "ventilation", "hum")
"""The kinds of noise that the recipe `clinic` makes, each for a quarter of the clips."""


def noise_of(clip_id: str) -> str:
    """The kind of noise that a clip gets."""
    return NOISES[seed_of("noise", clip_id) % len(NOISES)]


def add_noise(wave_S: np.ndarray, clip_id: str) -> np.ndarray:
    """The clip (speech alone, without silence around) with the noise of its kind at `SNR_DB`; scaled down where it would clip."""
    exactly = {"min_snr_db": SNR_DB, "max_snr_db": SNR_DB, "p": 1.0}
    match noise_of(clip_id):
        case "babble":
            transform = Babble(SNR_DB)
        case "colour":
            transform = AddColorNoise(min_f_decay=-4.5, max_f_decay=1.5, **exactly)  # dB an octave, as `clinic` has them
        case "ventilation":
            transform = AddColorNoise(min_f_decay=-9, max_f_decay=-6, **exactly)
        case "hum":
            transform = Hum(SNR_DB)
    _seed("the noise itself", clip_id)
    noisy_S, _ = apply_transforms([transform], wave_S)
    return (noisy_S / max(1.0, float(np.abs(noisy_S).max()))).astype(np.float32)


def telephone(wave_S: np.ndarray, clip_id: str) -> np.ndarray:
    """The clip in the band of a telephone, 300 to 3400 Hz, through one of its codecs."""
    _seed("telephone", clip_id)
    return apply_transforms([Telephone(p=1.0)], np.clip(wave_S, -1, 1))[0].astype(np.float32)


def _seed(what: str, clip_id: str) -> None:
    """audiomentations draws from the two global generators."""
    seed = seed_of(what, clip_id)
    random.seed(seed)
    np.random.seed(seed)
