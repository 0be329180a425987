"""The small HuBERTs that the package builds by itself, for machines with no GPU and no hub.

Shapes: S samples, C channels, K kernel samples.
"""

import numpy as np
import torch
from transformers import HubertConfig, HubertForCTC

from drugasr.acoustic.mel_filterbank import equalise, mel_filters
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ

# Width and layers: 2.1 M and 5.1 M parameters.
SIZES = {"small": (192, 4), "medium": (256, 6)}


def small_config(vocabulary: Vocabulary, size: str = "small") -> HubertConfig:
    """Two convolutions (20 ms frames) under the pre-norm layers of one of `SIZES`."""
    width, num_layers = SIZES[size]
    return HubertConfig(
        vocab_size=len(vocabulary),
        pad_token_id=vocabulary.blank,
        conv_dim=(160, 192),
        conv_kernel=(400, 3),
        conv_stride=(160, 2),
        num_feat_extract_layers=2,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        # 16 channels a group: with 2 to 15, oneDNN's bf16 convolution on CPUs with AMX returns garbage
        # in silence (torch 2.13, oneDNN 3.12; tests/acoustic/test_small.py guards it).
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=width // 16,
        layerdrop=0.0,  # DDP needs every parameter in every step
        # On CPUs its backward is faster than SDPA's at these lengths.
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
    )


def build_small(vocabulary: Vocabulary, seed: int, size: str = "small") -> HubertForCTC:
    """A model with random weights but for the mel-spaced first convolution."""
    torch.manual_seed(seed)
    config = small_config(vocabulary, size)
    model = HubertForCTC(config)
    _set_filters(model, mel_filters(config.conv_dim[0], config.conv_kernel[0], SAMPLE_RATE_HZ))
    return model


def equalise_front_end(model: HubertForCTC, waves: list[np.ndarray]) -> None:
    """Scales a fresh model's filters so that every mel band is as loud as the others on `waves` (each [S])."""
    filters_CK = _first_convolution(model).weight[:, 0].detach().numpy()
    _set_filters(model, equalise(filters_CK, [(wave_S - wave_S.mean()) / (wave_S.std() + 1e-7) for wave_S in waves]))


def _set_filters(model: HubertForCTC, filters_CK: np.ndarray) -> None:
    convolution = _first_convolution(model)
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(filters_CK)[:, None])
        convolution.bias.zero_()


def _first_convolution(model: HubertForCTC) -> torch.nn.Conv1d:
    return model.hubert.feature_extractor.conv_layers[0].conv
