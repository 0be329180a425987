"""Fine-tuning with CTC: one loop, in one process or on every rank of a data-parallel training.

It knows no Ray. Its only effect is to call `report` after each epoch, and every `training.checkpoint_steps` steps within one,
with the metrics and, on rank 0, a folder that holds the model and the state to resume from.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from drugasr.acoustic.dropout import set_dropout
from drugasr.acoustic.folder import load_model, save_model, start_model
from drugasr.acoustic.freezing import freeze, freezing_table, set_training_mode
from drugasr.acoustic.model import frame_s
from drugasr.acoustic.precision import uses_bf16
from drugasr.acoustic.small import SIZES, equalise_front_end
from drugasr.acoustic.split import cut
from drugasr.config import Config
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_split
from drugasr.errors import DivergedError
from drugasr.fingerprint import seed_of
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.training.augmenting import MapInOrder, TrainingWaves
from drugasr.training.averaging import BestEpochs
from drugasr.training.batches import Share, padding_fraction, plan_steps, share_of
from drugasr.training.checkpoint import TrainingState
from drugasr.training.clips import Clips, read_clips
from drugasr.training.criterion import ctc_losses
from drugasr.training.inputs import Batch, CachedInputs, Inputs, PrefixInputs, WaveInputs
from drugasr.training.prefix_cache import open_states
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
    prefix_uri: str | None = None,
) -> None:
    """Trains `config.model.base` on the corpus, going on from the state in folder `resume_from` if one is given.

    `map_in_order` is who augments on the fly: this process, step by step, or others that work ahead. `prefix_uri` is the folder
    of the cached prefix (`drugasr.training.prefix_cache`), which must be whole; without one the prefix is computed in each step.

    Metrics of an epoch: epoch, train_loss, loss, cer, wer, top1, top5, blank_fraction, score,
    clips_per_s, padding_fraction, memory_mb, epoch_s; with `training.num_averaged` a last report is of the mean of the best
    epochs. Raises DivergedError.
    """
    training = _Training(config, corpus_uri, lexicon, workers, map_in_order, prefix_uri)
    state = TrainingState() if resume_from is None else training.resume(resume_from)

    def hand_over(metrics: dict[str, float]) -> None:
        if workers.rank > 0:
            report(metrics, None)
            return
        with tempfile.TemporaryDirectory() as scratch:
            training.save(Path(scratch), state)
            report(metrics, Path(scratch))

    for metrics in state.history:  # whoever listened when it was stopped may have missed the last ones
        report(metrics, None)
    while state.epoch < config.training.num_epochs and not _has_settled(state.history, config.training.patience):
        metrics = training.run_epoch(state, hand_over)
        if workers.rank == 0:
            _say_epoch(metrics, config)
        hand_over(metrics)
    if len(state.best) > 1 and not state.is_averaged:
        hand_over(training.average(state))


class _Training:
    """The model, its clips and its optimiser on one rank."""

    def __init__(
        self, config: Config, corpus_uri: str, lexicon: Lexicon, workers: Workers, map_in_order: MapInOrder, prefix_uri: str | None
    ) -> None:
        self.config, self.settings, self.workers = config, config.training, workers
        self.facts = {"config": asdict(config), "data_hash": Manifest.read(corpus_uri).data_hash, "lexicon": lexicon.name}
        texts = {text for split in ("train", "validation") for text in read_split(corpus_uri, split, ["text"])["text"].to_pylist()}
        self.model, self.processor, self.vocabulary = start_model(config.model.base, self.settings.seed, sorted(texts))
        self._set_regularisation()
        has_audio = prefix_uri is None
        self.clips = self._read(corpus_uri, "train", has_audio, config.training.clip_fraction)
        validation_clips = self._read(corpus_uri, "validation", has_audio)
        if config.model.base in SIZES:
            equalise_front_end(self.model, [self.clips.wave(i) for i in range(min(len(self.clips), _NUM_EQUALISING_CLIPS))])
        freeze(self.model, config.model, uses_masking=self.settings.mask_time_prob > 0)
        self.model.eval().to(workers.device)
        self.uses_bf16 = uses_bf16(self.model, self.processor, self.settings.precision)
        split = None
        if config.model.freeze_convolution or config.model.frozen_layers:
            split = cut(self.model, self.processor, config.model.frozen_layers)
            split.uses_bf16 = self.uses_bf16
        states = None if prefix_uri is None else open_states(prefix_uri, corpus_uri, self.settings.clip_fraction)
        plain = replace(config, training=replace(self.settings, augmentation="none"))

        def inputs_of(clips: Clips, waves: TrainingWaves) -> Inputs:
            if split is None:
                return WaveInputs(self.model, self.processor, waves)
            return PrefixInputs(split, waves) if states is None else CachedInputs(split, states, clips)

        self.inputs = inputs_of(self.clips, TrainingWaves(self.clips, config, map_in_order))
        self.validator = Validator(
            validation_clips, inputs_of(validation_clips, TrainingWaves(validation_clips, plain)), lexicon, self.vocabulary, self.settings.batch_s
        )
        if self.settings.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.replica = workers.wrap(self.inputs.trained_part)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.settings.learning_rate, betas=(0.9, 0.98), weight_decay=self.settings.weight_decay, fused=True
        )
        self.num_steps = [len(self._plan(epoch)) for epoch in range(self.settings.num_epochs)]
        if workers.rank == 0:
            minutes = self.clips.durations_s.sum() / 60
            say(
                f"training: {len(self.clips):,} clips, {minutes:.0f} min of audio, {workers.size} workers, "
                f"{'bf16' if self.uses_bf16 else 'float32'}\n{freezing_table(self.model)}"
            )

    def resume(self, folder: Path) -> TrainingState:
        state = TrainingState.load(folder)
        self.model.load_state_dict(load_model(str(folder))[0].state_dict())
        self.optimiser.load_state_dict(state.optimiser)
        return state

    def save(self, folder: Path, state: TrainingState) -> None:
        state.optimiser = self.optimiser.state_dict()
        metrics = {"metrics": state.metrics, "history": state.history}
        save_model(folder, self.model, self.processor, self.facts | metrics)
        state.save(folder)

    def run_epoch(self, state: TrainingState, hand_over: Callable[[dict[str, float]], None]) -> dict[str, float]:
        """The rest of epoch `state.epoch`; leaves `state` at the next."""
        start_s, num_clips = time.monotonic(), 0
        epoch, steps = state.epoch, self._plan(state.epoch)
        shares = [share_of(step, self.workers, self.clips.durations_s, self._most_s()) for step in steps[state.step :]]
        batches = self.inputs.of_epoch(epoch, [clips for share in shares for clips, _ in share])
        set_training_mode(self.model)
        loss_sum = state.loss_sum if self.workers.rank == 0 else 0.0
        for step, share in zip(steps[state.step :], shares, strict=True):
            loss_sum += self._take_step(epoch, state.step, share, batches) * len(step)
            num_clips += len(step)
            state.step += 1
            if self.settings.checkpoint_steps and state.step % self.settings.checkpoint_steps == 0 and state.step < len(steps):
                state.loss_sum = self.workers.sum([loss_sum])[0]
                hand_over({"epoch": epoch, "step": state.step})
        train_s = time.monotonic() - start_s
        validation = self.validator.metrics(self.model, self.workers)
        metrics = {
            "epoch": epoch + 1,
            "train_loss": self.workers.sum([loss_sum])[0] / len(self.clips),
            **validation,
            "score": score(validation),
            "clips_per_s": num_clips / train_s,
            "padding_fraction": padding_fraction(self.clips.durations_s, steps),
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "epoch_s": time.monotonic() - start_s,
        }
        best = BestEpochs(self.settings.num_averaged, state.best)
        best.offer(metrics["score"], self.model)
        state.epoch, state.step, state.loss_sum, state.best = epoch + 1, 0, 0.0, best.kept
        state.history.append(metrics)
        state.metrics = metrics
        return metrics

    def average(self, state: TrainingState) -> dict[str, float]:
        """Puts the mean of the best epochs in the model's place."""
        self.model.load_state_dict(BestEpochs(self.settings.num_averaged, state.best).mean(), strict=False)
        validation = self.validator.metrics(self.model, self.workers)
        state.is_averaged = True
        state.metrics = {**state.history[-1], **validation, "score": score(validation)}
        if self.workers.rank == 0:
            say(f"training: mean of the best {len(state.best)} epochs: CER {validation['cer']:.3f}, top-1 {validation['top1']:.3f}")
        return state.metrics

    def _take_step(self, epoch: int, step: int, share: Share, batches: Iterator[Batch]) -> float:
        """One optimiser step on this rank's share; returns its weighted loss."""
        # Seeded by epoch, step and rank, so that after a resume it draws what it would have drawn without.
        torch.manual_seed(seed_of(self.settings.seed, epoch, step, self.workers.rank))
        np.random.seed(seed_of(self.settings.seed, epoch, step, self.workers.rank))  # SpecAugment in transformers
        number, num_steps = sum(self.num_steps[:epoch]) + step, sum(self.num_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * lr_factor(number, num_steps, self.settings)
        self.optimiser.zero_grad()
        loss_sum = 0.0
        for i, (clips, weights) in enumerate(share):
            is_last = i + 1 == len(share)
            with nullcontext() if is_last else getattr(self.replica, "no_sync", nullcontext)():
                loss = self._loss(next(batches), clips, weights)
                loss.backward()
            loss_sum += loss.item() / self.workers.size
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        if not torch.isfinite(norm):  # the norm is of the averaged gradient: every rank sees it, none waits for another
            raise DivergedError(
                f"the loss is no longer a number at step {number + 1} of {num_steps}: lower training.learning_rate "
                f"(it is {self.settings.learning_rate}) or raise training.warmup_fraction"
            )
        self.optimiser.step()
        return loss_sum

    def _loss(self, batch: Batch, clips: Sequence[int], weights: Sequence[float]) -> torch.Tensor:
        arguments, num_frames = batch
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.uses_bf16):
            logits_BTV = self.replica(**arguments)
        losses_B = ctc_losses(logits_BTV, num_frames, [self.clips.labels[i] for i in clips], self.vocabulary.blank)
        # DDP averages the gradients over the ranks; times their number, the weights make it the mean over clips.
        return (losses_B * torch.tensor(weights, device=losses_B.device)).sum() * self.workers.size

    def _most_s(self) -> float:
        """Audio that one forward pass may hold."""
        if not self.inputs.can_pad:
            return 0.0  # clip by clip
        return self.settings.micro_batch_s or float("inf")

    def _plan(self, epoch: int) -> list[list[int]]:
        return plan_steps(self.clips.durations_s, self.settings.batch_s, seed=self.settings.seed, epoch=epoch)

    def _read(self, corpus_uri: str, split: str, has_audio: bool, fraction: float = 1.0) -> Clips:
        return read_clips(
            corpus_uri, split, self.vocabulary, self.settings, frame_s=frame_s(self.model), fraction=fraction, has_audio=has_audio
        )

    def _set_regularisation(self) -> None:
        config, settings = self.model.config, self.settings
        config.apply_spec_augment = settings.mask_time_prob > 0
        # Not set to 0: a model that is loaded from such a config lacks the mask embedding that this one has.
        config.mask_time_prob = settings.mask_time_prob or config.mask_time_prob
        # The default of two masks a clip, however short, would hide a third of a drug name.
        config.mask_time_min_masks = 0
        set_dropout(self.model, settings.dropout)


def score(metrics: dict[str, float]) -> float:
    """One number that orders epochs by top-1, and by CER where top-1 is equal (for up to 1,000 validation clips)."""
    return metrics["top1"] - 1e-4 * min(metrics["cer"], 10.0)


def _has_settled(history: Sequence[dict[str, float]], patience: int) -> bool:
    """Whether the last `patience` epochs brought nothing better; 0 is endless patience."""
    scores = [metrics["score"] for metrics in history]
    return 0 < patience < len(scores) and max(scores[-patience:]) <= max(scores[:-patience])


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
