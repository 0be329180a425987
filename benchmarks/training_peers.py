"""What people use to fine-tune a CTC model: the Trainer of transformers, and the loop of this project's scripts of 2022.

Shapes: B clips, S samples.
"""

import tempfile
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from drugasr import audio
from drugasr.acoustic.folder import load_model
from drugasr.acoustic.freezing import freeze
from drugasr.config import ModelConfig
from drugasr.corpus.reading import read_split


class _Decoded:
    """Clips in memory, normalised, with their labels: what `Dataset.map` leaves before a training."""

    def __init__(self, task, processor, vocabulary) -> None:
        table = read_split(task.corpus, "train", ["audio", "text"])
        extractor = processor.feature_extractor
        waves = [audio.decode(clip["bytes"]) for clip in table["audio"].to_pylist()]
        self.rows = [
            {"input_values": extractor(wave_S, sampling_rate=16_000)["input_values"][0], "labels": vocabulary.encode(text), "length": len(wave_S)}
            for wave_S, text in zip(waves, table["text"].to_pylist(), strict=True)
        ]

    def clips_of(self, batch_s: float) -> int:
        """Clips that make as much audio as one of our steps."""
        return max(1, round(batch_s / np.mean([row["length"] / audio.SAMPLE_RATE_HZ for row in self.rows])))


def prepare(task) -> tuple[Any, Any, _Decoded]:
    """Model, processor and clips: nothing of it is timed."""
    model, processor, vocabulary = load_model(task.base)
    model.config.ctc_loss_reduction = "mean"
    return model, processor, _Decoded(task, processor, vocabulary)


def trainer(task, *, is_frozen: bool, prepared) -> None:
    """`transformers.Trainer` as its CTC example uses it (run_speech_recognition_ctc.py), on the CPU."""
    model, processor, decoded = prepared
    config = task.config()
    model.freeze_feature_encoder()
    if is_frozen:
        freeze(model, ModelConfig(base=task.base, frozen_layers=task.frozen_layers), uses_masking=True)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=config.training.num_epochs, per_device_train_batch_size=decoded.clips_of(config.training.batch_s),
            learning_rate=config.training.learning_rate, use_cpu=True, optim="adamw_torch_fused",
            save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no", remove_unused_columns=False,
        )  # fmt: skip
        _GroupedByLength(model, arguments, data_collator=lambda rows: _pad(rows, processor), train_dataset=decoded.rows).train()


class _GroupedByLength(Trainer):
    """`train_sampling_strategy="group_by_length"`, which would have a `datasets.Dataset` for the lengths alone."""

    def _get_train_sampler(self, train_dataset=None) -> LengthGroupedSampler:
        return LengthGroupedSampler(self.args.train_batch_size, lengths=[row["length"] for row in self.train_dataset])


def loop_of_2022(task, *, prepared) -> None:
    """One utterance at a time; the losses of a step are summed before one backward pass through the whole model."""
    model, _, decoded = prepared
    settings = task.config().training
    model.train()
    freeze(model, ModelConfig(base=task.base, frozen_layers=task.frozen_layers), uses_masking=True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.requires_grad_(True)  # it chose what to update, not what to differentiate
    model.base_model.feature_extractor._requires_grad = True
    optimiser = torch.optim.Adam(trained, lr=settings.learning_rate)
    num_clips, generator = decoded.clips_of(settings.batch_s), np.random.default_rng(0)
    for _ in range(settings.num_epochs):
        order = generator.permutation(len(decoded.rows))
        for start in range(0, len(order), num_clips):
            optimiser.zero_grad()
            losses = []
            for i in order[start : start + num_clips]:
                row = decoded.rows[i]
                losses.append(model(torch.tensor(row["input_values"])[None], labels=torch.tensor(row["labels"])[None]).loss)
            torch.stack(losses).sum().backward()
            optimiser.step()


def _pad(rows: list[dict[str, Any]], processor) -> dict[str, torch.Tensor]:
    inputs = processor.feature_extractor.pad([{"input_values": row["input_values"]} for row in rows], padding=True, return_tensors="pt")
    labels = torch.nn.utils.rnn.pad_sequence([torch.tensor(row["labels"]) for row in rows], batch_first=True, padding_value=-100)
    return {**inputs, "labels": labels}
