"""The text of the likeliest path, and when each of its words was said.

Shapes: T frames, V symbols of the vocabulary.
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class TimedWord:
    word: str
    start_s: float
    """From the start of the clip to the first frame of the first letter."""
    end_s: float
    """From the start of the clip to the end of the last letter's last frame."""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    text: str
    """Words with single spaces between them; empty when the path writes nothing."""
    words: tuple[TimedWord, ...]


def decode_greedily(logp_TV: np.ndarray, vocabulary: Vocabulary, frame_s: float) -> Transcript:
    """Transcript of `logp_TV` (natural logs, dead tokens masked), with `frame_s` seconds a frame."""
    delimiter = vocabulary.ids[" "]
    words: list[TimedWord] = []
    letters: list[int] = []
    start = end = 0
    first = 0
    for symbol, run in groupby(logp_TV.argmax(axis=1).tolist() if len(logp_TV) else []):
        last = first + sum(1 for _ in run)
        if symbol == delimiter:
            words += _word(letters, start, end, vocabulary, frame_s)
            letters = []
        elif symbol != vocabulary.blank:
            start = start if letters else first
            end = last
            letters.append(symbol)
        first = last
    words += _word(letters, start, end, vocabulary, frame_s)
    return Transcript(text=" ".join(word.word for word in words), words=tuple(words))


def _word(letters: list[int], start: int, end: int, vocabulary: Vocabulary, frame_s: float) -> list[TimedWord]:
    """The word that `letters` spell in frames `start` to `end`, if there are any."""
    if not letters:
        return []
    return [TimedWord(word=vocabulary.decode(letters), start_s=start * frame_s, end_s=end * frame_s)]
