"""Requests that no client should send: what is sound, broken in a way that a seed draws, as bytes for a socket."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

_PATHS = ("/v1/recognize", "/v1/audio/transcriptions")
_BOUNDARY = b"----drugasr"
_TYPES = (
    b"audio/wav", b"audio/mpeg", b"application/json", b"text/html; charset=latin-9", b"multipart/form-data", b"multipart/form-data; boundary=",
    b"multipart/form-data; boundary=" + b"x" * 300, b"application/x-www-form-urlencoded", b"\xff\xfe", b"a/b; charset=\x01",
)  # fmt: skip
# Without `Upgrade: websocket`: uvicorn, under Serve as under FastAPI, says nothing to it on a POST, and no request comes to be.
_HEADERS = (
    b"Content-Encoding: gzip", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: five",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue",
    b"Authorization: Bearer \xc3\x28", b"Host: a, b", b"Range: bytes=5-1", b"Accept: nonsense", b"X-Empty:", b": no name", b"no colon",
)  # fmt: skip
_HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class Mutant:
    kind: str
    data: bytes
    """The whole request."""


def mutants(clips: Sequence[bytes], num: int, seed: int = 0) -> Iterator[Mutant]:
    """`num` requests made of encoded clips; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    bombs = _bombs()
    makers: dict[str, Callable[[], bytes]] = {
        "truncated": lambda: _request(_draw(rng, _PATHS), _truncated(rng, _draw(rng, clips))),
        "bits flipped": lambda: _request(_draw(rng, _PATHS), _flipped(rng, _draw(rng, clips))),
        "spliced": lambda: _request(_draw(rng, _PATHS), _truncated(rng, _draw(rng, clips)) + _truncated(rng, _draw(rng, clips))[::-1]),
        "random bytes": lambda: _request(_draw(rng, _PATHS), _random(rng)),
        "a header's magic": lambda: _request(_draw(rng, _PATHS), _draw(rng, clips)[: rng.integers(4, 64)] + _random(rng)),
        "bomb": lambda: _request(_draw(rng, _PATHS), _draw(rng, bombs)),
        "form broken": lambda: _raw(_draw(rng, _PATHS), _flipped(rng, _form(_draw(rng, clips), rng)), b"multipart/form-data; boundary=" + _BOUNDARY[2:]),
        "wrong type": lambda: _raw(_draw(rng, _PATHS), _draw(rng, clips), _draw(rng, _TYPES)),
        "wrong header": lambda: _raw(_draw(rng, _PATHS), _draw(rng, clips), b"audio/wav", _draw(rng, _HEADERS)),
        "huge header": lambda: _raw(_draw(rng, _PATHS), _draw(rng, clips), b"audio/wav", b"X-Huge: " + b"h" * int(rng.integers(2**10, 2**18))),
        "many headers": lambda: _raw(_draw(rng, _PATHS), b"", b"audio/wav", b"\r\n".join(b"X-%d: y" % i for i in range(rng.integers(50, 2000)))),
        "query": lambda: _raw(f"/v1/recognize?num_alternatives={_draw(rng, ('', '-1', '1e9', '%00', '5&num_alternatives=0'))}", _draw(rng, clips), b"audio/wav"),
    }
    for _ in range(num):
        kind = _draw(rng, list(makers))
        yield Mutant(kind=kind, data=makers[kind]())


def _draw(rng: np.random.Generator, things: Sequence):
    return things[rng.integers(len(things))]


def _truncated(rng: np.random.Generator, clip: bytes) -> bytes:
    return clip[: rng.integers(len(clip))]


def _flipped(rng: np.random.Generator, data: bytes) -> bytes:
    """With up to 32 bits turned over; half of the time in the first 100 bytes, where the headers are."""
    flipped = bytearray(data)
    end = min(100, len(data)) if rng.random() < 0.5 else len(data)
    for at in rng.integers(end, size=rng.integers(1, 33)):
        flipped[at] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def _random(rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 20_000)))


def _bombs() -> list[bytes]:
    """Small bodies that unpack to an hour, or claim to."""
    found = []
    for container, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        buffer = io.BytesIO()
        seconds = _HOUR_S if container == "FLAC" else 120
        soundfile.write(buffer, np.zeros(seconds * 8000, np.int16), 8000, format=container, subtype=subtype)
        found.append(buffer.getvalue())
    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(100, np.int16), 16_000, format="WAV")
    claims = bytearray(wav.getvalue())
    claims[40:44] = (2**32 - 1).to_bytes(4, "little")
    channels = bytearray(wav.getvalue())
    channels[22:24] = (2**16 - 1).to_bytes(2, "little")
    zip_in_zip = b"PK\x03\x04" + b"\0" * 26 + b"PK\x05\x06" * 1000
    return [*found, bytes(claims), bytes(channels), zip_in_zip, b"\x1f\x8b\x08" + b"\0" * 10_000]


def _form(clip: bytes, rng: np.random.Generator) -> bytes:
    parts = [b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + clip]
    fields = {"model": "drugasr", "response_format": _draw(rng, ("json", "srt", "nonsense", "\0")), "temperature": _draw(rng, ("0", "nan", "1e400"))}
    parts += [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    return b"".join(_BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts) + _BOUNDARY + b"--\r\n"


def _request(path: str, clip: bytes) -> bytes:
    """The clip as a client sends it to this path."""
    if path == _PATHS[0]:
        return _raw(path, clip, b"audio/wav")
    form = _form(clip, np.random.default_rng(len(clip)))
    return _raw(path, form, b"multipart/form-data; boundary=" + _BOUNDARY[2:])


def _raw(path: str, body: bytes, content_type: bytes, header: bytes = b"X-None: 0") -> bytes:
    lines = [b"POST " + path.encode() + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", b"Content-Type: " + content_type, header]
    if not header.lower().startswith((b"content-length", b"transfer-encoding")):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
