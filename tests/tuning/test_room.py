import dataclasses

import pytest

from drugasr.errors import CapacityError
from drugasr.tuning import room
from drugasr.tuning.room import find_room


@pytest.fixture
def on_nodes(monkeypatch):
    """Makes a cluster of nodes (CPUs, GPUs, cores)."""

    def make(*nodes):
        there = [({"CPU": float(cpus)} | ({"GPU": float(gpus)} if gpus else {}), cores) for cpus, gpus, cores in nodes]
        total = {name: sum(node.get(name, 0.0) for node, _ in there) for name in ("CPU", "GPU")}
        monkeypatch.setattr(room, "_nodes", lambda: [node for node in there if node[0]["CPU"]])
        monkeypatch.setattr("drugasr.cluster.ray.cluster_resources", lambda: total)
        monkeypatch.setattr("drugasr.cluster.ray_state.get_max_resources_from_cluster_config", lambda: None)
        monkeypatch.setattr("drugasr.cluster.ray.nodes", lambda: [{"Alive": True, "Resources": node} for node, _ in there])

    return make


@pytest.fixture
def trials_of(tiny):
    def make(max_concurrent=0, augmentation="none", **cluster):
        return dataclasses.replace(
            tiny,
            tuning=dataclasses.replace(tiny.tuning, max_concurrent=max_concurrent),
            training=dataclasses.replace(tiny.training, augmentation=augmentation),
            cluster=dataclasses.replace(tiny.cluster, num_workers=1, **{"cpus_per_worker": 0.9, "cpus_per_task": 1.0, "gpus_per_worker": 0.0} | cluster),
        )

    return make


@pytest.mark.parametrize(
    ("nodes", "settings", "num_trials", "cpus"),
    [
        # A laptop: Ray was told of four CPUs, there are two cores. A trial holds one.
        (((4, 0, 2),), {}, 2, 2.0),
        (((4, 0, 2),), {"max_concurrent": 1}, 1, 2.0),
        # With what augments for it: that holds the rest of the core.
        (((4, 0, 2),), {"augmentation": "speaker"}, 2, 1.0),
        (((4, 0, 2),), {"cpus_per_worker": 3.0}, 1, 3.0),
        (((8, 0, 8),), {}, 8, 1.0),
        (((2, 0, 64),), {}, 2, 0.9),  # a share of a machine
        # Three nodes, one trial on each, though six CPUs would be enough for four.
        (((2, 0, 2),) * 3, {"cpus_per_worker": 1.5}, 3, 1.5),
        (((2, 0, 2),) * 3, {"cpus_per_worker": 1.5, "max_concurrent": 2}, 2, 1.5),
        (((0, 0, 4), (4, 0, 4), (2, 0, 2)), {}, 6, 1.0),  # the head takes part in nothing
        # A share of a GPU: the cores do not count.
        (((8, 2, 4),), {"gpus_per_worker": 0.25}, 8, 0.9),
        (((8, 0, 8), (8, 1, 8)), {"gpus_per_worker": 1.0}, 1, 0.9),
        # Three data-parallel workers a trial; on these nodes are places for seven workers.
        (((4, 0, 4), (3, 0, 4)), {"num_workers": 3}, 2, 0.01),
        (((3, 0, 4),) * 2, {"num_workers": 2, "cpus_per_worker": 1.5}, 1, 0.01),  # the second one's driver has no room
        (((16, 4, 16),) * 2, {"num_workers": 3, "gpus_per_worker": 1.0}, 2, 0.01),
    ],
)
def test_as_many_trials_as_the_nodes_hold(on_nodes, trials_of, nodes, settings, num_trials, cpus):
    on_nodes(*nodes)
    settings = dict(settings)
    num_workers = settings.pop("num_workers", 1)
    config = trials_of(**settings)
    found = find_room(dataclasses.replace(config, cluster=dataclasses.replace(config.cluster, num_workers=num_workers)))
    assert (found.num_trials, found.trial["cpu"]) == (num_trials, pytest.approx(cpus))
    assert found.trial.get("gpu", 0.0) == (settings.get("gpus_per_worker", 0.0) if num_workers == 1 else 0.0)


def test_a_trial_that_no_single_node_holds_is_refused(on_nodes, trials_of):
    on_nodes((2, 0, 2), (2, 0, 2))
    with pytest.raises(CapacityError, match="one trial of the search needs 3 CPU on one node, and the largest has 2 CPU"):
        find_room(trials_of(cpus_per_worker=3.0))


def test_where_nodes_will_come_their_cpus_count(on_nodes, trials_of, monkeypatch):
    on_nodes((0, 0, 4))
    monkeypatch.setattr("drugasr.cluster.ray_state.get_max_resources_from_cluster_config", lambda: {"CPU": 32.0})
    assert find_room(trials_of(cpus_per_worker=4.0)).num_trials == 8


def test_the_nodes_are_asked_for_their_cores(local_ray, trials_of):
    import os

    found = find_room(trials_of())
    cores = len(os.sched_getaffinity(0))
    assert found.trial["cpu"] == pytest.approx(max(0.9, 4 / cores))
