"""Every family of encoders hears a clip the same alone and in any batch, padded or not as a check decides."""

import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, PADDED, write_config

from drugasr.acoustic.folder import start_model
from drugasr.acoustic.model import AcousticModel, can_pad, logits_of, num_frames_of
from drugasr.decoding.frames import mask_dead
from drugasr.decoding.greedy import decode_greedily
from drugasr.training.criterion import ctc_losses

BATCHES = ([0, 1], [1, 0, 2], [2, 2, 1])


@pytest.fixture
def waves():
    generator = np.random.default_rng(1)
    return [(level * generator.standard_normal(length)).astype(np.float32) for length, level in ((9_000, 0.1), (4_321, 0.9), (16_000, 0.01))]


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def started(tmp_path, family):
    """Model, processor and vocabulary, with a head that writes letters."""
    model, processor, vocabulary = start_model(str(write_config(tmp_path, family)), seed=1)
    with torch.no_grad():
        model.lm_head.weight *= 20
        model.lm_head.bias[vocabulary.blank] -= 50
    return model.eval(), processor, vocabulary


def text_of(logp_TV, vocabulary):
    return decode_greedily(mask_dead(logp_TV, vocabulary), vocabulary, 0.02).text


def test_a_clip_sounds_the_same_alone_and_in_any_batch(started, family, waves):
    acoustic = AcousticModel(*started, name=family)
    alone = [acoustic.log_probs([wave_S])[0] for wave_S in waves]
    texts = [text_of(logp_TV, acoustic.vocabulary) for logp_TV in alone]
    assert min(map(len, texts)) > 3
    for batch in BATCHES:
        together = acoustic.log_probs([waves[i] for i in batch])
        for i, logp_TV in zip(batch, together, strict=True):
            np.testing.assert_allclose(logp_TV, alone[i], rtol=0, atol=1e-4)
            assert text_of(logp_TV, acoustic.vocabulary) == texts[i]
    assert acoustic.can_pad == (family in PADDED)


def test_padding_would_change_what_the_others_hear(started, family, waves):
    """What the check decides by: were a model of the others to pass padded, it could be padded."""
    model, processor, _ = started
    with torch.no_grad():
        padded_BTV, alone_BTV = (logits_of(model, processor, waves, pad=pad) for pad in (True, False))
    gaps = [(padded_BTV[i, :n] - alone_BTV[i, :n]).abs().max().item() for i, n in enumerate(num_frames_of(model, waves))]
    assert gaps[2] < 1e-4  # the longest has no padding
    assert (max(gaps) < 1e-4) == (family in PADDED)


def test_a_layer_norm_model_without_an_attention_mask_is_not_padded(started, family):
    model, processor, _ = started
    processor.feature_extractor.return_attention_mask = False
    assert not can_pad(model, processor)


def test_the_check_leaves_the_model_as_it_was(started):
    model, processor, _ = started
    model.train()
    model.base_model.encoder.layers[0].eval()
    before = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    can_pad(model, processor)
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gradient_is_the_same_clip_by_clip_and_padded(started, waves):
    model, processor, vocabulary = started
    labels = [vocabulary.encode(word) for word in ("abe", "bad", "cab")]
    gradients = []
    for pad in {can_pad(model, processor), False}:
        model.zero_grad()
        logits_BTV = logits_of(model, processor, waves, pad=pad)
        ctc_losses(logits_BTV, num_frames_of(model, waves), labels, vocabulary.blank).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert gradients[0].norm() > 0
    assert (gradients[0] - gradients[-1]).norm() < 1e-4 * gradients[0].norm()
