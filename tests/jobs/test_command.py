"""Flags, exit codes and the last line of the jobs, for input that is bad."""

import json
import os
import subprocess
import sys

import pytest

from drugasr.errors import ConfigError, InputError
from jobs import synthesize, train
from jobs.flags import config_of
from jobs.locations import location_of


def run(*arguments: str, cwd=None) -> tuple[int, dict, str]:
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120, cwd=cwd, env=environment)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture
def in_our_ray(local_ray, monkeypatch):
    """Jobs join the Ray of the tests; without an address, each starts its own."""
    monkeypatch.setenv("RAY_ADDRESS", local_ray.address)


def test_flags_come_last_and_reach_every_stage():
    arguments = train.parser().parse_args(
        ["--set", "training.seed=1", "--seed", "5", "--num-workers", "3", "--gpu", "--lexicon", "/lists/my list.txt"]
    )
    config = config_of(arguments)
    assert (config.corpus.seed, config.training.seed, config.tuning.seed) == (5, 5, 5)
    assert (config.cluster.num_workers, config.cluster.gpus_per_worker) == (3, 1.0)
    assert config.lexicon.source == "/lists/my list.txt"


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'huge' is unknown: choose one of mini, base, large"):
        config_of(synthesize.parser().parse_args(["--preset", "huge"]))


def test_paths_become_absolute_and_uris_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert location_of("storage", "runs") == str(tmp_path / "runs")
    assert location_of("storage", "s3://bucket/runs/") == "s3://bucket/runs"
    assert location_of("storage", "~/runs") == os.path.expanduser("~/runs")


def test_a_relative_path_is_refused_in_a_submitted_job(tmp_path, monkeypatch):
    copy = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    with pytest.raises(InputError, match="--storage runs is relative.*give an absolute path or a URI"):
        location_of("storage", "runs")


def test_bad_settings_end_with_code_2_and_a_line_of_json():
    code, answer, error = run("jobs.synthesize", "--set", "training.num_epochs=0")
    assert code == 2
    assert answer["type"] == "ConfigError"
    assert "training.num_epochs" in error and "training.num_epochs" in answer["error"]


def test_bad_flags_end_with_code_2_and_a_line_of_json():
    code, answer, error = run("jobs.synthesize", "--num-workers", "x")
    assert (code, answer["type"]) == (2, "InputError")
    assert "--num-workers" in error and "--num-workers" in answer["error"]


def test_a_model_that_is_not_there_is_named(tmp_path):
    code, answer, _ = run("jobs.evaluate", "--model", str(tmp_path / "nothing"), "--storage", str(tmp_path))
    assert (code, answer["type"]) == (1, "CorpusError")  # the corpus comes first


@pytest.mark.usefixtures("in_our_ray")
def test_a_bad_list_ends_with_code_2_and_names_every_row(tmp_path):
    (tmp_path / "names.txt").write_text("metformin\nB%\nlasix\nMetformin\n")
    code, answer, error = run("jobs.synthesize", "--lexicon", str(tmp_path / "names.txt"), "--storage", str(tmp_path / "storage"))
    assert code == 2
    assert answer["type"] == "LexiconError"
    assert all(part in error for part in ("line 2: 'B%'", "line 4: 'Metformin'"))
    assert not (tmp_path / "storage").exists()


@pytest.mark.usefixtures("in_our_ray")
def test_large_without_a_hub_says_so_before_any_work(tmp_path):
    code, answer, error = run("jobs.pipeline", "--preset", "large", "--storage", str(tmp_path / "storage"))
    assert code == 2
    assert answer["type"] == "ModelError"
    assert "facebook/hubert-large-ls960-ft" in error and "hf download" in error
    assert not (tmp_path / "storage").exists()
