import heapq
import math
import random
import threading

import numpy as np
import pytest

from drugasr.errors import VoiceFailure
from drugasr.voices.pace import LocalPace, Pace, Turn, alone_with, wait_for_turn


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now_s = 1000.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, nap_s: float) -> None:
        self.naps.append(nap_s)
        self.now_s += nap_s


def asked_at(requests_per_s: float, *, num_workers: int, latency_s: float, service_s: float, until_s: float) -> np.ndarray:
    """When the workers ask, each as soon as it may; what they hear of their turn and of the answer takes random times."""
    clock, draws, asked = Clock(), random.Random(0), []
    clock.now_s = 0.0
    pace = Pace(requests_per_s, clock)
    waiting = [(draws.uniform(0, 0.1), worker) for worker in range(num_workers)]
    while waiting[0][0] < until_s:
        clock.now_s, worker = heapq.heappop(waiting)
        ask_s = clock.now_s + pace.reserve().wait_s + draws.uniform(0, latency_s)
        asked.append(ask_s)
        heapq.heappush(waiting, (ask_s + draws.uniform(0.5, 1.5) * service_s, worker))
    return np.sort([ask_s for ask_s in asked if ask_s < until_s])


@pytest.mark.parametrize("latency_s", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("requests_per_s", [0.5, 1.0, 7.3, 40.0])
def test_16_busy_workers_keep_the_rate_within_5_percent(requests_per_s, latency_s):
    until_s = 2000 / requests_per_s
    times = asked_at(requests_per_s, num_workers=16, latency_s=latency_s, service_s=0.15, until_s=until_s)
    assert 0.95 * requests_per_s <= len(times) / until_s <= 1.0005 * requests_per_s
    # Nobody asks before its turn: of any stretch of time, no more than its turns and the late ones from before it.
    for window_s in (1.0, 10.0):
        in_window = np.searchsorted(times, times + window_s) - np.arange(len(times))
        assert in_window.max() <= requests_per_s * (window_s + latency_s) + 1


def test_idle_time_is_not_saved_up_for_a_burst():
    clock = Clock()
    pace = Pace(2.0, clock)
    assert [pace.reserve().wait_s for _ in range(3)] == [0.0, 0.5, 1.0]
    clock.now_s += 100
    assert [pace.reserve().wait_s for _ in range(3)] == [0.0, 0.5, 1.0]


def test_turns_are_handed_out_once_to_many_threads():
    clock, turns = Clock(), []
    pace = Pace(10.0, clock)
    threads = [threading.Thread(target=lambda: turns.extend([pace.reserve().wait_s for _ in range(500)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.allclose(sorted(turns), np.arange(4000) / 10)


def test_a_refusal_holds_everybody_off_and_voids_their_turns():
    clock = Clock()
    pace = Pace(10.0, clock)
    booked = [pace.reserve() for _ in range(100)]
    assert all(pace.is_valid(turn) for turn in booked)
    pace.refused(5.0)
    assert not any(pace.is_valid(turn) for turn in booked)
    assert [pace.reserve().wait_s for _ in range(3)] == pytest.approx([5.0, 5.1, 5.2])


def test_refusals_on_their_way_are_one_and_the_longest_rest_counts():
    clock = Clock()
    pace = Pace(10.0, clock)
    for _ in range(50):
        pace.refused(0.0)
        clock.now_s += 0.01
    assert pace.reserve().wait_s == pytest.approx(2.0 - 0.5)
    pace.refused(30.0)
    assert pace.reserve().wait_s == pytest.approx(30.0)
    pace.refused(1.0)
    assert pace.reserve().wait_s == pytest.approx(30.1)


def refuse_when_free(pace: Pace, clock: Clock, times: int) -> list[float]:
    """How long the callers are held off, each time that one asks and is refused."""
    holds = []
    for _ in range(times):
        pace.refused(0.0)
        holds.append(pace.reserve().wait_s)
        if math.isfinite(holds[-1]):
            clock.now_s += holds[-1]
    return holds


def test_holds_double_and_then_the_service_is_given_up_for_good():
    clock = Clock()
    pace = Pace(10.0, clock)
    assert refuse_when_free(pace, clock, 8) == pytest.approx([2, 4, 8, 16, 32, 60, 60, math.inf])
    clock.now_s += 1e6
    pace.answered()
    assert pace.reserve().wait_s == math.inf


def test_an_answer_between_starts_the_count_again():
    clock = Clock()
    pace = Pace(10.0, clock)
    for _ in range(5):
        assert refuse_when_free(pace, clock, 7) == pytest.approx([2, 4, 8, 16, 32, 60, 60])
        pace.answered()


def test_a_service_that_wants_an_hour_is_given_up_at_once():
    pace = Pace(10.0, Clock())
    booked = pace.reserve()
    pace.refused(3600.0)
    assert not pace.is_valid(booked)
    assert pace.reserve().wait_s == math.inf


def test_a_new_run_brings_its_rate_and_asks_again():
    clock = Clock()
    pace = Pace(0.001, clock)
    booked = [pace.reserve() for _ in range(50)]
    pace.refused(3600.0)
    pace.restart(4.0)
    assert not any(pace.is_valid(turn) for turn in booked)
    assert [pace.reserve().wait_s for _ in range(3)] == [0.25, 0.5, 0.75]


def test_waiting_sleeps_until_the_turn():
    clock = Clock()
    limiter = LocalPace("google", 4.0, clock_s=clock, sleep=clock.sleep)
    for _ in range(4):
        limiter.wait()
    assert clock.naps == [0.25] * 3
    limiter.refused(7.0)
    limiter.wait()
    assert clock.naps[3:] == [7.0]
    limiter.answered()
    clock.now_s += 1
    limiter.wait()
    assert len(clock.naps) == 4


def test_who_was_asleep_during_a_refusal_waits_again():
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.reserve()

    def refused_meanwhile(nap_s: float) -> None:
        clock.sleep(nap_s)
        if len(clock.naps) == 1:
            pace.refused(20.0)

    wait_for_turn(pace, "google", refused_meanwhile)
    assert clock.naps == [1.0, 20.0]


def test_waiting_for_a_service_that_was_given_up_fails_at_once_and_says_what_to_do():
    clock = Clock()
    limiter = LocalPace("google", 4.0, clock_s=clock, sleep=clock.sleep)
    limiter.refused(3600.0)
    with pytest.raises(VoiceFailure, match="wait an hour, lower corpus.engines.google.requests_per_s and run the job again") as caught:
        limiter.wait()
    assert (caught.value.tries, clock.naps) == (0, [])


def test_who_was_asleep_when_the_service_was_given_up_fails_too():
    clock = Clock()

    class GivenUpMeanwhile:
        turns = [Turn(3.0, 1), Turn(math.inf, 2)]

        def reserve(self):
            return self.turns.pop(0)

        def is_valid(self, turn):
            return False

    with pytest.raises(VoiceFailure):
        wait_for_turn(GivenUpMeanwhile(), "google", clock.sleep)
    assert clock.naps == [3.0]


def test_one_at_a_time_is_alone_with_a_key():
    clock = Clock()
    pace = Pace(1.0, clock)
    assert [pace.claim(key, 5.0) for key in ("a", "b", "a")] == [True, True, False]
    pace.release("a")
    assert pace.claim("a", 5.0)
    clock.now_s += 5
    assert pace.claim("a", 5.0)  # its owner is taken for dead
    pace.restart(1.0)
    assert pace.claim("a", 5.0)


def test_who_is_not_alone_waits_and_a_failure_lets_the_next_in():
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.claim("a", 1.0)
    with pytest.raises(KeyError), alone_with(pace, "a", 9.0, clock.sleep):
        assert sum(clock.naps) == 1.0
        assert not pace.claim("a", 1.0)
        raise KeyError
    assert pace.claim("a", 1.0)
