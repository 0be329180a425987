"""The weights of a CTC model of any family that is known here: read from a folder or the hub, or drawn; and its head."""

import os

import torch
from transformers import AutoConfig, AutoModelForCTC, PreTrainedConfig, PreTrainedModel

from drugasr.acoustic.facts import FACTS_FILE
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.errors import ModelError

# Convolutions on the waveform under a stack of transformer layers; XLSR is a wav2vec2.
FAMILIES = ("hubert", "wav2vec2", "wavlm", "data2vec-audio")


def read_weights(folder: str, base: str) -> tuple[PreTrainedModel, list[str]]:
    """The model in fp32, and the names of the weights that the folder lacks; `base` is what the user called it.

    Raises ModelError, and what transformers raises.
    """
    model, report = AutoModelForCTC.from_pretrained(
        folder, config=_read_config(folder, base), dtype=torch.float32, output_loading_info=True, **_attention()
    )
    # Where no SpecAugment was on, the mask embedding is lacking: nothing but masking hears it, and any will do.
    return model, sorted(name for name in report["missing_keys"] if not name.endswith("masked_spec_embed"))


def draw_weights(folder: str, base: str) -> PreTrainedModel:
    """The model of the folder's config.json with random weights."""
    return AutoModelForCTC.from_config(_read_config(folder, base), dtype=torch.float32, **_attention())


def has_weights(folder: str) -> bool:
    """Also when they are lost from a folder that this package wrote: such a model is no config to start from."""
    weights = [name for name in os.listdir(folder) if name.startswith(("model", "pytorch_model"))]
    return FACTS_FILE in os.listdir(folder) or any(name.endswith((".safetensors", ".bin", ".index.json")) for name in weights)


def fit_head(model: PreTrainedModel, vocabulary: Vocabulary, num_trained: int) -> None:
    """Gives the head a row for each symbol: the first `num_trained` stay as they are, the others are fresh."""
    if num_trained < len(vocabulary):
        head = torch.nn.Linear(model.lm_head.in_features, len(vocabulary))
        with torch.no_grad():
            head.weight.normal_(std=model.config.initializer_range)
            head.bias.zero_()
            head.weight[:num_trained] = model.lm_head.weight[:num_trained]
            head.bias[:num_trained] = model.lm_head.bias[:num_trained]
        model.lm_head = head
    model.config.vocab_size, model.config.pad_token_id = len(vocabulary), vocabulary.blank


def check_family(config: PreTrainedConfig, base: str) -> None:
    """Raises ModelError for a model that is built in another way."""
    if config.model_type not in FAMILIES:
        raise ModelError(f"{base} is of the kind {config.model_type!r}; drugasr knows {', '.join(FAMILIES)}: choose a model of these")


def _read_config(folder: str, base: str) -> PreTrainedConfig:
    config = AutoConfig.from_pretrained(folder)
    check_family(config, base)
    config.ctc_zero_infinity, config.layerdrop = True, 0.0  # DDP needs every parameter in every step
    return config


def _attention() -> dict[str, str]:
    """Eager on CPU, where its backward is faster than SDPA's at these lengths; WavLM has no other."""
    return {} if torch.cuda.is_available() else {"attn_implementation": "eager"}
