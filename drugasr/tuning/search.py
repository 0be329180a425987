"""The search on Ray Tune: each trial is a training of its own, and ASHA stops the hopeless ones."""

import dataclasses
import importlib.util
from collections.abc import Iterator
from importlib.metadata import version

import ray
from ray import tune

from drugasr import storage
from drugasr.config import Config
from drugasr.corpus.manifest import Manifest
from drugasr.errors import ConfigError, TrainingError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.training.prefix_building import build_prefixes
from drugasr.tuning.importance import importances
from drugasr.tuning.mistakes import Mistakes, find_mistakes
from drugasr.tuning.report import render
from drugasr.tuning.results import trials_of
from drugasr.tuning.room import Room, find_room
from drugasr.tuning.searcher import METRIC, stopper, trials_to_come
from drugasr.tuning.space import describe, with_params
from drugasr.tuning.trainable import TrialInputs, is_alone, run_trial
from drugasr.tuning.trial import Trial, leaderboard, to_csv

_NUM_KEPT = 2  # the best epoch and the last


def search(config: Config, corpus_uri: str, lexicon: Lexicon, search_uri: str) -> Config:
    """Runs or resumes the search in folder `search_uri`; returns `config` with the best trial's values.

    Writes `trials.csv`, `report.html` and, last, `best.json`; with that, a later call returns at once.
    Raises CapacityError and ConfigError before any work, and TrainingError when no trial gave a model.
    """
    from drugasr.acoustic.folder import model_config  # transformers: only who trains needs it

    best_uri = storage.join(search_uri, "best.json")
    if not storage.exists(best_uri):
        trials = leaderboard(_run(config, corpus_uri, lexicon, search_uri))
        best = trials[0]
        if not best.is_usable:
            errors = "; ".join(sorted({trial.error.splitlines()[-1] for trial in trials if trial.error}))
            raise TrainingError(f"none of the {len(trials)} trials in {search_uri} gave a model: {errors}")
        storage.write_bytes(storage.join(search_uri, "trials.csv"), to_csv(trials).encode())
        facts = {
            "configuration": dataclasses.asdict(config),
            "corpus": f"{corpus_uri}, data hash {Manifest.read(corpus_uri).data_hash}",
            "names": len(lexicon),
            "versions": ", ".join(f"{name} {version(name)}" for name in ("drugasr", "ray", "torch", "transformers", "optuna")),
        }
        page = render(
            trials,
            title=f"Search over frozen layers and learning rate: {lexicon.name}",
            facts=facts,
            notes=_notes(config),
            importances=importances(trials),
            mistakes=_mistakes(best, corpus_uri, lexicon, config.cluster.cpus_per_task),
            num_layers=model_config(config.model.base).num_hidden_layers,
        )
        storage.write_bytes(storage.join(search_uri, "report.html"), page.encode())
        storage.write_json(best_uri, best.to_dict() | {"best_epoch": best.best_epoch, "num_trials": len(trials)})
    params = storage.read_json(best_uri)["params"]
    say(f"tuning: best is {describe(params)}; the report is {storage.join(search_uri, 'report.html')}")
    return with_params(config, params)


def check_search(config: Config) -> Room:
    """What the search of `config` has of the cluster. Raises CapacityError when not one trial fits, ConfigError for a logger that
    is not installed."""
    for logger in config.tuning.loggers:
        if importlib.util.find_spec(logger) is None:
            raise ConfigError(f"tuning.loggers: {logger!r} is not installed: `pip install {logger}` on every node, or leave it out")
    return find_room(trial_config(config))


def trial_config(config: Config) -> Config:
    """A trial is a shorter training; it reports whole epochs alone, for ASHA asks each report for its score."""
    tuning = config.tuning
    training = dataclasses.replace(
        config.training, num_epochs=tuning.num_epochs, clip_fraction=tuning.clip_fraction, checkpoint_steps=0, num_averaged=1, patience=0
    )
    cluster = config.cluster
    if tuning.num_workers:
        cluster = dataclasses.replace(cluster, num_workers=tuning.num_workers, min_workers=min(cluster.min_workers, tuning.num_workers))
    return dataclasses.replace(config, training=training, cluster=cluster)


def _run(config: Config, corpus_uri: str, lexicon: Lexicon, search_uri: str) -> list[Trial]:
    room, tuning, trial = check_search(config), config.tuning, trial_config(config)
    storage_uri, _, name = search_uri.rpartition("/")
    # Once for all trials: what they freeze is the same in each.
    prefixes = build_prefixes(trial, corpus_uri, storage_uri, sorted(set(tuning.frozen_layers)), tuning.num_trials * tuning.num_epochs)
    trainings_uri = storage.join(search_uri, "trainings")
    inputs = TrialInputs(config=trial, corpus_uri=corpus_uri, lexicon=lexicon, prefixes=prefixes, trainings_uri=trainings_uri)
    trainable = tune.with_resources(tune.with_parameters(run_trial, inputs=inputs), room.trial)
    say(f"tuning: up to {tuning.num_trials} trials of up to {tuning.num_epochs} epochs, {room.num_trials} at a time, {_kind(trial)}")
    if tune.Tuner.can_restore(search_uri):
        tuner = tune.Tuner.restore(search_uri, trainable=trainable, resume_unfinished=True, restart_errored=True)
    else:
        param_space, searcher, num_samples = trials_to_come(tuning)
        tuner = tune.Tuner(
            trainable,
            param_space=param_space,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=num_samples,
                scheduler=stopper(tuning),
                max_concurrent_trials=room.num_trials,
                reuse_actors=is_alone(trial),  # the next trial need not import torch
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage_uri,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=tuning.max_failures),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=_NUM_KEPT, checkpoint_score_attribute=METRIC),
                callbacks=[_logger(logger, name) for logger in tuning.loggers] or None,
            ),
        )
    return trials_of(tuner.fit(), tuning.num_epochs, search_uri, trainings_uri)


def _mistakes(best: Trial, corpus_uri: str, lexicon: Lexicon, num_cpus: float) -> Mistakes | None:
    """In a task, for the driver may be a small machine."""
    if not best.checkpoint:
        return None
    return ray.get(ray.remote(find_mistakes).options(num_cpus=num_cpus).remote(best.checkpoint, corpus_uri, lexicon))


def _logger(name: str, search: str) -> tune.Callback:
    if name == "mlflow":
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        return MLflowLoggerCallback(experiment_name=search)
    from ray.air.integrations.wandb import WandbLoggerCallback

    return WandbLoggerCallback(project="drugasr", group=search)


def _notes(config: Config) -> Iterator[str]:
    tuning, trial = config.tuning, trial_config(config)
    yield f"Each trial was trained {_kind(trial)}; points by the searcher {tuning.searcher!r}, seed {tuning.seed}."
    if tuning.clip_fraction < 1:
        yield f"Trials heard {tuning.clip_fraction:.0%} of the training clips."


def _kind(trial: Config) -> str:
    return "alone in a process" if is_alone(trial) else f"by {trial.cluster.num_workers} data-parallel workers"
