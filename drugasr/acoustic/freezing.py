"""Which parameters train: everything above a depth counted from the bottom, where lexicon-specific hearing sits."""

import torch
from transformers import PreTrainedModel

from drugasr.config import ModelConfig
from drugasr.errors import ModelError


def freeze(model: PreTrainedModel, config: ModelConfig, *, uses_masking: bool) -> None:
    """Sets `requires_grad` of every parameter; `uses_masking` tells whether SpecAugment is on.

    With N > 0 frozen layers, all that stands under them is frozen too: convolution, projection, positional
    convolution and the mask embedding (a trained one would drag the whole frozen stack into the backward pass).
    Raises ModelError when the model has fewer layers.
    """
    encoder = model.base_model
    num_layers = len(encoder.encoder.layers)
    if config.frozen_layers > num_layers:
        raise ModelError(f"model.frozen_layers is {config.frozen_layers}, but {config.base!r} has {num_layers} layers")
    model.requires_grad_(True)
    if config.freeze_convolution or config.frozen_layers:
        # Not requires_grad_(False) alone: in training mode HF would still run backward through the
        # convolutions, unless this method is what froze them.
        encoder.feature_extractor._freeze_parameters()
    if config.frozen_layers:
        encoder.requires_grad_(False)
        for layer in encoder.encoder.layers[config.frozen_layers :]:
            layer.requires_grad_(True)
        if getattr(model.config, "do_stable_layer_norm", False):  # the norm after the last layer; otherwise it stands before the first
            encoder.encoder.layer_norm.requires_grad_(True)
    if not uses_masking and hasattr(encoder, "masked_spec_embed"):
        # DDP waits for the gradient of every trained parameter.
        encoder.masked_spec_embed.requires_grad_(False)


def set_training_mode(model: PreTrainedModel) -> None:
    """Dropout only in what trains: frozen modules stay in evaluation mode."""
    model.train()
    encoder = model.base_model
    for module in (encoder.feature_extractor, encoder.feature_projection, encoder.encoder.pos_conv_embed, *encoder.encoder.layers):
        if not _trains(module):
            module.eval()
    # It has no parameters of its own, and stands under the first layer.
    encoder.encoder.dropout.train(encoder.encoder.layers[0].training)


def freezing_table(model: PreTrainedModel) -> str:
    """What trains and what does not, for a person to read."""
    encoder = model.base_model
    layers = encoder.encoder.layers
    # What is frozen is counted from the bottom, so that one height parts the layers.
    num_frozen = sum(not _trains(layer) for layer in layers)
    blocks = {"convolution": [encoder.feature_extractor], "projection": [encoder.feature_projection], "positions": [encoder.encoder.pos_conv_embed]}
    blocks |= {_range(1, num_frozen): layers[:num_frozen], _range(num_frozen + 1, len(layers)): layers[num_frozen:], "CTC head": [model.lm_head]}
    lines = []
    for name, modules in blocks.items():
        if len(modules):
            num_parameters = sum(p.numel() for module in modules for p in module.parameters())
            lines.append(f"  {name:<12} {num_parameters:>12,}  {'trained' if any(map(_trains, modules)) else 'frozen'}")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return "\n".join([*lines, f"  {trained:,} of {model.num_parameters():,} parameters train"])


def _trains(module: torch.nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _range(first: int, last: int) -> str:
    return f"layer {first}" if first == last else f"layers {first}-{last}"
