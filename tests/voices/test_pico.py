import hashlib
import subprocess
import sys

import numpy as np
import pytest

from drugasr.errors import VoiceError
from drugasr.voices.pico import PicoEngine

NORMAL = {"voice": "en-US", "rate": 1.0, "pitch": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def pico():
    return PicoEngine()


def strongest_hz(wave_S: np.ndarray, rate_hz: int) -> float:
    """Pitch of a steady voiced clip: the best lag of the whole clip's autocorrelation."""
    spectrum = np.abs(np.fft.rfft(wave_S, 2 * len(wave_S))) ** 2
    correlation = np.fft.irfft(spectrum)
    low, high = rate_hz // 400, rate_hz // 80
    return rate_hz / (low + correlation[low:high].argmax())


def test_it_speaks(pico):
    wave_S, rate_hz = pico.synthesise("paracetamol", **NORMAL)
    assert wave_S.dtype == np.float32
    assert 0.5 < len(wave_S) / rate_hz < 2.5
    assert 0.05 < np.abs(wave_S).max() < 1


def test_a_clip_depends_on_its_own_arguments_alone(pico):
    clips = {(text, voice): pico.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() for text in ("ibuprofen", "warfarin") for voice in ("en-US", "en-GB")}
    for text, voice in reversed(clips):
        pico.synthesise("something else between", voice="en-GB", rate=1.5, pitch=0.7, seed=99)
        np.random.default_rng(0).standard_normal(100_000)  # memory that somebody else used and freed
        assert pico.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() == clips[text, voice]
    assert len(set(clips.values())) == 4


def test_a_fresh_process_gives_the_same_clip(pico):
    pico.synthesise("said before", **NORMAL)
    code = (
        "import hashlib; from drugasr.voices.pico import PicoEngine\n"
        f"wave_S, rate_hz = PicoEngine().synthesise('ibuprofen', **{NORMAL})\n"
        "print(rate_hz, hashlib.sha256(wave_S.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wave_S, rate_hz = pico.synthesise("ibuprofen", **NORMAL)
    assert said == [str(rate_hz), hashlib.sha256(wave_S.tobytes()).hexdigest()]


def test_rate_makes_it_shorter_and_pitch_makes_it_higher(pico):
    lengths = [len(pico.synthesise("metoprolol", **NORMAL | {"rate": rate})[0]) for rate in (0.7, 1.0, 1.4)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 1.2 * lengths[1] > 1.4 * lengths[2]
    heights = [strongest_hz(*pico.synthesise("mama mama", **NORMAL | {"pitch": pitch})) for pitch in (0.7, 1.0, 1.4)]
    assert heights[1] > 1.2 * heights[0]
    assert heights[2] > 1.2 * heights[1]


def test_unknown_voices_are_refused_with_the_choices(pico):
    pico.check("en-US")
    pico.check("en-GB")
    with pytest.raises(VoiceError, match=r"'en-AU'.*en-GB"):
        pico.check("en-AU")


def test_the_accent_is_written_as_espeak_writes_it(pico):
    assert pico.accent("en-GB") == "en-gb"
