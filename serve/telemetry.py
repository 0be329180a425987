"""What Prometheus may know of the answers: counts and durations, never a name, a transcript or a sound.

Ray puts `ray_` before each name, and its own metrics beside them.
"""

from typing import Protocol

from ray.util import metrics

from drugasr.decoding.answer import Recognition
from drugasr.decoding.review import NO_SPEECH

_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Observer(Protocol):
    def answered(self, recognition: Recognition) -> None: ...

    def refused(self, code: str) -> None: ...


class Silent:
    """Counts nothing."""

    def answered(self, recognition: Recognition) -> None:
        pass

    def refused(self, code: str) -> None:
        pass


class Both:
    """Tells two observers."""

    def __init__(self, one: Observer, other: Observer) -> None:
        self._observers = (one, other)

    def answered(self, recognition: Recognition) -> None:
        for observer in self._observers:
            observer.answered(recognition)

    def refused(self, code: str) -> None:
        for observer in self._observers:
            observer.refused(code)


class Telemetry:
    """Ray's metrics, in the process of an actor."""

    def __init__(self) -> None:
        self._audio_s = metrics.Counter("drugasr_audio_seconds", "Seconds of audio that were recognised")
        self._answers = metrics.Counter("drugasr_answers", "Answers, by outcome: drug, none of the list, no speech", tag_keys=("outcome",))
        self._reviews = metrics.Counter("drugasr_reviews", "Answers that a person should look at, once for each reason", tag_keys=("reason",))
        self._to_review = metrics.Counter("drugasr_answers_to_review", "Answers that a person should look at")
        self._confidence = metrics.Histogram(
            "drugasr_confidence", "Probability that the answer is right", boundaries=list(_CONFIDENCES), tag_keys=("outcome",)
        )
        self._refusals = metrics.Counter("drugasr_refusals", "Requests that got an error, by its code", tag_keys=("code",))

    def answered(self, recognition: Recognition) -> None:
        outcome = "drug" if recognition.drug is not None else "no speech" if NO_SPEECH in recognition.review_reasons else "none"
        self._audio_s.inc(recognition.duration_s)
        self._answers.inc(tags={"outcome": outcome})
        self._confidence.observe(recognition.confidence, tags={"outcome": outcome})
        if recognition.needs_review:
            self._to_review.inc()
        for reason in recognition.review_reasons:
            self._reviews.inc(tags={"reason": reason})

    def refused(self, code: str) -> None:
        self._refusals.inc(tags={"code": code})
