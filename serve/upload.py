"""From an HTTP request to a waveform, within fixed limits on bytes and on seconds."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import soundfile
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from drugasr import audio
from drugasr.errors import AudioError
from serve.problem import Problem

MAX_BODY_BYTES = 10 * 2**20
MAX_CLIP_S = 30.0
MAX_UPLOAD_S = 30.0
"""Wall time that a body may take to arrive."""
_MAX_FIELDS = 20
# 30 s of 8 channels at 48 kHz; a small FLAC of silence can otherwise unpack to any size.
_MAX_VALUES = 30 * 8 * 48_000
_SAMPLE_RATES_HZ = range(4_000, 192_001)


async def read_clip(request: Request) -> bytes:
    """The encoded clip: the raw body, or the field `file` of a multipart form. Raises Problem 400, 408 or 413."""
    if _is_form(request):
        return (await read_form(request))[0]
    async with _in_time():
        return _not_empty(b"".join([chunk async for chunk in _limited(request)]))


async def read_form(request: Request) -> tuple[bytes, FormData]:
    """The encoded clip in the field `file` of a multipart form, and all its fields. Raises Problem 400, 408, 413 or 415."""
    if not _is_form(request):
        raise Problem(415, "the body must be a form: Content-Type multipart/form-data", code="not_a_form")
    try:
        async with _in_time():
            form = await _InMemoryParser(request.headers, _limited(request), max_files=1, max_fields=_MAX_FIELDS).parse()
    except (MultiPartException, KeyError) as error:
        raise Problem(400, "the multipart form cannot be read", code="invalid_form") from error
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise Problem(400, "the form has no file under the name 'file'", code="missing_file", param="file")
    return _not_empty(await upload.read()), form


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


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise Problem(400, "the clip is empty: it holds 0 bytes", code="empty_audio", param="file")
    return data


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """A body that trickles in would hold a place for ever."""
    try:
        async with asyncio.timeout(MAX_UPLOAD_S):
            yield
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {MAX_UPLOAD_S:g} s", code="upload_too_slow") from error
