"""Ten minutes of mixed load, while models and lists are swapped, a bad model is given, and a replica is killed.

    python -m benchmarks.soak [--minutes N] [--clients N]

The service is `serve deploy serve/config.yaml` with two replicas. What it answers is compared with what a Recognizer of the same model
and list, in this process, says to the same clip. Exit code 1 where a request was lost, an answer was wrong, an error was none of those
declared, or a replica has grown; the last line of stdout is JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.mixed_requests import Judge, Outcomes, ask_on
from benchmarks.service import Service, service
from benchmarks.soaked_models import write_models
from drugasr.errors import DrugasrError

_LISTS = ("quick50", "top500")
_SAMPLE_EVERY_S = 5.0
_GROWN_BYTES = 48 * 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=6)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _soak(Path(folder), 60 * arguments.minutes, arguments.clients)
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _soak(folder: Path, seconds: float, num_clients: int) -> int:
    first, second, broken = (str(path) for path in write_models(folder))
    judge, outcomes, stop = Judge((first, second), _LISTS), Outcomes(), threading.Event()
    memory: dict[int, list[int]] = {}
    with service(model=first, lexicon=_LISTS[0], num_replicas=2) as ours, ThreadPoolExecutor(num_clients + 1) as pool:
        args = {"model": first, "lexicon": _LISTS[0], "num_replicas": 2}
        asking = [pool.submit(ask_on, ours.url, judge, outcomes, stop, seed) for seed in range(num_clients)]
        asking.append(pool.submit(_watch, ours, memory, stop))
        start_s, done = time.monotonic(), []

        def at(share: float, what: str) -> None:
            time.sleep(max(0.0, start_s + share * seconds - time.monotonic()))
            done.append(f"{time.monotonic() - start_s:.0f} s: {what}")
            print(done[-1], file=sys.stderr, flush=True)

        def served(said: dict[str, str], model: str, tier: str) -> bool:
            return (said.get("model"), said.get("lexicon"), "refused" in said) == (os.path.basename(model), tier, False)

        try:
            at(0.1, "another model")
            ours.deploy(user_config={"model": second, "lexicon": _LISTS[0]}, **args)
            ours.wait_until(lambda said: served(said, second, _LISTS[0]))
            at(0.3, "another list")
            ours.deploy(user_config={"model": second, "lexicon": _LISTS[1]}, **args)
            ours.wait_until(lambda said: served(said, second, _LISTS[1]))
            at(0.45, "a model that cannot be loaded")
            ours.deploy(user_config={"model": broken, "lexicon": _LISTS[1]}, **args)
            ours.wait_until(lambda said: "refused" in said)
            at(0.55, "the first model and list")
            ours.deploy(user_config={"model": first, "lexicon": _LISTS[0]}, **args)
            ours.wait_until(lambda said: served(said, first, _LISTS[0]))
            at(0.65, "a replica is killed")
            killed, *_ = ours.replicas()
            killed.kill()
            at(1.0, "the end")
        finally:
            stop.set()
        for future in asking:
            future.result()
        num_replicas = len(ours.replicas())
    failures = [*outcomes.failures, *_grown(memory)]
    if num_replicas != 2:
        failures.append(f"{num_replicas} replicas are left of 2")
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    sizes = {pid: [round(size / 2**20) for size in series[:: max(1, len(series) // 12)]] for pid, series in memory.items()}
    print(json.dumps({"done": done, "answers": outcomes.counts, "replica_mib": sizes, "failures": len(failures)}))
    return 1 if failures else 0


def _watch(ours: Service, memory: dict[int, list[int]], stop: threading.Event) -> None:
    while not stop.wait(_SAMPLE_EVERY_S):
        for process in ours.replicas():
            with suppress(psutil.Error):
                memory.setdefault(process.pid, []).append(process.memory_info().rss)


def _grown(memory: dict[int, list[int]]) -> list[str]:
    """Replicas that were larger at their end than any was in the middle of its life: until then, caches fill and swaps load second models."""
    long = {pid: series for pid, series in memory.items() if len(series) >= 12}
    usual = max((max(series[len(series) // 2 :][:3]) for series in long.values()), default=0)
    return [
        f"replica {pid} has grown to {min(series[-3:]) / 2**20:.0f} MiB from the usual {usual / 2**20:.0f}"
        for pid, series in long.items()
        if min(series[-3:]) - usual > _GROWN_BYTES
    ]


if __name__ == "__main__":
    sys.exit(main())
