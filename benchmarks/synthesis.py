"""The corpus stage beside what people write in its place, and against its own promises.

- `throughput`: synthesis, augmentation, FLAC and Parquet through Ray Data beside the same functions under
  `multiprocessing.Pool` with as many processes, on the same plan; each starts with its workers up.
- `waiting`: a service that takes 0.5 s to answer: 16 tasks at once beside one.
- `limit`: what 16 tasks ask of a service in a second beside the limit that was set.
- `memory`: the driver's peak for a plan of 10,000 rows beside one of 1,000,000, each in a process of its own: the same
  3,333 names, at one rate and pitch or at a hundred (every clip is made, of tones: about ten minutes).

`python -m benchmarks.synthesis [throughput] [waiting] [limit] [memory]`; without a word, the first three.
"""

import argparse
import dataclasses
import itertools
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray

from benchmarks.harness import Comparison, show
from drugasr import presets
from drugasr.config import ClusterConfig, CorpusConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.plan import Shard, plan_shards, versions_of_voices
from drugasr.corpus.shard_writer import write_shard
from drugasr.corpus.synthesis import synthesise
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.voices.voice import engine

_PLUGINS = Path(__file__).parents[1] / "tests" / "plugins"  # the engines `tone` and `faraway`
_NUM_PROCESSES = 2
_NUM_CLIPS = 5_000
_RUNS = 5
_DELAY_S = 0.5
_NUM_WAITING = 16
_LIMIT_PER_S = 20.0
_NUM_NAMES, _NUM_RATES = 3_333, (1, 10)  # as many pitches as rates, and three voices: 9,999 and 999,900 rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help="parts to run")
    parser.add_argument("--driver-of-rates", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = f"{_PLUGINS}{os.pathsep}{Path.cwd()}"
    sys.path.append(str(_PLUGINS))
    if arguments.driver_of_rates:
        print(_driver_peak_mb(arguments.driver_of_rates))
        return
    show([comparison for part in arguments.parts or ("throughput", "waiting", "limit") for comparison in _PARTS[part]()])


def throughput() -> list[Comparison]:
    config = dataclasses.replace(
        presets.mini().corpus,
        train_voices=("espeak:en-us+f1", "espeak:en+m2", "espeak:en-us-nyc+f3", "pico:en-US"),
        num_augmented=3,
        num_augmented_by_engine={},
        unseen_fraction=0.0,
        num_outsiders=0,
    )
    num_names = _NUM_CLIPS // (4 * 4 + len(config.validation_voices) + len(config.test_voices))
    lexicon = Lexicon("bench", read_lexicon("top500").drugs[: num_names + 1])
    shards = list(plan_shards(lexicon, config, versions_of_voices(config)))
    num_clips = sum(shard.num_clips for shard in shards)
    times_s: dict[str, list[float]] = {"ours": [], "peer": []}
    with _ray(_NUM_PROCESSES), multiprocessing.get_context("spawn").Pool(_NUM_PROCESSES) as pool:
        for run in range(-1, _RUNS):  # the first warms both up
            for side in ("ours", "peer") if run % 2 else ("peer", "ours"):
                with tempfile.TemporaryDirectory() as folder:
                    start_s = time.perf_counter()
                    if side == "ours":
                        made = synthesise(lexicon, config, ClusterConfig(cpus_per_task=1.0), folder).num_made
                    else:
                        made = sum(pool.imap_unordered(_write_alone, [(shard, folder) for shard in shards]))
                    times_s[side].append(time.perf_counter() - start_s)
                    assert made == num_clips, f"{side} made {made} of {num_clips} clips"
    # Turn by turn on a noisy machine: the median of the ratios, not the ratio of two medians.
    ratios = sorted(peer / ours for ours, peer in zip(times_s["ours"][1:], times_s["peer"][1:], strict=True))
    ours, peer = (num_clips / min(times_s[side][1:]) for side in ("ours", "peer"))
    name = f"{num_clips:,} clips, {_NUM_PROCESSES} processes, Ray Data beside multiprocessing.Pool"
    return [Comparison(name=name, ours=ours, peer=peer, ratio=ratios[len(ratios) // 2], unit="clips/s", runs=_RUNS)]


def _write_alone(task: tuple[Shard, str]) -> int:
    shard, folder = task
    maker = ClipMaker({shard.engine: engine(shard.engine)})
    return write_shard(folder, shard, [], maker).num_made


def waiting() -> list[Comparison]:
    ours, peer = _requests_per_s(_NUM_WAITING, 1600), _requests_per_s(1, 60)
    name = f"a service that answers after {_DELAY_S} s: {_NUM_WAITING} tasks at once beside one"
    return [Comparison(name=name, ours=ours, peer=peer, ratio=ours / peer, unit="requests/s", runs=1)]


def limit() -> list[Comparison]:
    ours = _requests_per_s(_NUM_WAITING, 1200, limit_per_s=_LIMIT_PER_S)
    name = f"requests of {_NUM_WAITING} tasks beside the limit that was set"
    return [Comparison(name=name, ours=ours, peer=_LIMIT_PER_S, ratio=ours / _LIMIT_PER_S, unit="requests/s", runs=1)]


def _requests_per_s(num_tasks: int, num_clips: int, limit_per_s: float = 1000.0) -> float:
    """What `num_tasks` tasks ask the service in a second, from when all are up until the first runs out of work."""
    with _ray(4), tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as asked:
        options = {"delay_s": _DELAY_S, "requests_per_s": limit_per_s, "asked": asked}
        config = _tones(("faraway:a", "faraway:b", "faraway:c"), 16, engines={"faraway": options})
        made = synthesise(_names(num_clips // 3), config, ClusterConfig(cpus_per_remote_task=4.0 / num_tasks), folder).num_made
        times_s = [[float(line) for line in path.read_text().split()] for path in Path(asked).iterdir()]
    assert made == sum(map(len, times_s)) and len(times_s) >= num_tasks
    start_s, end_s = max(process[0] for process in times_s), min(process[-1] for process in times_s)
    return sum(start_s <= time_s < end_s for process in times_s for time_s in process) / (end_s - start_s)


def memory() -> list[Comparison]:
    small, large = (
        float(subprocess.run([sys.executable, "-m", "benchmarks.synthesis", "--driver-of-rates", str(num)], check=True, stdout=subprocess.PIPE).stdout.split()[-1])
        for num in _NUM_RATES
    )
    rows = [f"{_NUM_NAMES * 3 * num**2:,}" for num in _NUM_RATES]
    name = f"driver's peak memory, plan of {rows[0]} rows (peer) and of {rows[1]} (ours)"
    return [Comparison(name=name, ours=large, peer=small, ratio=small / large, unit="MB", runs=1)]


def _driver_peak_mb(num_rates: int) -> float:
    rates = tuple(round(0.9 + 0.02 * i, 2) for i in range(num_rates))
    config = _tones(("tone:a", "tone:b", "tone:c"), 1024, rates=rates, pitches=rates)
    with _ray(_NUM_PROCESSES), tempfile.TemporaryDirectory() as folder:
        done = synthesise(_names(_NUM_NAMES), config, ClusterConfig(), folder)
        assert done.num_made == _NUM_NAMES * 3 * num_rates**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _tones(voices: tuple[str, str, str], clips_per_shard: int, **changes) -> CorpusConfig:
    train, validation, test = ((voice,) for voice in voices)
    return CorpusConfig(
        train_voices=train, validation_voices=validation, test_voices=test, augmentation="none", unseen_fraction=0.0,
        num_outsiders=0, clips_per_shard=clips_per_shard, **changes,
    )  # fmt: skip


def _names(count: int) -> Lexicon:
    letters = itertools.islice(itertools.product("abcdefghijklmnoprstuvz", repeat=5), count)
    return Lexicon("bench", tuple(Drug(id=name, name=name, spoken=name) for name in map("".join, letters)))


def _ray(num_cpus: int):
    return ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, logging_level="error")


_PARTS = {"throughput": throughput, "waiting": waiting, "limit": limit, "memory": memory}

if __name__ == "__main__":
    main()
