"""Names of a list as clips, one a name, by the offline voices that no training hears.

Shapes: S samples.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from drugasr import audio, presets
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.voices.voice import engine, split_name


def speak(lexicon: Lexicon, num_clips: int) -> Iterator[tuple[Drug, np.ndarray]]:
    """`num_clips` drugs from all over the list, each with a clip of its name."""
    voices = itertools.cycle([split_name(voice) for voice in presets.TEST_VOICES if split_name(voice)[0] in ("espeak", "pico")])
    engines = {"espeak": engine("espeak"), "pico": engine("pico")}
    for index in np.linspace(0, len(lexicon) - 1, num_clips).astype(int):
        drug, (name, voice) = lexicon.drugs[index], next(voices)
        wave, rate_hz = engines[name].synthesise(drug.spoken, voice=voice, rate=1.0, pitch=1.0, seed=0)
        yield drug, audio.resample(wave, rate_hz)
