"""Both halves of a cut model against the whole one, as transformers runs it."""

import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, tiny_model

from drugasr.acoustic.folder import make_processor
from drugasr.acoustic.freezing import freeze, set_training_mode
from drugasr.acoustic.model import num_frames_of, prepare_inputs
from drugasr.acoustic.split import Split, cut, pad_states
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.config import ModelConfig

# The layers of WavLM share what the first one computes.
CUT_ANYWHERE = [family for family in FAMILIES if not family.startswith("wavlm")]


@pytest.fixture
def processor():
    return make_processor(Vocabulary(LIBRISPEECH))


@pytest.fixture
def waves():
    generator = np.random.default_rng(0)
    return [generator.standard_normal(size).astype(np.float32) for size in (16_000, 7_000, 12_345)]


def whole_logits(model, processor, wave_S):
    inputs = prepare_inputs(processor, [wave_S])
    with torch.no_grad():
        return model(inputs["input_values"]).logits[0]


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("family", CUT_ANYWHERE)
def test_a_cut_model_is_the_whole_one(family, depth, processor, waves):
    model = tiny_model(family)
    split = Split(model, processor, depth)
    for wave_S in waves:
        with torch.no_grad():
            logits_TV = split.top(*pad_states(split.prefix([wave_S])))[0]
        assert (logits_TV - whole_logits(model, processor, wave_S)).abs().max() <= 1e-6
    assert cut(model, processor, depth).depth == depth


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("family", CUT_ANYWHERE)
def test_company_in_a_batch_changes_nothing(family, depth, processor, waves):
    """Not for group norm over time either: it stands below every cut, and hears each clip alone."""
    model = tiny_model(family)
    split = Split(model, processor, depth)
    assert split.can_pad_states == (depth > 0 or family != "data2vec")
    if not split.can_pad_states:
        return
    with torch.no_grad():
        logits_BTV = split.top(*pad_states(split.prefix(waves)))
    for wave_S, logits_TV, length in zip(waves, logits_BTV, num_frames_of(model, waves), strict=True):
        assert (logits_TV[:length] - whole_logits(model, processor, wave_S)).abs().max() <= 1e-5


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 3), (1, 2), (2, 3)])
@pytest.mark.parametrize("family", CUT_ANYWHERE)
def test_a_deeper_cut_can_be_reached_from_a_shallower(family, start, stop, processor, waves):
    model = tiny_model(family)
    shallow, deep = Split(model, processor, start), Split(model, processor, stop)
    for again_TC, state_TC in zip(deep.extend(shallow.prefix(waves), start), deep.prefix(waves), strict=True):
        assert (again_TC - state_TC).abs().max() <= 1e-5


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("family", CUT_ANYWHERE)
def test_what_trains_gets_the_gradient_of_the_whole_model(family, depth, processor, waves):
    model = tiny_model(family, hidden_dropout=0.0, attention_dropout=0.0, feat_proj_dropout=0.0, activation_dropout=0.0, final_dropout=0.0)
    model.config.apply_spec_augment = False
    freeze(model, ModelConfig(base="tiny", frozen_layers=depth), uses_masking=False)
    set_training_mode(model)
    gradients = []
    split = Split(model, processor, depth)
    inputs = prepare_inputs(processor, waves[:1])
    for logits_BTV in (model(inputs["input_values"]).logits, split.top(*pad_states(split.prefix(waves[:1])))):
        model.zero_grad()
        logits_BTV.square().sum().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None})
    whole, cut = gradients
    assert whole.keys() == cut.keys() == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, gradient in whole.items():
        assert torch.allclose(cut[name], gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max())), name


def test_masks_at_the_cut_hide_frames_in_training_alone(processor, waves):
    model = tiny_model("hubert-large", mask_time_prob=0.5, mask_time_length=4, apply_spec_augment=True, hidden_dropout=0.0, attention_dropout=0.0,
                        activation_dropout=0.0, final_dropout=0.0, feat_proj_dropout=0.0)  # fmt: skip
    split = Split(model, processor, 2)
    states = pad_states(split.prefix(waves))
    with torch.no_grad():
        still = split.top(*states)
        assert torch.equal(split.top(*states), still)
        model.train()
        np.random.seed(0)
        masked = split.top(*states)
        np.random.seed(0)
        assert torch.equal(split.top(*states), masked)
    assert not torch.allclose(masked, still, atol=1e-3)


@pytest.mark.parametrize("family", ["wavlm-large", "wavlm-base"])
def test_a_model_whose_layers_share_is_cut_behind_the_convolution(family, processor, waves):
    model = tiny_model(family)
    split = cut(model, processor, 2)
    assert split.depth == 0
    with torch.no_grad():
        logits_TV = split.top(*pad_states(split.prefix(waves[:1])))[0]
    assert (logits_TV - whole_logits(model, processor, waves[0])).abs().max() <= 1e-6
