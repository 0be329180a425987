"""A recogniser of any family from its folder, its URI or the Hugging Face hub."""

import importlib.metadata
import os
from typing import Any

from drugasr import storage
from drugasr.acoustic.facts import FACTS_FILE, read_facts
from drugasr.acoustic.folder import base_version, model_config, opened
from drugasr.acoustic.shipped import located
from drugasr.acoustic.weights import FAMILIES
from drugasr.errors import ModelError
from drugasr.evaluation.recognisers.closed_grammar import SETUP, ClosedGrammarRecogniser
from drugasr.evaluation.recognisers.ctc import CtcRecogniser
from drugasr.evaluation.recognisers.language_mask import LanguageMasked, letters_of
from drugasr.evaluation.recognisers.recogniser import SpeechRecogniser
from drugasr.evaluation.recognisers.spec import POCKETSPHINX, RecogniserSpec
from drugasr.evaluation.recognisers.speech2text import Speech2TextRecogniser
from drugasr.evaluation.recognisers.sphinx import check_installed
from drugasr.evaluation.recognisers.whisper import WhisperRecogniser
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from drugasr.recognition import Member

_ENCODER_DECODERS = {"speech_to_text": Speech2TextRecogniser, "whisper": WhisperRecogniser}
# Raise it when the code changes what a recogniser hears.
_VERSION = 1


def load(spec: RecogniserSpec, lexicon: Lexicon) -> SpeechRecogniser:
    """Raises ModelError; without the hub it names the model and the two ways to get it."""
    if spec.models == (POCKETSPHINX,):
        return ClosedGrammarRecogniser(lexicon)
    kind = check(spec)
    if kind in FAMILIES:
        return CtcRecogniser([_member(*given) for given in zip(spec.models, spec.languages, strict=True)], lexicon)
    with opened(spec.models[0]) as folder:
        return _ENCODER_DECODERS[kind](folder)


def check(spec: RecogniserSpec) -> str:
    """The family of a recogniser that can be used, as transformers calls it, in seconds. Raises ModelError or InputError."""
    if spec.models == (POCKETSPHINX,):
        check_installed()
        return POCKETSPHINX
    kinds = [model_config(model).model_type for model in spec.models]
    for model, kind, language in zip(spec.models, kinds, spec.languages, strict=True):
        if kind not in (*FAMILIES, *_ENCODER_DECODERS):
            raise ModelError(f"{model} is of the kind {kind!r}; here are {', '.join((*FAMILIES, *_ENCODER_DECODERS))}: choose a model of these")
        if kind not in FAMILIES and (len(kinds) > 1 or language):
            raise ModelError(f"{model} ({kind}) gives no log-probabilities a frame: ensembles and language masks are of CTC models alone")
        if language:
            letters_of(language)
    return kinds[0]


def version_of(spec: RecogniserSpec) -> str:
    """What tells one content of a recogniser from another, so that a model trained anew is measured anew."""
    if spec.models == (POCKETSPHINX,):
        return fingerprint(_VERSION, POCKETSPHINX, importlib.metadata.version(POCKETSPHINX), SETUP.name)
    return fingerprint(_VERSION, [(model, language, _content(model)) for model, language in zip(spec.models, spec.languages, strict=True)])


def _member(model: str, language: str) -> Member:
    member = Member.from_dir(model)
    return Member(model=LanguageMasked(member.model, language), calibration=member.calibration) if language else member


def _content(model: str) -> list[Any]:
    """The facts of a folder of ours, else names, sizes and times of its files; nothing is known of a model on the hub."""
    folder = located(model)
    is_ours = ("://" in folder or os.path.isdir(folder)) and storage.exists(storage.join(folder, FACTS_FILE))
    return [read_facts(model) if is_ours else None, None if is_ours and folder == model else base_version(model)]
