import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, NUM_LAYERS, tiny_model

from drugasr.acoustic.freezing import freeze, freezing_table, set_training_mode
from drugasr.config import ModelConfig
from drugasr.errors import ModelError


@pytest.fixture(params=FAMILIES)
def model(request):
    return tiny_model(request.param)


def block_of(name: str, model) -> int:
    """Height of a parameter, by its name: 0 convolution, 1 what is between, 2... the layers, then the head."""
    _, _, rest = name.partition(".")
    if name.startswith("lm_head"):
        return 2 + NUM_LAYERS
    if rest.startswith("feature_extractor"):
        return 0
    if rest.startswith("encoder.layers"):
        return 2 + int(rest.split(".")[2])
    if rest.startswith("encoder.layer_norm") and getattr(model.config, "do_stable_layer_norm", False):
        return 2 + NUM_LAYERS  # pre-norm models have it behind the last layer
    return 1


def settings(frozen_layers=0, freeze_convolution=True):
    return ModelConfig(base="tiny", frozen_layers=frozen_layers, freeze_convolution=freeze_convolution)


def step_once(model):
    """One SGD step on everything that trains, in training mode; returns the weights before."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    set_training_mode(model)
    waves_BS = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    np.random.seed(0)  # SpecAugment
    model(waves_BS, attention_mask=torch.ones(2, 8000, dtype=torch.long), labels=torch.tensor([[5, 6, 7], [8, 9, 10]])).loss.backward()
    optimiser.step()
    return before


@pytest.mark.parametrize("frozen_layers", range(NUM_LAYERS + 1))
@pytest.mark.parametrize("uses_masking", [True, False])
def test_everything_under_the_depth_is_frozen_and_everything_above_trains(model, frozen_layers, uses_masking):
    freeze(model, settings(frozen_layers), uses_masking=uses_masking)
    lowest = 2 + frozen_layers if frozen_layers else 1
    for name, parameter in model.named_parameters():
        expected = block_of(name, model) >= lowest
        if name.endswith("masked_spec_embed") and not uses_masking:
            expected = False
        assert parameter.requires_grad == expected, name


def test_nothing_frozen(model):
    freeze(model, settings(0, freeze_convolution=False), uses_masking=True)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_layer_frozen_freezes_the_convolution_too(model):
    freeze(model, settings(1, freeze_convolution=False), uses_masking=True)
    assert not any(parameter.requires_grad for parameter in model.base_model.feature_extractor.parameters())


def test_freezing_again_with_less_thaws(model):
    freeze(model, settings(3), uses_masking=False)
    freeze(model, settings(0, freeze_convolution=False), uses_masking=True)
    before = step_once(model)
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {block_of(name, model) for name in moved} == set(range(3 + NUM_LAYERS))


@pytest.mark.parametrize("frozen_layers", range(NUM_LAYERS + 1))
def test_a_step_moves_what_trains_and_leaves_the_rest_bit_for_bit(model, frozen_layers):
    freeze(model, settings(frozen_layers), uses_masking=False)
    model.config.apply_spec_augment = False
    before = step_once(model)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            assert torch.equal(parameter, before[name]), name
        elif not name.endswith("k_proj.bias"):  # softmax does not see a bias of the keys: its gradient is 0
            assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("frozen_layers", range(NUM_LAYERS + 1))
def test_backward_does_not_run_through_what_is_frozen(model, frozen_layers):
    """TRAINING.md, trap 2: in training mode HF makes the input of the convolutions require a gradient."""
    freeze(model, settings(frozen_layers), uses_masking=False)
    model.config.apply_spec_augment = False
    wanted = {}
    encoder = model.base_model
    for name, module in [("convolution", encoder.feature_extractor), *enumerate(encoder.encoder.layers)]:

        def note(module, inputs, output, name=name):
            wanted[name] = (output[0] if isinstance(output, tuple) else output).requires_grad

        module.register_forward_hook(note)
    step_once(model)
    assert wanted == {"convolution": False} | {i: i >= frozen_layers for i in range(NUM_LAYERS)}


@pytest.mark.parametrize("frozen_layers", range(NUM_LAYERS + 1))
def test_frozen_modules_are_in_evaluation_mode_and_the_others_in_training(model, frozen_layers):
    freeze(model, settings(frozen_layers), uses_masking=False)
    set_training_mode(model)
    encoder = model.base_model
    assert not any(module.training for module in encoder.feature_extractor.modules())
    for number, layer in enumerate(encoder.encoder.layers):
        assert all(module.training == (number >= frozen_layers) for module in layer.modules())
    assert model.lm_head.training
    for module in (encoder.feature_projection, encoder.encoder.pos_conv_embed):
        assert module.training == (frozen_layers == 0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("frozen_layers", range(1, NUM_LAYERS + 1))
def test_dropout_does_not_touch_the_frozen_stack(family, frozen_layers):
    """TRAINING.md, trap 6: the frozen prefix hears the same in training as in evaluation."""
    model = tiny_model(family, hidden_dropout=0.5, attention_dropout=0.5, activation_dropout=0.5, feat_proj_dropout=0.5)
    freeze(model, settings(frozen_layers), uses_masking=False)
    model.config.apply_spec_augment = False
    heard = []
    model.base_model.encoder.layers[frozen_layers - 1].register_forward_hook(
        lambda module, inputs, output: heard.append(output[0] if isinstance(output, tuple) else output)
    )
    waves_BS = torch.randn(1, 8000)
    with torch.no_grad():
        model.eval()
        model(waves_BS)
        set_training_mode(model)
        logits = [model(waves_BS).logits for _ in range(2)]
    torch.testing.assert_close(heard[1], heard[0], rtol=0, atol=0)
    torch.testing.assert_close(heard[2], heard[0], rtol=0, atol=0)
    assert not torch.equal(*logits)  # above, dropout is on


def test_more_layers_than_the_model_has_are_refused(model):
    with pytest.raises(ModelError, match=r"frozen_layers is 4.*'tiny' has 3 layers"):
        freeze(model, settings(NUM_LAYERS + 1), uses_masking=False)


def test_the_table_says_what_trains(model):
    freeze(model, settings(2), uses_masking=False)
    lines = freezing_table(model).splitlines()
    states = {line[2:14].strip(): line.rsplit(maxsplit=1)[1] for line in lines[:-1]}
    assert states == {
        "convolution": "frozen", "projection": "frozen", "positions": "frozen",
        "layers 1-2": "frozen", "layer 3": "trained", "CTC head": "trained",
    }  # fmt: skip
    trained = sum(p.numel() for name, p in model.named_parameters() if block_of(name, model) >= 4)
    total = sum(p.numel() for p in model.parameters())
    assert lines[-1] == f"  {trained:,} of {total:,} parameters train"
