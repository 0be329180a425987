"""Which recogniser, as a person writes it: `[NAME=]MODEL[@LANGUAGE][+MODEL...]`. Needs no torch.

A MODEL is a model folder, its URI, a name on the Hugging Face hub, `shipped`, or `pocketsphinx`; several with `+`
between them are an ensemble; `@en` is the language mask of a multilingual one; NAME stands in tables and plots.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from drugasr.errors import InputError

POCKETSPHINX = "pocketsphinx"
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9 ._()-]*)=(.+)")
_MASKED = re.compile(r"(.+)@([a-z]{2})")


@dataclass(frozen=True, kw_only=True)
class RecogniserSpec:
    name: str
    models: tuple[str, ...]
    languages: tuple[str, ...]
    """Language mask of each model; empty for none."""

    def located(self, locate: Callable[[str], str]) -> "RecogniserSpec":
        """With every model's location as `locate` has it; the name stays."""
        return replace(self, models=tuple(map(locate, self.models)))


def spec_of(model: str) -> RecogniserSpec:
    """One model, whatever signs its location holds."""
    return RecogniserSpec(name=_short([model], [""]), models=(model,), languages=("",))


def parse_spec(text: str) -> RecogniserSpec:
    """Raises InputError for an empty model, and for `pocketsphinx` in an ensemble or with a mask."""
    named = _NAMED.fullmatch(text)
    given = named[2] if named else text
    models, languages = [], []
    for part in given.split("+"):
        masked = _MASKED.fullmatch(part)
        models.append(masked[1] if masked else part)
        languages.append(masked[2] if masked else "")
    if not all(models):
        raise InputError(f"the recogniser {text!r} lacks a model: write it as [NAME=]MODEL[@LANGUAGE][+MODEL...]")
    if POCKETSPHINX in models and (len(models) > 1 or any(languages)):
        raise InputError(f"the recogniser {text!r}: pocketsphinx has no log-probabilities, so neither ensembles nor language masks")
    return RecogniserSpec(name=named[1] if named else _short(models, languages), models=tuple(models), languages=tuple(languages))


def parse_specs(texts: Sequence[str]) -> list[RecogniserSpec]:
    """Raises InputError, too, for two of one name."""
    specs = [parse_spec(text) for text in texts]
    names = [spec.name for spec in specs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two recognisers are called {twice[0]!r}: give each a name of its own, as in `first={specs[names.index(twice[0])].models[0]}`")
    return specs


def _short(models: Sequence[str], languages: Sequence[str]) -> str:
    """The last part of each model's path."""
    return " + ".join(model.rstrip("/").rsplit("/", 1)[-1] + (f"@{language}" if language else "") for model, language in zip(models, languages, strict=True))
