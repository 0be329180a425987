"""Progress that a person can follow: one line on stderr every few seconds, with rate and time left."""

import sys
import time


def say(message: str) -> None:
    """One line for the person who watches; stdout is kept for the job's JSON."""
    # Not print(): Ray Train patches it, and would show the line twice.
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


class Progress:
    """Counts towards `total`; prints at most every `interval_s`, and once at the end."""

    def __init__(self, what: str, total: int, *, unit: str = "clips", interval_s: float = 2.0) -> None:
        self._what, self._total, self._unit, self._interval_s = what, total, unit, interval_s
        self._done = 0
        self._start_s = self._printed_s = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now_s = time.monotonic()
        if self._done >= self._total or now_s - self._printed_s >= self._interval_s:
            self._printed_s = now_s
            rate = self._done / max(now_s - self._start_s, 1e-9)
            left_s = (self._total - self._done) / max(rate, 1e-9)
            share = self._done / max(self._total, 1)
            say(f"{self._what}: {self._done:,}/{self._total:,} {self._unit} ({share:.0%}), {rate:,.0f}/s, {left_s:,.0f} s left")
