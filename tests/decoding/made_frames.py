"""Frames made up for the decoders, and torch's CTC loss as the oracle.

Shapes: T frames, V symbols, N names.
"""

from collections.abc import Sequence

import numpy as np
import torch

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

VOCABULARY = Vocabulary(LIBRISPEECH)


def random_frames(num_frames: int, spread: float, blank_bias: float = 0.0, seed: int = 0) -> np.ndarray:
    """logp_TV of random logits: `spread` 0 is uniform, 10 is as sure as a large model."""
    logits_TV = np.random.default_rng(seed).normal(scale=spread, size=(num_frames, len(VOCABULARY)))
    logits_TV[:, VOCABULARY.blank] += blank_bias
    return torch.log_softmax(torch.from_numpy(logits_TV), dim=-1).numpy().astype(np.float32)


def speech_frames(name: str, seed: int = 0, sureness: float = 6.0) -> np.ndarray:
    """Frames of a model that hears `name`: a letter every third frame, blanks between, some noise."""
    ids = [i for letter in VOCABULARY.encode(name) for i in (VOCABULARY.blank, letter, VOCABULARY.blank)]
    logits_TV = np.random.default_rng(seed).normal(size=(len(ids), len(VOCABULARY)))
    logits_TV[np.arange(len(ids)), ids] += sureness
    return torch.log_softmax(torch.from_numpy(logits_TV), dim=-1).numpy().astype(np.float32)


def oracle(logp_TV: np.ndarray, names: Sequence[str]) -> np.ndarray:
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
