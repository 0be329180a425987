"""What stands between the speaker and the recogniser: nothing, noise at exactly 10 dB, or a telephone line.

Every draw comes from the clip's id, so that every model hears the same.

Shapes: S samples.
"""

import numpy as np

from drugasr.corpus.transforms import Telephone, apply_transforms
from drugasr.evaluation import noise
from drugasr.evaluation.noise import NOISES, noise_of, seed_noise

SNR_DB = 10.0
__all__ = ["NOISES", "SNR_DB", "add_noise", "noise_of", "telephone"]


def add_noise(wave_S: np.ndarray, clip_id: str) -> np.ndarray:
    """The clip (speech alone, without silence around) with the noise of its kind at `SNR_DB`; scaled down where it would clip."""
    return noise.add_noise(wave_S, clip_id, SNR_DB)


def telephone(wave_S: np.ndarray, clip_id: str) -> np.ndarray:
    """The clip in the band of a telephone, 300 to 3400 Hz, through one of its codecs."""
    seed_noise("telephone", clip_id)
    return apply_transforms([Telephone(p=1.0)], np.clip(wave_S, -1, 1))[0].astype(np.float32)
