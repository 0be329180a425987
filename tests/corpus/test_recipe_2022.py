import librosa
import numpy as np
import pytest

from drugasr.corpus.augmentation import augment


@pytest.fixture
def clip_S() -> np.ndarray:
    time_s = np.arange(19_200) / 16_000
    wave_S = sum(np.sin(2 * np.pi * 180 * k * time_s) / k for k in range(1, 15)) * np.sin(2 * np.pi * 2 * time_s) ** 2
    return (0.1 * wave_S).astype(np.float32)


@pytest.mark.parametrize(("copy", "rate"), [(1, 0.6), (2, 1.4)])
def test_the_stretched_variants_are_librosas_and_have_nothing_random(clip_S, copy, rate):
    wave_S, drawn, snr_db = augment(clip_S, "recipe2022", 7, copy=copy)
    np.testing.assert_array_equal(wave_S, librosa.effects.time_stretch(clip_S, rate=rate))
    assert len(wave_S) == round(19_200 / rate)
    assert (drawn, snr_db) == ({"TimeStretch": {"rate": rate}}, None)
    np.testing.assert_array_equal(wave_S, augment(clip_S, "recipe2022", 8, copy=copy)[0])


def test_the_noise_is_white_and_relative_to_the_standard_deviation(clip_S):
    wave_S, drawn, snr_db = augment(clip_S, "recipe2022", 7, copy=3)
    noise_S = wave_S - clip_S
    assert noise_S.std() == pytest.approx(0.6 * clip_S.std(), rel=0.02)
    power = np.abs(np.fft.rfft(noise_S)) ** 2
    bands = [band.mean() for band in np.array_split(power, 4)]
    assert max(bands) < 1.15 * min(bands)
    assert snr_db == drawn["Noise"]["snr_db"] == pytest.approx(20 * np.log10(clip_S.std() / noise_S.std()), abs=0.2)
    assert drawn.keys() == {"Noise"}
    assert not np.array_equal(wave_S, augment(clip_S, "recipe2022", 8, copy=3)[0])


@pytest.mark.parametrize(("copy", "rate"), [(4, 0.7), (5, 1.3)])
def test_the_mixed_variants_are_noisy_and_stretched(clip_S, copy, rate):
    wave_S, drawn, snr_db = augment(clip_S, "recipe2022", 7, copy=copy)
    assert len(wave_S) == round(19_200 / rate)
    assert drawn == {"Noise": {"relative_to_std": 0.3, "snr_db": 10.5}, "TimeStretch": {"rate": rate}}
    assert snr_db == 10.5
    clean_S = librosa.effects.time_stretch(clip_S, rate=rate)
    quiet = slice(0, 400)  # where the clip itself is silent, the noise is not
    assert np.abs(wave_S[quiet]).mean() > 3 * np.abs(clean_S[quiet]).mean()
    assert not np.array_equal(wave_S, augment(clip_S, "recipe2022", 8, copy=copy)[0])


def test_the_sixth_copy_is_the_first_variant_again(clip_S):
    for copy in range(1, 6):
        np.testing.assert_array_equal(augment(clip_S, "recipe2022", 7, copy=copy)[0], augment(clip_S, "recipe2022", 7, copy=copy + 5)[0])
