"""A search that is submitted as a job to a cluster of several nodes computes on each of them."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from trial_processes import trial_on

from drugasr.acoustic.folder import make_processor, save_model
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "model.base": "{base}",
    "training.cache_prefix": "off",
    "tuning.num_trials": "4",
    "tuning.num_epochs": "2",
    "tuning.frozen_layers": "[0, 2]",
    "tuning.clip_fraction": "1.0",
    "cluster.cpus_per_worker": "1.5",  # a node has two
    "cluster.cpus_per_task": "0.5",
}


@pytest.fixture
def cluster(plugins, monkeypatch):
    """Three nodes of two CPUs, with a dashboard, which takes the jobs."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # a job's `python` is the first there
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="dan", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": True, "dashboard_port": port, "temp_dir": folder})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=2)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.mark.skip(reason="nodes on one machine share a session folder, and one of them tidies the job's working directory away under its driver")
def test_a_submitted_search_uses_every_node(cluster, tiny_corpus, six_names, tmp_path):
    vocabulary = Vocabulary(LIBRISPEECH)
    save_model(tmp_path / "base", build_small(vocabulary, seed=3), make_processor(vocabulary), {})
    (tmp_path / "names.txt").write_text("\n".join(drug.spoken for drug in six_names.drugs))
    job = ["python", "-m", "jobs.tune", "--lexicon", str(tmp_path / "names.txt"), "--corpus", str(tiny_corpus), "--storage", str(tmp_path / "storage")]
    job += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value.format(base=tmp_path / 'base')}")]
    submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", f"http://{cluster.webui_url}", "--working-dir", str(ROOT), "--"]
    with open(tmp_path / "output", "w") as log, subprocess.Popen([*submit, *job], stdout=log, stderr=log) as submitted:
        used, most_at_once = set(), 0
        while submitted.poll() is None:
            now = {node for node in cluster.list_all_nodes() if trial_on(node)}
            used, most_at_once = used | now, max(most_at_once, len(now))
            time.sleep(0.2)
    output = (tmp_path / "output").read_text()
    assert submitted.returncode == 0, output
    assert "up to 4 trials of up to 2 epochs, 3 at a time, alone in a process" in output
    assert used == set(cluster.list_all_nodes()) and most_at_once == 3, output
    result = json.loads([line for line in output.splitlines() if line.startswith("{")][-1])
    assert result["trials"] == 4 and Path(result["report"]).stat().st_size > 10_000
