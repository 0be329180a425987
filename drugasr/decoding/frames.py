"""Frames as decoding needs them: only symbols that can be written, each frame a distribution.

Shapes: T frames, V symbols of the vocabulary.
"""

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary


def mask_dead(logp_TV: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """`logp_TV` (natural logs) with the dead tokens at -inf and every frame renormalised; same dtype.

    Do it once, before anything below `decoding`: a model can emit `<s>` or `<unk>`, a name cannot hold them.
    """
    masked_TV = logp_TV.astype(np.float64)
    masked_TV[:, list(vocabulary.dead_ids)] = -np.inf
    peak_T1 = masked_TV.max(axis=1, keepdims=True)
    masked_TV -= peak_T1 + np.log(np.exp(masked_TV - peak_T1).sum(axis=1, keepdims=True))
    return masked_TV.astype(logp_TV.dtype)


def best_path_log_probability(logp_TV: np.ndarray) -> float:
    """Log-probability, in nats, of the likeliest alignment of all: what a free decoder would choose."""
    return float(logp_TV.max(axis=1).sum(dtype=np.float64)) if len(logp_TV) else 0.0
