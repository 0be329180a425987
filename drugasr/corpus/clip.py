"""One planned utterance becomes one corpus row, or a VoiceFailure that says why it cannot.

Shapes: S samples.
"""

import dataclasses
import json
from functools import lru_cache
from typing import Any

import numpy as np

from drugasr import audio
from drugasr.corpus.augmentation import augment
from drugasr.corpus.plan import Utterance
from drugasr.errors import VoiceFailure
from drugasr.voices.voice import engine, split_name

MIN_SPEECH_S = 0.15
MAX_SPEECH_S = 20.0
MIN_PEAK = 0.01


def make_row(utterance: Utterance) -> dict[str, Any]:
    """The row of `CORPUS_SCHEMA` for `utterance`. Raises VoiceFailure with the reason."""
    wave_S = _speech(dataclasses.replace(utterance, augmentation="", copy=0))
    drawn, snr_db = "", None
    if utterance.augmentation:
        wave_S, parameters, snr_db = augment(wave_S, utterance.augmentation, utterance.seed)
        drawn = json.dumps(parameters, sort_keys=True)
    return {
        "audio": {"bytes": audio.encode_flac(wave_S), "path": f"{utterance.id}.flac"},
        "augmentation": drawn,
        "snr_db": snr_db,
        "duration_s": audio.duration_s(wave_S),
        **plan_columns(utterance),
    }


def plan_columns(utterance: Utterance) -> dict[str, Any]:
    """The columns that the plan alone decides."""
    engine_name, voice = split_name(utterance.voice)
    return {
        "id": utterance.id,
        "text": utterance.drug.spoken,
        "drug": utterance.drug.name,
        "drug_id": utterance.drug.id,
        "dose": None,
        "engine": engine_name,
        "voice": utterance.voice,
        "accent": engine(engine_name).accent(voice),
        "rate": utterance.rate,
        "pitch": utterance.pitch,
        "sampling_rate": audio.SAMPLE_RATE_HZ,
        "seed": utterance.seed,
        "source": "tts",
    }


@lru_cache(maxsize=1)  # the augmented copies of an utterance follow its clean clip
def _speech(clean: Utterance) -> np.ndarray:
    engine_name, voice = split_name(clean.voice)
    wave_S, rate_hz = engine(engine_name).synthesise(
        clean.drug.spoken, voice=voice, rate=clean.rate, pitch=clean.pitch, seed=clean.seed
    )
    if not np.isfinite(wave_S).all():
        raise VoiceFailure("the engine gave samples that are not numbers")
    peak = np.abs(wave_S).max(initial=0.0)
    if peak < MIN_PEAK:
        raise VoiceFailure(f"silent: the peak is {peak:.4f} of full scale, below {MIN_PEAK}")
    speech_S = audio.trim_silence(audio.resample(wave_S, rate_hz))
    speech_s = audio.duration_s(speech_S)
    if not MIN_SPEECH_S <= speech_s <= MAX_SPEECH_S:
        raise VoiceFailure(f"{speech_s:.2f} s of speech; {MIN_SPEECH_S} to {MAX_SPEECH_S} s were expected")
    return speech_S
