"""What may follow a name: a release suffix, a dose, or both; scored for all names at once by factoring.

    P(x | drug) = (1 - q) S(T) + q sum over t of S(t) W(t)

S(t) is the probability of the frames up to t as the name, W(t) that of the frames after t as what follows, with the
space between as its first letter, q how often anything follows. One backward pass gives W, whatever the number of names.

Shapes: T frames, V symbols, F spoken forms, D doses. Logs are natural unless they say log2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.decoding.backward import compiled_backward
from drugasr.decoding.likelihood import LN2, relative_to_peak, remaining, run_forward
from drugasr.decoding.trie import LexiconTrie, build_trie
from drugasr.lexicon.dose import RELEASE_SUFFIXES, Dose, common_doses, spoken_variants

# Share of what follows a name, where anything does: a dose, a suffix, a suffix and a dose.
_DOSE, _SUFFIX, _BOTH = 0.85, 0.05, 0.1
# Of a dose in a drug's hands: one in twenty is said for a strength that nobody sells, or is not in the list.
_UNMARKETED = 0.05
_MAX_RISE = 150.0  # a factor of 2**150


@dataclass(frozen=True, kw_only=True)
class SaidDose:
    dose: Dose
    spoken: str
    """Its likeliest form."""
    probability: float
    """That it was said, given the name; 0 to 1."""


class DoseGrammar:
    def __init__(self, vocabulary: Vocabulary, doses: Mapping[Dose, float] | None = None, suffixes: Sequence[str] = RELEASE_SUFFIXES):
        """`doses` -> how common each one is, summing to 1; all marketed ones by default."""
        doses = common_doses() if doses is None else doses
        self.doses = tuple(doses)
        self._prior_D = np.array(list(doses.values()))
        spoken = [(d, form) for d, dose in enumerate(self.doses) for form in spoken_variants(dose)]
        self._dose_F = np.array([d for d, _ in spoken])
        self._form_F = [form for _, form in spoken]
        self._share_F = (1.0 / np.bincount(self._dose_F))[self._dose_F]  # each form of a dose is as common
        self._doses = _Trie(self._form_F, vocabulary)
        self._suffixes = _Trie([" ".join(suffix) if len(suffix) == 2 else suffix for suffix in suffixes], vocabulary) if suffixes else None

    def log_rest(self, logp_TV: np.ndarray) -> np.ndarray:
        """log W(t) [T]: of the frames after each one, given that something follows the name."""
        p_TV, log_peak_T = relative_to_peak(logp_TV)
        log2_end_T = np.full(len(p_TV), -np.inf)
        log2_end_T[-1:] = 0.0
        log2_dose_T = self._doses.log2_rest(p_TV, log2_end_T, self._prior_D[self._dose_F] * self._share_F)
        if self._suffixes is None:
            return log2_dose_T * LN2 + remaining(log_peak_T)
        after_T = np.logaddexp2(log2_dose_T + np.log2(_BOTH), log2_end_T + np.log2(_SUFFIX))
        log2_suffix_T = self._suffixes.log2_rest(p_TV, after_T, np.full(len(self._suffixes), 1.0 / len(self._suffixes)))
        return np.logaddexp2(log2_dose_T + np.log2(_DOSE), log2_suffix_T) * LN2 + remaining(log_peak_T)

    def said_dose(self, logp_TV: np.ndarray, form: Sequence[int], marketed: Sequence[Dose], probability: float) -> SaidDose | None:
        """The likeliest dose behind a name, given as symbol ids; None when none was the likelier.

        `marketed` are the drug's strengths, empty if unknown, and `probability` is q.
        """
        p_TV, _ = relative_to_peak(logp_TV)
        log2_name_T = prefix_log2_probabilities(p_TV, form, self._doses.trie.blank)
        log2_start_T = log2_name_T + np.log2(_DOSE)
        nothing = np.log2(1.0 - probability) + log2_name_T[-1]
        if self._suffixes is not None:
            blank = self._doses.trie.blank
            for suffix in self._suffixes.labels:
                log2_suffixed_T = prefix_log2_probabilities(p_TV, [*form, *suffix], blank) - np.log2(len(self._suffixes))
                log2_start_T = np.logaddexp2(log2_start_T, log2_suffixed_T + np.log2(_BOTH))
                nothing = np.logaddexp2(nothing, np.log2(probability * _SUFFIX) + log2_suffixed_T[-1])
        log2_form_F = self._doses.log2_forward(p_TV, log2_start_T + np.log2(probability))
        with np.errstate(divide="ignore"):
            log2_form_F = log2_form_F + np.log2(self._prior(marketed)[self._dose_F] * self._share_F)
        total = np.logaddexp2(np.logaddexp2.reduce(log2_form_F), nothing)
        if not np.isfinite(total):
            return None
        posterior_D = np.bincount(self._dose_F, 2.0 ** (log2_form_F - total), len(self.doses))
        best = int(posterior_D.argmax())
        if posterior_D.sum() < 0.5:
            return None
        spoken = self._form_F[int(np.where(self._dose_F == best, log2_form_F, -np.inf).argmax())]
        return SaidDose(dose=self.doses[best], spoken=spoken, probability=float(posterior_D[best]))

    def _prior(self, marketed: Sequence[Dose]) -> np.ndarray:
        """P(dose | ingredient) [D]."""
        is_marketed_D = np.isin(np.arange(len(self.doses)), [self.doses.index(dose) for dose in marketed if dose in self.doses])
        if not is_marketed_D.any():
            return self._prior_D
        return _UNMARKETED * self._prior_D + (1.0 - _UNMARKETED) * is_marketed_D / is_marketed_D.sum()


class _Trie:
    """Forms that start with the space, as one block: both recursions run over it."""

    def __init__(self, forms: Sequence[str], vocabulary: Vocabulary):
        self.labels = [vocabulary.encode(f" {form}") for form in forms]
        self.trie: LexiconTrie = build_trie([f" {form}" for form in forms], vocabulary, nodes_per_block=1 << 31)

    def __len__(self) -> int:
        return len(self.labels)

    def log2_rest(self, p_TV: np.ndarray, log2_end_T: np.ndarray, weight_F: np.ndarray) -> np.ndarray:
        trie = self.trie
        end_M = np.bincount(trie.end_N, weight_F[trie.name_N], len(trie.symbol_M))
        return compiled_backward()(p_TV, log2_end_T, trie.symbol_M, trie.parent_M, end_M, trie.blank)

    def log2_forward(self, p_TV: np.ndarray, log2_start_T: np.ndarray) -> np.ndarray:
        """Of each form behind what takes up the frames before, of which `log2_start_T` [T] is the probability up to each."""
        largest = log2_start_T.max(initial=-np.inf)
        if largest == -np.inf:
            return np.full(len(self), -np.inf)
        # A start that grew from far below would run out of a float64's range, and counts for nothing.
        log2_start_T = np.where(log2_start_T > largest - _MAX_RISE, log2_start_T - largest, -np.inf)
        log2_root_T = np.concatenate([[-np.inf], log2_start_T])
        return run_forward(p_TV, log2_root_T, np.empty(0), self.trie)[0] / LN2 + largest


def prefix_log2_probabilities(p_TV: np.ndarray, label: Sequence[int], blank: int) -> np.ndarray:
    """log2 [T] of the probability of the frames up to each one as `label`, all of it."""
    symbol_L = np.array(label)
    is_doubled_L = np.concatenate([[False], symbol_L[1:] == symbol_L[:-1]])
    n_L, b_L = np.zeros((2, len(symbol_L)))
    root, log2_scale = 1.0, 0.0
    log2_T = np.full(len(p_TV), -np.inf)
    for t, p_V in enumerate(p_TV):
        s_L = n_L + b_L
        inflow_L = np.where(is_doubled_L, np.concatenate([[0.0], b_L[:-1]]), np.concatenate([[root], s_L[:-1]]))
        n_L, b_L, root = p_V[symbol_L] * (n_L + inflow_L), p_V[blank] * s_L, p_V[blank] * root
        largest = max(n_L.max(), b_L.max(), root)
        if largest == 0.0:
            break
        n_L, b_L, root, log2_scale = n_L / largest, b_L / largest, root / largest, log2_scale + np.log2(largest)
        if n_L[-1] + b_L[-1] > 0.0:
            log2_T[t] = np.log2(n_L[-1] + b_L[-1]) + log2_scale
    return log2_T
