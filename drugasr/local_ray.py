"""A Ray of our own on this machine: own ports, own folder, a secret token, and gone when we are.

`ray stop` would end every Ray on the machine. A watchdog, a process that outlives this one, remembers what we
started and what that started, and ends it once we are gone, even if we were killed.
"""

import fcntl
import hashlib
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from drugasr.errors import CapacityError
from drugasr.progress import say

_MARK = "DRUGASR_LOCAL_RAY"
_START_TIMEOUT_S = 120
_STOP_TIMEOUT_S = 20
_ORPHAN_TIMEOUT_S = 5
_WATCH_INTERVAL_S = 2
_NUM_WORKER_PORTS = 200


@contextmanager
def local_ray(num_cpus: int) -> Iterator[Callable[[list[str]], int]]:
    """A running head node with `num_cpus` logical CPUs; gives what runs a command against it, and returns its exit code.

    Raises CapacityError when it does not come up, or when this folder's Ray is running already.
    """
    folder = _folder()
    with _locked(folder), _running(folder, num_cpus) as run:
        yield run


@contextmanager
def _running(folder: Path, num_cpus: int) -> Iterator[Callable[[list[str]], int]]:
    _end(_marked(folder))  # of an earlier run whose watchdog was killed too
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    gcs, dashboard, agent, agent_grpc, runtime_env, metrics, client = _free_ports(7)
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
        # No proxy stands between a machine and itself.
        **{name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"])) for name in ("no_proxy", "NO_PROXY")},
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # nobody waits for this node's answers once it is told to stop
        # Ray's default of 2 s throttles every report of a training.
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    }
    command = [
        *("ray", "start", "--head", "--block", f"--num-cpus={num_cpus}"),
        *("--node-ip-address=127.0.0.1", f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        *(f"--runtime-env-agent-port={runtime_env}", f"--metrics-export-port={metrics}", f"--ray-client-server-port={client}"),
        *(f"--min-worker-port={first_worker_port}", f"--max-worker-port={first_worker_port + _NUM_WORKER_PORTS - 1}"),
        f"--temp-dir={folder}",
    ]
    with ExitStack() as stack:
        log = stack.enter_context(open(folder / "ray-start.log", "wb"))
        watchdog = subprocess.Popen(
            [sys.executable, "-m", "drugasr.local_ray"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        stack.callback(watchdog.wait)  # until all is gone

        def start(command: list[str], **options) -> subprocess.Popen:
            executable = shutil.which(command[0], path=environment["PATH"]) or command[0]
            process = subprocess.Popen([executable, *command[1:]], env=environment, **options)
            stack.callback(_stop, process)
            watchdog.stdin.write(b"%d\n" % process.pid)
            watchdog.stdin.flush()
            return process

        # A session of its own: Ctrl-C reaches us alone, and we stop it in order.
        head = start(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_up(head, environment, Path(log.name))
            yield lambda command: start(command).wait()
        finally:
            _let_collect(watchdog)  # before anything is stopped, and its children are nobody's


def _let_collect(watchdog: subprocess.Popen) -> None:
    """Closes the watchdog's stdin, and returns when it closes its stdout: it then knows all that is to end."""
    watchdog.stdin.close()
    watchdog.stdout.read()
    watchdog.stdout.close()


def watch() -> None:
    """The watchdog: reads process ids from stdin, collects their descendants, and ends all when stdin closes.

    Collected while they live: a daemon whose parent has died is nobody's descendant any more, and Ray's processes
    write over the command line and environment that would tell whose they are.
    """
    known: set[psutil.Process] = set()
    while True:
        if select.select([sys.stdin], [], [], _WATCH_INTERVAL_S)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            with suppress(psutil.NoSuchProcess):
                known.add(psutil.Process(int(line)))
        known |= {child for process in known for child in _descendants(process)}
    known |= {child for process in known for child in _descendants(process)}
    os.close(sys.stdout.fileno())
    _end(known)


def _descendants(process: psutil.Process) -> set[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return set(process.children(recursive=True))
    return set()


def _end(processes: Iterable[psutil.Process]) -> None:
    """Waits for processes that are ending by themselves; then asks them, then forces them."""
    _, alive = psutil.wait_procs(processes, timeout=_ORPHAN_TIMEOUT_S)
    for stop in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                stop(process)
        _, alive = psutil.wait_procs(alive, timeout=_ORPHAN_TIMEOUT_S)


def _folder() -> Path:
    """One folder a checkout and user; short, for a UNIX socket's path holds 107 characters."""
    name = hashlib.sha256(f"{os.getuid()}:{Path.cwd()}".encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"drugasr-{name}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One Ray a folder at a time. The lock is the process's own, so it cannot outlive it."""
    with open(f"{folder}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CapacityError(f"another command of this folder has its Ray running ({folder}): wait for it, or stop it first") from error
        yield


def _wait_until_up(head: subprocess.Popen, environment: dict[str, str], log: Path) -> None:
    request = urllib.request.Request(
        f"{environment['RAY_API_SERVER_ADDRESS']}/api/version", headers={"Authorization": f"Bearer {environment['RAY_AUTH_TOKEN']}"}
    )
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and head.poll() is None:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5):
                say(f"Ray is up; its dashboard is {environment['RAY_API_SERVER_ADDRESS']}, its logs are in {log.parent}")
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    what = f"did not start within {_START_TIMEOUT_S} s" if head.poll() is None else f"ended at once with code {head.returncode}"
    raise CapacityError(f"Ray {what}; the end of {log}:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _marked(folder: Path) -> list[psutil.Process]:
    """Processes that still show the mark of `folder` in their environment: Ray's daemons do."""
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


if __name__ == "__main__":
    watch()
