"""A Ray of our own: it is reachable with its token alone, and leaves no process behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest

START = [sys.executable, "-m", "jobs.local", "--num-cpus", "1", "--", sys.executable, "-c"]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ASK = "import os, ray; ray.init(logging_level='error'); print(ray.cluster_resources()['CPU'], os.environ['RAY_AUTH_MODE']); raise SystemExit(7)"
SLEEP = "import time; time.sleep(600)"


def descendants(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_for(condition, timeout_s=60.0):
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.2)
    return value


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Signal -> a launcher that is to get it, and "ends" -> one whose command ends by itself.

    Four Rays at once, for most of their time is waiting. Another folder means another Ray; the modules come from this checkout.
    """
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with ExitStack() as stack:
        processes = {}
        for what in (*SIGNALS, "ends"):
            command = [*START, ASK if what == "ends" else SLEEP]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            processes[what] = stack.enter_context(subprocess.Popen(command, cwd=tmp_path_factory.mktemp("launched"), env=environment, **pipes))
            stack.callback(processes[what].terminate)
        yield processes


@pytest.fixture(scope="module")
def stopped(launched) -> dict[signal.Signals, list[psutil.Process]]:
    """Signal -> all processes that were below its launcher when it came."""
    alive = {}
    for number in SIGNALS:
        assert "Ray is up" in launched[number].stderr.readline()
        alive[number] = wait_for(lambda: [p for p in descendants(launched[number]) if "raylet" in p.name()] and descendants(launched[number]))
    for number in SIGNALS:
        launched[number].send_signal(number)
    return alive


@pytest.mark.parametrize("number", SIGNALS)
def test_nothing_is_left_when_it_is_stopped(stopped, number):
    gone, left = psutil.wait_procs(stopped[number], timeout=30)
    assert not left, [p.name() for p in left]


def test_the_command_gets_its_ray_and_its_exit_code_comes_back(launched):
    output, errors = launched["ends"].communicate(timeout=120)
    assert launched["ends"].returncode == 7, errors
    assert output.split() == ["1.0", "token"]
