"""The search on Ray Tune: each trial is a data-parallel training of its own, and ASHA stops the hopeless ones."""

import dataclasses
import math
from importlib.metadata import version
from typing import Any

import pandas as pd
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler

from drugasr import presets, storage
from drugasr.cluster import check_capacity, cpus_of_training, total_resources
from drugasr.config import Config
from drugasr.corpus.manifest import Manifest
from drugasr.errors import TrainingError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.training.distributed import make_trainer, run_trainer
from drugasr.training.prefix_building import build_prefixes
from drugasr.tuning.report import render
from drugasr.tuning.space import sample_points, with_params
from drugasr.tuning.trial import Trial, leaderboard, to_csv

_DRIVER_CPUS = 0.01  # a trial's driver only waits for its workers
_MAX_TRIAL_FAILURES = 1


def search(config: Config, corpus_uri: str, lexicon: Lexicon, search_uri: str) -> Config:
    """Runs or resumes the search in folder `search_uri`; returns `config` with the best trial's values.

    Writes `trials.csv`, `report.html` and, last, `best.json`; with that, a later call returns at once.
    Raises CapacityError before any work, and TrainingError when no trial gave a model.
    """
    best_uri = storage.join(search_uri, "best.json")
    if not storage.exists(best_uri):
        trials = _run(config, corpus_uri, lexicon, search_uri)
        best = leaderboard(trials)[0]
        if not best.is_usable:
            errors = "; ".join(sorted({trial.error.splitlines()[-1] for trial in trials if trial.error}))
            raise TrainingError(f"none of the {len(trials)} trials in {search_uri} gave a model: {errors}")
        storage.write_bytes(storage.join(search_uri, "trials.csv"), to_csv(trials).encode())
        facts = {
            "configuration": dataclasses.asdict(config),
            "corpus": f"{corpus_uri}, data hash {Manifest.read(corpus_uri).data_hash}",
            "names": len(lexicon),
            "versions": ", ".join(f"{name} {version(name)}" for name in ("drugasr", "ray", "torch", "transformers")),
        }
        page = render(trials, title=f"Search over frozen layers and learning rate: {lexicon.name}", facts=facts)
        storage.write_bytes(storage.join(search_uri, "report.html"), page.encode())
        storage.write_json(best_uri, best.to_dict() | {"best_epoch": best.best_epoch, "num_trials": len(trials)})
    params = storage.read_json(best_uri)["params"]
    say(f"tuning: best is {_describe(params)}; the report is {storage.join(search_uri, 'report.html')}")
    return with_params(config, params)


def max_concurrent(config: Config) -> int:
    """Trials that fit the cluster at once, at most `tuning.max_concurrent`. Raises CapacityError when none does."""
    needed = {"CPU": cpus_of_training(config) + _DRIVER_CPUS}
    if config.cluster.gpus_per_worker:
        needed["GPU"] = config.cluster.num_workers * config.cluster.gpus_per_worker
    check_capacity("one trial of the search", needed)
    total = total_resources()
    return min(config.tuning.max_concurrent, *(math.floor(total[name] / amount + 1e-9) for name, amount in needed.items()))


def _run(config: Config, corpus_uri: str, lexicon: Lexicon, search_uri: str) -> list[Trial]:
    concurrent = max_concurrent(config)
    tuning = config.tuning
    storage_uri, _, name = search_uri.rpartition("/")
    trial_config = _trial_config(config)
    # Once for all trials: what they freeze is the same in each.
    prefixes = build_prefixes(trial_config, corpus_uri, storage_uri, sorted(set(tuning.frozen_layers)), tuning.num_trials * tuning.num_epochs)
    arguments = {
        "config": dataclasses.asdict(trial_config),
        "corpus_uri": corpus_uri,
        "lexicon": lexicon,
        "prefixes": prefixes,
        "trainings_uri": storage.join(search_uri, "trainings"),
    }
    trainable = tune.with_resources(tune.with_parameters(_run_trial, arguments=arguments), {"cpu": _DRIVER_CPUS})
    say(f"tuning: {tuning.num_trials} trials of up to {tuning.num_epochs} epochs, {concurrent} at a time, {config.cluster.num_workers} workers each")
    if tune.Tuner.can_restore(search_uri):
        tuner = tune.Tuner.restore(search_uri, trainable=trainable, resume_unfinished=True, restart_errored=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={"point": tune.grid_search(sample_points(tuning))},
            tune_config=tune.TuneConfig(
                scheduler=ASHAScheduler(
                    time_attr="epoch",
                    metric="score",
                    mode="max",
                    max_t=tuning.num_epochs,
                    grace_period=min(tuning.grace_epochs, tuning.num_epochs),
                    reduction_factor=tuning.reduction_factor,
                ),
                max_concurrent_trials=concurrent,
            ),
            run_config=tune.RunConfig(
                name=name, storage_path=storage_uri, verbose=0, failure_config=tune.FailureConfig(max_failures=_MAX_TRIAL_FAILURES)
            ),
        )
    return _trials(tuner.fit(), tuning.num_epochs)


def _trial_config(config: Config) -> Config:
    """A trial is a shorter training; it reports whole epochs alone, for ASHA asks each report for its score."""
    tuning = config.tuning
    training = dataclasses.replace(
        config.training, num_epochs=tuning.num_epochs, clip_fraction=tuning.clip_fraction, checkpoint_steps=0, num_averaged=1, patience=0
    )
    return dataclasses.replace(config, training=training)


def _run_trial(params: dict[str, Any], arguments: dict[str, Any]) -> None:
    """One trial: a driver that waits for its own data-parallel training."""
    config = with_params(presets.from_dict(arguments["config"]), params["point"])
    # Named after the trial, so that a restored trial goes on from its last epoch.
    name = f"trial-{tune.get_context().get_trial_id()}"
    prefix_uri = arguments["prefixes"].get(config.model.frozen_layers)
    trainer = make_trainer(
        config, arguments["corpus_uri"], arguments["lexicon"], arguments["trainings_uri"], name, prefix_uri, callbacks=[TuneReportCallback()]
    )
    run_trainer(trainer, storage.join(arguments["trainings_uri"], name))


def _trials(results: tune.ResultGrid, num_epochs: int) -> list[Trial]:
    rows = [_epochs(result.metrics_dataframe) for result in results]
    begins_s = [row["timestamp"] - row["time_total_s"] for trial_rows in rows for row in trial_rows[:1]]
    search_start_s = min(begins_s, default=0.0)
    trials = []
    for number, (result, epochs) in enumerate(zip(results, rows, strict=True), start=1):
        if result.error is not None:
            status = "diverged" if "no longer a number" in str(result.error) else "failed"
        else:
            status = "finished" if epochs and epochs[-1]["epoch"] >= num_epochs else "stopped early"
        trials.append(
            Trial(
                trial_id=f"{number:02d}",
                params=result.config["point"],
                status=status,
                epochs=tuple(row | {"wall_s": row["timestamp"] - search_start_s} for row in epochs),
                start_s=epochs[0]["timestamp"] - epochs[0]["time_total_s"] - search_start_s if epochs else math.nan,
                error=str(result.error or ""),
                checkpoint=_best_checkpoint(epochs),
            )
        )
    return trials


def _epochs(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """One row an epoch: a trial that was resumed reports its earlier epochs again, without their checkpoints."""
    rows = [] if frame is None else frame.to_dict("records")
    return list({row["epoch"]: row for row in reversed(rows)}.values())[::-1]


def _best_checkpoint(epochs: list[dict[str, Any]]) -> str:
    """Where the best epoch's checkpoint is: the trainer keeps it beside the last one."""
    kept = [epoch for epoch in epochs if epoch.get("checkpoint_path")]
    return str(max(kept, key=lambda epoch: epoch["score"])["checkpoint_path"]) if kept else ""


def _describe(params: dict[str, float]) -> str:
    return f"{params['frozen_layers']} frozen layers, learning rate {params['learning_rate']:.2g}"
