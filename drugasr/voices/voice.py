"""What a text-to-speech engine must do, and the registry that finds engines by name."""

import inspect
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np

from drugasr.errors import VoiceError

# Built in; other packages add theirs with an entry point in the group "drugasr.voices".
_BUILT_IN = {
    "espeak": "drugasr.voices.espeak:EspeakEngine",
    "pico": "drugasr.voices.pico:PicoEngine",
    "piper": "drugasr.voices.piper:PiperEngine",
    "kokoro": "drugasr.voices.kokoro:KokoroEngine",
    "flite": "drugasr.voices.flite:FliteEngine",
    "hibari": "drugasr.voices.hibari:HibariEngine",
    "google": "drugasr.voices.google:GoogleEngine",
}
_EXTRAS = {"piper", "kokoro", "hibari"}  # engines that an extra of the same name installs

Options = Mapping[str, str | int | float | bool]


class Engine(Protocol):
    """One engine, loaded once a process; not used from two threads at once.

    Its class takes its options (`corpus.engines.NAME` in the settings) as keyword arguments.
    """

    def version(self, voice: str) -> str:
        """Changes whenever the voice's audio may; part of a clip's id."""

    def check(self, voice: str) -> None:
        """Raises VoiceError when there is no such voice; says which there are."""

    def accent(self, voice: str) -> str:
        """The accent of a voice, such as `en-gb-scotland`."""

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        """Speech [S] as float32 within ±1, and its sample rate in Hz.

        `rate` and `pitch` are relative to the voice's own (1 = normal). Equal arguments give equal audio;
        `seed` is for engines that sample. Raises VoiceFailure when this text cannot be spoken.
        """


class Limiter(Protocol):
    """Says when a service may be asked again; one for a whole cluster."""

    def wait(self) -> None:
        """Returns when it is the caller's turn. Raises VoiceFailure once the service has been given up."""

    def alone(self, key: str, for_s: float) -> AbstractContextManager[None]:
        """A context that one worker at a time is in for `key`; void after `for_s`, for its owner may have died."""

    def refused(self, retry_after_s: float) -> None:
        """The service refused (HTTP 429), or was out of reach for all tries of a text: nobody asks for at least that long."""

    def answered(self) -> None:
        """The service answered a request."""


@runtime_checkable
class RemoteEngine(Engine, Protocol):
    """An engine that waits for a service rather than computes: many of its tasks share a core, and one limiter."""

    requests_per_s: float
    """The most that all workers together may ask."""
    limiter: Limiter
    """One of its own for this process, until the corpus stage puts the cluster's in its place."""
    cache_uri: str
    """Folder where answers are kept, so that nothing is asked twice; while empty, the corpus stage chooses one."""


def engine(name: str, options: Options | None = None) -> Engine:
    """The engine called `name` with its options, loaded on first use. Raises VoiceError."""
    return _load(name, json.dumps(dict(options or {}), sort_keys=True))


@cache
def _load(name: str, options: str) -> Engine:
    factory = _factory(name)
    try:
        arguments = inspect.signature(factory).bind(**json.loads(options))
    except TypeError as error:
        known = ", ".join(inspect.signature(factory).parameters) or "none"
        raise VoiceError(f"the options of the engine {name!r} are wrong: {error}; it knows: {known}") from error
    return factory(*arguments.args, **arguments.kwargs)


def _factory(name: str) -> Any:
    plugins = {point.name: point for point in entry_points(group="drugasr.voices")}
    if name not in _BUILT_IN and name not in plugins:
        raise VoiceError(f"there is no voice engine {name!r}: choose from {', '.join(sorted({*_BUILT_IN, *plugins}))}")
    try:
        if name in plugins:
            return plugins[name].load()
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)
    except ImportError as error:
        what_to_do = f"pip install 'drugasr[{name}]'" if name in _EXTRAS else "install drugasr, or the package that brings it, again"
        raise VoiceError(f"the voice engine {name!r} is not installed ({error}): {what_to_do}") from error


def split_name(name: str) -> tuple[str, str]:
    """`espeak:en-us+f3` as engine and voice."""
    engine_name, _, voice = name.partition(":")
    return engine_name, voice


def check_voices(names: list[str], options: Mapping[str, Options]) -> None:
    """Raises one VoiceError that lists every unknown voice and every engine that is not installed."""
    problems = []
    for name in names:
        engine_name, voice = split_name(name)
        try:
            engine(engine_name, options.get(engine_name)).check(voice)
        except VoiceError as error:
            problems.append(f"  {name}: {error}")
    if problems:
        raise VoiceError("these voices cannot be used:\n" + "\n".join(problems))
