"""A recognition in the formats of OpenAI's transcription interface: json, text, verbose_json, srt and vtt.

The text is the drug as its list writes it, with the dose if one was said; where none of the list was said, the transcript as the
model heard it. That is one phrase, so one segment.
"""

import math
import zlib
from typing import Any

from drugasr.decoding.answer import Recognition, Word
from drugasr.decoding.review import NO_SPEECH

LANGUAGE = "english"
_LEAST_CONFIDENCE = 1e-9


def text_of(recognition: Recognition) -> str:
    if recognition.drug is None:
        return recognition.text
    dose = recognition.dose
    return f"{recognition.drug} {dose.value:g} {dose.unit}" if dose else recognition.drug


def words_of(recognition: Recognition) -> list[dict[str, Any]]:
    """The words of the text with their times in seconds.

    They are those of the model's transcript where it has as many words; else the words share the time of all of them by their letters.
    """
    words, heard = text_of(recognition).split(), recognition.words
    if len(words) != len(heard):
        heard = _share(words, *span_of(recognition))
    return [{"word": word, "start": round(at.start, 3), "end": round(at.end, 3)} for word, at in zip(words, heard, strict=True)]


def span_of(recognition: Recognition) -> tuple[float, float]:
    """From the first word that was heard to the last, in seconds; the whole clip where the transcript is empty."""
    if not recognition.words:
        return 0.0, recognition.duration_s
    return recognition.words[0].start, recognition.words[-1].end


def as_json(recognition: Recognition) -> dict[str, Any]:
    return {"text": text_of(recognition), "usage": _usage(recognition)}


def as_verbose_json(recognition: Recognition, temperature: float, granularities: frozenset[str]) -> dict[str, Any]:
    """Beside what OpenAI documents, what it has no word for: the drug, how sure it is, and whether a person should look."""
    verbose = {"task": "transcribe", "language": LANGUAGE, "duration": recognition.duration_s, **as_json(recognition)}
    if "word" in granularities:
        verbose["words"] = words_of(recognition)
    if "segment" in granularities:
        verbose["segments"] = _segments(recognition, temperature)
    return verbose | {
        "drug": recognition.drug,
        "confidence": recognition.confidence,
        "needs_review": recognition.needs_review,
        "review_reasons": list(recognition.review_reasons),
    }


def as_srt(recognition: Recognition) -> str:
    return "".join(f"1\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n" for start, end, text in _captions(recognition))


def as_vtt(recognition: Recognition) -> str:
    return "WEBVTT\n\n" + "".join(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for start, end, text in _captions(recognition))


def _captions(recognition: Recognition) -> list[tuple[float, float, str]]:
    text = text_of(recognition)
    return [(*span_of(recognition), text)] if text else []


def _segments(recognition: Recognition, temperature: float) -> list[dict[str, Any]]:
    return [
        {
            "id": 0,
            "seek": 0,
            "start": round(start, 3),
            "end": round(end, 3),
            "text": text,
            "tokens": [],  # letters, of which a client could make nothing
            "temperature": temperature,
            "avg_logprob": math.log(max(recognition.confidence, _LEAST_CONFIDENCE)),
            "compression_ratio": len(text.encode()) / len(zlib.compress(text.encode())),
            "no_speech_prob": float(NO_SPEECH in recognition.review_reasons),
        }
        for start, end, text in _captions(recognition)
    ]


def _usage(recognition: Recognition) -> dict[str, Any]:
    return {"type": "duration", "seconds": recognition.duration_s}


def _share(words: list[str], start: float, end: float) -> list[Word]:
    letters, shared, at = sum(map(len, words)), [], start
    for word in words:
        until = at + (end - start) * len(word) / letters
        shared.append(Word(word=word, start=at, end=until, confidence=0.0))
        at = until
    return shared


def _clock(seconds: float, point: str) -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"
