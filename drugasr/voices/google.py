"""Google Translate's voices over the network, asked through gTTS's protocol (MIT); 24 kHz MP3, one voice a language.

A voice is `language` or `language@domain`, such as `en@co.uk`: a domain may change the accent. Other languages'
voices (`fr`, `ar`, ...) read English names as a foreign accent.

Shapes: S samples.
"""

import math
import random
import re
from contextlib import nullcontext
from importlib import metadata
from time import sleep

import numpy as np
import python_stretch
import requests
from gtts import gTTS
from gtts.lang import tts_langs

from drugasr import audio, storage
from drugasr.errors import VoiceError, VoiceFailure
from drugasr.fingerprint import fingerprint
from drugasr.voices.google_answer import TIMEOUTS_AN_ANSWER, BadAnswer, Refused, Unreachable, ask, decode_whole
from drugasr.voices.pace import LocalPace
from drugasr.voices.voice import Limiter

_VERSION = "google-translate 1"  # the service tells none, and gTTS's does not change the audio
_DOMAIN = re.compile(r"[a-z]{2,3}(\.[a-z]{2})?")
_ENDPOINT = re.compile(r"(https?://[^/?#\s]+[^?#\s]*)?")
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 60.0
_TURN_S = 60.0  # the most that a question's owner is expected to wait for its turn; if longer, another may wait as well
_MOST_LOST = 10_000


class GoogleEngine:
    """Answers are kept under `cache_uri` once they were decoded, so that a run after a ban goes on where it stopped.

    `endpoint` replaces `https://translate.google.<domain>`. `timeout_s` is for the connection, and for every
    pause in the answer, which must be there after three times as long.
    """

    def __init__(
        self, *, requests_per_s: float = 1.0, cache_uri: str = "", endpoint: str = "", timeout_s: float = 10.0, max_tries: int = 6
    ) -> None:
        for name, value in (("requests_per_s", requests_per_s), ("timeout_s", timeout_s)):
            _check_option(name, value, type(value) in (int, float) and 0 < value < math.inf, "a number above 0")
        _check_option("max_tries", max_tries, type(max_tries) is int and max_tries > 0, "a whole number above 0")
        _check_option("cache_uri", cache_uri, isinstance(cache_uri, str), "a folder or a URI")
        is_address = isinstance(endpoint, str) and _ENDPOINT.fullmatch(endpoint)
        _check_option("endpoint", endpoint, bool(is_address), "an address such as https://gateway.example")
        self.requests_per_s, self.cache_uri = requests_per_s, cache_uri
        self.limiter: Limiter = LocalPace("google", requests_per_s)
        self._endpoint, self._timeout_s, self._max_tries = endpoint.rstrip("/"), timeout_s, max_tries
        self._session = requests.Session()
        self._lost: dict[str, str] = {}  # question -> why it is not asked again in this process

    def version(self, voice: str) -> str:
        return f"{_VERSION}, python-stretch {metadata.version('python-stretch')}"

    def check(self, voice: str) -> None:
        language, at, domain = voice.partition("@")
        if language not in tts_langs():
            raise VoiceError(f"Google Translate does not speak {language!r}: choose from {', '.join(sorted(tts_langs()))}")
        if at and (domain == "com" or not _DOMAIN.fullmatch(domain)):
            raise VoiceError(f"{domain!r} is no domain for an accent: give one such as co.uk, com.au or co.in; com is {language!r} alone")

    def accent(self, voice: str) -> str:
        return voice.replace("@", "-")

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        language, _, domain = voice.partition("@")
        try:  # the service takes 100 characters at a time
            questions = gTTS(text, lang=language, tld=domain or "com", lang_check=False)._prepare_requests()
        except AssertionError as error:
            raise VoiceFailure(f"there is nothing to say in {text!r}", tries=0) from error
        draws = random.Random(seed)
        wave_S = np.concatenate([self._speech(question, draws) for question in questions])
        return np.clip(_changed(wave_S, rate, pitch), -1, 1), audio.SAMPLE_RATE_HZ

    def _speech(self, question: requests.PreparedRequest, draws: random.Random) -> np.ndarray:
        """The answer [S] at 16 kHz, from the cache if it is there."""
        # The body holds the language and the text as they are asked; the host is the rest of the question.
        gateway = [self._endpoint] if self._endpoint else []
        key = fingerprint(_VERSION, question.url, question.body, *gateway, length=32)
        kept_uri = storage.join(self.cache_uri, f"{key}.mp3") if self.cache_uri else ""
        if (wave_S := _kept(kept_uri)) is not None:
            return wave_S
        if key in self._lost:  # asked for the same text at another rate or pitch
            raise VoiceFailure(self._lost[key], tries=0)
        problem = BadAnswer()
        for num_tried in range(self._max_tries):
            if num_tried:
                sleep(draws.uniform(0, min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2 ** (num_tried - 1))))
            try:
                return self._answer(question, key, kept_uri)
            except BadAnswer as error:
                problem = error
            except VoiceFailure as failure:
                failure.tries += num_tried
                raise
        message = f"Google Translate gave no speech in {self._max_tries} tries; at last: {problem}"
        if isinstance(problem, Unreachable):
            self.limiter.refused(0.0)  # after some such texts in a row, the service is given up
        elif not isinstance(problem, Refused):  # the text's own fault, as far as one can tell
            if len(self._lost) >= _MOST_LOST:
                del self._lost[next(iter(self._lost))]
            self._lost[key] = message
        raise VoiceFailure(message, tries=self._max_tries)

    def _answer(self, question: requests.PreparedRequest, key: str, kept_uri: str) -> np.ndarray:
        """The answer [S], asked for once, unless another worker is found to have asked the same meanwhile."""
        for_s = _TURN_S + (1 + TIMEOUTS_AN_ANSWER) * self._timeout_s
        with self.limiter.alone(key, for_s) if kept_uri else nullcontext():
            if (wave_S := _kept(kept_uri)) is not None:
                return wave_S
            self.limiter.wait()
            if (wave_S := _kept(kept_uri)) is not None:  # the turn took longer than `for_s`
                return wave_S
            url = self._endpoint + question.path_url if self._endpoint else question.url
            mp3 = ask(self._session, url, question, self._timeout_s, self.limiter)
            wave_S = decode_whole(mp3)
            self.limiter.answered()
            if kept_uri:
                storage.write_bytes(kept_uri, mp3)
            return wave_S


def _check_option(name: str, value: object, is_good: bool, wanted: str) -> None:
    if not is_good:
        raise VoiceError(f"corpus.engines.google.{name} is {value!r}: give {wanted}")


def _kept(uri: str) -> np.ndarray | None:
    """The speech [S] kept at `uri`; None if there is none, or nothing that can be used."""
    if not uri or not storage.exists(uri):
        return None
    try:
        return decode_whole(storage.read_bytes(uri))
    except BadAnswer:
        return None


def _changed(wave_S: np.ndarray, rate: float, pitch: float) -> np.ndarray:
    """The speech faster and higher by these factors, which the service does not offer."""
    if rate == 1 and pitch == 1:
        return wave_S
    stretch = python_stretch.Signalsmith.Stretch(0)  # the seed of its phases
    stretch.preset(1, audio.SAMPLE_RATE_HZ)
    stretch.setTimeFactor(rate)
    stretch.setTransposeFactor(pitch)
    return stretch.process(wave_S[None])[0]
