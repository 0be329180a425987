import hashlib
import subprocess
import sys

import numpy as np
import pytest

from drugasr.errors import VoiceError
from drugasr.voices.espeak import EspeakEngine

NORMAL = {"voice": "en-us+f3", "rate": 1.0, "pitch": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def espeak():
    return EspeakEngine()


def f0_hz(wave_S: np.ndarray, rate_hz: int) -> float:
    """Median fundamental frequency of the voiced frames, by autocorrelation."""
    size, found = rate_hz // 20, []
    low, high = rate_hz // 450, rate_hz // 55
    for start in range(0, len(wave_S) - size, size // 2):
        frame = wave_S[start : start + size] - wave_S[start : start + size].mean()
        correlation = np.correlate(frame, frame, "full")[size - 1 :]
        if correlation[0] > 1e-3 * size and correlation[low:high].max() > 0.4 * correlation[0]:
            found.append(rate_hz / (low + correlation[low:high].argmax()))
    return float(np.median(found))


def test_it_speaks(espeak):
    wave_S, rate_hz = espeak.synthesise("paracetamol", **NORMAL)
    assert wave_S.dtype == np.float32
    assert 0.5 < len(wave_S) / rate_hz < 2
    assert 0.05 < np.abs(wave_S).max() <= 1
    assert np.abs(wave_S).mean() > 0.005


def test_a_clip_depends_on_its_own_arguments_alone(espeak):
    texts, voices = ("ibuprofen", "warfarin sodium"), ("en-us+f3", "en-gb-scotland+m5", "en-us+f3")
    first = {(text, voice): espeak.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() for text in texts for voice in voices}
    for text, voice in reversed(first):
        espeak.synthesise("something else between", voice="en-029+m7", rate=1.7, pitch=0.6, seed=99)
        assert espeak.synthesise(text, **NORMAL | {"voice": voice})[0].tobytes() == first[text, voice]
    assert len(set(first.values())) == len(first) == 4


def test_a_fresh_process_gives_the_same_clip(espeak):
    espeak.synthesise("said before", **NORMAL)
    code = (
        "import hashlib; from drugasr.voices.espeak import EspeakEngine\n"
        f"wave_S, rate_hz = EspeakEngine().synthesise('ibuprofen', **{NORMAL})\n"
        "print(rate_hz, hashlib.sha256(wave_S.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wave_S, rate_hz = espeak.synthesise("ibuprofen", **NORMAL)
    assert said == [str(rate_hz), hashlib.sha256(wave_S.tobytes()).hexdigest()]


def test_rate_makes_it_shorter_and_pitch_makes_it_higher(espeak):
    lengths = [len(espeak.synthesise("metoprolol", **NORMAL | {"rate": rate})[0]) for rate in (0.5, 0.7, 1.0, 1.4, 2.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert 1.4 < lengths[0] / lengths[2] < 3
    assert 1.3 < lengths[2] / lengths[4] < 3
    for voice in ("en-us+f3", "en-us+m3"):
        heights = [f0_hz(*espeak.synthesise("mama mama mama", **NORMAL | {"voice": voice, "pitch": pitch})) for pitch in (0.5, 1.0, 1.5, 2.0)]
        assert all(high > 1.05 * low for low, high in zip(heights, heights[1:], strict=False)), heights


def test_women_speak_higher_than_men(espeak):
    women, men = (f0_hz(*espeak.synthesise("mama mama", **NORMAL | {"voice": f"en-us+{variant}"})) for variant in ("f2", "m1"))
    assert women > 1.3 * men


def test_another_language_reads_the_name_in_its_own_way(espeak):
    assert espeak.synthesise("ibuprofen", **NORMAL)[0].tobytes() != espeak.synthesise("ibuprofen", **NORMAL | {"voice": "fr+f3"})[0].tobytes()


def test_unknown_voices_are_refused_with_the_choices(espeak):
    espeak.check("en-us+f3")
    espeak.check("en-gb-scotland")
    with pytest.raises(VoiceError, match=r"variant 'f99'.*\bf3\b"):
        espeak.check("en-us+f99")
    with pytest.raises(VoiceError, match=r"language 'tlh'.*\ben-us\b"):
        espeak.check("tlh+f3")


def test_a_voice_has_one_spelling(espeak):
    """Two, which sound alike, would put one speaker into two splits."""
    spellings = {"EN-US": "en-us", "en-US+f3": "en-us", "en-us+": "en-us", "en-us+F3": "f3", "en-us+annie": "Annie"}
    for voice, right in spellings.items():
        with pytest.raises(VoiceError, match=f": write {right}$"):
            espeak.check(voice)
    espeak.check("en-us+Annie")
    for voice in ("", "+f3", " en-us", "en-us+f3+f3", "en-us+f3 "):
        with pytest.raises(VoiceError, match="choose from"):
            espeak.check(voice)


def test_the_accent_is_the_language(espeak):
    assert espeak.accent("en-gb-scotland+f5") == "en-gb-scotland"
    assert espeak.accent("en-us") == "en-us"
