"""Frames as decoding needs them: only symbols that can be written, each frame a distribution.

Shapes: T frames, V symbols of the vocabulary.
"""

from collections.abc import Sequence

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary


def mask_dead(logp_TV: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """`logp_TV` (natural logs) with the dead tokens at -inf and every frame renormalised; same dtype.

    Do it once, before anything below `decoding`: a model can emit `<s>` or `<unk>`, a name cannot hold them.
    """
    return mask_symbols(logp_TV, vocabulary.dead_ids)


def mask_symbols(logp_TV: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """`logp_TV` with some symbols at -inf and every frame renormalised; same dtype."""
    masked_TV = logp_TV.astype(np.float64)
    masked_TV[:, list(ids)] = -np.inf
    peak_T1 = masked_TV.max(axis=1, keepdims=True)
    masked_TV -= peak_T1 + np.log(np.exp(masked_TV - peak_T1).sum(axis=1, keepdims=True))
    return masked_TV.astype(logp_TV.dtype)


def correct_prior(logp_TV: np.ndarray, log_symbol_prior_V: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """`logp_TV` less `weight` x the log of each symbol's mean posterior, every frame renormalised; same dtype.

    A model that was not trained for long prefers the blank, and so names that are too short; this takes the bias away.
    """
    corrected_TV = logp_TV - weight * log_symbol_prior_V
    peak_T1 = corrected_TV.max(axis=1, keepdims=True)
    corrected_TV -= peak_T1 + np.log(np.exp(corrected_TV - peak_T1).sum(axis=1, keepdims=True))
    return corrected_TV.astype(logp_TV.dtype)


def log_mean_posterior(logps: Sequence[np.ndarray]) -> np.ndarray:
    """Log of each symbol's mean posterior [V] over all frames of some clips; 0 for a dead token, which stays as it is."""
    mean_V = np.exp(np.concatenate(logps).astype(np.float64)).mean(axis=0)
    return np.log(np.where(mean_V > 0.0, mean_V, 1.0))


def best_path_log_probability(logp_TV: np.ndarray) -> float:
    """Log-probability, in nats, of the likeliest alignment of all: what a free decoder would choose."""
    return float(logp_TV.max(axis=1).sum(dtype=np.float64)) if len(logp_TV) else 0.0
