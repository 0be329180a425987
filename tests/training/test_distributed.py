"""A data-parallel training on Ray that loses a rank, its driver and a node, beside one that nothing happens to."""

import dataclasses
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

from drugasr import storage
from drugasr.acoustic.folder import load_model, make_processor, save_model
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.errors import InputError
from drugasr.training.curves import EVENTS_FILE, PLOT_FILE
from drugasr.training.distributed import read_run, train_distributed

KILLED_DRIVER = """
import sys, pickle, ray
from drugasr.training.distributed import train_distributed
ray.init(address=sys.argv[1], logging_level="error")
train_distributed(*pickle.load(open(sys.argv[2], "rb")))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory, training_config):
    """Steps of a few clips from a small model whose two lower layers are frozen and cached; a checkpoint after each step."""
    folder = tmp_path_factory.mktemp("base")
    vocabulary = Vocabulary(LIBRISPEECH)
    save_model(folder, build_small(vocabulary, seed=3), make_processor(vocabulary), {})
    config = training_config(base=str(folder), frozen_layers=2, num_epochs=4, checkpoint_steps=1, mask_time_prob=0.2, cache_prefix="on")
    # One worker a node: the head has four CPUs, the others three.
    return dataclasses.replace(config, cluster=dataclasses.replace(config.cluster, num_workers=2, cpus_per_worker=2.5, cpus_per_task=0.5))


@pytest.fixture
def nodes(local_ray):
    """Two beside the head: one to lose, one to take its place."""
    nodes = [local_ray.add_node(num_cpus=3) for _ in range(2)]
    yield nodes
    for node in nodes:
        if node in local_ray.worker_nodes:
            local_ray.remove_node(node)


def wait_for(condition, seconds=180):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.05)


def num_checkpoints(run):
    """How many were made: each has the name of its time, and the old ones are deleted."""
    seen = num_checkpoints.seen.setdefault(run, set())
    seen |= {path.name for path in run.glob("checkpoint_*")}
    return len(seen)


num_checkpoints.seen = {}


def find_rank(nodes):
    """A training worker on one of the nodes, and that node."""
    for node in nodes:
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        for worker in raylet.children(recursive=True):
            if "RayTrainWorker" in " ".join(worker.cmdline()):
                return worker, node
    raise AssertionError("no node holds a training worker")


def test_a_rank_a_driver_and_a_node_are_lost_and_the_weights_are_the_same(local_ray, nodes, config, tiny_corpus, six_names, tmp_path):
    undisturbed = train_distributed(config, str(tiny_corpus), six_names, str(tmp_path / "undisturbed"))
    run = tmp_path / "disturbed"
    arguments = (config, str(tiny_corpus), six_names, str(run))
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))

    command = [sys.executable, "-c", KILLED_DRIVER, local_ray.address, str(tmp_path / "arguments")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        wait_for(lambda: num_checkpoints(run) >= 2)
        find_rank(nodes)[0].kill()
        before = num_checkpoints(run)
        wait_for(lambda: num_checkpoints(run) >= before + 2)
        driver.kill()
    assert not (run / "model").exists()

    def lose_node():
        before = num_checkpoints(run)
        wait_for(lambda: num_checkpoints(run) >= before + 2)
        local_ray.remove_node(find_rank(nodes)[1], allow_graceful=False)
        assert not (run / "model").exists()

    with ThreadPoolExecutor(1) as thread:
        losing = thread.submit(lose_node)
        resumed = train_distributed(*arguments)
        losing.result()
    straight, again = (load_model(trained.model_uri)[0].state_dict() for trained in (undisturbed, resumed))
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)
    assert resumed.metrics["train_loss"] == pytest.approx(undisturbed.metrics["train_loss"], rel=1e-9)
    # What a person looks at lies beside it, and is whole.
    assert storage.read_bytes(str(run / PLOT_FILE)).startswith(b"\x89PNG")
    assert storage.exists(str(run / EVENTS_FILE))
    assert read_run(str(run)) == (config, str(tiny_corpus))


def test_what_is_no_training_cannot_be_resumed(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a training that can be resumed"):
        read_run(str(tmp_path))
