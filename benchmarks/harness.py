"""Ours beside a peer, in one process, turn by turn: a machine that slows down slows both."""

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A line of a benchmark."""

    name: str
    ours: float
    """Median over `runs`, in `unit`."""
    peer: float
    ratio: float
    """How many times better ours is."""
    unit: str
    runs: int


def compare_time(name: str, ours: Callable[[], object], peer: Callable[[], object], *, runs: int) -> Comparison:
    """Median wall time of a call, in ms, of each of the two; both are called once before the clock runs."""
    ours(), peer()
    times_s: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
    for run in range(runs):
        # Who comes first changes, for the second finds the other's data in the caches.
        for call in (ours, peer) if run % 2 == 0 else (peer, ours):
            start_s = time.perf_counter()
            call()
            times_s[call].append(time.perf_counter() - start_s)
    ours_ms, peer_ms = (1000 * statistics.median(times_s[call]) for call in (ours, peer))
    return Comparison(name=name, ours=ours_ms, peer=peer_ms, ratio=peer_ms / ours_ms, unit="ms", runs=runs)


def within_limit(name: str, times_ms: Sequence[float], limit_ms: float, quantile: float) -> Comparison:
    """A quantile of wall times beside the limit that was set for it."""
    ours_ms = sorted(times_ms)[min(len(times_ms) - 1, math.ceil(quantile * len(times_ms)) - 1)]
    return Comparison(name=name, ours=ours_ms, peer=limit_ms, ratio=limit_ms / ours_ms, unit="ms", runs=len(times_ms))


def show(comparisons: Sequence[Comparison]) -> None:
    """A table for a person, then one line of JSON."""
    rows = [("", "ours", "peer", "ratio", "runs")]
    rows += [(c.name, f"{c.ours:,.3f} {c.unit}", f"{c.peer:,.3f} {c.unit}", f"{c.ratio:,.2f}", str(c.runs)) for c in comparisons]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]))
    print(json.dumps({"results": [asdict(c) for c in comparisons]}), flush=True)
