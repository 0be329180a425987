"""CTC models: HuBERT, wav2vec2, WavLM, data2vec, our own folders; one, or an ensemble of several.

Shapes: S samples, T frames, V symbols.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.evaluation.recognisers.recogniser import NUM_BEST, Hypothesis
from drugasr.lexicon.drug import Lexicon
from drugasr.recognition import CtcModel, Member, Recognizer, may_hold_speech

class CtcRecogniser:
    def __init__(self, members: Sequence[Member], lexicon: Lexicon) -> None:
        """Raises ModelError for a name of the list that a model cannot write."""
        self._models = [_Overheard(member.model) for member in members]
        overheard = [dataclasses.replace(member, model=model) for member, model in zip(members, self._models, strict=True)]
        self._recognizer = Recognizer(overheard, lexicon, num_alternatives=NUM_BEST)

    def hear(self, waves: Sequence[np.ndarray]) -> list[Hypothesis]:
        answers = self._recognizer.recognize(waves)
        heard = iter(zip(*(model.last for model in self._models), strict=True) if any(map(may_hold_speech, waves)) else ())
        return [
            Hypothesis(text=answer.text, recognition=answer, log_probs=next(heard) if may_hold_speech(wave_S) else ())
            for wave_S, answer in zip(waves, answers, strict=True)
        ]


class _Overheard:
    """A model whose last log-probabilities are kept, for whoever wants them beside the answers."""

    def __init__(self, model: CtcModel) -> None:
        self._model, self.last = model, []

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def vocabulary(self) -> Vocabulary:
        return self._model.vocabulary

    @property
    def frame_s(self) -> float:
        return self._model.frame_s

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.last = self._model.log_probs(waves)
        return self.last
