"""CPU time of this process and of all that descend from it: what work costs, however loaded the machine is."""

import threading
from contextlib import suppress
from typing import Self

import psutil

_INTERVAL_S = 1.0


class CpuClock:
    """Looks every second, for a process that has ended tells nothing; so it misses up to the last second of each."""

    def __init__(self) -> None:
        self._seconds: dict[psutil.Process, float] = {}
        self._before: dict[psutil.Process, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._before = dict(self._seconds)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._look()

    @property
    def seconds(self) -> float:
        """Used between entering and leaving, user and system."""
        return sum(seconds - self._before.get(process, 0.0) for process, seconds in self._seconds.items())

    def _watch(self) -> None:
        while not self._ending.wait(_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        us = psutil.Process()
        for process in (us, *us.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._seconds[process] = times.user + times.system
