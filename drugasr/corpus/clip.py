"""One planned utterance becomes one corpus row, or a VoiceFailure that says why it cannot.

Shapes: S samples.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from drugasr import audio
from drugasr.corpus.augmentation import augment
from drugasr.corpus.plan import Utterance
from drugasr.corpus.quality import find_fault
from drugasr.errors import InputError, VoiceFailure
from drugasr.voices.voice import Engine, split_name

_CROSS_FADE_S = 0.02


class ClipMaker:
    """Speaks utterances with its engines (by name); keeps the last clean clip, or why there is none, since its augmented copies follow it."""

    def __init__(self, engines: Mapping[str, Engine], noise_folder: str = "") -> None:
        self._engines, self._noise_folder = engines, noise_folder
        self._last: tuple[Utterance | None, np.ndarray | VoiceFailure] = (None, np.zeros(0, np.float32))

    def make_row(self, utterance: Utterance) -> dict[str, Any]:
        """The row of `CORPUS_SCHEMA` for `utterance`. Raises VoiceFailure with the reason."""
        wave_S = self._clean(dataclasses.replace(utterance, augmentation="", copy=0, recipe_version=""))
        drawn, snr_db = "", None
        if utterance.augmentation:
            wave_S, parameters, snr_db = augment(wave_S, utterance.augmentation, utterance.seed, copy=utterance.copy, noise_folder=self._noise_folder)
            drawn = json.dumps(parameters, sort_keys=True)
        return {
            "audio": {"bytes": audio.encode_flac(wave_S), "path": f"{utterance.id}.flac"},
            "augmentation": drawn,
            "snr_db": snr_db,
            "duration_s": audio.duration_s(wave_S),
            **self.plan_columns(utterance),
        }

    def plan_columns(self, utterance: Utterance) -> dict[str, Any]:
        """The columns that the plan alone decides."""
        engine_name, voice = split_name(utterance.voice)
        return {
            "id": utterance.id,
            "text": utterance.text,
            "drug": utterance.drug.name,
            "drug_id": utterance.drug.id or None,
            "dose": utterance.dose.written if utterance.dose else None,
            "engine": engine_name,
            "voice": utterance.voice,
            "accent": self._engines[engine_name].accent(voice),
            "rate": utterance.rate,
            "pitch": utterance.pitch,
            "sampling_rate": audio.SAMPLE_RATE_HZ,
            "seed": utterance.seed,
            "source": "tts",
        }

    def _clean(self, clean: Utterance) -> np.ndarray:
        """Speech [S] of the clean clip. What failed once is not asked again for each copy."""
        if self._last[0] != clean:
            try:
                self._last = clean, self._spoken(clean)
            except VoiceFailure as error:
                self._last = clean, VoiceFailure(str(error), tries=0)
                raise
        if isinstance(self._last[1], VoiceFailure):
            raise self._last[1]
        return self._last[1]

    def _spoken(self, clean: Utterance) -> np.ndarray:
        if clean.dose and clean.dose_voice:
            name_S = self._speak(clean.drug.spoken, clean.voice, clean)
            return join_speech(name_S, self._speak(clean.dose.spoken, clean.dose_voice, clean))
        return self._speak(clean.text, clean.voice, clean)

    def _speak(self, text: str, voice_name: str, clean: Utterance) -> np.ndarray:
        """Speech [S] without silence around. An engine may fail in any way: that costs this text alone."""
        engine_name, voice = split_name(voice_name)
        try:
            wave_S, rate_hz = self._engines[engine_name].synthesise(
                text, voice=voice, rate=clean.rate, pitch=clean.pitch, seed=clean.seed
            )
            wave_S = audio.resample(np.asarray(wave_S, np.float32), rate_hz)
            speech_S = audio.trim_silence(wave_S)
        except (VoiceFailure, InputError):  # an InputError is about the engine itself: it ends the job
            raise
        except Exception as error:
            raise VoiceFailure(f"the engine raised {type(error).__name__}: {error}") from error
        if fault := find_fault(wave_S, speech_S):
            raise VoiceFailure(fault)
        return speech_S


def join_speech(first_S: np.ndarray, second_S: np.ndarray, cross_fade_s: float = _CROSS_FADE_S) -> np.ndarray:
    """The two clips as one, the end of the first faded into the start of the second; both at the first's level."""
    level = np.sqrt(np.mean(first_S**2) / max(float(np.mean(second_S**2)), 1e-12))
    second_S = second_S * min(level, 1 / max(float(np.abs(second_S).max(initial=0.0)), 1e-6))
    num = min(round(cross_fade_s * audio.SAMPLE_RATE_HZ), len(first_S), len(second_S))
    fade_S = np.linspace(0, 1, num, dtype=np.float32)
    overlap_S = first_S[len(first_S) - num :] * (1 - fade_S) + second_S[:num] * fade_S
    return np.concatenate([first_S[: len(first_S) - num], overlap_S, second_S[num:]]).astype(np.float32)
