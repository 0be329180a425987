"""Recipes that degrade a clip the way rooms, microphones and telephones do; every draw comes from the clip's seed.

Shapes: S samples.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import audiomentations
import numpy as np
import soundfile

from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.corpus.background import find_recordings
from drugasr.corpus.clinic import clinic
from drugasr.corpus.recipe_2022 import recipe_2022
from drugasr.corpus.transforms import Degraded, apply_transforms
from drugasr.errors import ConfigError
from drugasr.fingerprint import fingerprint


# What makes the sound: audiomentations, what it calls, and eSpeak for the babble.
_PACKAGES = ("audiomentations", "python-stretch", "librosa", "numpy", "scipy", "soxr", "espeakng-loader")


def recipe_version(recipe: str, noise_folder: str = "") -> str:
    """Changes whenever what the recipe makes may; empty for `none`. Raises ConfigError about the noise folder."""
    if recipe == "none":
        return ""
    noise = noise_version(noise_folder) if recipe == "clinic" else ""
    return fingerprint([metadata.version(package) for package in _PACKAGES], soundfile.__libsndfile_version__, noise)


def noise_version(noise_folder: str) -> str:
    """Names the recordings in the folder by their names and content; empty without a folder. Raises ConfigError."""
    if not noise_folder:
        return ""
    find_recordings.cache_clear()  # the folder may have changed since this process last looked
    return fingerprint([(path, _digest(Path(noise_folder, path))) for path in find_recordings(noise_folder)])


def augment(wave_S: np.ndarray, recipe: str, seed: int, *, copy: int = 1, noise_folder: str = "") -> Degraded:
    """The degraded clip, the parameters drawn by each transform that was applied, and the SNR in dB (None: no noise).

    `copy` chooses among the variants of `recipe2022`; `noise_folder` is for `clinic`. Raises ConfigError.
    """
    with _seeded(seed):
        match recipe:
            case "light":
                wave_S, drawn, snr_db = _light(wave_S)
            case "clinic":
                wave_S, drawn, snr_db = clinic(wave_S, noise_folder)
            case "speaker":
                wave_S, drawn, snr_db = _speaker(wave_S)
            case "recipe2022":
                wave_S, drawn, snr_db = recipe_2022(wave_S, copy)
            case _:
                raise KeyError(recipe)
    peak = np.abs(wave_S).max(initial=0.0)
    return (wave_S / peak if peak > 1 else wave_S).astype(np.float32), drawn, snr_db


def _light(wave_S: np.ndarray) -> Degraded:
    """Speed, pitch, tone, band, level, then noise at a drawn SNR: enough variety for clean offline voices."""
    # Drawn here, not by the transform, so that the SNR itself is on record.
    snr_db = round(random.uniform(5.0, 30.0), 1)
    transforms = [
        audiomentations.TimeStretch(min_rate=0.85, max_rate=1.2, leave_length_unchanged=False, p=0.6),
        audiomentations.PitchShift(min_semitones=-2.5, max_semitones=2.5, p=0.5),
        audiomentations.SevenBandParametricEQ(min_gain_db=-6, max_gain_db=6, p=0.5),
        audiomentations.BandPassFilter(
            min_center_freq=900, max_center_freq=1600, min_bandwidth_fraction=1.4, max_bandwidth_fraction=1.8, p=0.2
        ),
        audiomentations.Gain(min_gain_db=-12, max_gain_db=3, p=0.8),
        audiomentations.AddColorNoise(min_snr_db=snr_db, max_snr_db=snr_db, min_f_decay=-6, max_f_decay=3, p=0.7),
    ]
    wave_S, drawn = apply_transforms(transforms, wave_S)
    if "AddColorNoise" not in drawn:
        return wave_S, drawn, None
    drawn["AddColorNoise"]["snr_db"] = snr_db
    return wave_S, drawn, snr_db


def _speaker(wave_S: np.ndarray) -> Degraded:
    """Someone else at another microphone: resampling makes the vocal tract longer or shorter, and the voice slower or faster with it."""
    transforms = [
        audiomentations.Resample(round(SAMPLE_RATE_HZ / 1.18), round(SAMPLE_RATE_HZ / 0.85), p=0.9),
        audiomentations.SevenBandParametricEQ(min_gain_db=-8, max_gain_db=8, p=0.5),
    ]
    return *apply_transforms(transforms, wave_S), None


def _digest(path: Path) -> str:
    """SHA-256 of a recording that can be read. Raises ConfigError."""
    try:
        num_samples = soundfile.info(path).frames
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, soundfile.LibsndfileError) as error:
        raise ConfigError(f"corpus.noise_folder: {path} cannot be read ({error}): repair or remove it") from error
    if not num_samples:
        raise ConfigError(f"corpus.noise_folder: {path} holds 0 samples: remove it")
    return digest


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
