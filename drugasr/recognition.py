"""The Recognizer: waves in, ranked drugs out. The one predictor of evaluation, of serving and of the command line.

Shapes: S samples, T frames, V symbols of the vocabulary, N drugs of the lexicon, K drugs kept.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from drugasr import storage
from drugasr.acoustic.facts import FACTS_FILE, read_facts
from drugasr.acoustic.shipped import located
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.decoding.answer import Alternative, Dose, Recognition, Word
from drugasr.decoding.calibration import UNCALIBRATED, Calibration, mean_calibration
from drugasr.decoding.evidence import Evidence, Heard, prepare_frames, weigh
from drugasr.decoding.greedy import decode_greedily
from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.decoding.ranking import Ranking
from drugasr.decoding.review import NO_SPEECH, NOT_IN_LIST, ReviewRule
from drugasr.errors import InputError
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.soundalikes import read_sound_alikes

MIN_SPEECH_S = 0.1
"""Shorter clips hold no word."""
NUM_COMPARED = 5
"""Names that are looked at for sound-alikes, however few are asked for."""
DOSE_PROBABILITY = 0.2
"""Share of utterances that are taken to have a dose or a release suffix behind the name."""


class CtcModel(Protocol):
    """What the Recognizer needs of `drugasr.acoustic.model.AcousticModel`."""

    name: str
    vocabulary: Vocabulary
    frame_s: float

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """logp_TV of each waveform: float32, natural logs."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A model of an ensemble; most ensembles have one."""

    model: CtcModel
    calibration: Calibration = UNCALIBRATED
    weight: float = 1.0
    """Share of its log-likelihoods in the ensemble's, relative to the others' weights."""

    @classmethod
    def from_dir(cls, folder: str, weight: float = 1.0) -> Self:
        """With the model of a folder, its URI, a hub name or `shipped`, and its calibration. Raises ModelError."""
        from drugasr.acoustic.model import AcousticModel  # here: who only reads answers needs no torch

        return cls(model=AcousticModel.from_dir(folder), calibration=calibration_of(folder), weight=weight)


class Recognizer:
    def __init__(
        self,
        models: CtcModel | Sequence[Member],
        lexicon: Lexicon,
        *,
        num_alternatives: int = 5,
        rule: ReviewRule = ReviewRule(),
        num_threads: int = 1,
        dose_probability: float = DOSE_PROBABILITY,
        prior: Mapping[str, float] | None = None,
    ):
        """`num_threads` clips of a batch are scored at a time, or one clip's names by as many threads. `prior`: drug id ->
        how often it is said, relative to 1 for the drugs that it leaves out. Raises ModelError for a name that a model
        cannot write, InputError for an impossible prior or weight.
        """
        self.members = tuple(models) if isinstance(models, Sequence) else (Member(model=models),)
        if not self.members or any(not member.weight > 0 for member in self.members):
            raise InputError("an ensemble needs a model at least, and a weight above 0 for each")
        self.num_alternatives = num_alternatives
        self.rule = rule
        self._num_threads, self._dose_probability, self._prior = num_threads, dose_probability, prior or {}
        total = sum(member.weight for member in self.members)
        self._weights = [member.weight / total for member in self.members]
        self._calibration = mean_calibration([member.calibration for member in self.members], self._weights)
        self._sound_alikes = read_sound_alikes()
        self.use_lexicon(lexicon)

    @classmethod
    def from_dir(cls, *folders: str, lexicon: Lexicon, weights: Sequence[float] | None = None, **options) -> Self:
        """A recogniser with the model of a folder, its URI, a hub name or `shipped`; of several, an ensemble. Raises ModelError."""
        if weights is not None and len(weights) != len(folders):
            raise InputError(f"{len(weights)} weights were given for {len(folders)} models")
        return cls([Member.from_dir(*given) for given in zip(folders, weights or [1.0] * len(folders), strict=True)], lexicon, **options)

    @property
    def name(self) -> str:
        return " + ".join(member.model.name for member in self.members)

    def use_lexicon(self, lexicon: Lexicon) -> None:
        """Answers from now on with another list; calls that are under way end with the one that they began with."""
        if unknown := set(self._prior) - {drug.id for drug in lexicon.drugs}:
            raise InputError(f"the prior names ids that are not in the list {lexicon.name}: {', '.join(sorted(unknown)[:5])}")
        prior_N = np.array([self._prior.get(drug.id, 1.0) for drug in lexicon.drugs])
        if not (np.isfinite(prior_N) & (prior_N > 0)).all():
            raise InputError("a prior must be above 0 for every drug: leave a drug out of the list rather than make it impossible")
        vocabularies = {member.model.vocabulary.tokens: member.model.vocabulary for member in self.members}
        scorers = {
            tokens: LexiconScorer(lexicon, vocabulary, self._dose_probability, self._num_threads) for tokens, vocabulary in vocabularies.items()
        }
        self._state = (lexicon, scorers, np.log(prior_N))

    @property
    def lexicon(self) -> Lexicon:
        return self._state[0]

    def recognize(self, waves: Sequence[np.ndarray], num_alternatives: int | None = None) -> list[Recognition]:
        """One answer a clip, in order; `waves` are float32, mono, 16 kHz, of any length, empty too."""
        state = self._state
        spoken = [wave_S for wave_S in waves if may_hold_speech(wave_S)]
        heard = iter(zip(*(self._hear(member, spoken, state[1]) for member in self.members), strict=True))
        count = self.num_alternatives if num_alternatives is None else num_alternatives
        return [
            self._answer(wave_S, next(heard), state, count) if may_hold_speech(wave_S) else self._no_speech(wave_S, state[0])
            for wave_S in waves
        ]

    def _hear(self, member: Member, waves: Sequence[np.ndarray], scorers: Mapping[tuple[str, ...], LexiconScorer]) -> list[Heard]:
        logps = member.model.log_probs(waves) if waves else []
        logps = [prepare_frames(logp_TV, member.model.vocabulary, member.calibration) for logp_TV in logps]
        scores = scorers[member.model.vocabulary.tokens].batch(logps)
        return [Heard(logp_TV=logp_TV, scores=score) for logp_TV, score in zip(logps, scores, strict=True)]

    def _answer(self, wave_S: np.ndarray, heard: Sequence[Heard], state: tuple, num_alternatives: int) -> Recognition:
        lexicon, scorers, log_prior_N = state
        leader = self.members[0].model
        evidence = weigh(heard, self._weights, scorers[leader.vocabulary.tokens], max(num_alternatives, NUM_COMPARED), log_prior_N)
        ranking, said = evidence.ranking, evidence.said
        transcript = decode_greedily(heard[0].logp_TV, leader.vocabulary, leader.frame_s)
        in_list, confidence_K = self._confidences(evidence)
        reasons = (NOT_IN_LIST,)
        is_in_list = len(ranking) > 0 and in_list >= self._calibration.min_in_list
        if is_in_list:
            reasons = self.rule.reasons(lexicon.drugs, ranking, float(confidence_K[0]), said, self._sound_alikes, wave_S)
        duration_s = len(wave_S) / SAMPLE_RATE_HZ
        return Recognition(
            text=transcript.text,
            drug=lexicon.drugs[ranking.index_K[0]].name if is_in_list else None,
            dose=Dose(value=float(said.dose.value), unit=said.dose.written.partition(" ")[2]) if said and is_in_list else None,
            confidence=float(confidence_K[0]) if is_in_list else 1.0 - in_list,
            in_list=in_list,
            needs_review=bool(reasons),
            review_reasons=reasons,
            alternatives=self._alternatives(lexicon, ranking, confidence_K)[:num_alternatives],
            # The last frame may reach beyond the last sample.
            words=tuple(
                Word(word=word.word, start=word.start_s, end=min(word.end_s, duration_s), confidence=word.confidence) for word in transcript.words
            ),
            duration_s=duration_s,
            model=self.name,
            lexicon=lexicon.name,
        )

    def _confidences(self, evidence: Evidence) -> tuple[float, np.ndarray]:
        """P(in list), and the probability of each ranked drug [K]; with those not kept, they sum to P(in list) at most."""
        posterior_K = evidence.ranking.posterior_K
        if not len(posterior_K):
            return 0.0, posterior_K
        in_list = self._calibration.in_list_probability(evidence.fit, evidence.log_odds)
        right = self._calibration.right_probability(evidence.fit, evidence.log_odds)
        # The others share what is left as their posteriors do; none is surer than the first.
        others = 1.0 - float(posterior_K[0])
        confidence_K = np.minimum(posterior_K * ((1.0 - right) / others if others > 0 else 0.0), right)
        confidence_K[0] = right
        return in_list, in_list * confidence_K

    def _alternatives(self, lexicon: Lexicon, ranking: Ranking, confidence_K: np.ndarray) -> tuple[Alternative, ...]:
        return tuple(
            Alternative(
                drug=drug.name,
                tall_man=self._sound_alikes.tall_man(drug.spoken) or drug.name,
                confidence=float(confidence),
                log_likelihood=float(log_likelihood),
                sounds_like=self._sound_alikes.of(drug.spoken),
            )
            for drug, log_likelihood, confidence in zip(
                (lexicon.drugs[index] for index in ranking.index_K), ranking.log_likelihood_K, confidence_K, strict=True
            )
        )

    def _no_speech(self, wave_S: np.ndarray, lexicon: Lexicon) -> Recognition:
        return Recognition(
            text="",
            drug=None,
            confidence=1.0,  # no drug was said in it: of that much one is sure
            in_list=0.0,
            needs_review=True,
            review_reasons=(NO_SPEECH,),
            alternatives=(),
            words=(),
            duration_s=len(wave_S) / SAMPLE_RATE_HZ,
            model=self.name,
            lexicon=lexicon.name,
        )


def calibration_of(folder: str) -> Calibration:
    """The calibration in a model folder or its URI; `UNCALIBRATED` where there is none, as in a model from the hub."""
    folder = located(folder)
    is_folder = "://" in folder or os.path.isdir(folder)
    facts = read_facts(folder) if is_folder and storage.exists(storage.join(folder, FACTS_FILE)) else {}
    return Calibration.from_json(facts["calibration"]) if "calibration" in facts else UNCALIBRATED


def may_hold_speech(wave_S: np.ndarray) -> bool:
    """Whether it is long enough for a word, and not digital silence."""
    return len(wave_S) >= MIN_SPEECH_S * SAMPLE_RATE_HZ and bool(np.any(wave_S))
