"""A Ray of our own: it is reachable with its token alone, and leaves no process behind, however it ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

START = [sys.executable, "-m", "jobs.local", "--num-cpus", "1", "--"]


def descendants(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_for(condition, timeout_s=60.0):
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.2)
    return value


@pytest.fixture
def somewhere(tmp_path):
    """Another folder means another Ray; the modules come from this checkout."""
    return {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": os.getcwd()}}


def test_the_command_gets_its_ray_and_its_exit_code_comes_back(somewhere):
    code = "import os, ray; ray.init(logging_level='error'); print(ray.cluster_resources()['CPU'], os.environ['RAY_AUTH_MODE']); raise SystemExit(7)"
    done = subprocess.run([*START, sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **somewhere)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == ["1.0", "token"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_stopped(somewhere, number):
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen([*START, *sleep], stderr=subprocess.PIPE, text=True, **somewhere) as process:
        assert "Ray is up" in process.stderr.readline()
        alive = wait_for(lambda: [p for p in descendants(process) if "raylet" in p.name()] and descendants(process))
        process.send_signal(number)
    gone, left = psutil.wait_procs(alive, timeout=30)
    assert not left, [p.name() for p in left]
