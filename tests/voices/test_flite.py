import ctypes

import numpy as np
import pytest

from drugasr.errors import VoiceError
from drugasr.voices import flite
from drugasr.voices.flite import FliteEngine

NORMAL = {"voice": "rms", "rate": 1.0, "pitch": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def engine():
    try:
        ctypes.CDLL("libflite.so.1")
    except OSError:
        pytest.skip("Debian's libflite1 is not installed")
    return FliteEngine()


@pytest.mark.parametrize("voice", ["awb", "kal16", "rms", "slt"])
def test_each_voice_speaks(engine, voice):
    engine.check(voice)
    wave_S, rate_hz = engine.synthesise("paracetamol", **NORMAL | {"voice": voice})
    assert wave_S.dtype == np.float32 and rate_hz == 16_000
    assert 0.5 < len(wave_S) / rate_hz < 2.5
    assert 0.05 < np.abs(wave_S).max() <= 1


def test_a_clip_depends_on_its_own_arguments_alone(engine):
    clips = {(text, voice): engine.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() for text in ("ibuprofen", "warfarin") for voice in ("awb", "slt")}
    for text, voice in reversed(clips):
        engine.synthesise("something else between", voice="awb", rate=1.5, pitch=0.8, seed=99)
        assert engine.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() == clips[text, voice]
    assert len(set(clips.values())) == 4
    assert engine.version("awb") == engine.version("awb") != engine.version("slt")


def test_rate_makes_it_shorter_and_pitch_does_not(engine):
    seconds = {}
    for rate, pitch in ((1.0, 1.0), (1.4, 1.0), (1.0, 1.2)):
        wave_S, rate_hz = engine.synthesise("metoprolol", **NORMAL | {"rate": rate, "pitch": pitch})
        seconds[rate, pitch] = len(wave_S) / rate_hz
    assert seconds[1.4, 1.0] == pytest.approx(seconds[1.0, 1.0] / 1.4, rel=0.05)
    assert seconds[1.0, 1.2] == pytest.approx(seconds[1.0, 1.0], rel=0.05)


def test_an_unknown_voice_is_refused(engine):
    with pytest.raises(VoiceError, match="no voice 'joe': choose from awb, kal16, rms, slt"):
        engine.check("joe")


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    def missing(name, mode):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(flite.ctypes, "CDLL", lambda name, mode=0: ctypes.PyDLL(None) if name is None else missing(name, mode))
    with pytest.raises(VoiceError, match="apt-get install libflite1"):
        FliteEngine()
