"""Every family learns eight clips by heart from a folder with a tiny config, and its own folder then says them.

A letter is a tone of 80 ms: what a voice would need minutes of training for takes a hundred steps.
"""

import numpy as np
import pytest
import torch
import transformers
from tiny_families import FAMILIES, write_config

from drugasr.acoustic.folder import load_model, save_model, start_model
from drugasr.acoustic.freezing import freeze, set_training_mode
from drugasr.acoustic.model import AcousticModel, can_pad, logits_of, num_frames_of
from drugasr.config import ModelConfig
from drugasr.decoding.frames import mask_dead
from drugasr.decoding.greedy import decode_greedily
from drugasr.training.criterion import ctc_losses

ALPHABET = " abcdefäö"
WORDS = ("abe", "bad", "cab", "dab e", "ebb", "fad", "deaf", "cafe")
GERMAN = tuple(word.replace("a", "ä").replace("e", "ö") for word in WORDS)
LEARNING_RATE, WARMUP_STEPS, MAX_STEPS, LEARNT_LOSS = 3e-3, 20, 300, 0.1  # the loss of the worst clip, in nats a letter


def tones(text: str) -> np.ndarray:
    time_S = np.arange(1280) / 16_000
    letters = [np.hanning(1280) * np.sin(2 * np.pi * 250 * 1.4 ** ALPHABET.index(letter) * time_S) for letter in text]
    wave_S = np.concatenate([np.zeros(800), *letters, np.zeros(800)])
    return (wave_S + 0.01 * np.random.default_rng(0).standard_normal(len(wave_S))).astype(np.float32)


def learn(model, processor, vocabulary, waves, words) -> None:
    """A training loop in its barest form, with our own freezing, padding and loss."""
    freeze(model, ModelConfig(base="tiny", frozen_layers=0, freeze_convolution=True), uses_masking=False)
    set_training_mode(model)
    pad, frames, labels = can_pad(model, processor), num_frames_of(model, waves), [vocabulary.encode(word) for word in words]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / WARMUP_STEPS))
    for _ in range(MAX_STEPS):
        losses_B = ctc_losses(logits_of(model, processor, waves, pad=pad), frames, labels, vocabulary.blank)
        optimiser.zero_grad()
        losses_B.mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if losses_B.max() < LEARNT_LOSS:
            return


@pytest.mark.parametrize("family", FAMILIES)
def test_eight_clips_are_learnt_by_heart(tmp_path, family):
    changes = {"num_hidden_layers": 2, "conv_dim": (64, 48), "apply_spec_augment": False}
    dropouts = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout"), 0.0)
    folder = write_config(tmp_path / "base", family, **changes, **dropouts)
    model, processor, vocabulary = start_model(str(folder), seed=1)
    words = GERMAN if family == "xlsr" else WORDS
    waves = [tones(word) for word in words]
    learn(model, processor, vocabulary, waves, words)

    save_model(tmp_path / "trained", model, processor, {})
    acoustic = AcousticModel(*load_model(str(tmp_path / "trained")), name=family)
    acoustic.model.eval()
    heard = [decode_greedily(mask_dead(logp_TV, vocabulary), vocabulary, 0.02).text for logp_TV in acoustic.log_probs(waves)]
    assert tuple(heard) == words
    hear = transformers.pipeline("automatic-speech-recognition", model=str(tmp_path / "trained"), device="cpu")
    assert tuple(hear({"raw": wave_S, "sampling_rate": 16_000})["text"].lower() for wave_S in waves) == words
