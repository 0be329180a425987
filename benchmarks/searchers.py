"""Optuna's searcher beside random draws, both with ASHA, on an objective whose best point is planted.

    python -m benchmarks.searchers [--seeds N] [--trials N]

A trial of the objective reports the top-1 of three epochs, which nears a height that falls off with the distance from the planted
learning rate and frozen-layer count, with noise. The searchers are those of `drugasr.tuning.searcher`, run by Ray Tune one trial
at a time. Counted is the number of trials until one comes within a hundredth of the planted height; a search that never does
counts all its trials and one more.
"""

import argparse
import dataclasses
import math
import os
import statistics
import sys
import tempfile
from typing import Any

import numpy as np
import ray
from ray import tune

from benchmarks.harness import Comparison, show
from drugasr import presets
from drugasr.config import TuningConfig
from drugasr.fingerprint import seed_of
from drugasr.tuning.searcher import stopper, trials_to_come

_HEIGHT, _LAYERS, _LOG_RATE = 0.95, 18, math.log10(3e-5)
_NEAR, _NOISE = 0.01, 0.002
_NUM_EPOCHS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--trials", type=int, default=48)
    arguments = parser.parse_args()
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0"}
    ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level="error", log_to_driver=False)
    counts: dict[str, list[int]] = {"optuna": [], "random": []}
    for seed in range(arguments.seeds):
        for searcher, of_searcher in counts.items():
            of_searcher.append(_num_trials(searcher, seed, arguments.trials))
        print(f"seed {seed}: " + ", ".join(f"{searcher} {of_searcher[-1]} trials" for searcher, of_searcher in counts.items()), flush=True)
    ray.shutdown()
    ours, peer = (statistics.median(counts[searcher]) for searcher in ("optuna", "random"))
    show([Comparison(name="trials until the planted best: optuna beside random", ours=ours, peer=peer, ratio=peer / ours, unit="trials", runs=arguments.seeds)])
    return 0


def height_of(point: dict[str, float]) -> float:
    """Top-1 of a point trained for ever."""
    return _HEIGHT - 0.004 * abs(point["frozen_layers"] - _LAYERS) - 0.1 * abs(math.log10(point["learning_rate"]) - _LOG_RATE)


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
