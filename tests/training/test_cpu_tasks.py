import itertools
import os
import time

import pytest
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from drugasr.errors import AudioError
from drugasr.training.cpu_tasks import map_on_cpus

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture
def where():
    """The job, and the process that did it; the first jobs take longest. A closure: Ray's workers do not know this file."""

    def where(job):
        time.sleep(0.3 / (job + 1))
        return job, os.getpid()

    return where


def test_the_results_come_in_order_from_other_processes(where):
    results = list(map_on_cpus(where, range(12), num_cpus=0.5))
    assert [job for job, _ in results] == list(range(12))
    assert os.getpid() not in {process for _, process in results}
    assert list(map_on_cpus(lambda job: job, [], num_cpus=0.5)) == []


def test_it_works_ahead_but_not_too_far():
    asked = itertools.count()
    jobs = (next(asked) for _ in range(100))
    results = map_on_cpus(lambda job: 2 * job, jobs, num_cpus=0.5, num_ahead=4)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert 3 <= next(asked) <= 3 + 4


def test_without_a_free_cpu_the_work_is_done_here(where, capsys):
    """All logical CPUs are held for longer than the test runs, as by trials that leave none: no hanging."""

    @ray.remote(num_cpus=4)
    class Holder:
        def holds(self):
            return True

    holder = Holder.remote()
    assert ray.get(holder.holds.remote())
    start_s = time.monotonic()
    results = list(map_on_cpus(where, range(10, 20), num_cpus=0.5, patience_s=1.0))
    assert time.monotonic() - start_s < 5  # it does not wait again for every job
    assert results == [(job, os.getpid()) for job in range(10, 20)]
    assert capsys.readouterr().err.count("no CPU task was done within 1 s") == 1
    ray.kill(holder)


def test_the_tasks_leave_the_placement_group_of_their_training():
    """Inside a trial of Ray Tune, they would wait for CPUs that the training itself holds."""

    def group_of(job):
        return ray.util.get_current_placement_group()

    @ray.remote(num_cpus=1)
    def train():
        return group_of(0), list(map_on_cpus(group_of, range(3), num_cpus=0.5))

    group = ray.util.placement_group([{"CPU": 2}])
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    mine, of_tasks = ray.get(train.options(scheduling_strategy=strategy).remote())
    assert mine == group
    assert of_tasks == [None] * 3
    ray.util.remove_placement_group(group)


def test_an_error_of_ours_comes_back_as_itself():
    def fail(job):
        raise AudioError("the clip is empty")

    with pytest.raises(AudioError, match="the clip is empty"):
        list(map_on_cpus(fail, [1], num_cpus=0.5))
