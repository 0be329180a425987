"""From scores to probabilities: fitted on clips of voices that training never heard, stored in the model folder.

Two numbers tell about a clip. The *log-odds* of the best name: of its posterior, given that one name of the list was
said. And its *fit*: (log P(best name) - log P(best free path)) over its letters, in nats a letter, about 0 when the name
is what the model would have written anyway, and lower the more it is forced. Two logistic regressions on both:

    P(in list)         = sigmoid(a + b fit + c log-odds)
    P(right | in list) = sigmoid(d + e fit + f log-odds)

and the probability that the best name was said is their product.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from drugasr.errors import ModelError

OUTSIDER_SHARE = 0.1
"""Assumed share of utterances that hold no name of the list; the fit weighs its clips so."""
_MAX_LOG_ODDS = 20.0
_RIDGE = 1e-3  # keeps the coefficients finite where a handful of clips part perfectly


@dataclass(frozen=True, kw_only=True)
class Calibration:
    in_list: tuple[float, float, float]
    """a, b, c of the formula above."""
    right: tuple[float, float, float]
    """d, e, f."""
    min_in_list: float = 0.5
    """P(in list) under which the answer is "none of these"."""
    log_symbol_prior: tuple[float, ...] = ()
    """Log of each symbol's mean posterior, which `frames.correct_prior` takes off; empty for none."""
    num_clips: int = 0
    """Clips of names in the list that it was fitted on; 0: set by hand."""
    num_outsiders: int = 0
    lexicon: str = ""
    """Fingerprint of the list that it was fitted on."""

    def in_list_probability(self, fit: float, log_odds: float) -> float:
        return float(expit(np.dot(self.in_list, _features(fit, log_odds))))

    def right_probability(self, fit: float, log_odds: float) -> float:
        """That the best name was said, given that a name of the list was."""
        return float(expit(np.dot(self.right, _features(fit, log_odds))))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Calibration":
        """Raises ModelError when `values` is not what `to_json` wrote."""
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
        except TypeError as error:
            raise ModelError(f"the calibration in the model folder cannot be read ({error}): run jobs.calibrate again") from error


UNCALIBRATED = Calibration(in_list=(5.0, 3.3, 0.0), right=(0.0, 0.0, 1.0))
"""Sensible for a model that spells well, and calibrated for none: a fit of -1.5 nats a letter is even odds, and the
posterior is taken at its word."""


def log_odds(posterior: float, others: float) -> float:
    """Of the best name's posterior against the sum of all others', within bounds that a regression can bear."""
    if others <= 0.0 or posterior <= 0.0:
        return _MAX_LOG_ODDS if posterior > 0.0 else -_MAX_LOG_ODDS
    return min(max(math.log(posterior) - math.log(others), -_MAX_LOG_ODDS), _MAX_LOG_ODDS)


def fit_calibration(
    fit_N: np.ndarray, log_odds_N: np.ndarray, is_right_N: np.ndarray, is_outsider_N: np.ndarray, accept: float = 0.95
) -> Calibration:
    """The calibration of N clips; without outsiders, P(in list) stays as it is set by hand.

    "None of these" begins where `accept` of the clips in the list would still be answered, but not above even odds.
    Raises ModelError when no clip is in the list.
    """
    inside_N = ~is_outsider_N
    num_inside, num_outsiders = int(inside_N.sum()), int(is_outsider_N.sum())
    if not num_inside:
        raise ModelError("no clip says a name of the list: there is nothing to calibrate on")
    features_NK = np.stack([_features(fit, odds) for fit, odds in zip(fit_N, log_odds_N, strict=True)])
    right = _logistic(features_NK[inside_N], is_right_N[inside_N], np.ones(num_inside))
    in_list, min_in_list = UNCALIBRATED.in_list, UNCALIBRATED.min_in_list
    if num_outsiders:
        weight_N = np.where(is_outsider_N, OUTSIDER_SHARE / num_outsiders, (1 - OUTSIDER_SHARE) / num_inside) * len(fit_N)
        in_list = _logistic(features_NK, inside_N, weight_N)
        accepted = expit(features_NK[inside_N] @ np.array(in_list))
        min_in_list = float(np.quantile(accepted, 1 - accept))
    return Calibration(in_list=in_list, right=right, min_in_list=min_in_list, num_clips=num_inside, num_outsiders=num_outsiders)


def mean_calibration(calibrations: Sequence[Calibration], weights: Sequence[float]) -> Calibration:
    """Of an ensemble: the weighted mean of the members' log-odds."""
    def mean(name: str) -> Any:
        return tuple(np.average([getattr(calibration, name) for calibration in calibrations], axis=0, weights=weights).tolist())

    threshold = float(np.average([calibration.min_in_list for calibration in calibrations], weights=weights))
    return Calibration(in_list=mean("in_list"), right=mean("right"), min_in_list=threshold)


def _features(fit: float, log_odds: float) -> np.ndarray:
    return np.array([1.0, fit, log_odds])


def _logistic(features_NK: np.ndarray, is_true_N: np.ndarray, weight_N: np.ndarray) -> tuple[float, float, float]:
    """Coefficients of the weighted logistic regression; neither fit nor log-odds may count against a name."""
    sign_N = np.where(is_true_N, 1.0, -1.0)

    def loss(coefficients_K: np.ndarray) -> tuple[float, np.ndarray]:
        margin_N = sign_N * (features_NK @ coefficients_K)
        penalty = _RIDGE * np.dot(coefficients_K, coefficients_K)
        gradient_K = -(weight_N * sign_N * expit(-margin_N)) @ features_NK + 2 * _RIDGE * coefficients_K
        return float(weight_N @ np.logaddexp(0.0, -margin_N) + penalty), gradient_K

    found = minimize(loss, np.array([0.0, 0.1, 0.1]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None), (0.0, None)])
    return tuple(found.x.tolist())
