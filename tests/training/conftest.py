"""A corpus of six short names in two eSpeak voices, written without Ray, and settings to train on it in seconds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from drugasr import presets
from drugasr.config import Config, CorpusConfig, ModelConfig, TrainingConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import plan_shards, versions_of_voices
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import write_shard
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.voices.voice import engine

NAMES = ("aspirin", "codeine", "digoxin", "heparin", "insulin", "losartan")


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Two threads on busy cores are several times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def six_names() -> Lexicon:
    return Lexicon("six", tuple(Drug(id=f"id-{name}", name=name.title(), spoken=name) for name in NAMES))


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory, six_names) -> Path:
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
