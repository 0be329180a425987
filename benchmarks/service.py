"""Ours as its users run it: a Ray of its own, `serve deploy` of the production configuration, HTTP on 127.0.0.1."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from drugasr.errors import CapacityError
from drugasr.local_ray import local_ray

CONFIG_FILE = Path(__file__).parents[1] / "serve" / "config.yaml"
APPLICATION, RECOGNIZER, INGRESS = "drugasr", "recognizer", "api"
_NUM_CPUS = 4
_DEPLOY_TRIES = 4
_START_TIMEOUT_S = 180


class Service:
    """A deployed application; `run` runs a command against its Ray."""

    def __init__(self, run: Callable[[list[str]], int], port: int, folder: Path) -> None:
        self.url, self._run, self._port, self._folder = f"http://127.0.0.1:{port}", run, port, folder

    def deploy(self, user_config: dict[str, Any] | None = None, **arguments: Any) -> int:
        """`serve deploy` of serve/config.yaml with these arguments, and this `user_config` of the recogniser; its exit code."""
        config = yaml.safe_load(CONFIG_FILE.read_text())
        config["http_options"] |= {"host": "127.0.0.1", "port": self._port}
        (application,) = config["applications"]
        application["args"] |= arguments
        if user_config is not None:
            application["deployments"] = [{"name": RECOGNIZER, "user_config": user_config}]
        file = self._folder / "serve.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        # `serve deploy` reads another variable than `ray job submit`.
        return self._run(["sh", "-c", 'exec serve deploy --address "$RAY_API_SERVER_ADDRESS" "$0" >&2', str(file)])

    def health(self) -> dict[str, str]:
        """What `/health` says; empty while it is not 200."""
        with suppress(urllib.error.URLError, OSError):
            # No proxy stands between a machine and itself, whatever the environment says.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/health", timeout=10) as response:
                return json.load(response)
        return {}

    def wait_until(self, condition: Callable[[dict[str, str]], bool], timeout_s: float = _START_TIMEOUT_S) -> float:
        """Until what `/health` says fulfils the condition; the seconds that it took. Raises CapacityError."""
        start_s = time.monotonic()
        while not condition(self.health()):
            if time.monotonic() - start_s > timeout_s:
                raise CapacityError(f"{self.url}/health did not come to say what was waited for within {timeout_s:g} s")
            time.sleep(0.1)
        return time.monotonic() - start_s

    def replicas(self, deployment: str = RECOGNIZER) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        title = f":ServeReplica:{APPLICATION}:{deployment}"  # what Ray writes before it depends on what it is doing
        found = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if title in " ".join(process.cmdline()):
                    found.append(process)
        return found


@contextmanager
def service(port: int | None = None, environment: dict[str, str] | None = None, **arguments: Any) -> Iterator[Service]:
    """Deployed with `arguments` of `serve.app.build`, and answering. Raises CapacityError when it does not come up.

    `environment` holds variables that all processes of its Ray are to have.
    """
    os.environ |= environment or {}
    with tempfile.TemporaryDirectory() as folder, local_ray(_NUM_CPUS) as run:
        ours = Service(run, port or free_port(), Path(folder))
        # On a busy machine the dashboard is up before it takes deployments.
        if all(ours.deploy(**arguments) for _ in range(_DEPLOY_TRIES)):
            raise CapacityError(f"serve deploy failed {_DEPLOY_TRIES} times")
        ours.wait_until(lambda said: said.get("status") == "ok")
        yield ours


@contextmanager
def http_server(module: str, *arguments: str, port: int | None = None) -> Iterator[str]:
    """Another server, `python -m MODULE ARGUMENT... PORT`, on one thread, until it listens; its address."""
    port = port or free_port()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", module, *arguments, str(port)], env=environment)
    try:
        end_s = time.monotonic() + _START_TIMEOUT_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end_s:
                raise CapacityError(f"{module} did not come up on port {port}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
