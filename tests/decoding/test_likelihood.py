import builtins
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_frames import VOCABULARY, oracle, random_frames, speech_frames

from drugasr.decoding.forward import compiled_forward, forward_numpy
from drugasr.decoding.likelihood import name_log_likelihoods
from drugasr.decoding.ranking import rank
from drugasr.decoding.trie import build_trie
from drugasr.lexicon.reading import read_lexicon

# Few letters, so that doubles and shared beginnings are common.
NAME = st.text("ab ", min_size=1, max_size=9) | st.text(string.ascii_lowercase + "' ", min_size=1, max_size=12)
NAMES = st.lists(NAME, min_size=1, max_size=12)
SPREADS = st.sampled_from([0.0, 0.5, 2.0, 5.0, 10.0])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=NAMES,
    num_frames=st.integers(1, 60),
    spread=SPREADS,
    blank_bias=st.sampled_from([-5, 0, 8]),
    seed=st.integers(0, 99),
    nodes_per_block=st.sampled_from([1, 5, 1000]),
)
def test_equals_torch(kernels, names, num_frames, spread, blank_bias, seed, nodes_per_block):
    logp_TV = random_frames(num_frames, spread, blank_bias, seed)
    log_likelihood_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY, nodes_per_block))
    expected_N = oracle(logp_TV, names)
    assert log_likelihood_N.dtype == np.float64
    np.testing.assert_allclose(log_likelihood_N, expected_N, rtol=0, atol=1e-9)
    ours, theirs = rank(log_likelihood_N, 5), rank(expected_N, 5)
    # Equal names, or names that differ by less than rounding, may change places.
    np.testing.assert_allclose(expected_N[ours.index_K], expected_N[theirs.index_K], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("num_frames", "spread"), [(1, 1), (6, 1), (7, 3), (8, 1), (100, 0), (100, 3), (100, 10), (200, 6)]
)
def test_equals_torch_on_a_shipped_list(num_frames, spread):
    names = [drug.spoken for drug in read_lexicon("top500").drugs]
    logp_TV = random_frames(num_frames, spread)
    np.testing.assert_allclose(
        name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY)), oracle(logp_TV, names), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(("num_frames", "spread"), [(200, 15), (500, 8), (750, 10), (1500, 6), (3000, 1)])
def test_long_noise_is_exact_or_rejected(num_frames, spread):
    names = [drug.spoken for drug in read_lexicon("top500").drugs][:100]
    logp_TV = random_frames(num_frames, spread)
    log_likelihood_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY))
    possible = np.isfinite(log_likelihood_N)
    np.testing.assert_allclose(log_likelihood_N[possible], oracle(logp_TV, names)[possible], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["aspirin", "ee", "cytarabbbine", "insulin aspart", "a" * 60])
def test_the_name_that_was_said_is_the_likeliest(name):
    names = [drug.spoken for drug in read_lexicon("quick50").drugs] + [name, name[:-1], name + "e"]
    log_likelihood_N = name_log_likelihoods(speech_frames(name), build_trie(names, VOCABULARY))
    assert names[log_likelihood_N.argmax()] == name
    np.testing.assert_allclose(log_likelihood_N, oracle(speech_frames(name), names), rtol=0, atol=1e-9)


def test_a_doubled_letter_needs_a_blank_between():
    trie = build_trie(["aa", "ab", "a"], VOCABULARY)
    assert np.isfinite(name_log_likelihoods(random_frames(2, 1), trie)).tolist() == [False, True, True]
    assert np.isfinite(name_log_likelihoods(random_frames(3, 1), trie)).all()


def test_clips_too_short_for_every_name_and_without_frames():
    trie = build_trie(["aspirin", "codeine"], VOCABULARY)
    for num_frames in (0, 1, 6):
        assert np.isneginf(name_log_likelihoods(random_frames(num_frames, 1), trie)).all()


def test_impossible_frames_make_every_name_impossible():
    logp_TV = random_frames(30, 1)
    logp_TV[10] = -np.inf
    trie = build_trie(["aspirin", "codeine"], VOCABULARY)
    assert np.isneginf(name_log_likelihoods(logp_TV, trie)).all()
    logp_TV[10, VOCABULARY.dead_ids] = 0.0
    assert np.isneginf(name_log_likelihoods(logp_TV, trie)).all()


def test_threads_and_blocks_change_nothing():
    names = [drug.spoken for drug in read_lexicon("top500").drugs]
    logp_TV = random_frames(60, 3)
    whole_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY, nodes_per_block=10**6))
    for nodes_per_block, num_threads in ((10**6, 2), (100, 1), (100, 3), (1000, 64)):
        trie = build_trie(names, VOCABULARY, nodes_per_block)
        np.testing.assert_allclose(name_log_likelihoods(logp_TV, trie, num_threads), whole_N, rtol=1e-13)


@pytest.mark.parametrize("nodes_per_block", [1, 1000])
@pytest.mark.parametrize("spread", [5, 20])
def test_what_noise_before_the_name_leaves_is_exact_or_given_up(nodes_per_block, spread):
    names = [drug.spoken for drug in read_lexicon("quick50").drugs]
    logp_TV = np.concatenate([random_frames(300, spread, seed=1), speech_frames("metformin")])
    log_likelihood_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY, nodes_per_block))
    possible = np.isfinite(log_likelihood_N)
    np.testing.assert_allclose(log_likelihood_N[possible], oracle(logp_TV, names)[possible], rtol=0, atol=1e-9)


def test_a_long_sentence_of_the_list_is_exact():
    said = "metformin and then for half a minute nothing that is on the list at all but ordinary words " * 4 + "warfarin"
    logp_TV = speech_frames(said, sureness=4.0)
    names = [said, said[:-1], said.replace("half", "have", 1), "warfarin"]
    assert len(logp_TV) > 1000
    log_likelihood_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY))
    assert np.isfinite(log_likelihood_N[:3]).all()
    np.testing.assert_allclose(log_likelihood_N[:3], oracle(logp_TV, names)[:3], rtol=0, atol=1e-8)


def test_numpy_stands_in_for_a_missing_numba(monkeypatch):
    real_import = builtins.__import__

    def import_without_numba(name, *arguments, **options):
        if name == "numba":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", import_without_numba)
    assert compiled_forward.__wrapped__() is forward_numpy
