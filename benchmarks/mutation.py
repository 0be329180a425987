"""Ten thousand broken requests: none makes the service fail, hang or grow.

    python -m benchmarks.mutation [--requests N] [--seed N]

Sent to `serve deploy serve/config.yaml` with the shipped model, some at a time. Exit code 1 if an answer is a server's error or does not
come, or if a process has grown; the last line of stdout is JSON.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from benchmarks.mutated_bodies import Mutant, mutants
from benchmarks.service import INGRESS, RECOGNIZER, Service, service
from benchmarks.spoken_names import speak
from drugasr import audio
from drugasr.errors import DrugasrError
from drugasr.lexicon.reading import read_lexicon

TIER = "quick50"
_CONCURRENCY = 6
_HANGS_S = 45.0
"""Longer than the service lets a body take to arrive."""
_GROWN_BYTES = 64 * 2**20


@dataclass(kw_only=True)
class Outcome:
    statuses: Counter = field(default_factory=Counter)
    """How many of a kind had a status; 0 is a connection that was closed without an answer, as HTTP servers do to what is no HTTP."""
    failures: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    clips = encoded_clips()
    try:
        with service(model="shipped", lexicon=TIER) as ours:
            warm_up = asyncio.run(send_all(ours.url, mutants(clips, 300, seed=arguments.seed + 1)))
            before = _memory(ours)
            start_s = time.monotonic()
            outcome = asyncio.run(send_all(ours.url, mutants(clips, arguments.requests, seed=arguments.seed)))
            took_s = time.monotonic() - start_s
            after = _memory(ours)
            is_well = ours.health().get("status") == "ok"
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    failures = warm_up.failures + outcome.failures + ([] if is_well else ["/health is not ok after it"])
    for name, (pid, num_bytes) in after.items():
        old_pid, old_bytes = before.get(name, (0, 0))
        if pid != old_pid:
            failures.append(f"{name} is another process than before")
        elif num_bytes - old_bytes > _GROWN_BYTES:
            failures.append(f"{name} has grown by {(num_bytes - old_bytes) / 2**20:.0f} MiB")
    grown = {name: round((after[name][1] - before[name][1]) / 2**20, 1) for name in after if name in before}
    statuses = Counter()
    for (_, status), count in outcome.statuses.items():
        statuses[status] += count
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    print("\n".join(f"{kind:20} {status:4} {count:6}" for (kind, status), count in sorted(outcome.statuses.items())))
    print(json.dumps({"requests": arguments.requests, "seconds": round(took_s), "statuses": statuses, "grown_mib": grown, "failures": len(failures)}))
    return 1 if failures else 0


def encoded_clips() -> list[bytes]:
    """Sound clips, to be broken."""
    waves = [wave_S for _, wave_S in speak(read_lexicon(TIER), 6)]
    return [encode(wave_S) for wave_S in waves for encode in (audio.encode_wav, audio.encode_flac)]


async def send_all(url: str, requests: Iterable[Mutant]) -> Outcome:
    """Every status that is no server's error is an answer."""
    host, port = re.fullmatch(r"http://([^:]+):(\d+)", url).groups()
    outcome, waiting = Outcome(), iter(requests)

    async def send_on(waiting: Iterator[Mutant]) -> None:
        for mutant in waiting:
            try:
                async with asyncio.timeout(_HANGS_S):
                    status = await _send(host, int(port), mutant.data)
            except TimeoutError:
                outcome.failures.append(f"{mutant.kind}: no answer within {_HANGS_S:g} s")
                continue
            outcome.statuses[mutant.kind, status] += 1
            if status >= 500:
                outcome.failures.append(f"{mutant.kind}: status {status}")

    await asyncio.gather(*(send_on(waiting) for _ in range(_CONCURRENCY)))
    return outcome


async def _send(host: str, port: int, data: bytes) -> int:
    """The status of the answer; 0 where the connection was closed without one."""
    reader, writer = await asyncio.open_connection(host, port)
    line = b""
    try:
        writer.write(data)
        while (line := await reader.readline()).startswith(b"HTTP/1.1 1"):  # 100 Continue comes before the answer
            while (await reader.readline()).strip():
                pass
        await reader.read(-1)
    except ConnectionError:
        pass  # it was closed before all was sent; what it said may have come
    finally:
        writer.close()
    found = re.match(rb"HTTP/1\.1 (\d{3})", line)
    return int(found[1]) if found else 0


def _memory(ours: Service) -> dict[str, tuple[int, int]]:
    """Process id and resident bytes of each process that a request goes through."""
    found = {name: process for name in (INGRESS, RECOGNIZER) for process in ours.replicas(name)}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith("ray::ProxyActor"):
                found["proxy"] = process
    return {name: (process.pid, process.memory_info().rss) for name, process in found.items()}


if __name__ == "__main__":
    sys.exit(main())
