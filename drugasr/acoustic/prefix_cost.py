"""What the frozen prefix of a model costs, and what it is worth to compute it once."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedModel, Wav2Vec2Processor

from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.fingerprint import fingerprint

# Raise it when the same weights would give other states.
_VERSION = 1
_TYPICAL_CLIP_S = 1.5


@dataclass(frozen=True, kw_only=True)
class PrefixCost:
    """Forward multiply-adds, each counted as two, for a second of audio."""

    convolution: float
    projection: float
    """With the positional convolution."""
    layer: float
    num_layers: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> "PrefixCost":
        channels, convolution, frames_per_s = [1, *config.conv_dim], 0.0, float(SAMPLE_RATE_HZ)
        for i, (kernel, stride) in enumerate(zip(config.conv_kernel, config.conv_stride, strict=True)):
            frames_per_s /= stride
            convolution += 2 * kernel * channels[i] * channels[i + 1] * frames_per_s
        width, frames = config.hidden_size, frames_per_s * _TYPICAL_CLIP_S
        positions = config.num_conv_pos_embeddings * width * width / config.num_conv_pos_embedding_groups
        return cls(
            convolution=convolution,
            projection=2 * frames_per_s * (channels[-1] * width + positions),
            layer=2 * frames_per_s * (4 * width * width + 2 * width * config.intermediate_size + 2 * frames * width),
            num_layers=config.num_hidden_layers,
        )

    def speed_up(self, depth: int, num_passes: int) -> float:
        """Of `num_passes` over the same clips, prefix computed once, against computing it in each.

        A pass over a trained layer is three forwards: one forward and a backward of twice its cost (TRAINING.md).
        """
        prefix = self.convolution + (self.projection if depth else 0.0) + depth * self.layer
        top = 3 * ((0.0 if depth else self.projection) + (self.num_layers - depth) * self.layer)
        return num_passes * (prefix + top) / (prefix + num_passes * top) if prefix + top else math.nan

    def describe(self, depth: int, num_passes: int) -> str:
        return (
            f"{num_passes} passes with {depth} of {self.num_layers} layers frozen; MFLOP a second of audio: convolution "
            f"{self.convolution / 1e6:.0f}, projection {self.projection / 1e6:.0f}, a layer {self.layer / 1e6:.0f}: "
            f"computing the prefix once is {self.speed_up(depth, num_passes):.1f} times as fast"
        )


def prefix_names(model: PreTrainedModel, processor: Wav2Vec2Processor, depth: int, precision: str = "fp32") -> list[str]:
    """Names of the prefixes of depth 0 to `depth`, each made from all the weights in it, how audio is prepared and the arithmetic."""
    base = model.base_model
    name = fingerprint(_VERSION, precision, processor.feature_extractor.to_dict(), _digest([base.feature_extractor]))
    names = [name]
    for i in range(depth):
        modules = [base.encoder.layers[i]]
        if i == 0:
            modules += [base.feature_projection, base.encoder.pos_conv_embed]
            if not getattr(model.config, "do_stable_layer_norm", False):
                modules.append(base.encoder.layer_norm)
        name = fingerprint(name, _digest(modules), _arithmetic(model.config))
        names.append(name)
    return names


def _arithmetic(config: PretrainedConfig) -> list:
    """Settings that change what the same weights compute."""
    return [config.model_type, config.hidden_act, config.num_attention_heads, config.layer_norm_eps]


def _digest(modules: Iterable[torch.nn.Module]) -> str:
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
