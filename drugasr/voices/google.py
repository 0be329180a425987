"""Google Translate's voices over the network, asked through gTTS's protocol (MIT); 24 kHz MP3, one voice a language.

A voice is `language` or `language@domain`, such as `en@co.uk`: a domain may change the accent. Other languages'
voices (`fr`, `ar`, ...) read English names as a foreign accent.

Shapes: S samples.
"""

import math
import random
import re
from time import sleep

import numpy as np
import python_stretch
import requests
from gtts import gTTS
from gtts.lang import tts_langs

from drugasr import audio, storage
from drugasr.errors import VoiceError, VoiceFailure
from drugasr.fingerprint import fingerprint
from drugasr.voices.google_answer import BadAnswer, decode_whole, mp3_of, retry_after_s
from drugasr.voices.pace import LocalPace
from drugasr.voices.voice import Limiter

_VERSION = "google-translate 1"  # the service tells none, and gTTS's does not change the audio
_DOMAIN = re.compile(r"[a-z]{2,3}(\.[a-z]{2})?")
_ENDPOINT = re.compile(r"(https?://[^/?#\s]+[^?#\s]*)?")
# Banned clients are sent to a page that answers 429; 403 and 503 may mean a ban as well.
_REFUSALS = (403, 429, 503)
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 60.0


class GoogleEngine:
    """Answers are kept under `cache_uri` once they were decoded, so that a run after a ban goes on where it stopped.

    `endpoint` replaces `https://translate.google.<domain>`. `timeout_s` is for the connection, and for every
    pause in the answer.
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

    def version(self, voice: str) -> str:
        return _VERSION

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
        name = f"{fingerprint(_VERSION, question.url, question.body, length=32)}.mp3"
        kept_uri = storage.join(self.cache_uri, name) if self.cache_uri else ""
        if (wave_S := _kept(kept_uri)) is not None:
            return wave_S
        problem = ""
        for num_tried in range(self._max_tries):
            if num_tried:
                sleep(draws.uniform(0, min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2 ** (num_tried - 1))))
            try:
                self.limiter.wait()
                if (wave_S := _kept(kept_uri)) is not None:  # another worker asked the same meanwhile
                    return wave_S
                mp3 = self._ask(question)
                wave_S = decode_whole(mp3)
            except BadAnswer as error:
                problem = str(error)
                continue
            except VoiceFailure as failure:
                failure.tries += num_tried
                raise
            self.limiter.answered()
            if kept_uri:
                storage.write_bytes(kept_uri, mp3)
            return wave_S
        self.limiter.refused(0.0)  # a text lost: after some in a row, a service that is out of reach is given up as well
        raise VoiceFailure(f"Google Translate gave no speech in {self._max_tries} tries; at last: {problem}", tries=self._max_tries)

    def _ask(self, question: requests.PreparedRequest) -> bytes:
        """The MP3 that the service answers; asks once. Raises BadAnswer, or VoiceFailure when asking again is no use."""
        url = self._endpoint + question.path_url if self._endpoint else question.url
        try:
            # Not gTTS's own way, which checks no certificate and waits for ever.
            answer = self._session.post(url, data=question.body, headers=question.headers, timeout=self._timeout_s)
        except requests.RequestException as error:
            raise BadAnswer(f"{type(error).__name__}: {error}") from error
        if answer.status_code in _REFUSALS:
            self.limiter.refused(retry_after_s(answer.headers.get("Retry-After", "")))
        if answer.status_code == 429 or answer.status_code >= 500:
            raise BadAnswer(f"HTTP {answer.status_code} {answer.reason} from {answer.url}")
        if answer.status_code != 200:
            raise VoiceFailure(f"Google Translate refuses this request: HTTP {answer.status_code} {answer.reason} from {answer.url}")
        return mp3_of(answer.content, gTTS.GOOGLE_TTS_RPC)


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
