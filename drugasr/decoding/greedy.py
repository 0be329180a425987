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
    confidence: float
    """Geometric mean of the best path's probability over the frames of the letters, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    text: str
    """Words with single spaces between them; empty when the path writes nothing."""
    words: tuple[TimedWord, ...]


def decode_greedily(logp_TV: np.ndarray, vocabulary: Vocabulary, frame_s: float) -> Transcript:
    """Transcript of `logp_TV` (natural logs, dead tokens masked), with `frame_s` seconds a frame."""
    best_T = logp_TV.argmax(axis=1) if len(logp_TV) else np.empty(0, int)
    words: list[TimedWord] = []
    letters: list[tuple[int, int, int]] = []  # symbol, its first frame, the frame after its last
    first = 0
    for symbol, run in groupby(best_T.tolist()):
        last = first + sum(1 for _ in run)
        if symbol == vocabulary.ids[" "]:
            words += _word(letters, logp_TV, vocabulary, frame_s)
            letters = []
        elif symbol != vocabulary.blank:
            letters.append((symbol, first, last))
        first = last
    words += _word(letters, logp_TV, vocabulary, frame_s)
    return Transcript(text=" ".join(word.word for word in words), words=tuple(words))


def _word(letters: list[tuple[int, int, int]], logp_TV: np.ndarray, vocabulary: Vocabulary, frame_s: float) -> list[TimedWord]:
    """The word that `letters` spell, if there are any."""
    if not letters:
        return []
    logs = np.concatenate([logp_TV[first:last, symbol] for symbol, first, last in letters])
    return [
        TimedWord(
            word=vocabulary.decode([symbol for symbol, _, _ in letters]),
            start_s=letters[0][1] * frame_s,
            end_s=letters[-1][2] * frame_s,
            confidence=float(np.exp(logs.mean(dtype=np.float64))),
        )
    ]
