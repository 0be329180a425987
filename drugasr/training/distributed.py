"""The training loop under Ray Train: data-parallel workers, a checkpoint each epoch, resumed by name."""

import dataclasses
import logging
import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray.train
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from drugasr import presets, storage
from drugasr.acoustic.facts import FACTS_FILE, read_facts
from drugasr.config import Config
from drugasr.errors import AudioError, ConfigError, DivergedError, DrugasrError, InputError, StorageError, TrainingError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.training.checkpoint import STATE_FILE
from drugasr.training.prefix_building import build_prefixes

RUN_FILE = "run.json"
"""What a training was started with: its configuration and its corpus."""
_NUM_KEPT = 2
_MAX_FAILURES = 3
_FAILURE_FILE = "failure.json"


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    model_uri: str
    """The model folder of the best epoch."""
    metrics: dict[str, float]
    """Validation metrics of that epoch."""


def train_distributed(config: Config, corpus_uri: str, lexicon: Lexicon, run_uri: str) -> TrainedModel:
    """Trains with `config.cluster`'s workers and leaves the best epoch in `<run>/model`.

    A run that was stopped goes on from its last epoch, one that is finished returns at once: name the run after
    what determines it. Raises TrainingError.
    """
    model_uri = storage.join(run_uri, "model")
    if not storage.exists(storage.join(model_uri, FACTS_FILE)):
        storage_uri, _, name = run_uri.rpartition("/")
        storage.write_json(storage.join(run_uri, RUN_FILE), {"config": dataclasses.asdict(config), "corpus": corpus_uri})
        depth = config.model.frozen_layers
        prefixes = build_prefixes(config, corpus_uri, storage_uri, [depth], config.training.num_epochs)
        result = run_trainer(make_trainer(config, corpus_uri, lexicon, storage_uri, name, prefixes.get(depth)), run_uri)
        if not result.best_checkpoints:
            raise TrainingError(f"the training in {run_uri} ended without a checkpoint")
        best, metrics = max(result.best_checkpoints, key=lambda checkpoint: checkpoint[1].get("score", -math.inf))
        _export(best, model_uri)
        say(f"training: best epoch is {metrics['epoch']:.0f}, its model is in {model_uri}")
    return TrainedModel(model_uri=model_uri, metrics=read_facts(model_uri)["metrics"])


def read_run(run_uri: str) -> tuple[Config, str]:
    """Configuration and corpus that the training in folder `run_uri` began with. Raises InputError."""
    try:
        run = storage.read_json(storage.join(run_uri, RUN_FILE))
        return presets.from_dict(run["config"]), run["corpus"]
    except (StorageError, KeyError, ConfigError) as error:
        raise InputError(f"{run_uri} is not the folder of a training that can be resumed: {error}") from error


def run_trainer(trainer: TorchTrainer, run_uri: str) -> ray.train.Result:
    """`trainer.fit()`; what the workers refused on purpose comes back as a TrainingError (DivergedError) with their words."""
    failure_uri = storage.join(run_uri, _FAILURE_FILE)
    if storage.exists(failure_uri):
        storage.delete_file(failure_uri)
    result = trainer.fit()
    if storage.exists(failure_uri):
        failure = storage.read_json(failure_uri)
        raise (DivergedError if failure["has_diverged"] else TrainingError)(failure["error"])
    return result


def make_trainer(config: Config, corpus_uri: str, lexicon: Lexicon, storage_uri: str, name: str, prefix_uri: str | None, callbacks=()) -> TorchTrainer:
    """A trainer whose checkpoints land in `<storage>/<name>`; the same name goes on where it stopped.

    `prefix_uri` is the folder of the cached prefix (`drugasr.training.prefix_building`), or None to compute it in each step.
    """
    cluster = config.cluster
    resources = {"CPU": cluster.cpus_per_worker} | ({"GPU": cluster.gpus_per_worker} if cluster.gpus_per_worker else {})
    return TorchTrainer(
        _train_on_worker,
        train_loop_config={
            "config": dataclasses.asdict(config),
            "corpus_uri": corpus_uri,
            "lexicon": lexicon,
            "run_uri": storage.join(storage_uri, name),
            "prefix_uri": prefix_uri,
        },
        scaling_config=ScalingConfig(
            num_workers=(cluster.min_workers, cluster.num_workers) if cluster.min_workers else cluster.num_workers, use_gpu=cluster.gpus_per_worker > 0, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage_uri,
            callbacks=list(callbacks),
            failure_config=FailureConfig(max_failures=_MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=_NUM_KEPT, checkpoint_score_attribute="score"),
        ),
    )


def _train_on_worker(arguments: dict[str, Any]) -> None:
    # Imported here: the driver that makes the trainer needs no torch loop.
    import torch

    from drugasr.training.cpu_tasks import map_on_cpus
    from drugasr.training.curves import Curves
    from drugasr.training.loop import train
    from drugasr.training.workers import Workers

    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it repeats every report
    config = presets.from_dict(arguments["config"])
    torch.set_num_threads(max(1, int(config.cluster.cpus_per_worker)))
    context = ray.train.get_context()
    workers = Workers(rank=context.get_world_rank(), size=context.get_world_size(), device=ray.train.torch.get_device())

    curves = Curves(arguments["run_uri"])

    def report(metrics: dict[str, float], folder: Path | None) -> None:
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder) if folder else None)
        if workers.rank == 0:
            curves.add(metrics)

    checkpoint = ray.train.get_checkpoint()
    try:
        with nullcontext() if checkpoint is None else checkpoint.as_directory() as folder:
            train(
                config, arguments["corpus_uri"], arguments["lexicon"], workers, report, Path(folder) if folder else None,
                map_in_order=partial(map_on_cpus, num_cpus=config.cluster.cpus_per_task), prefix_uri=arguments["prefix_uri"],
            )  # fmt: skip
    except (AudioError, ConfigError, StorageError):
        raise  # one rank's clip, or one node's noise or disk: returning would leave the others waiting in the all-reduce for ever
    except DrugasrError as error:
        # Every rank comes here, for the same reason. Raised, it would be tried again, in vain.
        storage.write_json(storage.join(arguments["run_uri"], _FAILURE_FILE), {"error": str(error), "has_diverged": isinstance(error, DivergedError)})


def _export(checkpoint: Checkpoint, model_uri: str) -> None:
    """The checkpoint without its optimiser; `drugasr.json` is written last, as the mark that the folder is whole."""
    with checkpoint.as_directory() as folder:
        names = sorted(path.name for path in Path(folder).iterdir() if path.is_file() and path.name != STATE_FILE)
        for name in sorted(names, key=lambda name: name == FACTS_FILE):
            storage.write_bytes(storage.join(model_uri, name), (Path(folder) / name).read_bytes())
