"""What the frames of one clip say about a list: the ranking, the dose, and the two numbers that are calibrated.

Shapes: T frames, V symbols of the vocabulary, N drugs, K drugs kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.decoding.calibration import Calibration, log_odds
from drugasr.decoding.dose_grammar import SaidDose
from drugasr.decoding.frames import best_path_log_probability, correct_prior, mask_dead
from drugasr.decoding.lexicon_scorer import LexiconScorer, Scores
from drugasr.decoding.ranking import Ranking, rank


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What one model made of one clip."""

    logp_TV: np.ndarray
    """From `prepare_frames`."""
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class Evidence:
    ranking: Ranking
    said: SaidDose | None
    """The dose behind the best name."""
    fit: float
    """(log P(best name) - log P(best free path)) over the letters said, in nats a letter; -inf when nothing is possible."""
    log_odds: float
    """Of the best name against all others."""


def prepare_frames(logp_TV: np.ndarray, vocabulary: Vocabulary, calibration: Calibration) -> np.ndarray:
    """What is ranked: only symbols that can be written, less the model's own preferences. The calibrator saw the same."""
    logp_TV = mask_dead(logp_TV, vocabulary)
    return correct_prior(logp_TV, np.array(calibration.log_symbol_prior)) if calibration.log_symbol_prior else logp_TV


def weigh(heard: Sequence[Heard], weights: Sequence[float], scorer: LexiconScorer, num_best: int, log_prior_N: np.ndarray | None = None) -> Evidence:
    """The evidence of an ensemble: its log-likelihoods are the members', by `weights` that sum to 1.

    `scorer` made the first member's scores; name and dose are read in its frames.
    """
    log_likelihood_N = sum(weight * one.scores.log_likelihood_N for weight, one in zip(weights, heard, strict=True))
    ranking = rank(log_likelihood_N, num_best, log_prior_N)
    if not len(ranking):
        return Evidence(ranking=ranking, said=None, fit=-np.inf, log_odds=-np.inf)
    best = int(ranking.index_K[0])
    form = scorer.best_form(heard[0].scores, best)
    said = scorer.said_dose(heard[0].logp_TV, heard[0].scores, best)
    free = sum(weight * best_path_log_probability(one.logp_TV) for weight, one in zip(weights, heard, strict=True))
    num_letters = len((form + (said.spoken if said else "")).replace(" ", ""))
    posterior = float(ranking.posterior_K[0])
    return Evidence(
        ranking=ranking,
        said=said,
        fit=(float(ranking.log_likelihood_K[0]) - free) / num_letters,
        log_odds=log_odds(posterior, 1.0 - posterior),
    )
