"""Other people talking: a small pool of sentences, mixed anew for every clip.

Shapes: S samples.
"""

import random
from functools import cache

import numpy as np
from audiomentations.core.transforms_interface import BaseWaveformTransform

from drugasr import audio

# Everyday talk of a hospital, without a drug's name; voices that no preset keeps for validation or testing.
_SENTENCES = (
    ("en-us+f1", "good morning how did you sleep last night"),
    ("en-us+m1", "the doctor will be with you in about ten minutes"),
    ("en+f2", "could you please bring the chair over to the window"),
    ("en+m2", "she is waiting in the corridor next to the lift"),
    ("en-gb-x-rp+f3", "we need two more beds on the third floor this afternoon"),
    ("en-gb-x-rp+m3", "your family can visit between four and seven o'clock"),
    ("en-gb-scotland+f4", "have you had anything to eat or drink since yesterday"),
    ("en-gb-scotland+m4", "please put your right arm on the table and relax"),
    ("en-029+m6", "the results came back and everything looks fine"),
    ("en-us-nyc+m7", "who is on call tonight I think it is somebody new"),
    ("en-gb-x-gbclan+f1", "lunch is a bit late again because the kitchen is short of people"),
    ("en-gb-x-gbcwmd+m8", "mind the step and hold on to the rail on your left"),
)
_NUM_TALKERS = (3, 7)
_LEVEL_SPREAD_DB = 4.0  # some stand nearer than others


class Babble(BaseWaveformTransform):
    """Three to seven talkers, each starting anywhere in the sentence, together at `snr_db` under the clip."""

    def __init__(self, snr_db: float, p: float = 1.0) -> None:
        super().__init__(p)
        self.snr_db = snr_db

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        talkers = sorted(random.sample(range(len(_SENTENCES)), random.randint(*_NUM_TALKERS)))
        self.parameters |= {
            "talkers": talkers,
            "starts": [round(random.random(), 3) for _ in talkers],  # as a share of the sentence
            "levels_db": [round(random.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB), 1) for _ in talkers],
        }

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        pool, babble_S = _pool(), np.zeros(len(samples), np.float32)
        for talker, start, level_db in zip(*(self.parameters[name] for name in ("talkers", "starts", "levels_db")), strict=True):
            sentence_S = pool[talker]
            places_S = np.arange(len(samples)) + int(start * len(sentence_S))
            babble_S += 10 ** (level_db / 20) * sentence_S.take(places_S, mode="wrap")
        return add_at_snr(samples, babble_S, self.snr_db)


def add_at_snr(wave_S: np.ndarray, noise_S: np.ndarray, snr_db: float) -> np.ndarray:
    """The two together, the noise's power `snr_db` under the wave's."""
    scale = np.sqrt(np.mean(wave_S**2) / np.mean(noise_S**2)) * 10 ** (-snr_db / 20)
    return (wave_S + scale * noise_S).astype(np.float32)


@cache
def _pool() -> tuple[np.ndarray, ...]:
    """The sentences [S] of equal power, spoken once a process in about 0.1 s."""
    return tuple(_speak(voice, text) for voice, text in _SENTENCES)


def _speak(voice: str, text: str) -> np.ndarray:
    from drugasr.voices.voice import engine  # training augments too, and needs no voices for the other recipes

    wave_S, rate_hz = engine("espeak").synthesise(text, voice=voice, rate=1.0, pitch=1.0, seed=0)
    wave_S = audio.trim_silence(audio.resample(wave_S, rate_hz))
    return wave_S / np.sqrt(np.mean(wave_S**2))
