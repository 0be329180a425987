"""From an HTTP request to a waveform, within fixed limits on bytes and on seconds."""

import io
from collections.abc import AsyncIterator

import numpy as np
import soundfile
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from drugasr import audio
from drugasr.errors import AudioError
from serve.problem import Problem

MAX_BODY_BYTES = 10 * 2**20
MAX_CLIP_S = 30.0
# 30 s of 8 channels at 48 kHz; a small FLAC of silence can otherwise unpack to any size.
_MAX_VALUES = 30 * 8 * 48_000
_SAMPLE_RATES_HZ = range(4_000, 192_001)


async def read_clip(request: Request) -> bytes:
    """The encoded clip: the raw body, or the field `file` of a multipart form. Raises Problem 400 or 413."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        data = await _read_form_file(request)
    else:
        data = b"".join([chunk async for chunk in _limited(request)])
    if not data:
        raise Problem(400, "the clip is empty: it holds 0 bytes", code="empty_audio", param="file")
    return data


def decode_clip(data: bytes) -> np.ndarray:
    """Waveform of the clip, float32 mono 16 kHz. Raises Problem 400 (empty, too long) or 415 (not audio)."""
    _check_header(data)
    try:
        wave_S = audio.decode(data)
    except AudioError as error:
        raise Problem(415, str(error), code="undecodable_audio", param="file") from error
    if audio.duration_s(wave_S) > MAX_CLIP_S:
        raise _too_long(audio.duration_s(wave_S))
    return wave_S


def _check_header(data: bytes) -> None:
    """Refuse by what the header declares, before anything is unpacked."""
    try:
        info = soundfile.info(io.BytesIO(data))
    except (soundfile.LibsndfileError, RuntimeError):
        return  # audio.decode says what is wrong, or knows the format
    if info.frames == 0:
        raise Problem(400, "the clip is empty: it holds 0 samples", code="empty_audio", param="file")
    if info.samplerate not in _SAMPLE_RATES_HZ:
        message = f"a sampling rate of {info.samplerate} Hz is outside {_SAMPLE_RATES_HZ[0]} to {_SAMPLE_RATES_HZ[-1]} Hz"
        raise Problem(415, message, code="unsupported_sampling_rate", param="file")
    if info.duration > MAX_CLIP_S:
        raise _too_long(info.duration)
    if info.frames * info.channels > _MAX_VALUES:
        raise Problem(415, f"too many samples: {info.channels} channels at {info.samplerate} Hz", code="too_many_samples", param="file")


def _too_long(duration_s: float) -> Problem:
    message = f"the clip lasts {duration_s:.1f} s, the limit is {MAX_CLIP_S:g} s: send the name of one drug"
    return Problem(400, message, code="audio_too_long", param="file")


async def _limited(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives, cut off with a 413 as soon as it is too large, whatever Content-Length says."""
    declared = request.headers.get("content-length", "")
    received = int(declared) if declared.isdecimal() else 0
    if received <= MAX_BODY_BYTES:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > MAX_BODY_BYTES:
                break
            yield chunk
    if received > MAX_BODY_BYTES:
        raise Problem(413, f"the body is larger than {MAX_BODY_BYTES // 2**20} MiB", code="body_too_large")


class _InMemoryParser(MultiPartParser):
    """Starlette's parser; its default moves uploads above 1 MB to a file, and a recording must not reach the disk."""

    spool_max_size = MAX_BODY_BYTES


async def _read_form_file(request: Request) -> bytes:
    try:
        form = await _InMemoryParser(request.headers, _limited(request), max_files=1, max_fields=20).parse()
    except (MultiPartException, KeyError) as error:
        raise Problem(400, "the multipart form cannot be read", code="invalid_form") from error
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise Problem(400, "the form has no file under the name 'file'", code="missing_file", param="file")
    return await upload.read()
