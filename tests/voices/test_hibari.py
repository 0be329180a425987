import numpy as np
import pytest

from drugasr.errors import VoiceError, VoiceFailure
from drugasr.voices.hibari import HibariEngine

NORMAL = {"voice": "heart", "rate": 1.0, "pitch": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def engine():
    return HibariEngine()


def test_it_speaks_and_a_seed_gives_the_same_clip(engine):
    engine.check("heart")
    wave_S, rate_hz = engine.synthesise("paracetamol", **NORMAL)
    assert wave_S.dtype == np.float32 and rate_hz == 24_000
    assert 0.5 < len(wave_S) / rate_hz < 2.5
    assert 0.05 < np.abs(wave_S).max() <= 1
    engine.synthesise("something else between", **NORMAL | {"seed": 2})
    assert np.array_equal(engine.synthesise("paracetamol", **NORMAL)[0], wave_S)


def test_rate_makes_it_shorter_and_pitch_does_not(engine):
    seconds = {}
    for rate, pitch in ((1.0, 1.0), (1.4, 1.0), (1.0, 1.2)):
        wave_S, rate_hz = engine.synthesise("metoprolol", **NORMAL | {"rate": rate, "pitch": pitch})
        seconds[rate, pitch] = len(wave_S) / rate_hz
    assert seconds[1.4, 1.0] < 0.85 * seconds[1.0, 1.0]
    assert seconds[1.0, 1.2] == pytest.approx(seconds[1.0, 1.0], rel=0.1)


def test_what_it_cannot_do_is_refused(engine):
    with pytest.raises(VoiceError, match="no voice 'joe': choose from heart"):
        engine.check("joe")
    with pytest.raises(VoiceError, match="'emma' is not here: put it at .*bf_emma"):
        engine.check("emma")
    with pytest.raises(VoiceFailure, match="rate / pitch must be 0.5 to 2"):
        engine.synthesise("aspirin", **NORMAL | {"rate": 3.0})
