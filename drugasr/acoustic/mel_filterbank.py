"""A first convolution that hears like a mel filterbank from the first step.

Each mel band has four filters, the phases cos, sin, -cos and -sin of one band-pass: the GELU behind them keeps
the positive half of each, and the four halves add up to the band's magnitude. Measured (TRAINING.md): the
blank plateau of CTC lasts 80 to 120 steps, against more than 200 from random filters.

Shapes: C channels (4 a band), K kernel samples, S samples, N clips.
"""

import numpy as np

_MIN_HZ, _MAX_HZ = 60.0, 7600.0
_PHASES = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)


def mel_filters(num_channels: int, kernel_size: int, sample_rate_hz: int) -> np.ndarray:
    """Filters [C, K], unit energy each; `num_channels` must be a multiple of four."""
    num_bands = num_channels // len(_PHASES)
    edges_hz = _mel_to_hz(np.linspace(_hz_to_mel(_MIN_HZ), _hz_to_mel(_MAX_HZ), num_bands + 2))
    centre_hz, width_hz = edges_hz[1:-1], (edges_hz[2:] - edges_hz[:-2]) / 2
    time_s = (np.arange(kernel_size) - (kernel_size - 1) / 2) / sample_rate_hz
    # A Gaussian of this deviation in time is as wide in frequency as the band; narrow bands fill the kernel.
    deviation_s = np.minimum(1 / (np.pi * width_hz), kernel_size / sample_rate_hz / 5)
    filters = [
        np.exp(-0.5 * (time_s / deviation) ** 2) * np.cos(2 * np.pi * hz * time_s - phase)
        for hz, deviation in zip(centre_hz, deviation_s, strict=True)
        for phase in _PHASES
    ]
    filters_CK = np.stack(filters)
    return filters_CK / np.linalg.norm(filters_CK, axis=1, keepdims=True)


def equalise(filters_CK: np.ndarray, waves: list[np.ndarray]) -> np.ndarray:
    """The filters, each divided by its RMS output on `waves` (each [S]), so that every band counts alike."""
    energy_C, num_windows = np.zeros(len(filters_CK)), 0
    kernel_size = filters_CK.shape[1]
    for wave_S in waves:
        if len(wave_S) >= kernel_size:
            windows_WK = np.lib.stride_tricks.sliding_window_view(wave_S, kernel_size)[:: kernel_size // 2]
            energy_C += ((windows_WK @ filters_CK.T) ** 2).sum(axis=0)
            num_windows += len(windows_WK)
    if not num_windows:
        return filters_CK
    return filters_CK / np.sqrt(energy_C / num_windows + 1e-6)[:, None]


def _hz_to_mel(hz):
    return 2595 * np.log10(1 + hz / 700)


def _mel_to_hz(mel):
    return 700 * (10 ** (mel / 2595) - 1)
