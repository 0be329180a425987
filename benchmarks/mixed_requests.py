"""What a service is asked all day, sound and unsound, and whether its answers are right."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import requests

from benchmarks.spoken_names import speak
from drugasr import audio
from drugasr.lexicon.reading import read_lexicon
from drugasr.recognition import Recognizer

_NUM_CLIPS = 24
_TIMEOUT_S = 90
_NEAR = 0.02
"""Answers of another batch differ by the rounding of sums, and confidences with them."""
_REFUSALS = {"overloaded", "not_ready"}
_LONG_S = 31


@dataclass(kw_only=True)
class Outcomes:
    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Judge:
    """Clips, and what each model says to them with each list, by the Recognizer alone."""

    def __init__(self, models: Sequence[str], lists: Sequence[str]) -> None:
        waves = [wave_S for _, wave_S in speak(read_lexicon(lists[0]), _NUM_CLIPS)]
        self.clips = [audio.encode_wav(wave_S) if index % 2 else audio.encode_flac(wave_S) for index, wave_S in enumerate(waves)]
        self._expected: dict[tuple[str, str], list[tuple[str | None, float]]] = {}
        for model in models:
            recognizer = Recognizer.from_dir(model, lexicon=read_lexicon(lists[0]))
            for tier in lists:
                recognizer.use_lexicon(read_lexicon(tier))
                # One at a time, from the bytes: a batch would round otherwise.
                answers = [recognizer.recognize([audio.decode(clip)])[0] for clip in self.clips]
                self._expected[answers[0].model, answers[0].lexicon] = [(answer.drug, answer.confidence) for answer in answers]

    def is_right(self, index: int, answer: dict[str, Any]) -> bool:
        """Whether the answer is what the model and the list that it names say."""
        expected = self._expected.get((answer["model"], answer["lexicon"]))
        return expected is not None and answer["drug"] == expected[index][0] and abs(answer["confidence"] - expected[index][1]) < _NEAR

    def known_drugs(self, index: int) -> set[str | None]:
        return {expected[index][0] for expected in self._expected.values()}


def ask_on(url: str, judge: Judge, outcomes: Outcomes, stop: threading.Event, seed: int) -> None:
    """One request after another, of a kind that is drawn, until `stop`."""
    draw, kinds = random.Random(seed), list(_KINDS)
    weights = [12 if kind == _recognize else 1 for kind in kinds]
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between a machine and itself
        while not stop.is_set():
            kind = draw.choices(kinds, weights)[0]
            try:
                failure = kind(session, url, judge, draw.randrange(_NUM_CLIPS), outcomes.counts)
            except requests.RequestException as error:
                failure = type(error).__name__
            if failure:
                outcomes.failures.append(f"{kind.__name__}: {failure}")
            time.sleep(draw.random() * 0.05)


def _refused(response: requests.Response, counts: Counter, kind: str) -> bool:
    """Whether it is one of the two refusals that a client is told to come back after; counts it either way."""
    refused = response.status_code == 503 and response.json()["error"]["code"] in _REFUSALS and int(response.headers["Retry-After"]) > 0
    counts[f"{kind} {response.status_code}"] += 1
    return refused


def _recognize(session, url, judge, index, counts) -> str | None:
    as_form = index % 3 == 0
    body = {"files": {"file": ("clip", judge.clips[index])}} if as_form else {"data": judge.clips[index]}
    response = session.post(f"{url}/v1/recognize", timeout=_TIMEOUT_S, **body)
    if _refused(response, counts, "recognize"):
        return None
    if response.status_code != 200:
        return f"status {response.status_code}"
    return None if judge.is_right(index, response.json()) else "a wrong answer"


def _transcribe(session, url, judge, index, counts) -> str | None:
    wanted = ("json", "text", "verbose_json", "srt", "vtt")[index % 5]
    response = session.post(
        f"{url}/v1/audio/transcriptions", files={"file": ("clip", judge.clips[index])}, data={"model": "drugasr", "response_format": wanted}, timeout=_TIMEOUT_S
    )
    if _refused(response, counts, "transcribe"):
        return None
    if response.status_code != 200:
        return f"status {response.status_code}"
    if wanted == "verbose_json" and response.json()["drug"] not in judge.known_drugs(index):
        return "a wrong answer"
    return None if wanted != "vtt" or response.text.startswith("WEBVTT") else "no WebVTT"


def _look_up(session, url, judge, index, counts) -> str | None:
    path = ("v1/models", "v1/lexicon?query=met", "health")[index % 3]
    response = session.get(f"{url}/{path}", timeout=_TIMEOUT_S)
    return None if _refused(response, counts, "look up") or response.status_code == 200 else f"{path}: status {response.status_code}"


def _send_nonsense(session, url, judge, index, counts) -> str | None:
    long = audio.encode_flac(np.zeros(_LONG_S * audio.SAMPLE_RATE_HZ, np.float32))
    body, status, code = ((b"", 400, "empty_audio"), (b"nonsense", 415, "undecodable_audio"), (long, 400, "audio_too_long"))[index % 3]
    response = session.post(f"{url}/v1/recognize", data=body, timeout=_TIMEOUT_S)
    counts[f"nonsense {response.status_code}"] += 1
    return None if (response.status_code, response.json()["error"]["code"]) == (status, code) else f"status {response.status_code} for {code}"


_KINDS = (_recognize, _transcribe, _look_up, _send_nonsense)
