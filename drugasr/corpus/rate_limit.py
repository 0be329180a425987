"""One rate limiter for a whole cluster: a named Ray actor that hands out turns."""

import threading
import time
from contextlib import AbstractContextManager
from typing import Any

import ray
from ray.exceptions import RayActorError

from drugasr.voices.pace import Pace, Turn, alone_with, wait_for_turn

_NAMESPACE = "drugasr"
_IDLE_S = 900.0  # longer than anybody is ever held off
_MAX_REVIVALS = 5
_REVIVAL_S = 0.5


def cluster_limiter(name: str, requests_per_s: float, idle_s: float = _IDLE_S) -> "ClusterLimiter":
    """The limiter of engine `name`, for the driver to make and to send to its workers.

    All jobs on a cluster share it, for the service sees one cluster. The last to start sets the rate, and has a
    service that was given up asked again. Nobody need clean up: it ends when it was not asked for `idle_s`.
    """
    limiter = ClusterLimiter(name, requests_per_s, idle_s)
    limiter.restart()
    return limiter


class ClusterLimiter:
    """The Limiter of everybody who holds a copy: it may be pickled, and sent to tasks."""

    def __init__(self, name: str, requests_per_s: float, idle_s: float) -> None:
        self._name, self._requests_per_s, self._idle_s = name, requests_per_s, idle_s
        self._actor = self._find_actor()

    def wait(self) -> None:
        wait_for_turn(self, self._name)  # the caller sleeps, not the actor

    def alone(self, key: str, for_s: float) -> AbstractContextManager[None]:
        return alone_with(self, key, for_s)

    def refused(self, retry_after_s: float) -> None:
        self._call("refused", retry_after_s)

    def answered(self) -> None:
        self._call("answered")

    def reserve(self) -> Turn:
        return self._call("reserve")

    def is_valid(self, turn: Turn) -> bool:
        return self._call("is_valid", turn)

    def claim(self, key: str, for_s: float) -> bool:
        return self._call("claim", key, for_s)

    def release(self, key: str) -> None:
        self._call("release", key)

    def restart(self) -> None:
        self._call("restart", self._requests_per_s)

    def _call(self, method: str, *arguments: Any) -> Any:
        for _ in range(_MAX_REVIVALS):
            try:
                return ray.get(getattr(self._actor, method).remote(*arguments))
            except RayActorError:  # it was idle, and has ended
                time.sleep(_REVIVAL_S)
                self._actor = self._find_actor()
        return ray.get(getattr(self._actor, method).remote(*arguments))

    def _find_actor(self) -> ray.actor.ActorHandle:
        # Detached: otherwise it would die with the handle, or the job, that happened to be the first. Restarted
        # elsewhere if its node goes, for an actor that uses no CPU does not keep an autoscaled node alive.
        actor_class = ray.remote(num_cpus=0, lifetime="detached", max_restarts=-1, max_task_retries=-1)(_SharedPace)
        options = {"name": f"drugasr-limiter-{self._name}", "namespace": _NAMESPACE, "get_if_exists": True}
        return actor_class.options(**options).remote(self._requests_per_s, self._idle_s)


class _SharedPace(Pace):
    """The actor: a Pace that ends its process once nobody has asked it for `idle_s`."""

    def __init__(self, requests_per_s: float, idle_s: float) -> None:
        super().__init__(requests_per_s)
        self._idle_s, self._used_s = idle_s, time.monotonic()
        threading.Thread(target=self._end_when_idle, daemon=True).start()

    def reserve(self) -> Turn:
        self._used_s = time.monotonic()
        return super().reserve()

    def _end_when_idle(self) -> None:
        while (rest_s := self._used_s + self._idle_s - time.monotonic()) > 0:
            time.sleep(rest_s)
        ray.kill(ray.get_runtime_context().current_actor)
