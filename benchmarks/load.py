"""A client in a process of its own: so many requests at a time, until all clips were sent so often.

    python -m benchmarks.load URL FOLDER --concurrency N --requests N

FOLDER holds the clips, one a file. The last line of stdout is JSON: how long it took, and each request's status and time.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Load:
    seconds: float
    statuses: dict[str, int]
    """How many answers had a status."""
    times_ms: list[float]

    @property
    def requests_per_s(self) -> float:
        return len(self.times_ms) / self.seconds


def ask(url: str, folder: Path, *, concurrency: int, num_requests: int) -> Load:
    """What such a client measured. Raises CalledProcessError where it cannot reach the server."""
    command = [sys.executable, "-m", "benchmarks.load", url, str(folder), f"--concurrency={concurrency}", f"--requests={num_requests}"]
    return Load(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]))


async def _send(url: str, clips: list[bytes], concurrency: int, num_requests: int) -> Load:
    waiting = itertools.islice(itertools.cycle(clips), num_requests)
    statuses: dict[str, int] = {}
    times_ms: list[float] = []

    async def send_on(session: aiohttp.ClientSession, clips: Iterator[bytes]) -> None:
        for clip in clips:
            start_s = time.perf_counter()
            async with session.post(url, data=clip, headers={"Content-Type": "audio/wav"}) as response:
                await response.read()
            times_ms.append(1000 * (time.perf_counter() - start_s))
            statuses[str(response.status)] = statuses.get(str(response.status), 0) + 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session:
        start_s = time.perf_counter()
        await asyncio.gather(*(send_on(session, waiting) for _ in range(concurrency)))
        return Load(seconds=time.perf_counter() - start_s, statuses=statuses, times_ms=times_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    arguments = parser.parse_args()
    clips = [file.read_bytes() for file in sorted(arguments.folder.iterdir())]
    print(json.dumps(asdict(asyncio.run(_send(arguments.url, clips, arguments.concurrency, arguments.requests)))))


if __name__ == "__main__":
    main()
