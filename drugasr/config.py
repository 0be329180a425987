"""Every setting, with its unit and range. `drugasr.presets` fills them in; nothing else has defaults.

The classes are frozen and validated on construction; a bad value raises pydantic's ValidationError,
which `drugasr.presets.load` turns into a ConfigError that names the field.
"""

import dataclasses
import math
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

settings = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(ge=1)]
TrainingField = Literal["weight_decay", "mask_time_prob", "dropout", "augmentation", "batch_s", "warmup_fraction", "hold_fraction"]
VoiceName = Annotated[str, Field(pattern=r"^[a-z0-9_]+:\S+$")]


@settings
class LexiconConfig:
    source: str = "quick50"
    """A shipped tier (quick50, top500, full) or the path or URI of a list of names."""
    max_letters: Annotated[int, Field(ge=4, le=200)] = 60
    """Names longer than this, in letters, are refused: too long to say in one breath."""
    salts: Literal["keep", "strip"] = "keep"
    """Whether salts at the end of a name are said (`metoprolol tartrate`) or not (`metoprolol`)."""


@settings
class CorpusConfig:
    train_voices: Annotated[tuple[VoiceName, ...], Field(min_length=1)]
    """Voices that training hears, each `engine:voice`, such as `espeak:en-us+f3`."""
    validation_voices: Annotated[tuple[VoiceName, ...], Field(min_length=1)]
    """Voices that choose the checkpoint and the configuration; in no other split."""
    test_voices: Annotated[tuple[VoiceName, ...], Field(min_length=1)]
    """Voices that only the evaluation hears; in no other split."""
    rates: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (1.0,)
    """Speaking rates relative to the engine's normal one, 0.5 to 2; every voice speaks at each."""
    pitches: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (1.0,)
    """Pitches relative to the voice's normal one, 0.5 to 2; every voice speaks at each."""
    draws_by_engine: dict[str, Annotated[float, Field(ge=0, le=1000)]] = field(default_factory=dict)
    """Engines whose training voices do not all say each text: so many clean clips of a text, voice, rate and pitch drawn
    anew for each; 0.25 says a quarter of the texts once. In the other splits each voice of theirs says a text once."""
    engines: dict[str, dict[str, bool | int | float | str]] = field(default_factory=dict)
    """Options of an engine by its name, such as the model file of `kokoro`; the engine's class documents them."""
    num_doses: Annotated[int, Field(ge=0, le=100)] = 0
    """Marketed strengths (`lexicon/data/strengths.tsv`) that are said after each name, beside the name alone."""
    dose_style: Literal["phrase", "joined"] = "phrase"
    """Whether name and dose are one phrase, or two recordings joined with a cross-fade."""
    dose_language: Literal["en", "fa"] = "en"
    """Language of the spoken dose: English, or Persian as in the data of 2022."""
    dose_voice: VoiceName | Literal[""] = ""
    """The voice of joined doses in training; empty for the voice that says the name, as in the other splits."""
    recordings: str = ""
    """Folder or CSV manifest of real recordings that join the corpus (`drugasr.corpus.recordings`); empty for none."""
    augmentation: Literal["none", "light", "clinic", "speaker", "recipe2022"] = "light"
    """The recipe that degrades copies of a training clip (`drugasr.corpus.augmentation`)."""
    noise_folder: str = ""
    """Folder of recorded noise that `clinic` mixes in, beside the noise that it makes; on every node. Empty for none."""
    num_augmented: Annotated[int, Field(ge=0, le=100)] = 1
    """Augmented copies of each training utterance, beside the clean one."""
    num_augmented_by_engine: dict[str, Annotated[int, Field(ge=0, le=100)]] = field(default_factory=dict)
    """Engines that get another number of copies: few voices of a rare engine are not to drown in many of another."""
    unseen_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the names that training never hears; validation and test hold every name."""
    unseen_names: tuple[str, ...] = ()
    """Names, as they are said, that training never hears either, nor any name that holds one of them as a word."""
    max_names: dict[Literal["validation", "test"], PositiveInt] = field(default_factory=dict)
    """Splits that hold not every name but so many, drawn; a quarter of them unseen ones, if there are as many."""
    num_outsiders: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Names that are not in the list, said by the validation and test voices: on them "none of these" is fitted and
    measured. Drawn from the shipped full list; fewer where it has no more."""
    max_failure_fraction: Fraction = 0.02
    """The synthesis fails when more than this share of the clips cannot be made."""
    clips_per_shard: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Clips that one Parquet file aims at; a file is the unit of parallel work and of resuming."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Chooses the unseen names and every augmentation."""

    @model_validator(mode="after")
    def _splits_apart(self):
        splits = {"train": self.train_voices, "validation": self.validation_voices, "test": self.test_voices}
        owner: dict[str, str] = {}
        for split, voices in splits.items():
            for voice in voices:
                if voice in owner:
                    raise ValueError(f"voice {voice!r} stands in {owner[voice]} and in {split}: a voice belongs to one split, once")
                owner[voice] = split
        parts: dict[str, str] = {}
        for voice, split in owner.items():
            engine, _, blend = voice.partition(":")
            for part in blend.split("*"):  # Kokoro's blends, such as af_heart*bm_george
                if parts.setdefault(f"{engine}:{part}", split) != split:
                    raise ValueError(f"voice {voice!r} of {split} holds {part!r}, which speaks in {parts[f'{engine}:{part}']}: a voice belongs to one split")
        if self.dose_voice and self.dose_style != "joined":
            raise ValueError(f"dose_voice {self.dose_voice!r} needs dose_style = 'joined': one phrase has one voice")
        if owner.get(self.dose_voice, "train") != "train":
            raise ValueError(f"dose_voice {self.dose_voice!r} stands in {owner[self.dose_voice]}: training would hear it")
        if self.dose_language == "fa" and not self.dose_voice:
            raise ValueError("dose_language = 'fa' needs dose_style = 'joined' and a dose_voice that reads Persian, such as espeak:fa")
        for name, values in (("rates", self.rates), ("pitches", self.pitches)):
            if not all(0.5 <= value <= 2 for value in values) or len(set(values)) != len(values):
                raise ValueError(f"{name} must be different numbers from 0.5 to 2, not {list(values)}")
        return self


@settings
class ModelConfig:
    base: str = "small"
    """`small` (2.1 M parameters) or `medium` (5.1 M) builds a HuBERT from scratch; otherwise a model folder or a hub name."""
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    """Transformer layers that stay as they are, counted from the bottom."""
    freeze_convolution: bool = True
    """Whether the convolutional front end stays as it is; it always does under a frozen layer."""


@settings
class TrainingConfig:
    num_epochs: PositiveInt
    """Passes over the training split."""
    learning_rate: PositiveFloat
    """Peak learning rate of AdamW, reached after the warm-up."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps over which the learning rate rises linearly."""
    hold_fraction: Fraction = 0.4
    """Share of the steps at the peak; the rest decays exponentially."""
    final_lr_fraction: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Learning rate of the last step, relative to the peak."""
    batch_s: PositiveFloat = 20.0
    """Audio in one optimiser step over all workers together, padding included, in seconds."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: PositiveFloat = 5.0
    """Gradients are scaled down to this L2 norm."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout in the trained transformer layers and before the head."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the forward and backward pass: bfloat16 autocast, or float32. `auto` is bf16 where the GPU has it, or the
    CPU (AVX-512 bf16 or AMX, 1.4 to 2.5 times as fast), and the model's logits survive it."""
    micro_batch_s: Annotated[float, Field(ge=0)] = 0.0
    """Audio that a worker takes at once, in seconds: a larger share of a step is added up piece by piece. 0 for all at once."""
    gradient_checkpointing: bool = False
    """Whether trained layers are computed a second time in the backward pass instead of being kept: less memory, a third slower."""
    cache_prefix: Literal["auto", "on", "off"] = "auto"
    """Whether the output of the frozen layers is computed once and kept on the storage; `auto` where that is faster. Never with
    augmentation on the fly, nor for a model that is built from scratch."""
    checkpoint_steps: Annotated[int, Field(ge=0)] = 1000
    """A checkpoint within an epoch after so many steps of it; 0 for one at the end of each epoch alone."""
    num_averaged: PositiveInt = 1
    """The mean of the weights of so many best epochs becomes the model, where it is better than the best; 1 for no mean."""
    patience: Annotated[int, Field(ge=0)] = 0
    """The training ends when so many epochs in a row brought nothing better; 0 for never."""
    augmentation: Literal["none", "light", "clinic", "speaker", "recipe2022"] = "none"
    """Recipe that degrades half of the training clips anew in every epoch, on the fly, whether or not the corpus holds
    augmented copies too (`corpus.num_augmented = 0` leaves those out); the steps stay planned by the stored lengths."""
    mask_time_prob: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """SpecAugment: share of the frames covered by masks of 10 frames; 0 turns it off."""
    max_clip_s: PositiveFloat = 15.0
    """Longer training clips are left out, and counted."""
    clip_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training clips that is used, chosen by id; for quick trials."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _schedule_fits(self):
        if self.warmup_fraction + self.hold_fraction > 1:
            raise ValueError(f"warmup_fraction + hold_fraction must be at most 1, not {self.warmup_fraction + self.hold_fraction}")
        return self


@settings
class TuningConfig:
    num_trials: PositiveInt
    num_epochs: PositiveInt
    """Epochs of a trial that is not stopped early."""
    frozen_layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """The frozen-layer counts to choose from."""
    min_learning_rate: PositiveFloat
    max_learning_rate: PositiveFloat
    """The learning rate is drawn log-uniformly between these two."""
    choices: dict[TrainingField, Annotated[tuple[float | str, ...], Field(min_length=1)]] = field(default_factory=dict)
    """Further fields of `training` that are searched, and the values to choose from: `{weight_decay = [0.0, 0.01]}`."""
    searcher: Literal["hypercube", "random", "grid", "optuna"] = "hypercube"
    """Where the next trial is tried: points spread evenly, drawn one by one, on a grid, or where Optuna's tree-structured Parzen
    estimator expects the most of it after a quarter of the trials."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Data-parallel workers of a trial; 0 for `cluster.num_workers`. With 1, for models that fit one device, a trial trains in its
    own process, which saves the dozen seconds that a group of workers takes to start."""
    max_failures: Annotated[int, Field(ge=0)] = 2
    """A trial that was lost (a node, a process) goes on from its last epoch so many times."""
    loggers: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Trackers that each trial's settings and metrics are sent to, beside TensorBoard; each must be installed, and takes its address
    from its own environment variables."""
    grace_epochs: PositiveInt = 1
    """ASHA stops no trial before this many epochs."""
    reduction_factor: Annotated[int, Field(ge=2)] = 4
    """ASHA keeps one trial in this many at each rung."""
    max_concurrent: Annotated[int, Field(ge=0)] = 0
    """Trials at the same time, fewer when the cluster has no room for them; 0 for as many as it has room for, on CPUs one a core."""
    clip_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training clips that a trial uses."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _range(self):
        if self.min_learning_rate > self.max_learning_rate:
            raise ValueError(f"min_learning_rate {self.min_learning_rate} is above max_learning_rate {self.max_learning_rate}")
        if self.searcher == "grid" and (least := self.num_combinations) > self.num_trials:
            raise ValueError(f"a grid of {least} combinations, with one learning rate each, needs num_trials of {least} at least, not {self.num_trials}")
        return self

    @property
    def num_combinations(self) -> int:
        """Of all that is searched but the learning rate."""
        return math.prod(len(values) for values in (self.frozen_layers, *self.choices.values()))


@settings
class ClusterConfig:
    num_workers: PositiveInt = 2
    """Data-parallel training workers of one training."""
    min_workers: Annotated[int, Field(ge=0)] = 0
    """A training begins, and goes on after losing a node, with as few workers as this, and takes more, up to `num_workers`, as
    they come; 0 for always `num_workers`. With another number of workers the weights come out otherwise."""
    cpus_per_worker: PositiveFloat = 1.0
    """Logical CPUs that Ray sets aside for a training worker."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of a training worker; 0 trains on CPUs."""
    cpus_per_task: PositiveFloat = 1.0
    """Logical CPUs of one synthesis or evaluation task."""
    cpus_per_remote_task: PositiveFloat = 0.25
    """Logical CPUs of a synthesis task that waits for a service: small, so that many wait at once."""

    @model_validator(mode="after")
    def _workers(self):
        if self.min_workers > self.num_workers:
            raise ValueError(f"min_workers {self.min_workers} is above num_workers {self.num_workers}")
        return self


@settings
class ServingConfig:
    num_replicas: PositiveInt = 1
    max_replicas: Annotated[int, Field(ge=0)] = 0
    """Replicas under load; 0 for `num_replicas`, always."""
    cpus_per_replica: PositiveFloat = 1.0
    host: str = "127.0.0.1"
    """Address that the HTTP proxy listens on; 0.0.0.0 opens it to the network."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port; 0 takes a free one."""

    @model_validator(mode="after")
    def _replicas(self):
        if 0 < self.max_replicas < self.num_replicas:
            raise ValueError(f"max_replicas {self.max_replicas} is below num_replicas {self.num_replicas}")
        return self


@settings
class Config:
    corpus: CorpusConfig
    training: TrainingConfig
    tuning: TuningConfig
    lexicon: LexiconConfig = field(default_factory=LexiconConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    serving: ServingConfig = field(default_factory=ServingConfig)

    @model_validator(mode="after")
    def _choices_are_valid(self):
        for name, values in self.tuning.choices.items():
            for value in values:
                dataclasses.replace(self.training, **{name: value})  # raises what a wrong value of that field would
        return self
