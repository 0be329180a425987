"""How fast a service may be asked, and when to leave it alone."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from drugasr.errors import VoiceFailure

_FIRST_HOLD_S = 2.0
_LONGEST_HOLD_S = 60.0
_MAX_REFUSALS = 8  # the holds between so many add up to three minutes
_POLL_S = 0.25
_BAN_S = 600.0  # a service that wants more rest than this is not waited for


@dataclass(frozen=True)
class Turn:
    wait_s: float
    """Until the caller may ask; infinite once the service has been given up."""
    era: int
    """A refusal begins a new one, and voids the turns of those before."""


class Pace:
    """Hands out turns `1 / requests_per_s` apart. Sleeps nowhere, so that one may serve a whole cluster; thread safe.

    Turns are booked ahead: a caller that hears of its turn late, or oversleeps, delays itself alone. A turn that
    nobody asked for is gone, so that there is never a burst. A refusal holds everybody off, twice as long each
    time; after 8 in a row with no answer between, the service is given up.
    """

    def __init__(self, requests_per_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._era, self._next_s = 0, -math.inf
        self.restart(requests_per_s)

    def restart(self, requests_per_s: float) -> None:
        """A new run: its rate replaces that of the run before, and a service that was given up gets another chance."""
        with self._lock:
            self._interval_s = 1 / requests_per_s
            self._next_s = min(self._next_s, self._clock_s() + self._interval_s)
            self._era += 1
            self._held_until_s, self._num_refusals, self._given_up = -math.inf, 0, False
            self._claims: dict[str, float] = {}  # key -> until when

    def reserve(self) -> Turn:
        with self._lock:
            if self._given_up:
                return Turn(math.inf, self._era)
            now_s = self._clock_s()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._interval_s
            return Turn(turn_s - now_s, self._era)

    def is_valid(self, turn: Turn) -> bool:
        """Whether nothing was refused since `turn` was reserved; if something was, another must be reserved."""
        with self._lock:
            return turn.era == self._era

    def refused(self, retry_after_s: float) -> None:
        with self._lock:
            now_s, hold_s = self._clock_s(), retry_after_s
            if now_s >= self._held_until_s:  # else it was asked before the hold began: part of the same refusal
                self._num_refusals += 1
                hold_s = max(retry_after_s, min(_LONGEST_HOLD_S, _FIRST_HOLD_S * 2 ** (self._num_refusals - 1)))
            if now_s + hold_s > self._held_until_s:
                self._held_until_s = self._next_s = now_s + hold_s
                self._era += 1
            self._given_up = self._given_up or self._num_refusals >= _MAX_REFUSALS or retry_after_s > _BAN_S

    def answered(self) -> None:
        with self._lock:
            self._num_refusals = 0

    def claim(self, key: str, for_s: float) -> bool:
        """Whether nobody else has claimed `key`, which is then the caller's until it is released, or for so long."""
        with self._lock:
            now_s = self._clock_s()
            if now_s < self._claims.get(key, -math.inf):
                return False
            self._claims[key] = now_s + for_s
            return True

    def release(self, key: str) -> None:
        with self._lock:
            self._claims.pop(key, None)


class Turns(Protocol):
    """The parts of a Pace that waiting needs; elsewhere in the cluster, a stand-in for one."""

    def reserve(self) -> Turn: ...

    def is_valid(self, turn: Turn) -> bool: ...

    def claim(self, key: str, for_s: float) -> bool: ...

    def release(self, key: str) -> None: ...


def wait_for_turn(turns: Turns, service: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleeps until it is the caller's turn to ask `service`. Raises VoiceFailure once that has been given up."""
    while True:
        turn = turns.reserve()
        if math.isinf(turn.wait_s):
            raise VoiceFailure(
                f"the voice service {service!r} refused again and again, and is asked no more in this run: wait an hour, "
                f"lower corpus.engines.{service}.requests_per_s and run the job again; what it answered is kept",
                tries=0,
            )
        if turn.wait_s <= 0:
            return
        sleep(turn.wait_s)
        if turns.is_valid(turn):
            return


@contextmanager
def alone_with(turns: Turns, key: str, for_s: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Sleeps until nobody else is within such a context for `key`; one whose owner died is void after its `for_s`."""
    while not turns.claim(key, for_s):
        sleep(_POLL_S)
    try:
        yield
    finally:
        turns.release(key)


class LocalPace:
    """The Limiter of a single process."""

    def __init__(
        self,
        service: str,
        requests_per_s: float,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service, self._sleep = service, sleep
        self._pace = Pace(requests_per_s, clock_s)

    def wait(self) -> None:
        wait_for_turn(self._pace, self._service, self._sleep)

    def alone(self, key: str, for_s: float) -> AbstractContextManager[None]:
        return alone_with(self._pace, key, for_s, self._sleep)

    def refused(self, retry_after_s: float) -> None:
        self._pace.refused(retry_after_s)

    def answered(self) -> None:
        self._pace.answered()
