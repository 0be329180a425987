"""All stages in a row, each named after what determines it: what is done is skipped, what changed is redone."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from drugasr import storage
from drugasr.cluster import check_stages, check_storage
from drugasr.config import Config
from drugasr.corpus.augmentation import recipe_version
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import say
from drugasr.tuning.space import without_params


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    corpus_uri: str
    corpus_clips: int
    clips_made: int
    """Clips that this run synthesised; the rest was there."""
    trials: int
    best: dict[str, Any]
    """Chosen configuration: frozen_layers, learning_rate, and what else was searched."""
    report: str
    """URI of the search's report."""
    model: str
    """URI of the model folder."""
    metrics: dict[str, Any]
    """Of the test voices: see `drugasr.evaluation.metrics`."""
    confusions: str
    """URI of the report of pairs that the model confuses."""
    stages_s: dict[str, float]
    """Wall time of each stage in seconds."""


def run(config: Config, storage_uri: str) -> PipelineResult:
    """From the lexicon to an evaluated model, under `storage_uri`.

    Raises the errors of every stage; a lexicon, a model or a cluster that will not do is refused before any work.
    """
    from drugasr.acoustic.folder import check_base  # torch: only the driver that trains needs it
    from drugasr.corpus.synthesis import synthesise
    from drugasr.evaluation.batch import evaluate
    from drugasr.evaluation.calibrating import calibrate
    from drugasr.evaluation.confusions import write_confusions
    from drugasr.training.distributed import train_distributed
    from drugasr.tuning.search import check_search, search

    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters, config.lexicon.salts)
    check_base(config.model.base, max(config.tuning.frozen_layers))
    check_stages(config)
    check_search(config)  # refuses a trial that would never fit
    recipe_version(config.training.augmentation, config.corpus.noise_folder)  # refuses a folder without noise
    check_storage(storage_uri)

    clock = _Clock()
    corpus_uri = storage.join(storage_uri, "corpus")
    synthesis = synthesise(lexicon, config.corpus, config.cluster, corpus_uri)
    data_hash = synthesis.manifest.data_hash
    clock.lap("synthesis")

    search_uri = storage.join(storage_uri, f"search-{search_name(config, lexicon, data_hash)}")
    best_config = search(config, corpus_uri, lexicon, search_uri)
    clock.lap("tuning")

    run_uri = storage.join(storage_uri, f"training-{training_name(best_config, lexicon, data_hash)}")
    trained = train_distributed(best_config, corpus_uri, lexicon, run_uri)
    clock.lap("training")

    calibration = calibrate(trained.model_uri, corpus_uri, lexicon, config.cluster)
    clock.lap("calibration")

    evaluation_uri = storage.join(run_uri, f"evaluation-{fingerprint(data_hash, lexicon.fingerprint, calibration)}")
    metrics = evaluate(trained.model_uri, corpus_uri, lexicon, config.cluster, evaluation_uri)
    confusions = write_confusions(storage.join(evaluation_uri, "predictions.parquet"), lexicon, evaluation_uri)
    clock.lap("evaluation")

    best = storage.read_json(storage.join(search_uri, "best.json"))
    return PipelineResult(
        corpus_uri=corpus_uri,
        corpus_clips=synthesis.manifest.total_clips,
        clips_made=synthesis.num_made,
        trials=best["num_trials"],
        best=best["params"],
        report=storage.join(search_uri, "report.html"),
        model=trained.model_uri,
        metrics=metrics,
        confusions=confusions["report"],
        stages_s=clock.laps_s,
    )


def search_name(config: Config, lexicon: Lexicon, data_hash: str) -> str:
    """Fingerprint of what determines a search: not what every trial sets for itself."""
    same = without_params(config)
    same = dataclasses.replace(same, training=dataclasses.replace(same.training, num_epochs=1, clip_fraction=1.0))
    # How many trials run at once, and who looks on, may change while a search is resumed.
    tuning = dataclasses.replace(config.tuning, max_concurrent=1, max_failures=0, loggers=())
    return fingerprint(*_determinants(same, lexicon, data_hash), tuning)


def training_name(config: Config, lexicon: Lexicon, data_hash: str) -> str:
    """Fingerprint of what determines a training."""
    return fingerprint(*_determinants(config, lexicon, data_hash))


def _determinants(config: Config, lexicon: Lexicon, data_hash: str) -> tuple:
    from drugasr.acoustic.folder import base_version

    # The number of workers counts: ranks draw their own dropout. Where they run does not.
    recipe = recipe_version(config.training.augmentation, config.corpus.noise_folder)
    return config.model, base_version(config.model.base), config.training, recipe, config.cluster.num_workers, lexicon.fingerprint, data_hash


class _Clock:
    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._start_s = time.monotonic()

    def lap(self, stage: str) -> None:
        now_s = time.monotonic()
        self.laps_s[stage] = round(now_s - self._start_s, 1)
        self._start_s = now_s
        say(f"pipeline: {stage} took {self.laps_s[stage]:,.0f} s")
