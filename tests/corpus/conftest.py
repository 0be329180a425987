"""A lexicon, small corpus settings and an engine made of tones, for the tests of the corpus."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from recording_folder import Folder, RecordedCorpus
from tone_voices import ToneEngine

from drugasr.config import CorpusConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.errors import VoiceFailure
from drugasr.lexicon.drug import Drug, Lexicon

VERSIONS = {f"tone:{letter}": "tone 1" for letter in "abcdez"}


class PromptedEngine(ToneEngine):
    """Remembers what it said; `answers` and `poisoned` put other things into its mouth."""

    def __init__(self):
        super().__init__()
        self.said: list[str] = []
        self.poisoned: set[str] = set()
        self.answers: dict[str, tuple[np.ndarray, int]] = {}

    def synthesise(self, text, *, voice, rate, pitch, seed):
        self.said.append(text)
        if text in self.poisoned:
            raise VoiceFailure(f"cannot say {text}")
        if text in self.answers:
            return self.answers[text]
        return super().synthesise(text, voice=voice, rate=rate, pitch=pitch, seed=seed)


@pytest.fixture
def tones() -> PromptedEngine:
    return PromptedEngine()


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
        num_outsiders=0,
    )


@pytest.fixture
def with_settings(corpus_config) -> Callable[..., CorpusConfig]:
    return lambda **changes: dataclasses.replace(corpus_config, **changes)


@pytest.fixture
def folder(tmp_path) -> Folder:
    """An empty folder for recordings."""
    return Folder(tmp_path / "in")


@pytest.fixture
def recorded(tmp_path) -> RecordedCorpus:
    """A corpus for recordings."""
    return RecordedCorpus(str(tmp_path / "out"))
