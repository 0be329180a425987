"""What one trial does: it waits for a data-parallel training, or trains in its own process."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback

from drugasr import storage
from drugasr.config import Config
from drugasr.errors import DivergedError
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from drugasr.tuning.searcher import METRIC, TIME
from drugasr.tuning.space import Point, with_params

DIVERGENCE = "divergence"
"""Metric of the last report of a trial whose loss was no longer a number: the words of the error."""
_DRIVER_CPUS = 0.01  # it only waits for its workers
_WORST = -1.0


@dataclass(frozen=True, kw_only=True)
class TrialInputs:
    config: Config
    """That of a trial: its epochs, clips and workers; its point is put in."""
    corpus_uri: str
    lexicon: Lexicon
    prefixes: dict[int, str]
    """Folders of the cached prefix, by frozen layers."""
    trainings_uri: str


def is_alone(config: Config) -> bool:
    """Whether a trial trains in its own process."""
    return config.cluster.num_workers == 1


def resources_of(config: Config) -> dict[str, float]:
    """What Tune sets aside for a trial; the workers of a data-parallel training are set aside by Ray Train."""
    cluster = config.cluster
    if not is_alone(config):
        return {"cpu": _DRIVER_CPUS}
    return {"cpu": cluster.cpus_per_worker} | ({"gpu": cluster.gpus_per_worker} if cluster.gpus_per_worker else {})


def run_trial(params: dict[str, Any], inputs: TrialInputs) -> None:
    """One trial, from its last epoch if it has run before. Reports each epoch; a divergence is the last report, with the worst score."""
    point = params["point"]
    config = with_params(inputs.config, point)
    starts_uri = starts_uri_of(inputs.trainings_uri, point)
    storage.write_json(starts_uri, read_starts(starts_uri) + 1)
    prefix_uri = inputs.prefixes.get(config.model.frozen_layers) if config.training.augmentation == "none" else None
    try:
        (_train_here if is_alone(config) else _wait_for_workers)(config, inputs, prefix_uri)
    except DivergedError as error:  # another try would come to the same
        tune.report({TIME: config.training.num_epochs, METRIC: _WORST, DIVERGENCE: str(error)})


def starts_uri_of(trainings_uri: str, point: Point) -> str:
    """Where is noted how often the trial of this point was begun."""
    return storage.join(trainings_uri, f"starts-{fingerprint(point)}.json")


def read_starts(uri: str) -> int:
    return int(storage.read_json(uri)) if storage.exists(uri) else 0


def _wait_for_workers(config: Config, inputs: TrialInputs, prefix_uri: str | None) -> None:
    from drugasr.training.distributed import make_trainer, run_trainer

    # Named after the trial, so that a restored trial goes on from its last epoch.
    name = f"trial-{tune.get_context().get_trial_id()}"
    trainer = make_trainer(config, inputs.corpus_uri, inputs.lexicon, inputs.trainings_uri, name, prefix_uri, callbacks=[TuneReportCallback()])
    run_trainer(trainer, storage.join(inputs.trainings_uri, name))


def _train_here(config: Config, inputs: TrialInputs, prefix_uri: str | None) -> None:
    from drugasr.training.cpu_tasks import map_on_cpus
    from drugasr.training.loop import train
    from drugasr.training.workers import Workers

    def report(metrics: dict[str, float], folder: Path | None) -> None:
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder) if folder else None)

    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it repeats every report
    workers = Workers.alone(num_threads=max(1, int(config.cluster.cpus_per_worker)), use_gpu=config.cluster.gpus_per_worker > 0)
    checkpoint = tune.get_checkpoint()
    with nullcontext() if checkpoint is None else checkpoint.as_directory() as folder:
        train(
            config, inputs.corpus_uri, inputs.lexicon, workers, report, Path(folder) if folder else None,
            map_in_order=partial(map_on_cpus, num_cpus=config.cluster.cpus_per_task), prefix_uri=prefix_uri,
        )  # fmt: skip
