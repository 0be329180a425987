"""From a log-likelihood a name to the likeliest names, with their share of the whole lexicon.

Shapes: N names, K names kept.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Best first; as short as the number of possible names, so empty when nothing is possible."""

    index_K: np.ndarray
    """int64: position of the name in the lexicon."""
    log_likelihood_K: np.ndarray
    """float64, in nats, without the prior."""
    posterior_K: np.ndarray
    """float64: probability of the name, given that one name of the lexicon was said; over all N they sum to 1."""

    def __len__(self) -> int:
        return len(self.index_K)


def rank(log_likelihood_N: np.ndarray, num_best: int, log_prior_N: np.ndarray | None = None) -> Ranking:
    """The `num_best` likeliest names; equal ones in the order of the lexicon.

    `log_prior_N` (natural logs, not necessarily normalised) is added to the log-likelihoods; without it
    every name is as likely beforehand. Names at -inf are impossible and never ranked.
    """
    score_N = log_likelihood_N if log_prior_N is None else log_likelihood_N + log_prior_N
    possible = np.flatnonzero(np.isfinite(score_N))
    if len(possible) == 0:
        return Ranking(index_K=possible, log_likelihood_K=np.empty(0), posterior_K=np.empty(0))
    score = score_N[possible]
    # Sorting all of a long list would take longer than scoring it; of equal scores at the border, all are looked at.
    least = np.partition(score, -num_best)[-num_best] if num_best < len(score) else -np.inf
    candidates = np.flatnonzero(score >= least)
    best_K = candidates[np.argsort(-score[candidates], kind="stable")][:num_best]
    weight = np.exp(score - score.max())
    index_K = possible[best_K]
    return Ranking(
        index_K=index_K, log_likelihood_K=log_likelihood_N[index_K], posterior_K=weight[best_K] / weight.sum()
    )
