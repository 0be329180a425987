"""Similarities against measures written out here and in jellyfish, and against FDA's listed pairs."""

import csv
import itertools
import random
from importlib import resources

import jellyfish
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import JaroWinkler, LCSseq
from rapidfuzz.process import cdist

from drugasr.lexicon import similarity as module
from drugasr.lexicon.similarity import MIN_SIMILARITY, most_similar_pairs, neighbours, phonetic_similarity, similarity, spelling_similarity

spoken = st.text("abcdefghijklmnopqrstuvwxyz' ", max_size=20)
few_letters = st.text("abc", min_size=1, max_size=6)


def column(file_name: str, name: str, **where: str) -> list[str]:
    with (resources.files("drugasr.lexicon") / "data" / file_name).open(encoding="utf-8", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream, delimiter="\t") if all(row[key] == value for key, value in where.items())]


@pytest.fixture(scope="module")
def full():
    return column("full.tsv", "name")


@pytest.fixture(scope="module")
def fda_pairs():
    return list(zip(*(column("lasa.tsv", name, source="fda-tall-man") for name in ("name_a", "name_b")), strict=True))


@given(spoken, spoken)
def test_symmetric_and_from_0_to_1(a, b):
    assert similarity(a, b) == similarity(b, a)
    assert 0 <= similarity(a, b) <= 1


@given(spoken)
def test_a_name_is_all_like_itself(name):
    assert similarity(name, name) == spelling_similarity(name, name) == phonetic_similarity(name, name) == 1


@given(few_letters, few_letters)
def test_spelling_is_the_longest_common_subsequence(a, b):
    def subsequences(word):
        return {picked for length in range(len(word) + 1) for picked in itertools.combinations(word, length)}

    longest = max(map(len, subsequences(a) & subsequences(b)))
    assert spelling_similarity(a, b) == pytest.approx(longest / max(len(a), len(b)))


def test_sound_is_what_another_library_says(full):
    for a, b in (random.Random(seed).sample(full, 2) for seed in range(2000)):
        assert phonetic_similarity(a, b) == pytest.approx(jellyfish.jaro_winkler_similarity(jellyfish.nysiis(a), jellyfish.nysiis(b)))


def test_names_that_sound_the_same_are_alike_however_they_are_spelt():
    assert phonetic_similarity("cortisone", "cortizone") == 1 > spelling_similarity("cortisone", "cortizone")


@given(st.lists(few_letters), few_letters, st.integers(0, 5), st.sampled_from([0.0, 0.6]))
def test_neighbours_are_the_best_of_all(names, name, num, least):
    expected = sorted((-similarity(name, other), other) for other in set(names) - {name} if similarity(name, other) >= least)[:num]
    found = neighbours(name, names, num, least)
    assert [(-near.similarity, near.spoken) for near in found] == expected
    for near in found:
        parts = (spelling_similarity(name, near.spoken), phonetic_similarity(name, near.spoken))
        assert (near.spelling, near.phonetic) == pytest.approx(parts)
        assert not near.listed


@pytest.mark.parametrize("num_cells", [1, 90, 10**6])
@pytest.mark.parametrize("num", [0, 1, 7, 10**6])
def test_pairs_are_the_best_of_all(full, monkeypatch, num_cells, num):
    monkeypatch.setattr(module, "_CELLS_PER_CHUNK", num_cells)
    names = [*full[:40], *"ab ba abc cba ac ca bc cb".split()]
    expected = sorted((-similarity(a, b), a, b) for a, b in itertools.combinations(sorted(names), 2))[:num]
    for given_names in (names, [*reversed(names), *names[:5]]):
        found = most_similar_pairs(given_names, num)
        assert [(-pair.similarity, pair.one, pair.other) for pair in found] == expected
        assert all(pair.similarity == pytest.approx((pair.spelling + pair.phonetic) / 2) for pair in found)


@pytest.mark.parametrize("names", [[], ["metformin"], ["metformin", "metformin"]])
def test_no_pairs_of_fewer_than_two_names(names):
    assert most_similar_pairs(names, 3) == ()


def partner_ranks(full, pairs, score) -> np.ndarray:
    """Rank of the partner among all names but the one itself, from both sides; equals count half."""
    names = sorted({*full, *itertools.chain(*pairs)})
    searches = [search for pair in pairs for search in (pair, pair[::-1])]
    score_SN = np.round(score([name for name, _ in searches], names), 9)  # equal, but for the last bit
    ranks = []
    for row_N, (name, partner) in zip(score_SN, searches, strict=True):
        others_N = np.delete(row_N, names.index(name))
        own = row_N[names.index(partner)]
        ranks.append(1 + (others_N > own).sum() + ((others_N == own).sum() - 1) / 2)
    return np.array(ranks)


def by_spelling(names, others):
    return cdist(names, others, scorer=LCSseq.normalized_similarity, dtype=np.float64)


def by_key(key):
    return lambda names, others: cdist([*map(key, names)], [*map(key, others)], scorer=JaroWinkler.normalized_similarity, dtype=np.float64)


def test_fda_pairs_rank_high_as_the_module_says(full, fda_pairs):
    def both(names, others):
        return np.array([[similarity(name, other) for other in others] for name in names])

    def mean_with(key):
        return lambda names, others: (by_spelling(names, others) + by_key(key)(names, others)) / 2

    assert len(fda_pairs) == 19
    table = {
        "LCSR and NYSIIS Jaro-Winkler": both,
        "LCSR alone": by_spelling,
        "NYSIIS Jaro-Winkler alone": by_key(jellyfish.nysiis),
        "LCSR and Metaphone Jaro-Winkler": mean_with(jellyfish.metaphone),
    }
    ranks = {name: partner_ranks(full, fda_pairs, score) for name, score in table.items()}
    for name, found in ranks.items():
        assert f"    {name:<36}{found.mean():>11.1f}{100 * (found <= 10).mean():>10.0f} %\n" in module.__doc__
    assert all(ranks["LCSR and NYSIIS Jaro-Winkler"].mean() <= found.mean() for found in ranks.values())


def test_the_least_similarity_lets_fda_pairs_through_and_few_others(full, fda_pairs):
    assert all(similarity(a, b) >= MIN_SIMILARITY for a, b in fda_pairs)
    some = random.Random(0).sample(full, 300)
    share = np.mean([similarity(a, b) >= MIN_SIMILARITY for a, b in itertools.combinations(some, 2)])
    assert share < 0.02
