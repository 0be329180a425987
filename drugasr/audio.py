"""Audio bytes <-> the one waveform format of this project: float32, mono, 16 kHz, full scale at 1.

Shapes: S samples.
"""

import io

import numpy as np
import soundfile
import soxr

from drugasr.errors import AudioError

SAMPLE_RATE_HZ = 16_000


def decode(data: bytes) -> np.ndarray:
    """Waveform [S] of an encoded clip (WAV, FLAC, MP3, OGG). Raises AudioError."""
    if not data:
        raise AudioError("the clip is empty: it holds 0 bytes")
    try:
        wave, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"cannot decode the clip ({len(data)} bytes): {error}; give WAV, FLAC, MP3 or OGG") from error
    if not len(wave):
        raise AudioError("the clip is empty: it decodes to 0 samples")
    return resample(wave.mean(axis=1), rate_hz)


def encode_flac(wave_S: np.ndarray) -> bytes:
    """16-bit FLAC of a waveform; samples beyond full scale are clipped."""
    return _encode(wave_S, "FLAC")


def encode_wav(wave_S: np.ndarray) -> bytes:
    """16-bit WAV of a waveform; samples beyond full scale are clipped."""
    return _encode(wave_S, "WAV")


def resample(wave_S: np.ndarray, rate_hz: int) -> np.ndarray:
    """`wave_S` at `rate_hz`, as float32 at 16 kHz."""
    if rate_hz != SAMPLE_RATE_HZ:
        wave_S = soxr.resample(wave_S, rate_hz, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(wave_S, dtype=np.float32)


def trim_silence(wave_S: np.ndarray, *, threshold_db: float = -50.0, margin_s: float = 0.05) -> np.ndarray:
    """The clip without its leading and trailing silence: samples under `threshold_db` relative to the peak.

    A margin of `margin_s` is kept on both sides. An all-zero clip comes back empty.
    """
    magnitude_S = np.abs(wave_S)
    peak = magnitude_S.max(initial=0.0)
    if peak == 0.0:
        return wave_S[:0]
    loud = np.flatnonzero(magnitude_S > peak * 10 ** (threshold_db / 20))
    margin = round(margin_s * SAMPLE_RATE_HZ)
    return wave_S[max(0, loud[0] - margin) : loud[-1] + 1 + margin]


def duration_s(wave_S: np.ndarray) -> float:
    return len(wave_S) / SAMPLE_RATE_HZ


def _encode(wave_S: np.ndarray, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wave_S, -1.0, 1.0), SAMPLE_RATE_HZ, format=container, subtype="PCM_16")
    return buffer.getvalue()
