"""Audio bytes <-> the one waveform format of this project: float32, mono, 16 kHz, full scale at 1.

Shapes: S samples.
"""

import io

import numpy as np
import soundfile
import soxr

from drugasr.errors import AudioError

SAMPLE_RATE_HZ = 16_000
_UNKNOWN_FORMAT = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT
# FFmpeg also knows playlists, which would open other files and addresses.
_FFMPEG_OPTIONS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac", "protocol_whitelist": ""}
_MAX_FFMPEG_S = 600.0  # a few bytes may unpack to hours


def decode(data: bytes) -> np.ndarray:
    """Waveform [S] of an encoded clip (WAV, FLAC, MP3, OGG; M4A, MP4, AAC, WebM of up to 10 minutes). Raises AudioError."""
    if not data:
        raise AudioError("the clip is empty: it holds 0 bytes")
    try:
        wave, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        wave_S = wave.mean(axis=1)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if getattr(error, "code", None) != _UNKNOWN_FORMAT:
            raise _undecodable(data, getattr(error, "error_string", error)) from error  # its own text names a buffer by its address
        wave_S, rate_hz = _read_with_ffmpeg(data)
    if not len(wave_S):
        raise AudioError("the clip is empty: it decodes to 0 samples")
    return resample(wave_S, rate_hz)


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

    A margin of `margin_s` is kept on both sides. A clip of zeros, or with samples that are not numbers, comes back empty.
    """
    magnitude_S = np.abs(wave_S)
    loud = np.flatnonzero(magnitude_S > magnitude_S.max(initial=0.0) * 10 ** (threshold_db / 20))
    if not len(loud):
        return wave_S[:0]
    margin = round(margin_s * SAMPLE_RATE_HZ)
    return wave_S[max(0, loud[0] - margin) : loud[-1] + 1 + margin]


def duration_s(wave_S: np.ndarray) -> float:
    return len(wave_S) / SAMPLE_RATE_HZ


def _encode(wave_S: np.ndarray, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wave_S, -1.0, 1.0), SAMPLE_RATE_HZ, format=container, subtype="PCM_16")
    return buffer.getvalue()


def _read_with_ffmpeg(data: bytes) -> tuple[np.ndarray, int]:
    """Mean of the channels [S] and the rate in Hz, without the codec's priming where the file tells it."""
    import av

    pieces, length_s, rate_hz = [np.zeros(0, np.float32)], 0.0, SAMPLE_RATE_HZ
    to_float = av.AudioResampler(format="fltp")
    try:
        with av.open(io.BytesIO(data), options=_FFMPEG_OPTIONS, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise AudioError("the clip holds no audio")
            for decoded in container.decode(audio=0):
                for frame in to_float.resample(decoded):
                    rate_hz = frame.sample_rate
                    length_s += frame.samples / rate_hz
                    pieces.append(frame.to_ndarray().mean(axis=0))
                if length_s > _MAX_FFMPEG_S:
                    raise AudioError(f"the clip lasts more than {_MAX_FFMPEG_S:.0f} s: cut it into single names")
    except (av.FFmpegError, ValueError) as error:
        raise _undecodable(data, getattr(error, "strerror", None) or error) from error
    return np.concatenate(pieces), rate_hz


def _undecodable(data: bytes, reason: object) -> AudioError:
    return AudioError(f"cannot decode the clip ({len(data)} bytes): {reason}; give WAV, FLAC, MP3, OGG, M4A, AAC or WebM")
