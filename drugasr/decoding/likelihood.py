"""How likely is each name of a lexicon, summed over all its CTC alignments: exact, for all names at once.

Shapes: T frames, V symbols, N names. All logs are natural.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from drugasr.decoding.forward import compiled_forward
from drugasr.decoding.trie import LexiconTrie

LN2 = np.log(2.0)
_NOTHING_FOLLOWS = np.empty(0)
_SHARES_PER_THREAD = 4


def name_log_likelihoods(logp_TV: np.ndarray, trie: LexiconTrie, num_threads: int = 1) -> np.ndarray:
    """Log-likelihood of every name, float64 [N], in nats, for the log-probabilities of one clip.

    -inf for a name that the frames cannot hold (too few of them), and for one so far behind what the frames would
    write freely (1,000 nats, in speech) that a float64 may not carry it exactly to the end.
    """
    return alone_and_followed(logp_TV, trie, _NOTHING_FOLLOWS, num_threads)[0]


def alone_and_followed(logp_TV: np.ndarray, trie: LexiconTrie, log_rest_T: np.ndarray, num_threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods [N] of the clip as each name alone, and as each name with something behind it.

    `log_rest_T[t]` is the log-probability that what follows takes up all frames after frame t, with a letter in the
    first of them; see `dose_grammar`.
    """
    p_TV, log_peak_T = relative_to_peak(logp_TV)
    log2_rest_T = (log_rest_T - remaining(log_peak_T)) / LN2 if len(log_rest_T) else log_rest_T
    alone_N, followed_N = run_forward(p_TV, silence(p_TV, trie.blank), log2_rest_T, trie, num_threads)
    return alone_N + log_peak_T.sum(), followed_N + log_peak_T.sum()


def run_forward(p_TV: np.ndarray, log2_root_T: np.ndarray, log2_rest_T: np.ndarray, trie: LexiconTrie, num_threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """`forward_loops` over all blocks: natural logs [N], in the order of the names, relative to the peaks."""
    forward = compiled_forward()
    with np.errstate(divide="ignore"):
        log2_growth_T = np.cumsum(np.log2(p_TV.sum(axis=1))[::-1])[::-1]
    log2_alone_N, log2_followed_N = np.full((2, len(trie)), -np.inf)

    def score(blocks: tuple[int, int]) -> None:
        forward(
            p_TV, log2_growth_T, log2_root_T, log2_rest_T, trie.symbol_M, trie.parent_M, trie.min_frames_M, trie.start_K, trie.doubled_D, trie.doubled_start_K,
            trie.end_N, trie.name_start_K, trie.blank, *blocks, log2_alone_N, log2_followed_N,
        )  # fmt: skip

    if num_threads == 1 or trie.num_blocks < 2:
        score((0, trie.num_blocks))
    else:
        # More shares than threads: one that is interrupted leaves its next share to another.
        bounds = np.linspace(0, trie.num_blocks, _SHARES_PER_THREAD * num_threads + 1).astype(int).tolist()
        list(_threads(num_threads, os.getpid()).map(score, zip(bounds, bounds[1:])))
    alone_N, followed_N = np.empty((2, len(trie)))
    alone_N[trie.name_N], followed_N[trie.name_N] = log2_alone_N * LN2, log2_followed_N * LN2
    return alone_N, followed_N


@functools.cache
def _threads(num_threads: int, process: int) -> ThreadPoolExecutor:
    """They stay: starting them anew would take a tenth of the time of the scoring. A forked process has none, and needs its own."""
    return ThreadPoolExecutor(num_threads, thread_name_prefix="names")


def silence(p_TV: np.ndarray, blank: int) -> np.ndarray:
    """log2 of the probability [T + 1] of nothing but blanks before the first frame and up to each one: the roots' S."""
    with np.errstate(divide="ignore"):
        return np.concatenate([[0.0], np.cumsum(np.log2(p_TV[:, blank]))])


def remaining(log_peak_T: np.ndarray) -> np.ndarray:
    """Log-probability [T] of the peaks of all frames after each one."""
    return log_peak_T.sum() - np.cumsum(log_peak_T)


def relative_to_peak(logp_TV: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [T, V], float64, over the largest of their frame, and the logs of those largest ones [T]."""
    logp_TV = logp_TV.astype(np.float64, order="C")
    log_peak_T = logp_TV.max(axis=1, initial=-np.inf)
    log_peak_T[~np.isfinite(log_peak_T)] = 0.0  # a frame that allows nothing: every name becomes impossible
    return np.exp(logp_TV - log_peak_T[:, None]), log_peak_T
