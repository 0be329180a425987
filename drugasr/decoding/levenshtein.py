"""The baseline: rank names by their edit distance to the greedy text, as the scripts of 2022 did.

Shapes: K names kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, kw_only=True)
class NearestNames:
    """Nearest first."""

    index_K: np.ndarray
    """int64: position in the list of names."""
    distance_K: np.ndarray
    """float64, 0 to 1: insertions, deletions and substitutions over the length of the longer string."""


def rank_by_levenshtein(text: str, names: Sequence[str], num_best: int) -> NearestNames:
    """The `num_best` names nearest to `text`; equally near ones in the order of the list.

    An empty text is at distance 1 from every name: the first ones of the list are no answer then.
    """
    distance_N = process.cdist([text], names, scorer=Levenshtein.normalized_distance, dtype=np.float64)[0]
    index_K = np.argsort(distance_N, kind="stable")[:num_best]
    return NearestNames(index_K=index_K, distance_K=distance_N[index_K])
