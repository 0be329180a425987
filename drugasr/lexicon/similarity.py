"""How alike two spoken names are, from 0 to 1: the mean of a spelling and a phonetic similarity.

FDA's POCA goes back to Kondrak and Dorr, "Automatic identification of confusable drug names" (Artificial Intelligence in
Medicine, 2006): BI-SIM for spelling, ALINE for sound, and best of all a combination. Here both kinds are ones that
rapidfuzz computes for whole lists at once:

- spelling: letters of the longest common subsequence over letters of the longer name (LCSR);
- phonetic: Jaro-Winkler similarity of the names' NYSIIS keys.

Chosen on FDA's 19 listed pairs, in which each name looks for its partner in the list `full` (38 searches):

                                          mean rank   first ten
    LCSR and NYSIIS Jaro-Winkler                3.7        95 %
    LCSR alone                                  4.1        92 %
    NYSIIS Jaro-Winkler alone                  39.9        68 %
    LCSR and Metaphone Jaro-Winkler             7.0        89 %
    Levenshtein of both, NYSIIS keys            6.7        89 %
    BI-SIM of both, NYSIIS keys                 3.2        97 %   (needs code of our own; 19 pairs cannot tell it from the first)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jellyfish import nysiis
from rapidfuzz.distance import JaroWinkler, LCSseq
from rapidfuzz.process import cdist

MIN_SIMILARITY = 0.6
"""All of FDA's pairs pass it, and so do 1.4 % of any two names of `full`."""
_CELLS_PER_CHUNK = 500_000  # 4 MB a matrix of float64
_DECIMALS = 9  # one pair at a time and many at once, rapidfuzz differs in the last bit

spelling_similarity = LCSseq.normalized_similarity


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    spoken: str
    similarity: float
    spelling: float
    phonetic: float
    listed: bool = False
    """Whether it is a listed sound-alike; only `SoundAlikes.neighbours` knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarPair:
    one: str
    other: str
    """After `one` in the alphabet."""
    similarity: float
    spelling: float
    phonetic: float


def phonetic_similarity(a: str, b: str) -> float:
    return JaroWinkler.normalized_similarity(_key(a), _key(b))


def similarity(a: str, b: str) -> float:
    """Symmetric; 1 for equal names."""
    return round((spelling_similarity(a, b) + phonetic_similarity(a, b)) / 2, _DECIMALS)


def neighbours(name: str, lexicon_names: Iterable[str], num: int = 10, min_similarity: float = MIN_SIMILARITY) -> tuple[Neighbour, ...]:
    """The `num` names most like `name`, best first, equals by the alphabet, without `name` itself."""
    names = sorted(set(lexicon_names) - {name})
    if not names:
        return ()
    spelling_N, phonetic_N = (matrix[0] for matrix in _similarities([name], [_key(name)], names, _keys(names)))
    similarity_N = _mean(spelling_N, phonetic_N)
    best = np.argsort(-similarity_N, kind="stable")[:num]
    return tuple(
        Neighbour(spoken=names[i], similarity=float(similarity_N[i]), spelling=float(spelling_N[i]), phonetic=float(phonetic_N[i]))
        for i in best[similarity_N[best] >= min_similarity]
    )


def most_similar_pairs(lexicon_names: Iterable[str], num: int) -> tuple[SimilarPair, ...]:
    """The `num` most similar pairs of a whole list, best first, equals by the alphabet; memory does not grow with the square of the names."""
    names = sorted(set(lexicon_names))
    keys = _keys(names)
    best_P5 = np.empty((0, 5))  # similarity, spelling, phonetic, row, column
    num_rows = max(1, _CELLS_PER_CHUNK // max(1, len(names)))
    for start in range(0, len(names), num_rows):
        chunk = slice(start, start + num_rows)
        spelling_RN, phonetic_RN = _similarities(names[chunk], keys[chunk], names[start:], keys[start:])
        similarity_RN = _mean(spelling_RN, phonetic_RN)
        similarity_RN[np.tril_indices_from(similarity_RN)] = -1  # each pair once, and no name with itself
        # Of pairs that are as similar the earlier comes first, so one that only equals the last so far comes too late.
        floor = best_P5[-1, 0] if 0 < num == len(best_P5) else -1.0
        rows, columns = np.nonzero(similarity_RN > floor)
        found = [similarity_RN[rows, columns], spelling_RN[rows, columns], phonetic_RN[rows, columns], rows + start, columns + start]
        best_P5 = np.concatenate([best_P5, np.stack(found, axis=1)])
        best_P5 = best_P5[np.argsort(-best_P5[:, 0], kind="stable")[:num]]
    return tuple(
        SimilarPair(one=names[int(row)], other=names[int(column)], similarity=similarity, spelling=spelling, phonetic=phonetic)
        for similarity, spelling, phonetic, row, column in best_P5.tolist()
    )


def _similarities(names: Sequence[str], keys: Sequence[str], others: Sequence[str], other_keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Spelling and phonetic similarity, a row a name and a column one of the others."""
    spelling_RN = cdist(names, others, scorer=LCSseq.normalized_similarity, dtype=np.float64)
    return spelling_RN, cdist(keys, other_keys, scorer=JaroWinkler.normalized_similarity, dtype=np.float64)


def _mean(spelling: np.ndarray, phonetic: np.ndarray) -> np.ndarray:
    return np.round((spelling + phonetic) / 2, _DECIMALS)


def _keys(names: Iterable[str]) -> list[str]:
    return [nysiis(name) for name in names]


_key = lru_cache(maxsize=100_000)(nysiis)
