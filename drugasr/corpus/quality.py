"""The gate that every clip passes, synthetic or recorded: long enough, short enough, loud enough, not clipped.

Shapes: S samples.
"""

import numpy as np

from drugasr import audio

MIN_SPEECH_S = 0.15
MAX_SPEECH_S = 20.0
MIN_PEAK = 0.01
MAX_CLIPPED_FRACTION = 0.02
_FULL_SCALE = 0.999
_NUM_FLAT = 3  # a single sample at full scale is a loud peak; three in a row are a cut-off one


def find_fault(wave_S: np.ndarray, speech_S: np.ndarray) -> str:
    """Why the 16 kHz clip `wave_S`, whose speech without silence around is `speech_S`, will not do; empty if it will."""
    if not np.isfinite(wave_S).all():
        return "it holds samples that are not numbers"
    peak = np.abs(wave_S).max(initial=0.0)
    if peak < MIN_PEAK:
        return f"silent: the peak is {peak:.4f} of full scale, below {MIN_PEAK}"
    speech_s = audio.duration_s(speech_S)
    if not MIN_SPEECH_S <= speech_s <= MAX_SPEECH_S:
        return f"{speech_s:.2f} s of speech; {MIN_SPEECH_S} to {MAX_SPEECH_S} s were expected"
    if (fraction := clipped_fraction(speech_S)) > MAX_CLIPPED_FRACTION:
        return f"clipped: {fraction:.1%} of the samples are cut off at full scale, more than {MAX_CLIPPED_FRACTION:.0%}"
    return ""


def clipped_fraction(wave_S: np.ndarray) -> float:
    """Share of the samples that stand in a run of three or more at full scale."""
    if len(wave_S) < _NUM_FLAT:
        return 0.0
    full_S = np.abs(wave_S) >= _FULL_SCALE
    starts = np.lib.stride_tricks.sliding_window_view(full_S, _NUM_FLAT).all(axis=1)
    in_run_S = np.zeros(len(wave_S), bool)
    for offset in range(_NUM_FLAT):
        in_run_S[offset : offset + len(starts)] |= starts
    return float(in_run_S.mean())
