"""How much of the cluster a trial holds, and how many trials it has room for."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from drugasr.cluster import check_capacity, check_unit, cpus_of_training, total_resources
from drugasr.config import Config
from drugasr.tuning.trainable import is_alone, resources_of


@dataclass(frozen=True, kw_only=True)
class Room:
    trial: dict[str, float]
    """What Tune sets aside for a trial."""
    num_trials: int
    """Trials at the same time: what there is room for, at most `tuning.max_concurrent`."""


def find_room(config: Config) -> Room:
    """For trials that train with `config`. Raises CapacityError, with the arithmetic, when not even one fits."""
    cluster, trial = config.cluster, resources_of(config)
    num_workers, gpus = cluster.num_workers, cluster.gpus_per_worker
    worker = {"CPU": cluster.cpus_per_worker} | ({"GPU": gpus} if gpus else {})
    whole = {"CPU": cpus_of_training(config) + (0.0 if is_alone(config) else trial["cpu"])} | ({"GPU": num_workers * gpus} if gpus else {})
    check_capacity("one trial of the search", whole)
    check_unit("one trial of the search" if is_alone(config) else "one worker of a trial", worker)
    nodes = [(node, cores) for node, cores in _nodes() if node["CPU"] >= worker["CPU"]]
    if is_alone(config) and not gpus and nodes:
        # It computes all the time, so it holds a core, with what augments for it: a laptop's Ray has more CPUs than cores.
        cpus_per_core = min(node["CPU"] / cores for node, cores in nodes)
        spare = max(0.0, cpus_per_core - whole["CPU"])
        trial["cpu"], worker["CPU"], whole["CPU"] = (cpus + spare for cpus in (trial["cpu"], worker["CPU"], whole["CPU"]))
    total, present = total_resources(), ray.cluster_resources()
    num_fitting = _times(whole, total)
    if all(total[name] <= present.get(name, 0.0) for name in worker):  # else nodes will come, nobody knows which
        num_fitting = min(num_fitting, sum(_times(worker, node) for node, _ in nodes) // num_workers)
    return Room(trial=trial, num_trials=max(1, min(num_fitting, config.tuning.max_concurrent or num_fitting)))


def _times(needed: Mapping[str, float], there: Mapping[str, float]) -> int:
    return min(math.floor(there.get(name, 0.0) / amount + 1e-9) for name, amount in needed.items())


def _nodes() -> list[tuple[dict[str, float], int]]:
    """Resources of each node with CPUs, and the cores that it really has."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    cores = ray.get([ray.remote(_num_cores).options(num_cpus=0, scheduling_strategy=strategy).remote() for strategy in strategies])
    return [(node["Resources"], count) for node, count in zip(nodes, cores, strict=True)]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))  # those that this process may use
