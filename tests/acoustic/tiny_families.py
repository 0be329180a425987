"""A tiny config of every family of CTC encoders, and model folders that hold one."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCTC, Data2VecAudioConfig, HubertConfig, PreTrainedConfig, PreTrainedModel, Wav2Vec2Config, WavLMConfig

NUM_LAYERS = 3
SIZES = {
    "vocab_size": 32, "pad_token_id": 0, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": NUM_LAYERS, "num_attention_heads": 4,
    "conv_dim": (16, 16), "conv_kernel": (80, 4), "conv_stride": (80, 4), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 3, "layerdrop": 0.0, "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
}  # fmt: skip
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}  # layer norm everywhere, before each block
BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}  # group norm over time, layer norm behind each block
CONFIGS = {
    "hubert-large": (HubertConfig, LARGE),
    "hubert-base": (HubertConfig, BASE),
    "wav2vec2-large": (Wav2Vec2Config, LARGE),
    "wav2vec2-base": (Wav2Vec2Config, BASE),
    "xlsr": (Wav2Vec2Config, LARGE),  # with XLSR_VOCABULARY
    "wavlm-large": (WavLMConfig, LARGE),
    "wavlm-base": (WavLMConfig, BASE),
    # Layer norm in the convolutions, but behind each block; `num_conv_pos_embeddings` is here the number of convolutions.
    "data2vec": (Data2VecAudioConfig, {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 7}),
}
FAMILIES = tuple(CONFIGS)
PADDED = ("hubert-large", "wav2vec2-large", "xlsr", "wavlm-large")

# As of a wav2vec2-large-xlsr-53 that was fine-tuned on German, by the recipe that most of them followed.
XLSR_VOCABULARY = {token: i for i, token in enumerate([*"'abcdefghijklmnopqrstuvwxyzäöüß", "|", "[UNK]", "[PAD]"])}
XLSR_TOKENIZER = {"pad_token": "[PAD]", "unk_token": "[UNK]", "word_delimiter_token": "|", "do_lower_case": False}


def tiny_config(family: str, **changes) -> PreTrainedConfig:
    kind, norms = CONFIGS[family]
    return kind(**SIZES | norms | changes)


def tiny_model(family: str, **changes) -> PreTrainedModel:
    """With random weights, in evaluation mode."""
    torch.manual_seed(0)
    return AutoModelForCTC.from_config(tiny_config(family, **changes), attn_implementation="eager").eval()


def write_config(folder: Path, family: str, **changes) -> Path:
    """A folder with a config and no weights; XLSR's has a vocabulary too."""
    folder.mkdir(exist_ok=True)
    tiny_config(family, **changes).save_pretrained(folder)
    if family == "xlsr":
        write_vocabulary(folder, XLSR_VOCABULARY, XLSR_TOKENIZER)
    return folder


def write_vocabulary(folder: Path, ids: dict[str, int], tokenizer: dict | None = None) -> Path:
    (folder / "vocab.json").write_text(json.dumps(ids))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder
