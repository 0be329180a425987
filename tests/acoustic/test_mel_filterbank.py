import numpy as np
import pytest

from drugasr.acoustic.mel_filterbank import equalise, mel_filters

RATE_HZ, KERNEL, CHANNELS = 16_000, 400, 160
BANDS = CHANNELS // 4


@pytest.fixture(scope="module")
def filters_CK():
    return mel_filters(CHANNELS, KERNEL, RATE_HZ)


@pytest.fixture(scope="module")
def peaks_hz(filters_CK):
    return np.abs(np.fft.rfft(filters_CK, 1 << 15, axis=1)).argmax(axis=1) * RATE_HZ / (1 << 15)


def sine(hz: float, phase: float = 0.0, samples: int = KERNEL) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ + phase)


def test_shape_and_energy(filters_CK):
    assert filters_CK.shape == (CHANNELS, KERNEL)
    np.testing.assert_allclose((filters_CK**2).sum(axis=1), 1)


def test_the_bands_rise_and_the_four_filters_of_a_band_agree(peaks_hz):
    peaks_BP = peaks_hz.reshape(BANDS, 4)
    centres_B = peaks_BP.mean(axis=1)
    assert (np.diff(centres_B) > 0).all()
    assert (np.ptp(peaks_BP, axis=1) < 20).all()
    assert 50 < centres_B[0] < 150
    assert 6500 < centres_B[-1] < 7600


def test_they_are_spaced_as_mel_is(peaks_hz):
    """Even steps on the mel scale (O'Shaughnessy's formula)."""
    mels = 2595 * np.log10(1 + peaks_hz.reshape(BANDS, 4).mean(axis=1) / 700)
    assert np.diff(mels).std() < 0.1 * np.diff(mels).mean()


def test_a_sine_excites_its_own_band_most(filters_CK, peaks_hz):
    for band in range(0, BANDS, 3):
        outputs_C = np.sqrt(np.mean([(filters_CK @ sine(peaks_hz[4 * band], phase)) ** 2 for phase in np.linspace(0, np.pi, 8)], axis=0))
        assert outputs_C.argmax() // 4 == band


def test_the_rectified_phases_add_up_to_a_magnitude(filters_CK, peaks_hz):
    """|cos| + |sin| of the phase: from 1 to 1.41 of the magnitude, where a filter alone falls to nothing."""
    for band in range(BANDS):
        filters_PK = filters_CK[4 * band : 4 * band + 4]
        outputs_NP = np.stack([filters_PK @ sine(peaks_hz[4 * band], phase) for phase in np.linspace(0, 2 * np.pi, 64)])
        rectified_NP = np.maximum(outputs_NP, 0)
        sums_N = rectified_NP.sum(axis=1)
        assert sums_N.max() / sums_N.min() < 1.5
        assert rectified_NP.min(axis=0).max() == 0
        # And the root of the sum of squares, exactly a magnitude, does not see the phase at all.
        magnitudes_N = np.sqrt((rectified_NP**2).sum(axis=1))
        assert np.ptp(magnitudes_N) < 0.08 * magnitudes_N.mean()


def test_equalised_bands_are_equally_loud(filters_CK):
    generator = np.random.default_rng(0)
    noise_S = np.cumsum(generator.standard_normal(160_000))  # brown: 40 dB louder at the bottom
    noise_S -= np.convolve(noise_S, np.ones(800) / 800, "same")

    def rms_C(bank_CK):
        windows_WK = np.lib.stride_tricks.sliding_window_view(noise_S, KERNEL)[::160]
        return np.sqrt(((windows_WK @ bank_CK.T) ** 2).mean(axis=0))

    assert rms_C(filters_CK).max() > 10 * rms_C(filters_CK).min()
    equalised_CK = equalise(filters_CK, [noise_S[:80_000], noise_S[80_000:]])
    np.testing.assert_allclose(rms_C(equalised_CK), 1, rtol=0.15)
    cosines = (equalised_CK * filters_CK).sum(axis=1) / np.linalg.norm(equalised_CK, axis=1)
    np.testing.assert_allclose(cosines, 1)  # the shape stays


def test_clips_that_are_too_short_to_measure_change_nothing(filters_CK):
    np.testing.assert_array_equal(equalise(filters_CK, []), filters_CK)
    np.testing.assert_array_equal(equalise(filters_CK, [np.ones(KERNEL - 1)]), filters_CK)
    assert np.isfinite(equalise(filters_CK, [np.zeros(KERNEL)])).all()
