"""Fine-tuning with CTC: one loop, in one process or on every rank of a data-parallel training.

It knows no Ray. Its only effect is to call `report` after each epoch, with the metrics and, on rank 0, a folder
that holds the model and the state to resume from.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from drugasr.acoustic.folder import load_model, save_model, start_model
from drugasr.acoustic.freezing import freeze, freezing_table, set_training_mode
from drugasr.acoustic.model import frame_s, num_frames_of, prepare_inputs
from drugasr.acoustic.small import SIZES, equalise_front_end
from drugasr.config import Config
from drugasr.corpus.manifest import Manifest
from drugasr.errors import TrainingError
from drugasr.fingerprint import seed_of
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.training.augmenting import MapInOrder, TrainingWaves
from drugasr.training.batches import deal, padding_fraction, plan_steps
from drugasr.training.checkpoint import TrainingState
from drugasr.training.clips import read_clips
from drugasr.training.criterion import ctc_losses
from drugasr.training.schedule import lr_factor
from drugasr.training.validation import Validator
from drugasr.training.workers import Workers

Report = Callable[[dict[str, float], Path | None], None]
_NUM_EQUALISING_CLIPS = 64
_ALL_BLANK = 0.99


def train(
    config: Config,
    corpus_uri: str,
    lexicon: Lexicon,
    workers: Workers,
    report: Report,
    resume_from: Path | None = None,
    map_in_order: MapInOrder = map,
) -> None:
    """Trains `config.model.base` on the corpus, going on from the state in folder `resume_from` if one is given.

    `map_in_order` is who augments on the fly: this process, step by step, or others that work ahead.

    Metrics of an epoch: epoch, train_loss, loss, cer, wer, top1, top5, blank_fraction, score,
    clips_per_s, padding_fraction, memory_mb, epoch_s. Raises TrainingError when the loss is no longer a number.
    """
    training = _Training(config, corpus_uri, lexicon, workers, map_in_order)
    state = TrainingState() if resume_from is None else training.resume(resume_from)
    for metrics in state.history:  # whoever listened when it was stopped may have missed the last ones
        report(metrics, None)
    for epoch in range(state.epoch, config.training.num_epochs):
        metrics = training.run_epoch(epoch)
        state.epoch = epoch + 1
        state.history.append(metrics)
        if workers.rank > 0:
            report(metrics, None)
            continue
        _say_epoch(metrics, config)
        with tempfile.TemporaryDirectory() as scratch:
            training.save(Path(scratch), state)
            report(metrics, Path(scratch))


class _Training:
    """The model, its clips and its optimiser on one rank."""

    def __init__(self, config: Config, corpus_uri: str, lexicon: Lexicon, workers: Workers, map_in_order: MapInOrder) -> None:
        self.config, self.settings, self.workers = config, config.training, workers
        self.facts = {"config": asdict(config), "data_hash": Manifest.read(corpus_uri).data_hash, "lexicon": lexicon.name}
        self.model, self.processor, self.vocabulary = start_model(config.model.base, self.settings.seed)
        self._set_regularisation()
        self.clips = self._read(corpus_uri, "train", config.training.clip_fraction)
        self.waves = TrainingWaves(self.clips, config, map_in_order)
        self.validator = Validator(self._read(corpus_uri, "validation"), lexicon, self.processor, self.vocabulary, self.settings.batch_s)
        if config.model.base in SIZES:
            equalise_front_end(self.model, [self.clips.wave(i) for i in range(min(len(self.clips), _NUM_EQUALISING_CLIPS))])
        freeze(self.model, config.model, uses_masking=self.settings.mask_time_prob > 0)
        self.replica = workers.wrap(self.model)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.settings.learning_rate, betas=(0.9, 0.98), weight_decay=self.settings.weight_decay, fused=True
        )
        self.uses_bf16 = self.settings.precision == "bf16" or (self.settings.precision == "auto" and workers.device.type == "cuda")
        self.num_steps = [len(self._plan(epoch)) for epoch in range(self.settings.num_epochs)]
        if workers.rank == 0:
            minutes = self.clips.durations_s.sum() / 60
            say(f"training: {len(self.clips):,} clips, {minutes:.0f} min of audio, {workers.size} workers\n{freezing_table(self.model)}")

    def resume(self, folder: Path) -> TrainingState:
        state = TrainingState.load(folder)
        self.model.load_state_dict(load_model(str(folder))[0].state_dict())
        self.optimiser.load_state_dict(state.optimiser)
        return state

    def save(self, folder: Path, state: TrainingState) -> None:
        state.optimiser = self.optimiser.state_dict()
        save_model(folder, self.model, self.processor, self.facts | {"metrics": state.history[-1], "history": state.history})
        state.save(folder)

    def run_epoch(self, epoch: int) -> dict[str, float]:
        start_s = time.monotonic()
        # Seeded by epoch and rank, so that an epoch after a resume draws what it would have drawn without.
        torch.manual_seed(seed_of(self.settings.seed, epoch, self.workers.rank))
        np.random.seed(seed_of(self.settings.seed, epoch, self.workers.rank))  # SpecAugment in transformers
        steps = self._plan(epoch)
        set_training_mode(self.model)
        shares = [deal(step, self.workers.rank, self.workers.size) for step in steps]
        waves = self.waves.of_epoch(epoch, [mine for mine, _ in shares])
        total_loss, number = 0.0, sum(self.num_steps[:epoch])
        for step, (mine, weights), waves_of_step in zip(steps, shares, waves, strict=True):
            total_loss += self._take_step(number, mine, weights, waves_of_step) * len(step)
            number += 1
        train_s = time.monotonic() - start_s
        validation = self.validator.metrics(self.model, self.workers)
        return {
            "epoch": epoch + 1,
            "train_loss": self.workers.sum([total_loss])[0] / len(self.clips),
            **validation,
            "score": score(validation),
            "clips_per_s": len(self.clips) / train_s,
            "padding_fraction": padding_fraction(self.clips.durations_s, steps),
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "epoch_s": time.monotonic() - start_s,
        }

    def _take_step(self, number: int, clips: Sequence[int], weights: Sequence[float], waves: list[np.ndarray]) -> float:
        """One optimiser step on this rank's clips; returns their weighted loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * lr_factor(number, sum(self.num_steps), self.settings)
        inputs = prepare_inputs(self.processor, waves).to(self.workers.device)
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.uses_bf16):
            logits_BTV = self.replica(**inputs).logits
        labels = [self.clips.labels[i] for i in clips]
        losses_B = ctc_losses(logits_BTV, num_frames_of(self.model, waves), labels, self.vocabulary.blank)
        # DDP averages the gradients over the ranks; times their number, the weights make it the mean over clips.
        loss = (losses_B * torch.tensor(weights, device=losses_B.device)).sum() * self.workers.size
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        if not torch.isfinite(norm):  # the norm is of the averaged gradient: every rank sees it, none waits for another
            raise TrainingError(
                f"the loss is no longer a number at step {number + 1} of {sum(self.num_steps)}: lower training.learning_rate "
                f"(it is {self.settings.learning_rate}) or raise training.warmup_fraction"
            )
        self.optimiser.step()
        return loss.item() / self.workers.size

    def _plan(self, epoch: int) -> list[list[int]]:
        return plan_steps(self.clips.durations_s, self.settings.batch_s, seed=self.settings.seed, epoch=epoch)

    def _read(self, corpus_uri: str, split: str, fraction: float = 1.0):
        return read_clips(corpus_uri, split, self.vocabulary, self.settings, frame_s=frame_s(self.model), fraction=fraction)

    def _set_regularisation(self) -> None:
        config, settings = self.model.config, self.settings
        config.apply_spec_augment = settings.mask_time_prob > 0
        # Not set to 0: a model that is loaded from such a config lacks the mask embedding that this one has.
        config.mask_time_prob = settings.mask_time_prob or config.mask_time_prob
        # The default of two masks a clip, however short, would hide a third of a drug name.
        config.mask_time_min_masks = 0
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = settings.dropout
            elif isinstance(getattr(module, "dropout", None), float):  # attention drops its weights by itself
                module.dropout = settings.dropout


def score(metrics: dict[str, float]) -> float:
    """One number that orders epochs by top-1, and by CER where top-1 is equal (for up to 1,000 validation clips)."""
    return metrics["top1"] - 1e-4 * min(metrics["cer"], 10.0)


def _say_epoch(metrics: dict[str, float], config: Config) -> None:
    say(
        f"training: epoch {metrics['epoch']}/{config.training.num_epochs}: loss {metrics['train_loss']:.3f}, validation loss {metrics['loss']:.3f}, "
        f"CER {metrics['cer']:.3f}, top-1 {metrics['top1']:.3f}, top-5 {metrics['top5']:.3f}, {metrics['clips_per_s']:.0f} clips/s, "
        f"padding {metrics['padding_fraction']:.0%}, {metrics['epoch_s']:.0f} s"
    )
    if metrics["blank_fraction"] > _ALL_BLANK and metrics["epoch"] > 1:
        say(
            f"training: warning: {metrics['blank_fraction']:.1%} of the frames are blank, the model writes nothing yet: "
            "train longer, raise training.learning_rate or freeze fewer layers"
        )
