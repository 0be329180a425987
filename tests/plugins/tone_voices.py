"""Engines for tests and benchmarks, installed as a plug-in is: tones in the place of speech, and every mishap."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from drugasr.voices.pace import LocalPace


class ToneEngine:
    """Says a tone that its arguments determine. Options: texts at which it raises, is silent or dies, and its delay.

    Each process notes when it was asked, in a file of its own in the folder `asked`.
    """

    level = 0.5
    """Of full scale."""

    def __init__(self, raises_at: str = "", silent_at: str = "", dies_at: str = "", died: str = "", delay_s: float = 0.0, asked: str = ""):
        self._raises_at, self._silent_at, self._dies_at, self._delay_s = raises_at, silent_at, dies_at, delay_s
        self._asked = asked
        self._died = Path(died) if died else None  # made before it dies: the next try lives; without one, it always dies

    def version(self, voice):
        return "tone 1"

    def check(self, voice):
        pass

    def accent(self, voice):
        return "flat"

    def synthesise(self, text, *, voice, rate, pitch, seed):
        if self._asked:
            with open(f"{self._asked}/{os.getpid()}", "a") as log:
                log.write(f"{time.time()}\n")
        time.sleep(self._delay_s)
        if text == self._raises_at:
            raise RuntimeError("poisoned")
        if text == self._dies_at and not (self._died and self._died.exists()):
            if self._died:
                self._died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        hz = (200 + sum(map(ord, text)) + 37 * sum(map(ord, voice)) % 1000) * pitch
        time_s = np.arange(round(4800 / rate)) / 16_000
        level = 0.0 if text == self._silent_at else self.level
        return (level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32), 16_000


class FarawayEngine(ToneEngine):
    """A tone from a service, which takes `delay_s` to answer and may be asked `requests_per_s` times a second."""

    def __init__(self, delay_s: float = 0.5, requests_per_s: float = 1000.0, asked: str = ""):
        super().__init__(delay_s=delay_s, asked=asked)
        self.requests_per_s, self.cache_uri = requests_per_s, ""
        self.limiter = LocalPace("faraway", requests_per_s)

    def synthesise(self, text, *, voice, rate, pitch, seed):
        self.limiter.wait()
        return super().synthesise(text, voice=voice, rate=rate, pitch=pitch, seed=seed)
