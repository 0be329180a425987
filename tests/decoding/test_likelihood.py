import builtins
import string

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.forward import compiled_forward, forward_numpy
from drugasr.decoding.likelihood import batch_log_likelihoods, name_log_likelihoods
from drugasr.decoding.trie import build_trie
from drugasr.errors import ModelError
from drugasr.lexicon.reading import read_lexicon

VOCABULARY = Vocabulary(LIBRISPEECH)
# Few letters, so that doubles and shared beginnings are common.
NAME = st.text("ab ", min_size=1, max_size=9) | st.text(string.ascii_lowercase + "' ", min_size=1, max_size=12)
NAMES = st.lists(NAME, min_size=1, max_size=12)
SPREADS = st.sampled_from([0.0, 0.5, 2.0, 5.0, 10.0])


def random_frames(num_frames: int, spread: float, blank_bias: float = 0.0, seed: int = 0) -> np.ndarray:
    """logp_TV of random logits: `spread` 0 is uniform, 10 is as sure as a large model."""
    logits_TV = np.random.default_rng(seed).normal(scale=spread, size=(num_frames, len(VOCABULARY)))
    logits_TV[:, VOCABULARY.blank] += blank_bias
    return torch.log_softmax(torch.from_numpy(logits_TV), dim=-1).numpy().astype(np.float32)


def oracle(logp_TV: np.ndarray, names: list[str]) -> np.ndarray:
    """torch's CTC log-likelihood of each name, in float64."""
    targets = [VOCABULARY.encode(name) for name in names]
    logp_TNV = torch.from_numpy(logp_TV).double()[:, None].expand(-1, len(names), -1)
    loss_N = torch.nn.functional.ctc_loss(
        logp_TNV,
        torch.tensor(sum(targets, [])),
        torch.full((len(names),), len(logp_TV)),
        torch.tensor([len(target) for target in targets]),
        blank=VOCABULARY.blank,
        reduction="none",
    )
    return -loss_N.numpy()


def speech_frames(name: str, seed: int = 0, sureness: float = 6.0) -> np.ndarray:
    """Frames of a model that hears `name`: a letter every third frame, blanks between, some noise."""
    ids = [i for letter in VOCABULARY.encode(name) for i in (VOCABULARY.blank, letter, VOCABULARY.blank)]
    logits_TV = np.random.default_rng(seed).normal(size=(len(ids), len(VOCABULARY)))
    logits_TV[np.arange(len(ids)), ids] += sureness
    return torch.log_softmax(torch.from_numpy(logits_TV), dim=-1).numpy().astype(np.float32)


@pytest.mark.parametrize("forward", [compiled_forward(), forward_numpy], ids=["numba", "numpy"])
@settings(deadline=None, max_examples=150)
@given(
    names=NAMES,
    num_frames=st.integers(1, 60),
    spread=SPREADS,
    blank_bias=st.sampled_from([-5, 0, 8]),
    seed=st.integers(0, 99),
)
def test_equals_torch(forward, names, num_frames, spread, blank_bias, seed):
    logp_TV = random_frames(num_frames, spread, blank_bias, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drugasr.decoding.likelihood.compiled_forward", lambda: forward)
        log_likelihood_N = name_log_likelihoods(logp_TV, build_trie(names, VOCABULARY))
    assert log_likelihood_N.dtype == np.float64
    np.testing.assert_allclose(log_likelihood_N, oracle(logp_TV, names), rtol=0, atol=1e-9)


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


def test_prefixes_and_duplicates_share_nodes():
    trie = build_trie(["ab", "abc", "abd", "ab"], VOCABULARY)
    assert len(trie) == 4
    assert len(trie.symbol_M) == 1 + 4
    assert trie.end_N[0] == trie.end_N[3]
    assert (trie.parent_M[1:] < np.arange(1, 5)).all()


def test_a_name_that_the_model_cannot_write():
    with pytest.raises(ModelError, match="cannot write '1'"):
        build_trie(["b12"], VOCABULARY)


def test_threads_change_nothing():
    trie = build_trie([drug.spoken for drug in read_lexicon("quick50").drugs], VOCABULARY)
    logps = [random_frames(20 + i, 3, seed=i) for i in range(9)]
    one, four = (batch_log_likelihoods(logps, trie, num_threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one, four)
    assert batch_log_likelihoods([], trie, num_threads=4) == []


def test_numpy_stands_in_for_a_missing_numba(monkeypatch):
    real_import = builtins.__import__

    def import_without_numba(name, *arguments, **options):
        if name == "numba":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", import_without_numba)
    assert compiled_forward.__wrapped__() is forward_numpy
