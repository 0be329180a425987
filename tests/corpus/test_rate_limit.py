import gc
import time
import uuid

import numpy as np
import pytest
import ray

from drugasr.corpus.rate_limit import ClusterLimiter, cluster_limiter
from drugasr.errors import VoiceFailure

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture
def service() -> str:
    return uuid.uuid4().hex


@ray.remote(num_cpus=0.1)
def reserve(plan: dict[str, ClusterLimiter], service: str, times: int) -> list[float]:
    return [plan[service].reserve().wait_s for _ in range(times)]


@ray.remote(num_cpus=0.1)
def refuse(plan: dict[str, ClusterLimiter], service: str, retry_after_s: float) -> None:
    plan[service].refused(retry_after_s)


@ray.remote(num_cpus=0.1)
def claim(plan: dict[str, ClusterLimiter], service: str, key: str) -> bool:
    return plan[service].claim(key, 500.0)


def test_a_question_is_one_tasks_at_a_time(service):
    limiter = cluster_limiter(service, 1000.0)
    with limiter.alone("question", 500.0):
        assert ray.get([claim.remote({service: limiter}, service, key) for key in ("question", "other")]) == [False, True]
    assert ray.get(claim.remote({service: limiter}, service, "question"))


def test_all_tasks_draw_turns_from_one_limiter(service):
    """At one request in 1000 s, the time that the test takes does not show."""
    plan = ray.put({service: cluster_limiter(service, 0.001)})
    waits = np.sort(sum(ray.get([reserve.remote(plan, service, 3) for _ in range(4)]), []))
    assert (abs(np.diff(waits) - 1000) < 100).all()


def test_a_refusal_that_one_task_meets_holds_all_off(service):
    limiter = cluster_limiter(service, 1000.0)
    limiter.wait()
    ray.get(refuse.remote({service: limiter}, service, 500.0))
    assert 400 < limiter.reserve().wait_s <= 500
    assert 400 < ray.get(reserve.remote({service: limiter}, service, 1))[0] < 501


def test_a_service_given_up_by_one_fails_all_until_the_next_run(service):
    limiter = cluster_limiter(service, 1000.0)
    ray.get(refuse.remote({service: limiter}, service, 3600.0))
    with pytest.raises(VoiceFailure, match=f"corpus.engines.{service}.requests_per_s"):
        limiter.wait()
    cluster_limiter(service, 1000.0).wait()
    limiter.wait()


def test_the_last_run_sets_the_rate(service):
    first = cluster_limiter(service, 1000.0)
    assert first.reserve().wait_s < 100
    cluster_limiter(service, 0.001)
    first.reserve()
    assert first.reserve().wait_s > 900


def test_two_services_do_not_wait_for_each_other(service):
    one, other = cluster_limiter(service, 0.001), cluster_limiter(f"{service}2", 0.001)
    one.reserve()
    assert one.reserve().wait_s > 900
    assert other.reserve().wait_s == 0


def test_a_limiter_that_has_ended_is_revived(service):
    limiter = cluster_limiter(service, 1000.0)
    ray.kill(limiter._actor)
    limiter.wait()
    limiter.answered()


def test_it_outlives_the_handle_that_came_first(service):
    first = cluster_limiter(service, 0.001)
    second = cluster_limiter(service, 0.001)
    second.reserve()
    del first
    gc.collect()
    time.sleep(1)  # for Ray to notice
    assert second.reserve().wait_s > 900


def test_it_ends_when_nobody_asks(service):
    def is_there() -> bool:
        return any(actor["name"] == f"drugasr-limiter-{service}" for actor in ray.util.list_named_actors(all_namespaces=True))

    limiter = cluster_limiter(service, 1000.0, idle_s=2.0)
    until_s = time.monotonic() + 60
    while is_there():
        assert time.monotonic() < until_s
        time.sleep(0.1)
    limiter.wait()  # it is there again for who asks
