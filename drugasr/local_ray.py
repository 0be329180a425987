"""A Ray of our own on this machine: own ports, own folder, a secret token, and gone when we are.

`ray stop` would end every Ray on the machine. Ours carry a mark in their environment, and a watchdog, a process
that outlives this one, ends what bears the mark once we are gone, even if we were killed.
"""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from drugasr.errors import CapacityError
from drugasr.progress import say

_MARK = "DRUGASR_LOCAL_RAY"
_START_TIMEOUT_S = 120
_STOP_TIMEOUT_S = 20
_ORPHAN_TIMEOUT_S = 5
_NUM_WORKER_PORTS = 200


@contextmanager
def local_ray(num_cpus: int) -> Iterator[dict[str, str]]:
    """A running head node with `num_cpus` logical CPUs; gives the environment that commands need to reach it.

    Raises CapacityError when it does not come up.
    """
    folder = _folder()
    end_marked(folder)  # of an earlier run whose watchdog was killed too
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    gcs, dashboard, agent, agent_grpc, runtime_env, metrics = _free_ports(6)
    first_worker_port = _free_range(_NUM_WORKER_PORTS)
    # Anybody on the machine may reach the dashboard's port, and a job is a shell command.
    environment = os.environ | {
        _MARK: str(folder),
        # A submitted job's `python` is the first on the PATH.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_ADDRESS": f"127.0.0.1:{gcs}",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # nobody waits for this node's answers once it is told to stop
        # Ray's default of 2 s throttles every report of a training.
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    }
    command = [
        *("start", "--head", "--block", f"--num-cpus={num_cpus}"),
        *("--node-ip-address=127.0.0.1", f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        *(f"--runtime-env-agent-port={runtime_env}", f"--metrics-export-port={metrics}"),
        *(f"--min-worker-port={first_worker_port}", f"--max-worker-port={first_worker_port + _NUM_WORKER_PORTS - 1}"),
        f"--temp-dir={folder}",
    ]
    with ExitStack() as stack:
        log = stack.enter_context(open(folder / "ray-start.log", "wb"))
        watchdog = subprocess.Popen([sys.executable, "-m", "drugasr.local_ray", str(folder)], stdin=subprocess.PIPE, start_new_session=True)
        stack.callback(watchdog.communicate)  # closes its stdin, and waits until all is gone
        # A session of its own: Ctrl-C reaches us alone, and we stop it in order.
        executable = shutil.which("ray", path=environment["PATH"])
        head = subprocess.Popen([executable, *command], env=environment, stdout=log, stderr=log, start_new_session=True)
        stack.callback(_stop, head)
        _wait_until_up(head, environment, Path(log.name))
        yield environment


def run_command(command: list[str], environment: dict[str, str]) -> int:
    """Runs `command` to its end and returns its exit code; it is stopped when we are."""
    executable = shutil.which(command[0], path=environment["PATH"]) or command[0]
    process = subprocess.Popen([executable, *command[1:]], env=environment)
    try:
        return process.wait()
    finally:
        _stop(process)


def end_marked(folder: Path) -> None:
    """Ends the processes that bear the mark of `folder`: waits for those that are ending, then asks, then forces."""
    alive = _marked(folder)
    for stop in (None, psutil.Process.terminate, psutil.Process.kill):
        for process in alive if stop else ():
            with suppress(psutil.NoSuchProcess):
                stop(process)
        psutil.wait_procs(alive, timeout=_ORPHAN_TIMEOUT_S)
        alive = _marked(folder)


def _folder() -> Path:
    """One folder a checkout and user; short, for a UNIX socket's path holds 107 characters."""
    name = hashlib.sha256(f"{os.getuid()}:{Path.cwd()}".encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"drugasr-{name}"


def _wait_until_up(head: subprocess.Popen, environment: dict[str, str], log: Path) -> None:
    request = urllib.request.Request(
        f"{environment['RAY_API_SERVER_ADDRESS']}/api/version", headers={"Authorization": f"Bearer {environment['RAY_AUTH_TOKEN']}"}
    )
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and head.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5):
                say(f"Ray is up; its dashboard is {environment['RAY_API_SERVER_ADDRESS']}, its logs are in {log.parent}")
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise CapacityError(f"Ray did not start within {_START_TIMEOUT_S} s; the end of {log}:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _marked(folder: Path) -> list[psutil.Process]:
    """The mark outlives the command line, which Ray's processes write over."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it ended meanwhile, or is somebody else's
            if process.environ().get(_MARK) == str(folder):
                found.append(process)
    return found


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; held open together, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def _free_range(length: int) -> int:
    """First of `length` neighbouring ports below the range that the system hands out by itself."""
    for first in range(20_000 + secrets.randbelow(40) * length, 32_000 - length, length):
        with ExitStack() as stack:
            try:
                for port in range(first, first + length):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise CapacityError(f"no {length} free neighbouring TCP ports between 20000 and 32000 for Ray's workers")


if __name__ == "__main__":  # the watchdog
    sys.stdin.read()
    end_marked(Path(sys.argv[1]))
