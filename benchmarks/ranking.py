"""The five likeliest names for the frames of one clip: our trie beside one batched CTC loss of torch over all names.

Both start from the same float32 log-probabilities, know the list beforehand, score every name exactly and give the
best five with their posteriors, on one thread. Ours computes in float64, torch in float32. Before the clock runs,
both have given the same numbers.

Shapes: T frames, V symbols of the vocabulary, N names, K names kept.
"""

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.harness import Comparison, compare_time, show
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.likelihood import name_log_likelihoods
from drugasr.decoding.ranking import Ranking, rank
from drugasr.decoding.trie import LexiconTrie, build_trie
from drugasr.lexicon.reading import TIERS, read_lexicon

NUM_FRAMES = 100  # 2 s
NUM_BEST = 5
RUNS = {"quick50": 101, "top500": 51, "full": 11}
MAX_RELATIVE_ERROR = 1e-4  # what float32 leaves after 100 frames


def main() -> None:
    torch.set_num_threads(1)
    show([_compare(tier) for tier in TIERS])


def _compare(tier: str) -> Comparison:
    vocabulary = Vocabulary(LIBRISPEECH)
    spoken = [drug.spoken for drug in read_lexicon(tier).drugs]
    logp_TV = speech_like(vocabulary.encode("metformin"), vocabulary)
    trie = build_trie(spoken, vocabulary)
    peer = BatchedCtcLoss(spoken, vocabulary)

    check(name_log_likelihoods(logp_TV, trie), peer.log_likelihoods(logp_TV).double().numpy())
    best_K = peer.rank(logp_TV)[0].tolist()
    if ours_rank(logp_TV, trie).index_K.tolist() != best_K:
        raise AssertionError(f"{tier}: the two rank different names first")
    name = f"{tier}: {len(spoken):,} names, {NUM_FRAMES} frames, {len(vocabulary)} symbols"
    return compare_time(name, lambda: ours_rank(logp_TV, trie), lambda: peer.rank(logp_TV), runs=RUNS[tier])


def ours_rank(logp_TV: np.ndarray, trie: LexiconTrie) -> Ranking:
    return rank(name_log_likelihoods(logp_TV, trie), NUM_BEST)


class BatchedCtcLoss:
    """The peer: the clip's frames, seen N times without a copy, against the labels of all names."""

    def __init__(self, spoken: list[str], vocabulary: Vocabulary) -> None:
        labels = [vocabulary.encode(name) for name in spoken]
        self._blank = vocabulary.blank
        self._lengths_N = torch.tensor([len(label) for label in labels])
        # One flat list; a padded table takes as long.
        self._flat_labels = torch.tensor([symbol for label in labels for symbol in label])

    @torch.inference_mode()
    def log_likelihoods(self, logp_TV: np.ndarray) -> torch.Tensor:
        num_frames, num_names = len(logp_TV), len(self._lengths_N)
        logp_TNV = torch.from_numpy(logp_TV)[:, None].expand(-1, num_names, -1)
        frames_N = torch.full((num_names,), num_frames)
        return -F.ctc_loss(logp_TNV, self._flat_labels, frames_N, self._lengths_N, blank=self._blank, reduction="none")

    @torch.inference_mode()
    def rank(self, logp_TV: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Index, log-likelihood and posterior of the best names."""
        log_likelihood_N = self.log_likelihoods(logp_TV)
        best = log_likelihood_N.topk(NUM_BEST)
        return best.indices, best.values, log_likelihood_N.softmax(dim=0)[best.indices]


def speech_like(label: list[int], vocabulary: Vocabulary) -> np.ndarray:
    """Log-probabilities [T, V], float32, as a trained model gives: mostly blank, each letter a spike of a frame or two."""
    generator = np.random.default_rng(0)
    logits_TV = generator.normal(0.0, 1.5, (NUM_FRAMES, len(vocabulary)))
    said_T = np.full(NUM_FRAMES, vocabulary.blank)
    for symbol, start in zip(label, np.linspace(10, NUM_FRAMES - 10, len(label)).astype(int), strict=True):
        said_T[start : start + generator.integers(1, 3)] = symbol
    logits_TV[np.arange(NUM_FRAMES), said_T] += generator.uniform(4.0, 9.0, NUM_FRAMES)  # some clear, some doubtful
    logits_TV -= logits_TV.max(axis=1, keepdims=True)
    return (logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True))).astype(np.float32)


def check(ours_N: np.ndarray, peer_N: np.ndarray) -> None:
    """Both gave the same log-likelihood of every name; a name that one calls impossible is a difference."""
    np.testing.assert_allclose(peer_N, ours_N, rtol=MAX_RELATIVE_ERROR)
    if not np.isfinite(ours_N).all():
        raise AssertionError("some name was impossible: nothing was measured for it")


if __name__ == "__main__":
    main()
