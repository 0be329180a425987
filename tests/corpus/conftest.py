"""A lexicon, small corpus settings and an engine made of tones, for the tests of the corpus."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from drugasr.config import CorpusConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.errors import VoiceFailure
from drugasr.lexicon.drug import Drug, Lexicon

VERSIONS = {f"tone:{letter}": "tone 1" for letter in "abcdez"}


class ToneEngine:
    """Says a tone that its arguments determine; `answers` and `poisoned` put other things into its mouth."""

    def __init__(self):
        self.said: list[str] = []
        self.poisoned: set[str] = set()
        self.answers: dict[str, tuple[np.ndarray, int]] = {}
        self.level = 0.5

    def version(self, voice):
        return "tone 1"

    def check(self, voice):
        pass

    def accent(self, voice):
        return "flat"

    def synthesise(self, text, *, voice, rate, pitch, seed):
        self.said.append(text)
        if text in self.poisoned:
            raise VoiceFailure(f"cannot say {text}")
        if text in self.answers:
            return self.answers[text]
        hz = (200 + sum(map(ord, text)) + 37 * sum(map(ord, voice)) % 1000) * pitch
        time_s = np.arange(round(4800 / rate)) / 16_000
        return (self.level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32), 16_000


@pytest.fixture
def tones() -> ToneEngine:
    return ToneEngine()


@pytest.fixture
def maker(tones) -> ClipMaker:
    """Speaks with the engine `tone`."""
    return ClipMaker({"tone": tones})


@pytest.fixture
def versions() -> dict[str, str]:
    return dict(VERSIONS)


@pytest.fixture
def make_lexicon() -> Callable[..., Lexicon]:
    def make(*names: str) -> Lexicon:
        return Lexicon("test", tuple(Drug(id=f"id-{name}", name=name.title(), spoken=name) for name in names))

    return make


@pytest.fixture
def corpus_config() -> CorpusConfig:
    return CorpusConfig(
        train_voices=("tone:a", "tone:b"),
        validation_voices=("tone:c",),
        test_voices=("tone:d", "tone:e"),
        augmentation="none",
        unseen_fraction=0.0,
    )


@pytest.fixture
def with_settings(corpus_config) -> Callable[..., CorpusConfig]:
    return lambda **changes: dataclasses.replace(corpus_config, **changes)
