"""One request to Google Translate's speech service: what the answer holds, and whether it is whole.

Shapes: S samples.
"""

import base64
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

import numpy as np
import requests
import urllib3
from gtts import gTTS

from drugasr import audio
from drugasr.errors import AudioError, VoiceFailure
from drugasr.voices.voice import Limiter

TIMEOUTS_AN_ANSWER = 3

# Banned clients are sent to a page that answers 429; 403 and 503 may mean a ban as well.
_REFUSALS = (403, 429, 503)
_SILENCE = 1e-3
_MOST_BYTES = 4_000_000  # 100 characters of slow speech are some 0.2 MB
_PIECE_BYTES = 1 << 16
# By the version bits of a frame's header: MPEG 2.5, (none), 2, 1; Layer III.
_LOW_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBPS = (_LOW_KBPS, (), _LOW_KBPS, (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320))
_RATES_HZ = ((11_025, 12_000, 8_000), (), (22_050, 24_000, 16_000), (44_100, 48_000, 32_000))
_SLOTS = (72, 0, 72, 144)


class BadAnswer(Exception):
    """No speech, or not all of it; asked again, the service may give it."""


class Unreachable(BadAnswer):
    """No whole answer in time: the connection's fault, whatever the text."""


class Refused(BadAnswer):
    """Asked too fast: no text's fault, and the limiter knows."""


def ask(session: requests.Session, url: str, question: requests.PreparedRequest, timeout_s: float, limiter: Limiter) -> bytes:
    """The MP3 that the service answers; asks once. Raises BadAnswer, or VoiceFailure when asking again is no use."""
    until_s = monotonic() + TIMEOUTS_AN_ANSWER * timeout_s
    try:
        # Not gTTS's own way, which checks no certificate and waits for ever.
        answer = session.post(url, data=question.body, headers=question.headers, timeout=timeout_s, stream=True)
    except requests.RequestException as error:
        is_connection = isinstance(error, (requests.ConnectionError, requests.Timeout))
        raise (Unreachable if is_connection else BadAnswer)(f"{type(error).__name__}: {error}") from error
    with answer:
        if answer.status_code in _REFUSALS:
            limiter.refused(retry_after_s(answer.headers.get("Retry-After", "")))
        what = f"HTTP {answer.status_code} {answer.reason} from {answer.url}"
        if answer.status_code == 429:
            raise Refused(what)
        if answer.status_code >= 500:
            raise BadAnswer(what)
        if answer.status_code != 200:
            raise VoiceFailure(f"Google Translate refuses this request: {what}")
        return mp3_of(_body_of(answer, until_s), gTTS.GOOGLE_TTS_RPC)


def _body_of(answer: requests.Response, until_s: float) -> bytes:
    """The body of a streamed answer. Raises Unreachable when it is not there by `until_s` on the monotonic clock, or BadAnswer.

    Read as the bytes come: a server that drips them keeps within any time-out for a single read.
    """
    body = b""
    try:
        while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
            body += piece
            if len(body) > _MOST_BYTES:
                raise BadAnswer(f"the answer is longer than {_MOST_BYTES} bytes")
            if monotonic() > until_s:
                raise Unreachable(f"the answer was too slow: {len(body)} bytes when its time was up")
    except urllib3.exceptions.TimeoutError as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BadAnswer(f"{type(error).__name__}: {error}") from error
    return body


def mp3_of(answer: bytes, rpc: str) -> bytes:
    """The MP3 in an answer to the remote procedure call `rpc`. Raises BadAnswer, or VoiceFailure when there is no speech for the text.

    The protocol is JSON within JSON; lengths and line breaks around it vary, so it is found by how it starts.
    """
    text = answer.decode(errors="replace")
    start = text.find(f'["wrb.fr","{rpc}"')
    if start < 0:
        raise BadAnswer(f"the answer is not of the speech protocol: {len(answer)} bytes that start {text[:60]!r}")
    try:
        payload = json.JSONDecoder().raw_decode(text, start)[0][2]
        if payload is None:
            raise VoiceFailure("Google Translate has no speech for this text in this language")
        return base64.b64decode(json.loads(payload)[0], validate=True)
    except (ValueError, LookupError, TypeError) as error:
        raise BadAnswer(f"the answer of {len(answer)} bytes is broken: {error}") from error


def decode_whole(mp3: bytes) -> np.ndarray:
    """The speech [S] at 16 kHz. Raises BadAnswer when the MP3 is cut off, silent, or is none.

    Decoders drop an unfinished last frame without a word, so the frames are walked through: each says its length.
    A cut between two frames cannot be seen in the MP3, but it can only come from the service: one on the way
    breaks the JSON around it.
    """
    start = position = _tag_bytes(mp3)
    while length := _frame_bytes(mp3[position : position + 4]):
        position += length
    if position == start:
        raise BadAnswer(f"{len(mp3)} bytes that are no MP3: they start {mp3[:8]!r}")
    if position > len(mp3) or mp3[position : position + 1] == b"\xff":  # an unfinished frame, or header of one
        raise BadAnswer(f"the MP3 is cut off after {len(mp3)} bytes, within a frame")
    try:
        wave_S = audio.decode(mp3)
    except AudioError as error:
        raise BadAnswer(str(error)) from error
    if np.abs(wave_S).max() < _SILENCE:
        raise BadAnswer(f"an MP3 of {audio.duration_s(wave_S):.2f} s of silence")
    return wave_S


def retry_after_s(header: str) -> float:
    """What an HTTP header Retry-After asks for, in seconds or as a date; 0 if it cannot be read."""
    try:
        return max(0.0, float(header) if header.strip().isdigit() else (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _frame_bytes(header: bytes) -> int:
    """Length of the Layer III frame with this header; 0 if it is not one."""
    bits = int.from_bytes(header, "big")
    version, rate_number, kbps_number, padding = bits >> 19 & 3, bits >> 10 & 3, bits >> 12 & 15, bits >> 9 & 1
    if len(header) < 4 or bits >> 21 != 0x7FF or bits >> 17 & 3 != 1 or version == 1 or rate_number == 3 or kbps_number in (0, 15):
        return 0
    return _SLOTS[version] * 1000 * _KBPS[version][kbps_number] // _RATES_HZ[version][rate_number] + padding


def _tag_bytes(mp3: bytes) -> int:
    """Length of an ID3 tag at the start, whose size is written in four times 7 bits; Google sends none, a gateway may."""
    if mp3[:3] != b"ID3" or len(mp3) < 10:
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(mp3[6:10], (21, 14, 7, 0), strict=True))
