"""The score of every drug of a list for one clip: its name or an alias of it, with or without a dose behind it.

Shapes: T frames, V symbols, F spoken forms, N drugs. Logs are natural.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.decoding.dose_grammar import DoseGrammar, SaidDose
from drugasr.decoding.likelihood import alone_and_followed, name_log_likelihoods
from drugasr.decoding.trie import build_trie
from drugasr.lexicon.dose import marketed_doses
from drugasr.lexicon.drug import Lexicon

_SURELY_ALONE = 0.98


@dataclass(frozen=True, kw_only=True)
class Scores:
    log_likelihood_N: np.ndarray
    """float64, in nats: log P(clip | drug), over all forms, doses and alignments."""
    form_log_likelihood_F: np.ndarray
    """The same of each spoken form."""
    alone_F: np.ndarray
    """Of each form with nothing behind it, times the probability that nothing is."""


class LexiconScorer:
    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary, dose_probability: float, num_threads: int = 1):
        """`dose_probability` (0 to below 1) of the utterances have something behind the name: a dose or a release suffix.

        Raises ModelError for a name that the model cannot write.
        """
        self.lexicon = lexicon
        self.num_threads = num_threads
        self._vocabulary = vocabulary
        self._dose_probability = dose_probability
        self._grammar = DoseGrammar(vocabulary) if dose_probability > 0 else None
        self._forms = [form for drug in lexicon.drugs for form in drug.spoken_forms]
        num_forms = [1 + len(drug.aliases) for drug in lexicon.drugs]
        self._first_form_N = np.concatenate([[0], np.cumsum(num_forms)[:-1]]).astype(np.int64)
        self._trie = build_trie(self._forms, vocabulary)
        # The first scoring compiles, for a second or two: now, rather than while somebody waits for an answer.
        self.scores(np.zeros((2, len(vocabulary)), np.float32))

    def scores(self, logp_TV: np.ndarray, num_threads: int | None = None) -> Scores:
        """Exact scores of all drugs for the log-probabilities of one clip (dead tokens masked). -inf: impossible."""
        threads = num_threads or self.num_threads
        if self._grammar is None or not len(logp_TV):
            alone_F = form_F = name_log_likelihoods(logp_TV, self._trie, threads)
        else:
            alone_F, followed_F = alone_and_followed(logp_TV, self._trie, self._grammar.log_rest(logp_TV), threads)
            alone_F += np.log1p(-self._dose_probability)
            form_F = np.logaddexp(alone_F, followed_F + np.log(self._dose_probability))
        # Forms of one drug are ways of saying it: their probabilities add up.
        drug_N = form_F if len(form_F) == len(self.lexicon) else np.logaddexp.reduceat(form_F, self._first_form_N)
        return Scores(log_likelihood_N=drug_N, form_log_likelihood_F=form_F, alone_F=alone_F)

    def batch(self, logps: Sequence[np.ndarray]) -> list[Scores]:
        """`scores` of several clips; a batch shares the threads by clip, a single clip by names."""
        if self.num_threads == 1 or len(logps) < 2:
            return [self.scores(logp_TV) for logp_TV in logps]
        with ThreadPoolExecutor(self.num_threads) as pool:
            return list(pool.map(lambda logp_TV: self.scores(logp_TV, num_threads=1), logps))

    def best_form(self, scores: Scores, drug: int) -> str:
        """The spoken form of drug number `drug` that fits best."""
        return self._forms[self._best_form(scores, drug)]

    def said_dose(self, logp_TV: np.ndarray, scores: Scores, drug: int) -> SaidDose | None:
        """The dose behind drug number `drug`, weighed by what the drug is sold in; None when there hardly is one."""
        form = self._best_form(scores, drug)
        # Every dose is as likely here, and by the drug's own strengths it may still be more so: not yet at even odds.
        if self._grammar is None or scores.alone_F[form] > scores.form_log_likelihood_F[form] + np.log(_SURELY_ALONE):
            return None
        label, marketed = self._vocabulary.encode(self._forms[form]), marketed_doses(self.lexicon.drugs[drug])
        return self._grammar.said_dose(logp_TV, label, marketed, self._dose_probability)

    def _best_form(self, scores: Scores, drug: int) -> int:
        first = self._first_form_N[drug]
        return int(first + scores.form_log_likelihood_F[first : first + len(self.lexicon.drugs[drug].spoken_forms)].argmax())
