"""How likely is each name of a lexicon, summed over all its CTC alignments: exact, for all names at once.

Shapes: T frames, V symbols, M nodes of the trie, N names. All logs are natural.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from drugasr.decoding.forward import FLOOR, compiled_forward
from drugasr.decoding.trie import LexiconTrie

# Once something was lost (seconds of noise, not of speech), a name whose own beginning may have been lost is
# given up. Random noise put wrong sums up to 2**103; this bound is 350 nats behind the likeliest beginning.
_FLOOR_AFTER_LOSS = 2.0**300


def name_log_likelihoods(logp_TV: np.ndarray, trie: LexiconTrie) -> np.ndarray:
    """Log-likelihood of every name, float64 [N], in nats, for the log-probabilities of one clip.

    -inf for a name that the frames cannot hold (too few of them), and for one so far behind the likeliest
    beginning of a name (350 nats at the least) that a float64 cannot carry it exactly to the end.
    """
    forward = compiled_forward()
    logp_TV = logp_TV.astype(np.float64, order="C")
    peak_T1 = logp_TV.max(axis=1, keepdims=True, initial=-np.inf)
    peak_T1[~np.isfinite(peak_T1)] = 0.0  # a frame that allows nothing: every name becomes impossible
    p_TV = np.exp(logp_TV - peak_T1)
    s_M, exponent, is_exact = forward(
        p_TV, trie.symbol_M, trie.parent_M, trie.doubled_D, trie.min_frames_M, trie.blank
    )
    s_N = s_M[trie.end_N]
    s_N[s_N < (FLOOR if is_exact else _FLOOR_AFTER_LOSS)] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(s_N) + (peak_T1.sum() - exponent * np.log(2.0))


def batch_log_likelihoods(logps: Sequence[np.ndarray], trie: LexiconTrie, num_threads: int = 1) -> list[np.ndarray]:
    """`name_log_likelihoods` of several clips, `num_threads` of them at a time."""
    if num_threads == 1 or len(logps) < 2:
        return [name_log_likelihoods(logp_TV, trie) for logp_TV in logps]
    compiled_forward()  # compile once, not once a thread
    with ThreadPoolExecutor(num_threads) as pool:
        return list(pool.map(lambda logp_TV: name_log_likelihoods(logp_TV, trie), logps))
