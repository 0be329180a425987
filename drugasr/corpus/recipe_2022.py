"""The augmentation of the scripts of 2022: five fixed variants of a clip, in which the noise alone is random.

Shapes: S samples.
"""

import math

import numpy as np
from audiomentations import TimeStretch

from drugasr.corpus.transforms import Degraded, apply_transforms

# White noise relative to the clip's standard deviation, then the rate of librosa.effects.time_stretch (0.6 is slower).
_VARIANTS = ((0.0, 0.6), (0.0, 1.4), (0.6, 1.0), (0.3, 0.7), (0.3, 1.3))


def recipe_2022(wave_S: np.ndarray, copy: int) -> Degraded:
    """Variant `(copy - 1) % 5`; the noise comes from numpy's global generator."""
    noise, rate = _VARIANTS[(copy - 1) % len(_VARIANTS)]
    drawn, snr_db = {}, None
    if noise:
        wave_S = wave_S + (noise * wave_S.std() * np.random.standard_normal(len(wave_S))).astype(np.float32)
        snr_db = round(-20 * math.log10(noise), 1)
        drawn["Noise"] = {"relative_to_std": noise, "snr_db": snr_db}
    if rate != 1:
        stretch = TimeStretch(rate, rate, leave_length_unchanged=False, method="librosa_phase_vocoder", p=1.0)
        wave_S, stretched = apply_transforms([stretch], wave_S)
        drawn |= stretched
    return wave_S, drawn, snr_db
