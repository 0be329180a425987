"""The answer to one clip, and the Recognizer that gives it: the one predictor of evaluation and serving.

Shapes: S samples, T frames, V symbols of the vocabulary, N names of the lexicon.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.decoding.decision import DecisionRule
from drugasr.decoding.frames import best_path_log_probability, mask_dead
from drugasr.decoding.greedy import decode_greedily
from drugasr.decoding.likelihood import batch_log_likelihoods, name_log_likelihoods
from drugasr.decoding.ranking import Ranking, rank
from drugasr.decoding.trie import build_trie
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.soundalikes import read_sound_alikes

MIN_SPEECH_S = 0.1
"""Shorter clips hold no word."""
NUM_COMPARED = 5
"""Two listed sound-alikes among this many best names call for review."""

NO_SPEECH = "no speech"
NOT_IN_LIST = "not in the list"
LOW_CONFIDENCE = "low confidence"
NEAR_RUNNER_UP = "runner-up too near"
SOUND_ALIKE = "sound-alike"


@dataclass(frozen=True, kw_only=True)
class Alternative:
    drug: str
    """Display name."""
    tall_man: str
    """Display name in tall-man letters where it has a listed sound-alike, else the same."""
    confidence: float
    """Probability that this drug was said, 0 to 1."""
    log_likelihood: float
    """Exact CTC log-likelihood of the name, in nats."""
    sounds_like: tuple[str, ...] = ()
    """Listed sound-alikes of this drug."""


@dataclass(frozen=True, kw_only=True)
class Word:
    word: str
    start: float
    """Seconds from the start of the clip."""
    end: float


@dataclass(frozen=True, kw_only=True)
class Dose:
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Recognition:
    text: str
    """Greedy transcript."""
    drug: str | None
    """The likeliest drug; None when none of the list was said."""
    dose: Dose | None = None
    confidence: float
    """Probability that `drug` is right, 0 to 1."""
    needs_review: bool
    review_reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    """The likeliest drugs, best first."""
    words: tuple[Word, ...]
    duration_s: float
    model: str
    lexicon: str


class CtcModel(Protocol):
    """What the Recognizer needs of `drugasr.acoustic.model.AcousticModel`."""

    name: str
    vocabulary: Vocabulary
    frame_s: float

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """logp_TV of each waveform: float32, natural logs."""


class Recognizer:
    def __init__(
        self,
        model: CtcModel,
        lexicon: Lexicon,
        *,
        num_alternatives: int = 5,
        rule: DecisionRule = DecisionRule(),
        num_threads: int = 1,
    ):
        """`num_threads` clips of a batch are scored at a time. Raises ModelError for a name that `model` cannot write."""
        self.model = model
        self.lexicon = lexicon
        self.num_alternatives = num_alternatives
        self.rule = rule
        self.num_threads = num_threads
        self._trie = build_trie([drug.spoken for drug in lexicon.drugs], model.vocabulary)
        self._sound_alikes = read_sound_alikes()
        # The first scoring compiles, for a second or two: now, rather than while somebody waits for an answer.
        name_log_likelihoods(np.empty((0, len(model.vocabulary)), np.float32), self._trie)

    @classmethod
    def from_dir(cls, folder: str, lexicon: Lexicon, num_alternatives: int = 5) -> Self:
        """A recogniser with the model of `folder`. Raises ModelError."""
        from drugasr.acoustic.model import AcousticModel  # here: who only reads answers needs no torch

        return cls(AcousticModel.from_dir(folder), lexicon, num_alternatives=num_alternatives)

    def recognize(self, waves: Sequence[np.ndarray], num_alternatives: int | None = None) -> list[Recognition]:
        """One answer a clip, in order; `waves` are float32, mono, 16 kHz, of any length, empty too."""
        count = self.num_alternatives if num_alternatives is None else num_alternatives
        spoken = [wave_S for wave_S in waves if _may_hold_speech(wave_S)]
        logps = [mask_dead(logp_TV, self.model.vocabulary) for logp_TV in self.model.log_probs(spoken)] if spoken else []
        scores = batch_log_likelihoods(logps, self._trie, self.num_threads)
        answers = iter(zip(logps, scores, strict=True))
        return [
            self._answer(wave_S, *next(answers), count) if _may_hold_speech(wave_S) else self._no_speech(wave_S)
            for wave_S in waves
        ]

    def _answer(
        self, wave_S: np.ndarray, logp_TV: np.ndarray, log_likelihood_N: np.ndarray, num_alternatives: int
    ) -> Recognition:
        duration_s = len(wave_S) / SAMPLE_RATE_HZ
        transcript = decode_greedily(logp_TV, self.model.vocabulary, self.model.frame_s)
        ranking = rank(log_likelihood_N, max(num_alternatives, NUM_COMPARED))
        in_list = self._in_list_probability(ranking, logp_TV)
        is_in_list = in_list >= 0.5
        confidence = in_list * float(ranking.posterior_K[0]) if is_in_list else 1.0 - in_list
        reasons = self._review_reasons(ranking, confidence) if is_in_list else (NOT_IN_LIST,)
        return Recognition(
            text=transcript.text,
            drug=self.lexicon.drugs[ranking.index_K[0]].name if is_in_list else None,
            confidence=confidence,
            needs_review=bool(reasons),
            review_reasons=reasons,
            alternatives=self._alternatives(ranking, in_list)[:num_alternatives],
            # The last frame may reach beyond the last sample.
            words=tuple(
                Word(word=word.word, start=word.start_s, end=min(word.end_s, duration_s)) for word in transcript.words
            ),
            duration_s=duration_s,
            model=self.model.name,
            lexicon=self.lexicon.name,
        )

    def _no_speech(self, wave_S: np.ndarray) -> Recognition:
        return Recognition(
            text="",
            drug=None,
            confidence=1.0,  # no drug was said in it: of that much one is sure
            needs_review=True,
            review_reasons=(NO_SPEECH,),
            alternatives=(),
            words=(),
            duration_s=len(wave_S) / SAMPLE_RATE_HZ,
            model=self.model.name,
            lexicon=self.lexicon.name,
        )

    def _in_list_probability(self, ranking: Ranking, logp_TV: np.ndarray) -> float:
        if not len(ranking):
            return 0.0
        num_letters = len(self._spoken(ranking)[0].replace(" ", ""))
        fit = (float(ranking.log_likelihood_K[0]) - best_path_log_probability(logp_TV)) / num_letters
        return self.rule.in_list_probability(fit)

    def _review_reasons(self, ranking: Ranking, confidence: float) -> tuple[str, ...]:
        best = self._spoken(ranking)[:NUM_COMPARED]
        posterior_K = ranking.posterior_K
        is_true = {
            LOW_CONFIDENCE: confidence < self.rule.min_confidence,
            NEAR_RUNNER_UP: len(best) > 1 and posterior_K[1] > self.rule.max_runner_up_ratio * posterior_K[0],
            SOUND_ALIKE: any(partner in best for name in best for partner in self._sound_alikes.of(name)),
        }
        return tuple(reason for reason, applies in is_true.items() if applies)

    def _alternatives(self, ranking: Ranking, in_list: float) -> tuple[Alternative, ...]:
        drugs = [self.lexicon.drugs[index] for index in ranking.index_K]
        return tuple(
            Alternative(
                drug=drug.name,
                tall_man=self._sound_alikes.tall_man(drug.spoken) or drug.name,
                confidence=in_list * float(posterior),
                log_likelihood=float(log_likelihood),
                sounds_like=self._sound_alikes.of(drug.spoken),
            )
            for drug, log_likelihood, posterior in zip(drugs, ranking.log_likelihood_K, ranking.posterior_K, strict=True)
        )

    def _spoken(self, ranking: Ranking) -> list[str]:
        return [self.lexicon.drugs[index].spoken for index in ranking.index_K]


def _may_hold_speech(wave_S: np.ndarray) -> bool:
    return len(wave_S) >= MIN_SPEECH_S * SAMPLE_RATE_HZ and bool(np.any(wave_S))
