"""Tiny random CTC models of both families: layer norm with attention masks, and group norm without."""

from collections.abc import Callable

import pytest
import torch
from transformers import HubertConfig, HubertForCTC, PreTrainedModel, Wav2Vec2Config, Wav2Vec2ForCTC

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

SIZES = {
    "vocab_size": 32, "pad_token_id": 0, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "conv_dim": (16, 16), "conv_kernel": (80, 4), "conv_stride": (80, 4), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 3, "layerdrop": 0.0, "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Two threads on busy cores are several times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(LIBRISPEECH)


@pytest.fixture
def tiny_hubert() -> Callable[..., PreTrainedModel]:
    """Pre-norm and layer-norm convolutions, as hubert-large and the small model."""

    def build(**changes) -> PreTrainedModel:
        torch.manual_seed(0)
        return HubertForCTC(HubertConfig(**SIZES | {"feat_extract_norm": "layer", "do_stable_layer_norm": True} | changes)).eval()

    return build


@pytest.fixture
def tiny_wav2vec2() -> Callable[..., PreTrainedModel]:
    """Post-norm and group-norm convolutions, as wav2vec2-base and hubert-base."""

    def build(**changes) -> PreTrainedModel:
        torch.manual_seed(0)
        return Wav2Vec2ForCTC(Wav2Vec2Config(**SIZES | {"feat_extract_norm": "group", "do_stable_layer_norm": False} | changes)).eval()

    return build
