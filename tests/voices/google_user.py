"""What tests ask Google's voices, and how they look at what came back."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from drugasr.errors import VoiceFailure
from drugasr.voices.google import GoogleEngine

NORMAL = {"voice": "en", "rate": 1.0, "pitch": 1.0, "seed": 1}


class NoLimit:
    """Lets everybody pass, and writes down what it hears."""

    def __init__(self):
        self.heard = []

    def wait(self):
        self.heard.append("wait")

    def alone(self, key, for_s):
        return nullcontext()

    def refused(self, retry_after_s):
        self.heard.append(("refused", retry_after_s))

    def answered(self):
        self.heard.append("answered")


def fails(made: GoogleEngine, text: str = "metformin", **changed) -> VoiceFailure:
    with pytest.raises(VoiceFailure) as caught:
        made.synthesise(text, **NORMAL | changed)
    return caught.value


def kept(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("*")}


def hears(wave_S: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """The strongest frequency in Hz and the length in s."""
    loud_S = wave_S * np.hanning(len(wave_S))
    spectrum = np.abs(np.fft.rfft(loud_S, 1 << 18))
    return spectrum.argmax() * rate_hz / (1 << 18), len(wave_S) / rate_hz
