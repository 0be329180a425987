"""A multilingual CTC model, such as voidful/wav2vec2-xlsr-multilingual-56, that may write one language's letters alone.

Its vocabulary holds the letters of all its languages: unmasked, an English name may come out in any of their scripts.

Shapes: S samples, T frames, V symbols.
"""

from collections.abc import Sequence

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.decoding.frames import mask_symbols
from drugasr.errors import InputError, ModelError
from drugasr.recognition import CtcModel

_LATIN = "abcdefghijklmnopqrstuvwxyz'"
LANGUAGES = {
    "en": _LATIN, "de": _LATIN + "äöüß", "es": _LATIN + "áéíñóúü", "fr": _LATIN + "àâæçéèêëîïôœùûüÿ", "it": _LATIN + "àèéìíîòóùú",
    "nl": _LATIN + "éëïóöü", "pt": _LATIN + "ãáàâçéêíõóôúü", "sv": _LATIN + "åäöé",
}  # fmt: skip
"""Language -> the letters that it is written in. All can write a name: names are a to z."""


class LanguageMasked:
    """Lets the blank, the space and the language's letters through; every frame is renormalised over these."""

    def __init__(self, model: CtcModel, language: str) -> None:
        """Raises ModelError when the model lacks a letter of a to z."""
        self._model = model
        self.name = f"{model.name}@{language}"
        alphabet = {*letters_of(language), " "}
        if lacking := sorted(set(_LATIN.replace("'", "")) - model.vocabulary.ids.keys()):
            raise ModelError(f"{model.name} cannot write {''.join(lacking)!r}: it has no use for the mask of {language!r}")
        kept = {model.vocabulary.blank, *(i for letter, i in model.vocabulary.ids.items() if letter in alphabet)}
        self._masked_ids = [i for i in range(len(model.vocabulary)) if i not in kept]

    @property
    def vocabulary(self) -> Vocabulary:
        return self._model.vocabulary

    @property
    def frame_s(self) -> float:
        return self._model.frame_s

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """logp_TV, -inf for the symbols that the language lacks."""
        return [mask_symbols(logp_TV, self._masked_ids) for logp_TV in self._model.log_probs(waves)]


def letters_of(language: str) -> str:
    """Raises InputError for a language without a table here."""
    if language not in LANGUAGES:
        raise InputError(f"there is no language mask {language!r}: choose one of {', '.join(LANGUAGES)}")
    return LANGUAGES[language]
