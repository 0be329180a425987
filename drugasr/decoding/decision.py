"""When a ranking is an answer, how sure it is, and when a person should look at it."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """Hand-set thresholds: sensible for a model that spells well, calibrated for none.

    The fit of a clip is (log P(best name) - log P(best free path)) / letters of the name, in nats a letter:
    about 0 when the name is what the model would have written anyway, and lower the more it is forced.
    """

    min_fit: float = -1.5
    """Fit, in nats a letter, at which the name and 'none of the list' are equally likely."""
    fit_scale: float = 0.3
    """Nats a letter by which the fit must change for the odds of 'in the list' to change by a factor of e."""
    min_confidence: float = 0.8
    """Probability under which an answer needs review."""
    max_runner_up_ratio: float = 0.1
    """A runner-up whose posterior is more than this share of the winner's is too near."""

    def in_list_probability(self, fit: float) -> float:
        """Probability, 0 to 1, that the clip holds a name of the list at all."""
        return 0.5 * (1.0 + math.tanh(0.5 * (fit - self.min_fit) / self.fit_scale))  # the logistic, without overflow
