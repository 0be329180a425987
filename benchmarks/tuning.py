"""The search beside the plain way of searching: the same twelve trials of the preset mini, three epochs each.

    python -m benchmarks.tuning [--storage FOLDER] [--trials N] [--epochs N] [--clip-fraction SHARE]

Ours: one cached prefix for all trials, trials in processes of their own, as many at a time as there are cores, ASHA. The peer:
one trial after the other, each a training of its own by two data-parallel workers, which computes the frozen layers in every
step and runs to its end. Both are timed from the corpus to the chosen point, start-up included; the corpus is made before.
The peer's table of all points says how good ours' choice is: its top-1 there beside that of the peer's choice.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

import ray

from benchmarks.cpu_clock import CpuClock
from benchmarks.harness import Comparison, show
from drugasr import presets
from drugasr.config import Config
from drugasr.corpus.synthesis import synthesise
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import say
from drugasr.storage import read_json
from drugasr.training.distributed import make_trainer, run_trainer
from drugasr.tuning.search import search, trial_config
from drugasr.tuning.space import Point, describe, sample_points, with_params

_NUM_PEER_WORKERS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", help="folder for the corpus, which is kept (default: a temporary one)")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--clip-fraction", type=float, default=presets.mini().tuning.clip_fraction)
    arguments = parser.parse_args()
    os.environ |= {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2", "RAY_AIR_NEW_OUTPUT": "0", "TRANSFORMERS_VERBOSITY": "error"}
    ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level="error", log_to_driver=False)
    with tempfile.TemporaryDirectory() as scratch:
        show(_compare(arguments, Path(arguments.storage or scratch).absolute(), Path(scratch)))
    ray.shutdown()
    return 0


def _compare(arguments: argparse.Namespace, storage: Path, scratch: Path) -> list[Comparison]:
    config = _config(arguments)
    lexicon, corpus_uri = read_lexicon(config.lexicon.source), str(storage / "corpus")
    synthesise(lexicon, config.corpus, config.cluster, corpus_uri)
    start_s = time.perf_counter()
    with CpuClock() as ours_cpu:
        search(config, corpus_uri, lexicon, str(scratch / "search"))
    ours_s = time.perf_counter() - start_s
    say(f"ours: {ours_s:.0f} s, {ours_cpu.seconds:.0f} s of CPU")
    chosen = read_json(str(scratch / "search" / "best.json"))["params"]
    start_s = time.perf_counter()
    with CpuClock() as plain_cpu:
        top1_of = _search_plainly(config, corpus_uri, lexicon, str(scratch / "plain"))
    plain_s = time.perf_counter() - start_s
    best = max(top1_of, key=top1_of.get)
    ours, peer = (100 * top1_of[tuple(sorted(point.items()))] for point in (chosen, dict(best)))
    cpu_ratio = plain_cpu.seconds / ours_cpu.seconds
    return [
        Comparison(name=f"{len(top1_of)} trials: wall time beside the plain way", ours=ours_s, peer=plain_s, ratio=plain_s / ours_s, unit="s", runs=1),
        Comparison(name="the same: CPU time", ours=ours_cpu.seconds, peer=plain_cpu.seconds, ratio=cpu_ratio, unit="s", runs=1),
        Comparison(name="top-1 of the chosen point, trained to its end", ours=ours, peer=peer, ratio=ours / peer, unit="%", runs=1),
    ]


def _config(arguments: argparse.Namespace) -> Config:
    mini = presets.mini()
    tuning = dataclasses.replace(
        mini.tuning, num_trials=arguments.trials, num_epochs=arguments.epochs, clip_fraction=arguments.clip_fraction, num_workers=1
    )
    return dataclasses.replace(mini, tuning=tuning)


def _search_plainly(config: Config, corpus_uri: str, lexicon: Lexicon, folder: str) -> dict[tuple, float]:
    """Top-1 of the best epoch of each point."""
    trial = trial_config(config)
    trial = dataclasses.replace(
        trial, training=dataclasses.replace(trial.training, cache_prefix="off"), cluster=dataclasses.replace(trial.cluster, num_workers=_NUM_PEER_WORKERS)
    )
    return {tuple(sorted(point.items())): _train(with_params(trial, point), point, corpus_uri, lexicon, folder, i) for i, point in enumerate(sample_points(config.tuning))}


def _train(config: Config, point: Point, corpus_uri: str, lexicon: Lexicon, folder: str, number: int) -> float:
    name = f"trial-{number}"
    result = run_trainer(make_trainer(config, corpus_uri, lexicon, folder, name, prefix_uri=None), f"{folder}/{name}")
    top1 = max(metrics["top1"] for _, metrics in result.best_checkpoints)
    say(f"plain: {describe(point)}: top-1 {top1:.3f}")
    return top1


if __name__ == "__main__":
    sys.exit(main())
