"""What a text-to-speech engine must do, and the registry that finds engines by name."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np

from drugasr.errors import VoiceError

# Built in; other packages add theirs with an entry point in the group "drugasr.voices".
_BUILT_IN = {
    "espeak": "drugasr.voices.espeak:EspeakEngine",
    "pico": "drugasr.voices.pico:PicoEngine",
}


class Engine(Protocol):
    """One engine, loaded once a process; not used from two threads at once."""

    version: str
    """Changes whenever the engine's audio may; part of a clip's id."""

    def check(self, voice: str) -> None:
        """Raises VoiceError when there is no such voice; says which there are."""

    def accent(self, voice: str) -> str:
        """The accent of a voice, such as `en-gb-scotland`."""

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        """Speech [S] as float32 within ±1, and its sample rate in Hz.

        `rate` and `pitch` are relative to the voice's own (1 = normal). Equal arguments give equal audio;
        `seed` is for engines that sample. Raises VoiceFailure when this text cannot be spoken.
        """


@cache
def engine(name: str) -> Engine:
    """The engine called `name`, loaded on first use. Raises VoiceError."""
    plugins = {point.name: point for point in entry_points(group="drugasr.voices")}
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        try:
            return getattr(import_module(module), attribute)()
        except ImportError as error:
            raise VoiceError(f"the voice engine {name!r} is not installed: {error}; install drugasr again") from error
    if name in plugins:
        return plugins[name].load()()
    raise VoiceError(f"there is no voice engine {name!r}: choose from {', '.join(sorted({*_BUILT_IN, *plugins}))}")


def split_name(name: str) -> tuple[str, str]:
    """`espeak:en-us+f3` as engine and voice."""
    engine_name, _, voice = name.partition(":")
    return engine_name, voice


def check_voices(names: list[str]) -> None:
    """Raises one VoiceError that lists every unknown voice and every engine that is not installed."""
    problems = []
    for name in names:
        engine_name, voice = split_name(name)
        try:
            engine(engine_name).check(voice)
        except VoiceError as error:
            problems.append(f"  {name}: {error}")
    if problems:
        raise VoiceError("these voices cannot be used:\n" + "\n".join(problems))
