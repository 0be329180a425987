"""A search that loses a trial's process, its driver and a node, beside one that nothing happens to."""

import csv
import dataclasses
import io
import pickle
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest
import ray
from trial_processes import find_trial

from drugasr.acoustic.folder import make_processor, save_model
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.errors import CapacityError, ConfigError
from drugasr.storage import read_json
from drugasr.tuning.search import check_search, search

KILLED_DRIVER = """
import sys, pickle, ray
from drugasr.tuning.search import search
ray.init(address=sys.argv[1], logging_level="error")
search(*pickle.load(open(sys.argv[2], "rb")))
"""
NUM_EPOCHS = 5


@pytest.fixture(scope="module")
def config(tmp_path_factory, training_config):
    """Three trials of one process each, one after the other, none stopped early: what each comes to hangs on itself alone."""
    folder = tmp_path_factory.mktemp("base")
    vocabulary = Vocabulary(LIBRISPEECH)
    save_model(folder, build_small(vocabulary, seed=3), make_processor(vocabulary), {})
    config = training_config(base=str(folder), freeze_convolution=True, mask_time_prob=0.2)
    tuning = dataclasses.replace(
        config.tuning, num_trials=3, num_epochs=NUM_EPOCHS, grace_epochs=NUM_EPOCHS, frozen_layers=(0, 2, 3),
        min_learning_rate=1e-3, max_learning_rate=1e-2, max_concurrent=1, clip_fraction=1.0, num_workers=1, max_failures=3,
    )  # fmt: skip
    # One trial a node.
    return dataclasses.replace(config, tuning=tuning, cluster=dataclasses.replace(config.cluster, cpus_per_worker=2.5, cpus_per_task=0.5))


@pytest.fixture
def nodes(local_ray):
    """Two nodes with room for a trial each; the head, which cannot be lost, has none."""

    class Occupant:
        def is_there(self):
            return True

    occupant = ray.remote(num_cpus=2)(Occupant).remote()
    assert ray.get(occupant.is_there.remote())
    nodes = [local_ray.add_node(num_cpus=3) for _ in range(2)]
    yield nodes
    ray.kill(occupant)
    for node in nodes:
        if node in local_ray.worker_nodes:
            local_ray.remove_node(node)


def wait_for(condition, seconds=180):
    end_s = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.02)
    return found


def progress(folder):
    """Trials begun, and checkpoints ever seen of all of them: old ones are deleted."""
    seen = progress.seen.setdefault(folder, set())
    seen |= set(folder.glob("run_trial_*/checkpoint_*"))
    return len(list(folder.glob("trainings/starts-*"))), len(seen)


progress.seen = {}


def kill_trial(cluster):
    """Kills the process of the trial that trains, if there is one."""
    found = find_trial(cluster)
    with suppress(psutil.NoSuchProcess):  # it ended by itself meanwhile
        if found:
            found[0].kill()
            return True
    return False


def rows_of(folder):
    return list(csv.DictReader(io.StringIO((folder / "trials.csv").read_text())))


def test_a_trial_a_driver_and_a_node_are_lost_and_the_search_comes_to_the_same(local_ray, nodes, config, tiny_corpus, six_names, tmp_path):
    undisturbed, disturbed = tmp_path / "search-undisturbed", tmp_path / "search-disturbed"
    expected = search(config, str(tiny_corpus), six_names, str(undisturbed))
    arguments = (config, str(tiny_corpus), six_names, str(disturbed))
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))

    command = [sys.executable, "-c", KILLED_DRIVER, local_ray.address, str(tmp_path / "arguments")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as driver:
        wait_for(lambda: progress(disturbed) >= (1, 2))
        wait_for(lambda: kill_trial(local_ray))
        wait_for(lambda: progress(disturbed)[0] >= 2 and progress(disturbed)[1] >= NUM_EPOCHS + 2)
        driver.kill()
    assert not (disturbed / "best.json").exists()

    wait_for(lambda: find_trial(local_ray) is None)  # Ray ends a trial whose driver is gone
    num_checkpoints = progress(disturbed)[1]

    def lose_node():
        wait_for(lambda: progress(disturbed)[1] > num_checkpoints)
        _, node = wait_for(lambda: find_trial(local_ray))
        assert node in nodes
        local_ray.remove_node(node, allow_graceful=False)

    with ThreadPoolExecutor(1) as thread:
        losing = thread.submit(lose_node)
        chosen = search(*arguments)
        losing.result()
    assert chosen == expected
    straight, again = rows_of(undisturbed), rows_of(disturbed)
    same = ("rank", "trial_id", "status", "frozen_layers", "learning_rate", "num_epochs", "best_epoch", "top1", "top5", "cer", "loss")
    assert [{name: row[name] for name in same} for row in again] == [{name: row[name] for name in same} for row in straight]
    assert {row["status"] for row in again} == {"finished"} and len(again) == 3
    # Each loss cost one more start of the trial that it hit, and that of the driver a second one: of a trial that ended after Tune
    # last wrote down where it was, which is begun again, finds its last epoch and ends.
    assert [row["num_starts"] for row in straight] == ["1", "1", "1"]
    assert 3 < sum(int(row["num_starts"]) for row in again) <= 3 + 4
    wait_for(lambda: find_trial(local_ray) is None)  # no trial leaves its process behind
    best = read_json(str(disturbed / "best.json"))
    assert best["checkpoint"].startswith(str(disturbed)) and (tmp_path / best["checkpoint"] / "config.json").exists()
    page = (disturbed / "report.html").read_text()
    assert re.search(r"begun \d times", page) and "Where the best model goes wrong" in page


def test_a_trial_whose_loss_is_no_number_is_marked_and_the_others_decide(local_ray, config, tiny_corpus, six_names, tmp_path):
    tuning = dataclasses.replace(
        config.tuning, num_trials=2, num_epochs=1, grace_epochs=1, frozen_layers=(0,), searcher="grid", min_learning_rate=1e-30, max_learning_rate=1e30
    )
    training = dataclasses.replace(config.training, warmup_fraction=0.0, hold_fraction=1.0)
    config = dataclasses.replace(config, tuning=tuning, training=training)
    chosen = search(config, str(tiny_corpus), six_names, str(tmp_path / "search-mixed"))
    rows = rows_of(tmp_path / "search-mixed")
    statuses = {float(row["learning_rate"]): row["status"] for row in rows}
    assert statuses[max(statuses)] == "diverged" and statuses[min(statuses)] == "finished"
    assert chosen.training.learning_rate == float(rows[0]["learning_rate"])
    # Marked at once, not tried again.
    assert {row["num_starts"] for row in rows} == {"1"}
    assert all("lower training.learning_rate" in row["error"] for row in rows if row["status"] == "diverged")


def test_what_cannot_run_is_refused_before_any_work(local_ray, config):
    huge = dataclasses.replace(config, cluster=dataclasses.replace(config.cluster, cpus_per_worker=1000.0))
    with pytest.raises(CapacityError, match="one trial of the search does not fit: 1000 CPU needed"):
        check_search(huge)
    tracked = dataclasses.replace(config, tuning=dataclasses.replace(config.tuning, loggers=("wandb",)))
    with pytest.raises(ConfigError, match="'wandb' is not installed: `pip install wandb`"):
        check_search(tracked)
