"""What tests share: one local Ray for all that need it, and settings small enough to run in seconds."""

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from drugasr import presets
from drugasr.config import Config, CorpusConfig, ModelConfig, TrainingConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import plan_shards, versions_of_voices
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import write_shard
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.voices.voice import engine

NAMES = ("metformin", "lisinopril", "warfarin", "digoxin", "ambien", "lasix")
SIX = ("aspirin", "codeine", "digoxin", "heparin", "insulin", "losartan")
PLUGINS = str(Path(__file__).parent / "plugins")


@pytest.fixture(scope="session")
def plugins():
    """The voice engines of tests/plugins for processes that start from here; this one has them by pytest's `pythonpath`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PLUGINS, prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def local_ray(plugins):
    """A Ray of the tests' own, with room for two training workers beside data tasks and drivers; a node may join it and be lost."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    # Its own folder, with a short name: a UNIX socket's path holds 107 characters.
    with tempfile.TemporaryDirectory(prefix="dat", dir="/tmp", ignore_cleanup_errors=True) as folder:
        # A dead node is missed after 1.5 s instead of 15; one that is alive has as long as ever to answer.
        settings = {"_system_config": {"health_check_period_ms": 300}, "object_store_memory": 2**30, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False, **settings})
        ray.init(address=cluster.address, logging_level="warning")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return Lexicon("six", tuple(Drug(id=name, name=name, spoken=name) for name in NAMES))


@pytest.fixture(scope="session")
def tiny() -> Config:
    """The mini preset with a handful of voices, one copy, one epoch and two trials."""
    config = presets.mini()
    corpus = dataclasses.replace(
        config.corpus,
        train_voices=("espeak:en-us+f1", "espeak:en+m2", "pico:en-US"),
        validation_voices=("espeak:en-us+Annie",),
        test_voices=("espeak:en-us+f5", "pico:en-GB"),
        num_augmented_by_engine={},
        clips_per_shard=16,
        unseen_fraction=0.2,
        num_outsiders=0,
    )
    return dataclasses.replace(
        config,
        corpus=corpus,
        training=dataclasses.replace(config.training, num_epochs=1),
        tuning=dataclasses.replace(config.tuning, num_trials=2, num_epochs=1, frozen_layers=(0, 2)),
        cluster=dataclasses.replace(config.cluster, cpus_per_task=0.5),
    )


@pytest.fixture(scope="session")
def six_names() -> Lexicon:
    return Lexicon("six", tuple(Drug(id=f"id-{name}", name=name.title(), spoken=name) for name in SIX))


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory, six_names) -> Path:
    """Six short names in two eSpeak voices, written without Ray."""
    folder = tmp_path_factory.mktemp("corpus")
    config = CorpusConfig(
        train_voices=("espeak:en-us+f3", "espeak:en-us+m3"), validation_voices=("espeak:en+m1",), test_voices=("espeak:en+f1",),
        augmentation="none", unseen_fraction=0.0, num_outsiders=0,
    )  # fmt: skip
    maker = ClipMaker({"espeak": engine("espeak")})
    reports = [write_shard(str(folder), shard, [], maker) for shard in plan_shards(six_names, config, versions_of_voices(config))]
    Manifest(
        lexicon="six",
        unseen_drug_ids=(),
        files={split: {report.file_name: report.num_clips for report in reports if report.split == split} for split in SPLITS},
        num_failures=sum(report.num_failures for report in reports),
        speech_s={split: {report.file_name: report.speech_s for report in reports if report.split == split} for split in SPLITS},
        settings={"corpus": dataclasses.asdict(config)},
    ).write(str(folder))
    return folder


@pytest.fixture(scope="session")
def training_config() -> Callable[..., Config]:
    """The mini preset with the small model; arguments are settings of the model or of the training."""

    def make(**changes) -> Config:
        mini = presets.mini()
        model_fields = {field.name for field in dataclasses.fields(ModelConfig)}
        values = {"base": "small", "freeze_convolution": False, "num_epochs": 2, "learning_rate": 1e-3, "batch_s": 3.0, "warmup_fraction": 0.2, "hold_fraction": 0.4, "precision": "fp32"} | changes
        model = {name: value for name, value in values.items() if name in model_fields}
        training = {name: value for name, value in values.items() if name not in model_fields}
        return dataclasses.replace(mini, model=dataclasses.replace(mini.model, **model), training=TrainingConfig(**training))

    return make
