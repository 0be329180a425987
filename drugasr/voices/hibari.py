"""Hibari (Apache-2.0, from PyPI's hibari-tts): a voice of Kokoro's, distilled to 8 MB; 60 times as fast as its teacher.

Its pronunciations are those of misaki's dictionaries, and a net's for words that they lack. The voice in the package is
`heart`, which is Kokoro's `af_heart`: both belong in one split.
"""

from importlib import metadata
from pathlib import Path

import numpy as np
from hibari import Hibari
from hibari.voices import VOICES, voice_path

from drugasr.errors import VoiceError, VoiceFailure
from drugasr.fingerprint import fingerprint

_MIN_SPEED, _MAX_SPEED = 0.5, 2.0  # what its model takes


class HibariEngine:
    def __init__(self) -> None:
        self._loaded: dict[str, Hibari] = {}

    def version(self, voice: str) -> str:
        packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("hibari-tts", "onnxruntime"))
        return f"{packages}, {fingerprint(VOICES[voice]['sha256'])}"

    def check(self, voice: str) -> None:
        _path(voice)

    def accent(self, voice: str) -> str:
        return VOICES[voice]["language"].lower()

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        # It has a pitch, but takes none: as in Kokoro, it speaks slower by `pitch`, and the samples are said to be for a faster clock.
        speed = rate / pitch
        if not _MIN_SPEED <= speed <= _MAX_SPEED:
            raise VoiceFailure(f"Hibari cannot speak at rate {rate} and pitch {pitch}: rate / pitch must be {_MIN_SPEED} to {_MAX_SPEED}")
        if voice not in self._loaded:
            self._loaded[voice] = Hibari(voice, model=str(_path(voice)))
        wave_S = self._loaded[voice](text, speed=speed, seed=seed)
        if not len(wave_S):
            raise VoiceFailure("Hibari gave no audio: the text has no phonemes")
        return np.clip(wave_S, -1, 1).astype(np.float32), round(Hibari.sample_rate * pitch)


def _path(voice: str) -> Path:
    """The voice's model, which is there: nothing is fetched here. Raises VoiceError."""
    if voice not in VOICES:
        raise VoiceError(f"Hibari has no voice {voice!r}: choose from {', '.join(VOICES)}")
    try:
        return Path(voice_path(voice, download_missing=False))
    except FileNotFoundError as error:
        raise VoiceError(f"Hibari's voice {voice!r} is not here: put it at {error}, on every node of the cluster, or choose heart, which is in the package") from error
