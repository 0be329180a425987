"""The five likeliest names for the frames of one clip: our trie beside one batched CTC loss of torch over all names,
and beside the latency that an interface can afford.

    python -m benchmarks.ranking [--extended LIST.tsv]

Both start from the same float32 log-probabilities, know the list beforehand, score every name exactly and give the best
five with their posteriors, on one thread. Ours computes in float64, torch in float32. Before the clock runs, both have
given the same numbers. The first call is timed in a process of its own.

Shapes: T frames, V symbols of the vocabulary, N names, K names kept.
"""

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.harness import Comparison, compare_time, show, within_limit
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.decoding.likelihood import name_log_likelihoods
from drugasr.decoding.ranking import Ranking, rank
from drugasr.decoding.trie import LexiconTrie, build_trie
from drugasr.lexicon.reading import TIERS, read_lexicon

NUM_FRAMES = 100  # 2 s
NUM_BEST = 5
RUNS = {"quick50": 101, "top500": 51, "full": 11}
LATENCY_RUNS = 500
LONG_LIST = 100_000
MAX_P99_MS, MAX_FIRST_MS, MAX_LOAD_MS = 10.0, 3000.0, 5000.0
MAX_RELATIVE_ERROR = 1e-4  # what float32 leaves after 100 frames
_FIRST_CALL = """
import time
import numpy as np
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.decoding.likelihood import name_log_likelihoods
from drugasr.decoding.trie import build_trie
trie = build_trie(["aspirin", "metformin"], Vocabulary(LIBRISPEECH))
start_s = time.perf_counter()
name_log_likelihoods(np.zeros((50, 32), np.float32), trie)
print(1000 * (time.perf_counter() - start_s))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extended", metavar="LIST", help="a longer list, of which the first 20,000 names are ranked on two threads")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    full = [drug.spoken for drug in read_lexicon("full").drugs]
    results = [_compare(tier) for tier in TIERS]
    results.append(_latency(f"full: {len(full):,} names, 150 frames, 1 thread, p99", full, num_frames=150, num_threads=1))
    if arguments.extended:
        with open(arguments.extended, encoding="utf-8") as lines:
            names = [line.split("\t")[0] for line in lines][1:20_001]
        results.append(_latency(f"extended: {len(names):,} names, {NUM_FRAMES} frames, 2 threads, p99", names, num_frames=NUM_FRAMES, num_threads=2))
    results.append(_load_long_list())
    first = [float(subprocess.check_output([sys.executable, "-c", _FIRST_CALL], text=True)) for _ in range(3)]
    results.append(within_limit("first call of a process", first, MAX_FIRST_MS, quantile=1.0))
    show(results)


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


def _latency(name: str, spoken: list[str], num_frames: int, num_threads: int) -> Comparison:
    """The slowest of a hundred calls, on clips that differ, beside what an interface can afford."""
    vocabulary = Vocabulary(LIBRISPEECH)
    trie = build_trie(spoken, vocabulary)
    clips = [speech_like(vocabulary.encode(spoken[seed * 97 % len(spoken)]), vocabulary, num_frames, seed) for seed in range(20)]
    times_ms = time_each([lambda clip=clip: ours_rank(clip, trie, num_threads) for clip in clips] * (LATENCY_RUNS // len(clips)))
    return within_limit(name, times_ms, MAX_P99_MS, quantile=0.99)


def _load_long_list() -> Comparison:
    """From a file of 100,000 made-up names to the first answer, beside what an operator would wait for."""
    syllables = [a + b for a in "bcdfglmnprstvxz" for b in "aeiou"]
    names = ["".join(draw) for draw in random.Random(0).choices(list(itertools.product(syllables, repeat=4)), k=LONG_LIST)]
    names = list(dict.fromkeys(f"{name}{ending}" for name, ending in zip(names, itertools.cycle(("nol", "mide", "pine", "xaban")))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.tsv"
        path.write_text("name\n" + "\n".join(names) + "\n")

        def load() -> None:
            vocabulary = Vocabulary(LIBRISPEECH)
            scorer = LexiconScorer(read_lexicon(str(path)), vocabulary, dose_probability=0.2)
            best = rank(scorer.scores(speech_like(vocabulary.encode(names[-1]), vocabulary)).log_likelihood_N, NUM_BEST).index_K[0]
            if names[best] != names[-1]:
                raise AssertionError("the long list gives another name than was said")

        return within_limit(f"{len(names):,} names: from the file to an answer", time_each([load] * 3), MAX_LOAD_MS, quantile=1.0)


def ours_rank(logp_TV: np.ndarray, trie: LexiconTrie, num_threads: int = 1) -> Ranking:
    return rank(name_log_likelihoods(logp_TV, trie, num_threads), NUM_BEST)
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


def time_each(calls: list[Callable[[], object]]) -> list[float]:
    """Wall time of each call, in ms."""
    calls[0]()
    times_ms = []
    for call in calls:
        start_s = time.perf_counter()
        call()
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return times_ms


def speech_like(label: list[int], vocabulary: Vocabulary, num_frames: int = NUM_FRAMES, seed: int = 0) -> np.ndarray:
    """Log-probabilities [T, V], float32, as a trained model gives: mostly blank, each letter a spike of a frame or two."""
    generator = np.random.default_rng(seed)
    logits_TV = generator.normal(0.0, 1.5, (num_frames, len(vocabulary)))
    said_T = np.full(num_frames, vocabulary.blank)
    for symbol, start in zip(label, np.linspace(10, num_frames - 10, len(label)).astype(int), strict=True):
        said_T[start : start + generator.integers(1, 3)] = symbol
    logits_TV[np.arange(num_frames), said_T] += generator.uniform(4.0, 9.0, num_frames)  # some clear, some doubtful
    logits_TV -= logits_TV.max(axis=1, keepdims=True)
    return (logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True))).astype(np.float32)


def check(ours_N: np.ndarray, peer_N: np.ndarray) -> None:
    """Both gave the same log-likelihood of every name; a name that one calls impossible is a difference."""
    np.testing.assert_allclose(peer_N, ours_N, rtol=MAX_RELATIVE_ERROR)
    if not np.isfinite(ours_N).all():
        raise AssertionError("some name was impossible: nothing was measured for it")


if __name__ == "__main__":
    main()
