"""Optuna's searcher beside random draws, both with ASHA: on an objective whose best point is planted, and on the preset mini.

    python -m benchmarks.searchers [--seeds N] [--trials N] [--real-seeds N] [--real-trials N] [--storage FOLDER]

A trial of the objective reports the top-1 of three epochs, which nears a height that falls off with the distance from the planted
learning rate and frozen-layer count, with noise. The searchers are those of `drugasr.tuning.searcher`, run by Ray Tune one trial
at a time. Counted is the number of trials until one comes within a hundredth of the planted height; a search that never does
counts all its trials and one more.

The real searches train (`benchmarks.mini_searches`). Nothing is planted there: counted is the number of trials until one comes
within a point of top-1 and two of CER of the best that any of these searches found.
"""

import argparse
import dataclasses
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from benchmarks.harness import Comparison, show
from benchmarks.mini_searches import Found, run_searches
from drugasr import presets
from drugasr.config import TuningConfig
from drugasr.fingerprint import seed_of
from drugasr.tuning.searcher import stopper, trials_to_come

_HEIGHT, _LAYERS, _LOG_RATE = 0.95, 18, math.log10(3e-5)
_NEAR, _NOISE = 0.01, 0.002
_NUM_EPOCHS = 3
_SEARCHERS = ("optuna", "random")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--real-seeds", type=int, default=3, help="0 leaves the real searches out")
    parser.add_argument("--real-trials", type=int, default=12)
    parser.add_argument("--storage", help="folder for the corpus and the real searches, which are kept (default: a temporary one)")
    arguments = parser.parse_args()
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0", "TRANSFORMERS_VERBOSITY": "error"}
    ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level="error", log_to_driver=False)
    comparisons = [_on_the_objective(arguments.seeds, arguments.trials)]
    if arguments.real_seeds:
        with tempfile.TemporaryDirectory() as scratch:
            comparisons.append(_on_mini(arguments.real_seeds, arguments.real_trials, Path(arguments.storage or scratch).absolute()))
    ray.shutdown()
    show(comparisons)
    return 0


def height_of(point: dict[str, float]) -> float:
    """Top-1 of a point trained for ever."""
    return _HEIGHT - 0.004 * abs(point["frozen_layers"] - _LAYERS) - 0.1 * abs(math.log10(point["learning_rate"]) - _LOG_RATE)


def _on_the_objective(num_seeds: int, num_trials: int) -> Comparison:
    counts = {searcher: [_num_trials(searcher, seed, num_trials) for seed in range(num_seeds)] for searcher in _SEARCHERS}
    return _comparison("trials until the planted best: optuna beside random", counts)


def _on_mini(num_seeds: int, num_trials: int, storage: Path) -> Comparison:
    found = {(searcher, seed): trials for searcher, seed, trials in run_searches(_SEARCHERS, num_seeds, num_trials, storage)}
    best = max((trial for trials in found.values() for trial in trials), key=lambda trial: (trial.top1, -trial.cer))
    for (searcher, seed), trials in found.items():
        own = max(trials, key=lambda trial: (trial.top1, -trial.cer))
        print(f"mini, seed {seed}, {searcher}: best top-1 {own.top1:.1%}, CER {own.cer:.1%}", flush=True)

    def count(trials: Sequence[Found]) -> int:
        return next((number for number, trial in enumerate(trials, start=1) if trial.is_near(best)), num_trials + 1)

    counts = {searcher: [count(found[searcher, seed]) for seed in range(num_seeds)] for searcher in _SEARCHERS}
    return _comparison("preset mini: trials until the best: optuna beside random", counts)


def _comparison(name: str, counts: Mapping[str, Sequence[int]]) -> Comparison:
    """Prints the counts of each seed, and compares their medians."""
    print(name)
    for seed, pair in enumerate(zip(*(counts[searcher] for searcher in _SEARCHERS), strict=True)):
        print(f"  seed {seed}: " + ", ".join(f"{searcher} {count}" for searcher, count in zip(_SEARCHERS, pair, strict=True)), flush=True)
    ours, peer = (statistics.median(counts[searcher]) for searcher in _SEARCHERS)
    return Comparison(name=name, ours=ours, peer=peer, ratio=peer / ours, unit="trials", runs=len(counts["optuna"]))


def _num_trials(searcher: str, seed: int, num_trials: int) -> int:
    tuning = dataclasses.replace(_tuning(), searcher=searcher, seed=seed, num_trials=num_trials)
    param_space, search_alg, num_samples = trials_to_come(tuning)
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(_trial, {"cpu": 1}),
            param_space=param_space,
            tune_config=tune.TuneConfig(search_alg=search_alg, num_samples=num_samples, scheduler=stopper(tuning), max_concurrent_trials=1, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    trials = sorted(results, key=lambda result: result.metrics["timestamp"])
    near = (number for number, result in enumerate(trials, start=1) if height_of(result.config["point"]) >= _HEIGHT - _NEAR)
    return next(near, num_trials + 1)


def _tuning() -> TuningConfig:
    """The space of the preset `large`."""
    return dataclasses.replace(presets.large().tuning, num_epochs=_NUM_EPOCHS)


def _trial(params: dict[str, Any]) -> None:
    point = params["point"]
    generator = np.random.default_rng(seed_of("objective", sorted(point.items())))
    for epoch in range(1, _NUM_EPOCHS + 1):
        tune.report({"epoch": epoch, "score": height_of(point) * (1 - math.exp(-1.5 * epoch)) + generator.normal(0, _NOISE)})


if __name__ == "__main__":
    sys.exit(main())
