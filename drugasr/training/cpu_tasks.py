"""Work for a training that Ray's CPU workers do ahead of it, in the order in which it is needed.

Plain tasks rather than Ray Data: the plan of the steps already says which clips come when, so there is nothing to
shuffle, batch or split; a dataset would start anew in each rank and epoch, in a streaming executor of its own that
takes the whole cluster for its own, and would hang where logical CPUs are short.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import ray

from drugasr.progress import say

_NUM_AHEAD = 16
_PATIENCE_S = 10.0  # a new worker process has mostly started by then

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_on_cpus(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, num_cpus: float, num_ahead: int = _NUM_AHEAD, patience_s: float = _PATIENCE_S
) -> Iterator[Result]:
    """Like `map`, with up to `num_ahead` jobs under way as tasks of `num_cpus` logical CPUs, anywhere in the cluster.

    A job whose task has no result after `patience_s`, as when other work holds every CPU, is done here instead.
    """
    # Out of the placement group of the trial or training that calls, whose CPUs are all taken.
    task = ray.remote(function).options(num_cpus=num_cpus, scheduling_strategy="DEFAULT")
    jobs, under_way, wait_s = iter(jobs), deque(), patience_s
    while True:
        while len(under_way) < num_ahead and (job := next(jobs, None)) is not None:
            under_way.append((job, task.remote(job)))
        if not under_way:
            return
        job, answer = under_way.popleft()
        if ray.wait([answer], timeout=wait_s)[0]:
            wait_s = patience_s
            yield ray.get(answer)
        else:
            if wait_s:
                say(f"training: no CPU task was done within {patience_s:g} s; the training worker does their work until one is")
            wait_s = 0.0
            ray.cancel(answer)
            yield function(job)
