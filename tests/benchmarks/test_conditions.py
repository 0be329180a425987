from collections import Counter

import numpy as np
import pytest

from benchmarks.conditions import NOISES, SNR_DB, add_noise, noise_of, telephone
from drugasr.audio import SAMPLE_RATE_HZ

IDS = [f"clip {i}" for i in range(400)]


@pytest.fixture(scope="module")
def speech_S():
    """A tone of 600 Hz with a beat, far from full scale."""
    time_S = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return (0.1 * np.sin(2 * np.pi * 600 * time_S) * np.sin(2 * np.pi * 2 * time_S)).astype(np.float32)


def test_every_kind_of_noise_gets_its_share():
    assert set(NOISES) == Counter(map(noise_of, IDS)).keys()
    assert min(Counter(map(noise_of, IDS)).values()) > len(IDS) / len(NOISES) / 1.5


@pytest.mark.parametrize("kind", NOISES)
def test_the_noise_is_exactly_as_loud_as_it_says(kind, speech_S):
    clip_id = next(clip_id for clip_id in IDS if noise_of(clip_id) == kind)
    noise_S = add_noise(speech_S, clip_id).astype(float) - speech_S
    assert 10 * np.log10(np.mean(speech_S.astype(float) ** 2) / np.mean(noise_S**2)) == pytest.approx(SNR_DB, abs=0.01)


@pytest.mark.parametrize("degrade", [add_noise, telephone])
def test_a_clip_is_degraded_alike_every_time_and_unlike_others(degrade, speech_S):
    first_S = degrade(speech_S, IDS[0])
    np.random.random(100)  # whatever was drawn before
    np.testing.assert_array_equal(degrade(speech_S, IDS[0]), first_S)
    assert any(not np.array_equal(degrade(speech_S, clip_id), first_S) for clip_id in IDS[1:5])
    assert first_S.dtype == np.float32 and len(first_S) == len(speech_S) and np.abs(first_S).max() <= 1


def test_a_telephone_keeps_its_band_alone():
    time_S = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    inside_S, outside_S = (0.3 * np.sin(2 * np.pi * hz * time_S) for hz in (1000, 6000))
    heard_S = telephone((inside_S + outside_S).astype(np.float32), IDS[0])
    power_F = np.abs(np.fft.rfft(heard_S)) ** 2  # a bin a hertz
    assert power_F[990:1010].sum() > 1000 * power_F[4000:].sum()
