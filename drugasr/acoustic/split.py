"""A CTC model cut in two at its frozen depth: a prefix whose output never changes, and a top that trains.

Depth 0 cuts behind the convolution, depth N behind N transformer layers. Both halves run the modules of the whole
model: what trains in the top trains in the model.

Shapes: B clips, S samples, T frames, C features at the cut (channels of the convolution, or the layers' width), V vocabulary.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, Wav2Vec2Processor
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from drugasr.acoustic.model import can_pad, num_frames_of, prepare_inputs
from drugasr.audio import SAMPLE_RATE_HZ

_TOLERANCE = 1e-4


class Split:
    """`model`, in evaluation mode for now, cut at `depth`. Its halves run in the mode that it will be in."""

    def __init__(self, model: PreTrainedModel, processor: Wav2Vec2Processor, depth: int, can_pad_waves: bool | None = None) -> None:
        """`can_pad_waves` is what `drugasr.acoustic.model.can_pad` says of the model; None asks it."""
        self.model, self.processor, self.depth = model, processor, depth
        self.top = Top(model, depth)
        self.uses_bf16 = False
        """Whether the prefix computes in bfloat16; the top's arithmetic is its caller's."""
        self._can_pad_waves = can_pad(model, processor) if can_pad_waves is None else can_pad_waves
        # Behind the positional convolution, padding is masked in every family.
        self.can_pad_states = depth > 0 or self._can_pad_waves or self._states_can_be_padded()

    @torch.no_grad()
    def prefix(self, waves: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """States [T, C] of each clip [S], on the model's device."""
        batches = [list(waves)] if self._can_pad_waves else [[wave_S] for wave_S in waves]
        with self._autocast():
            return self.extend([state_TC for batch in batches for state_TC in self._features(batch)], start=0)

    @torch.no_grad()
    def extend(self, states: Sequence[torch.Tensor], start: int) -> list[torch.Tensor]:
        """States at this depth of states [T, C] at depth `start`."""
        if start == self.depth:
            return list(states)
        batches = [list(states)] if start > 0 or self._can_pad_waves else [[state_TC] for state_TC in states]
        with self._autocast():
            deeper = [deeper_TC for batch in batches for deeper_TC in _run_layers(self.model, *pad_states(batch), start, self.depth, is_top=False)]
        return [deeper_TC[: len(state_TC)] for deeper_TC, state_TC in zip(deeper, states, strict=True)]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.uses_bf16)

    @torch.no_grad()
    def _states_can_be_padded(self) -> bool:
        """Group norm stands below the cut; the stacked positional convolutions of data2vec above it hear padding."""
        generator = torch.Generator().manual_seed(0)
        states = [torch.randn(num_frames, self.model.config.conv_dim[-1], generator=generator).to(self.model.device) for num_frames in (25, 45)]
        together_BTV, (alone_1TV, _) = self.top(*pad_states(states)), [self.top(*pad_states([state_TC])) for state_TC in states]
        return torch.allclose(together_BTV[:1, :25], alone_1TV, atol=_TOLERANCE * float(alone_1TV.abs().max()))

    def _features(self, waves: list[np.ndarray]) -> list[torch.Tensor]:
        inputs = prepare_inputs(self.processor, waves)
        features_BTC = self.model.base_model.feature_extractor(inputs["input_values"].to(self.model.device)).transpose(1, 2)
        return [features_TC[:length] for features_TC, length in zip(features_BTC, num_frames_of(self.model, waves), strict=True)]


class Top(torch.nn.Module):
    """All of `model` above `depth`: states [B, T, C] and their mask [B, T] -> logits [B, T, V]."""

    def __init__(self, model: PreTrainedModel, depth: int) -> None:
        super().__init__()
        self.model, self._depth = model, depth

    def forward(self, states_BTC: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        config = self.model.config
        if self._depth and self.model.training and config.apply_spec_augment and config.mask_time_prob > 0:
            states_BTC = _mask_time(states_BTC, mask_BT, config)
        states_BTC = _run_layers(self.model, states_BTC, mask_BT, self._depth, config.num_hidden_layers, is_top=True)
        return self.model.lm_head(self.model.dropout(states_BTC))


class Whole(torch.nn.Module):
    """The uncut model: input values [B, S] and their mask [B, S] -> logits [B, T, V]."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.model(input_values, attention_mask=attention_mask).logits


def cut(model: PreTrainedModel, processor: Wav2Vec2Processor, depth: int) -> Split:
    """The model cut as deep as can be, at most at `depth`, so that its halves together give its own logits on a second of noise.

    WavLM, whose layers share what the first one computes, can be cut behind the convolution alone.
    """
    wave_S = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            logits_1TV = model(**prepare_inputs(processor, [wave_S]).to(model.device)).logits
            pads = can_pad(model, processor)
            for deepest in (depth, 0):
                split = Split(model, processor, deepest, pads)
                try:
                    again_1TV = split.top(*pad_states(split.prefix([wave_S])))
                except (AttributeError, RuntimeError, TypeError):  # a layer lacks what one under it computes
                    continue
                if torch.allclose(again_1TV, logits_1TV, atol=_TOLERANCE * float(logits_1TV.abs().max())):
                    return split
    finally:
        for module, mode in training.items():
            module.training = mode
    raise ValueError(f"{type(model).__name__} cannot be cut behind its convolution")


def pad_states(states: Sequence[torch.Tensor], multiple: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """States [T, C] as one batch [B, T, C], float32, T a `multiple` of frames, and the mask [B, T] of what is no padding."""
    lengths_B = torch.tensor([len(state_TC) for state_TC in states], device=states[0].device)
    states_BTC = pad_sequence([state_TC.float() for state_TC in states], batch_first=True)
    states_BTC = torch.nn.functional.pad(states_BTC, (0, 0, 0, -states_BTC.shape[1] % multiple))
    return states_BTC, torch.arange(states_BTC.shape[1], device=lengths_B.device) < lengths_B[:, None]


def _run_layers(
    model: PreTrainedModel, states_BTC: torch.Tensor, mask_BT: torch.Tensor, start: int, stop: int, *, is_top: bool
) -> torch.Tensor:
    """Layers `start` to `stop` by the encoder's own code; from 0 with all that stands between them and the convolution."""
    base = model.base_model
    if start == 0:
        projected = base.feature_projection(states_BTC)
        states_BTC = projected[0] if isinstance(projected, tuple) else projected
        if is_top:
            states_BTC = base._mask_hidden_states(states_BTC)
    part = copy.copy(base.encoder)
    part._modules = dict(base.encoder._modules)  # else the whole encoder would lose its layers
    part.layers = torch.nn.ModuleList(base.encoder.layers[start:stop])
    is_pre_norm = getattr(model.config, "do_stable_layer_norm", False)
    if start > 0:
        part.pos_conv_embed, part.dropout = _Nothing(), torch.nn.Identity()
    # Pre-norm models have it behind their last layer, and it trains; the others before their first.
    if not is_top if is_pre_norm else start > 0:
        part.layer_norm = torch.nn.Identity()
    return part(states_BTC, attention_mask=mask_BT)[0]


class _Nothing(torch.nn.Module):
    def forward(self, states_BTC: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(states_BTC)


def _mask_time(states_BTC: torch.Tensor, mask_BT: torch.Tensor, config) -> torch.Tensor:
    """SpecAugment at the cut: the masked frames take the mean of their clip (Park et al. 2019, section 2)."""
    chosen = _compute_mask_indices(
        tuple(mask_BT.shape), config.mask_time_prob, config.mask_time_length, attention_mask=mask_BT.long().cpu(), min_masks=config.mask_time_min_masks
    )
    mean_B1C = (states_BTC * mask_BT[..., None]).sum(dim=1, keepdim=True) / mask_BT.sum(dim=1)[:, None, None]
    return torch.where(torch.from_numpy(chosen).to(states_BTC.device)[..., None], mean_B1C, states_BTC)
