"""The answer to one clip."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Alternative:
    drug: str
    """Display name."""
    tall_man: str
    """Display name in tall-man letters where it has a listed sound-alike, else the same."""
    confidence: float
    """Probability that this drug was said, 0 to 1."""
    log_likelihood: float
    """Exact CTC log-likelihood of the name, in nats; with a dose, of name and dose."""
    sounds_like: tuple[str, ...] = ()
    """Listed sound-alikes of this drug."""


@dataclass(frozen=True, kw_only=True)
class Word:
    word: str
    start: float
    """Seconds from the start of the clip."""
    end: float
    confidence: float
    """How sure the model was of its letters, 0 to 1: the geometric mean over their frames."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    value: float
    unit: str
    """Such as `mg`."""


@dataclass(frozen=True, kw_only=True)
class Recognition:
    text: str
    """Greedy transcript."""
    drug: str | None
    """The likeliest drug; None when none of the list was said."""
    dose: Dose | None = None
    confidence: float
    """Probability that `drug` is right, 0 to 1; of a None, that none of the list was said."""
    in_list: float = 1.0
    """Probability that a drug of the list was said, 0 to 1."""
    needs_review: bool
    review_reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    """The likeliest drugs, best first."""
    words: tuple[Word, ...]
    duration_s: float
    model: str
    lexicon: str
