"""Preflight: does the request fit the cluster, and can every node write the storage?

Ray itself waits for ever, in silence, for resources that will never come.
"""

import logging
import uuid
from collections.abc import Mapping

import ray
from ray._private.state import state as ray_state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from drugasr import storage
from drugasr.config import Config
from drugasr.errors import CapacityError, StorageError


def total_resources() -> dict[str, float]:
    """What the cluster has or may grow to, by Ray's resource names."""
    present = ray.cluster_resources()
    # None where the cluster does not scale by itself.
    most = ray_state.get_max_resources_from_cluster_config() or {}
    return {name: max(present.get(name, 0.0), float(most.get(name, 0.0))) for name in {*present, *most, "CPU", "GPU"}}


def cpus_of_training(config: Config) -> float:
    """Of its workers and, where it augments on the fly, of one task beside each."""
    task = 0.0 if config.training.augmentation == "none" else config.cluster.cpus_per_task
    return config.cluster.num_workers * (config.cluster.cpus_per_worker + task)


def check_capacity(what: str, needed: Mapping[str, float]) -> None:
    """Raises CapacityError, with the arithmetic, when `needed` is more than the cluster can ever have."""
    total = total_resources()
    short = {name: amount for name, amount in needed.items() if amount > total.get(name, 0.0) + 1e-9}
    if short:
        sums = "; ".join(f"{amount:g} {name} needed, {total.get(name, 0.0):g} in the cluster" for name, amount in short.items())
        raise CapacityError(
            f"{what} does not fit: {sums}. Lower --num-workers or --set cluster.cpus_per_worker=..., "
            "or start Ray with more (`ray start --head --num-cpus=4` is right for 2 cores)"
        )


def check_unit(what: str, needed: Mapping[str, float]) -> None:
    """`check_capacity` for something that must fit on one node. Raises CapacityError."""
    check_capacity(what, needed)
    if ray_state.get_max_resources_from_cluster_config():
        return  # nodes may come that are larger than those here
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0.0) >= amount for name, amount in needed.items()) for node in nodes):
        sums = ", ".join(f"{amount:g} {name}" for name, amount in needed.items())
        raise CapacityError(f"{what} needs {sums} on one node, and the largest has {max(node.get('CPU', 0.0) for node in nodes):g} CPU")


def check_training(config: Config) -> None:
    """Raises CapacityError when the workers of a training, and what augments for them, do not fit."""
    cluster = config.cluster
    worker = {"CPU": cluster.cpus_per_worker} | ({"GPU": cluster.gpus_per_worker} if cluster.gpus_per_worker else {})
    check_unit("one training worker", worker)
    num_workers = cluster.min_workers or cluster.num_workers
    check_capacity(f"a training with {num_workers} workers", {name: num_workers * n for name, n in worker.items()})
    if config.training.augmentation != "none":
        check_unit("one task of training.augmentation", {"CPU": cluster.cpus_per_task})
        check_capacity(
            f"a training with {cluster.num_workers} workers of {cluster.cpus_per_worker:g} CPU, and as many tasks of "
            f"cluster.cpus_per_task = {cluster.cpus_per_task:g} for training.augmentation,",
            {"CPU": cpus_of_training(config)},
        )


def check_stages(config: Config) -> None:
    """Every stage of a pipeline but the search. Raises CapacityError."""
    check_unit("one synthesis or evaluation task", {"CPU": config.cluster.cpus_per_task})
    check_training(config)
    serving = config.serving
    check_unit("one serving replica", {"CPU": serving.cpus_per_replica})
    check_capacity(f"{serving.num_replicas} serving replicas", {"CPU": serving.num_replicas * serving.cpus_per_replica})


def check_storage(uri: str) -> None:
    """Writes from here, reads and writes from every node. Raises StorageError that names the node."""
    probe = storage.join(uri, f".probe-{uuid.uuid4().hex}")
    storage.write_bytes(probe, b"probe")
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        answers = {node["NodeManagerAddress"]: _probe_from(node["NodeID"], probe) for node in nodes}
        for address, answer in answers.items():
            if problem := ray.get(answer):
                raise StorageError(f"node {address} cannot use the storage {uri}: {problem}; give a location that every node shares, such as s3://")
    finally:
        storage.delete_file(probe)


def prepare_ray_data() -> None:
    """Ray Data shows no bars and plans of its own: our stages print their progress.

    Nor does it look every second at the memory of each task, which made our tasks a tenth slower.
    """
    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False
    DataContext.get_current().memory_usage_poll_interval_s = None


def _probe_from(node_id: str, probe: str) -> ray.ObjectRef:
    strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(_probe).options(num_cpus=0, scheduling_strategy=strategy).remote(probe)


def _probe(probe: str) -> str:
    try:
        storage.read_bytes(probe)
        storage.write_bytes(f"{probe}-back", b"probe")
        storage.delete_file(f"{probe}-back")
    except (StorageError, OSError) as error:
        return str(error)
    return ""
