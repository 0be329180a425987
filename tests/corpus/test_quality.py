import numpy as np
import pytest

from drugasr.corpus.quality import clipped_fraction, find_fault


def sine(seconds: float, level: float) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("level", [0.02, 0.5, 0.99])
def test_good_speech_passes(level):
    assert find_fault(sine(1.0, level), sine(1.0, level)) == ""


def test_an_overdriven_clip_is_clipped_and_a_loud_one_is_not():
    overdriven = np.clip(sine(1.0, 2.0), -1, 1)
    assert clipped_fraction(overdriven) == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2 two thirds of the time
    assert "clipped" in find_fault(overdriven, overdriven)
    single_peaks = sine(1.0, 0.5)
    single_peaks[::100] = 1.0
    assert clipped_fraction(single_peaks) == 0
    assert find_fault(single_peaks, single_peaks) == ""


def test_runs_are_counted_whole():
    wave_S = np.zeros(100, np.float32)
    wave_S[10:15] = 1.0
    wave_S[50:52] = -1.0  # two samples are a peak
    assert clipped_fraction(wave_S) == pytest.approx(0.05)
    assert clipped_fraction(wave_S[:2]) == 0
