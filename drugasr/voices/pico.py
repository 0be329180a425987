"""SVOX Pico (Apache-2.0, from PyPI's py-nanotts): two English voices with letter-to-sound rules of their own."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import numpy as np
from py_nanotts import NanoTTS, Voice

from drugasr.errors import VoiceError, VoiceFailure

_RATE_HZ = 16_000
_M_PERTURB = -6
_VOLUME = 0.7  # at 1, peaks of some voices clip


class PicoEngine:
    def __init__(self) -> None:
        self._synthesiser = NanoTTS()

    def version(self, voice: str) -> str:
        return f"py-nanotts {metadata.version('py-nanotts')}"

    def check(self, voice: str) -> None:
        voices = [known.value for known in Voice]
        if voice not in voices:
            raise VoiceError(f"SVOX Pico has no voice {voice!r}: choose from {', '.join(voices)}")

    def accent(self, voice: str) -> str:
        return voice.lower()

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        with _zeroed_memory():
            data = self._synthesiser.speak(text, voice=voice, speed=rate, pitch=pitch, volume=_VOLUME)
        if not data:
            raise VoiceFailure("SVOX Pico gave no audio")
        return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768, _RATE_HZ


@contextmanager
def _zeroed_memory() -> Iterator[None]:
    """Pico reads memory that it never wrote, so equal calls would differ in the last bits: have it zeroed.

    That is glibc's M_PERTURB; another C library may lack it.
    """
    zero_memory = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: None)
    zero_memory(_M_PERTURB, 0xFF)  # new memory is filled with the complement
    try:
        yield
    finally:
        zero_memory(_M_PERTURB, 0)
