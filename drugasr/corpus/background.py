"""The noise under a clip: other talkers, colours, ventilation, mains hum, and the user's own recordings.

Shapes: S samples.
"""

import math
import random
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from audiomentations import AddBackgroundNoise, AddColorNoise
from audiomentations.core.transforms_interface import BaseWaveformTransform

from drugasr.corpus.babble import Babble, add_at_snr
from drugasr.corpus.transforms import Degraded, Drawn, apply_transforms
from drugasr.errors import ConfigError

_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
_BABBLE = 0.3
_BABBLE_SNR_DB = (8.0, 25.0)
_BACKGROUND = 0.6
_BACKGROUND_SNR_DB = (5.0, 30.0)
_RECORDED = 0.5  # share of the backgrounds, where there are recordings
_NUM_HARMONICS = 10


@cache
def find_recordings(noise_folder: str) -> tuple[str, ...]:
    """The recordings in the folder and in those under it, relative to it, sorted. Raises ConfigError."""
    folder = Path(noise_folder)
    if not folder.is_dir():
        raise ConfigError(f"corpus.noise_folder: there is no folder {noise_folder!r} here; it must be on every node")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise ConfigError(f"corpus.noise_folder: {noise_folder!r} holds no recording: put {', '.join(sorted(_SUFFIXES))} files there")
    return tuple(found)


def add_noises(wave_S: np.ndarray, speech_share: float, noise_folder: str) -> Degraded:
    """The clip with babble, a background, both or neither; each noise's `snr_db` is on record, the last result is of all.

    `speech_share` is the share of the clip that is speech: the SNR is that of the speech, without the silence around.
    """
    noises_S, drawn, noise_power = np.zeros_like(wave_S), {}, 0.0
    for probability, snr_range_db, add in ((_BABBLE, _BABBLE_SNR_DB, _add_babble), (_BACKGROUND, _BACKGROUND_SNR_DB, _add_background)):
        if random.random() < probability:
            snr_db = round(random.uniform(*snr_range_db), 1)
            # Each noise is made for the clip without the others, so that its SNR is what was drawn.
            noisy_S, parameters = add(wave_S, snr_db + 10 * math.log10(speech_share), noise_folder)
            if np.array_equal(noisy_S, wave_S):
                continue  # a silent stretch of a recording
            noises_S += noisy_S - wave_S
            drawn |= {name: values | {"snr_db": snr_db} for name, values in parameters.items()}
            noise_power += 10 ** (-snr_db / 10)
    return wave_S + noises_S, drawn, round(-10 * math.log10(noise_power), 1) if noise_power else None


def _add_babble(wave_S: np.ndarray, snr_db: float, noise_folder: str) -> tuple[np.ndarray, Drawn]:
    return apply_transforms([Babble(snr_db)], wave_S)


def _add_background(wave_S: np.ndarray, snr_db: float, noise_folder: str) -> tuple[np.ndarray, Drawn]:
    if noise_folder and random.random() < _RECORDED:
        return _add_recording(wave_S, snr_db, noise_folder)
    snr = {"min_snr_db": snr_db, "max_snr_db": snr_db, "p": 1.0}
    colour = AddColorNoise(min_f_decay=-4.5, max_f_decay=1.5, **snr)
    ventilation = AddColorNoise(min_f_decay=-9, max_f_decay=-6, **snr)
    return apply_transforms([random.choice([colour, ventilation, Hum(snr_db)])], wave_S)


def _add_recording(wave_S: np.ndarray, snr_db: float, noise_folder: str) -> tuple[np.ndarray, Drawn]:
    path = random.choice(find_recordings(noise_folder))
    # Given one file, it need not walk the folder for every clip.
    transform = AddBackgroundNoise(Path(noise_folder, path), min_snr_db=snr_db, max_snr_db=snr_db, p=1.0)
    with warnings.catch_warnings(action="ignore"):  # "had to be resampled", for every clip
        wave_S, drawn = apply_transforms([transform], wave_S)
    return wave_S, {"AddBackgroundNoise": {"recording": path, "offset_s": drawn["AddBackgroundNoise"]["offset"]}}


class Hum(BaseWaveformTransform):
    """The mains, 50 or 60 Hz, with harmonics that fall off as one over their number."""

    def __init__(self, snr_db: float, p: float = 1.0) -> None:
        super().__init__(p)
        self.snr_db = snr_db

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        phases = [round(random.uniform(0, 2 * math.pi), 3) for _ in range(_NUM_HARMONICS)]
        self.parameters |= {"mains_hz": random.choice((50, 60)), "phases": phases}

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        angle_S = 2 * np.pi * self.parameters["mains_hz"] * np.arange(len(samples)) / sample_rate
        hum_S = sum(np.sin(number * angle_S + phase) / number for number, phase in enumerate(self.parameters["phases"], start=1))
        return add_at_snr(samples, hum_S, self.snr_db)
