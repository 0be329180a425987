"""A CTC model as a folder: what `save_pretrained` writes, the processor, a model card and `drugasr.json`."""

import importlib.metadata
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCTC, PretrainedConfig, PreTrainedModel, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from drugasr import storage
from drugasr.acoustic.facts import FACTS_FILE
from drugasr.acoustic.shipped import SHIPPED, located, shipped_version
from drugasr.acoustic.small import SIZES, build_small, small_config
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary, read_vocabulary
from drugasr.errors import ModelError, StorageError


def start_model(base: str, seed: int) -> tuple[PreTrainedModel, Wav2Vec2Processor, Vocabulary]:
    """The model that a training starts from: `small` and `medium` are built, anything else is loaded.

    A pre-trained encoder without a vocabulary, such as facebook/hubert-base-ls960, gets ours and a fresh head.
    What is fresh is drawn from `seed`. Raises ModelError.
    """
    if base in SIZES:
        vocabulary = Vocabulary(LIBRISPEECH)
        return build_small(vocabulary, seed, base), make_processor(vocabulary), vocabulary
    torch.manual_seed(seed)
    return _load(base, fresh_head=True)


def load_model(base: str) -> tuple[PreTrainedModel, Wav2Vec2Processor, Vocabulary]:
    """A trained CTC model from a folder, a URI of one, or the Hugging Face hub. Raises ModelError."""
    return _load(base, fresh_head=False)


def _load(base: str, *, fresh_head: bool) -> tuple[PreTrainedModel, Wav2Vec2Processor, Vocabulary]:
    check_base(base)
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        folder = located(base)
        try:
            if "://" in base:
                storage.download_folder(base, scratch)
                folder = scratch
            processor, sizes = _load_processor(folder, base, fresh_head)
            # Eager attention: on CPU its backward is faster than SDPA's at these lengths.
            attention = "sdpa" if torch.cuda.is_available() else "eager"
            model = AutoModelForCTC.from_pretrained(
                folder, dtype=torch.float32, attn_implementation=attention, ctc_zero_infinity=True, layerdrop=0.0, **sizes
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, SafetensorError, StorageError) as error:
            raise ModelError(_cannot_load(base, error)) from error
        return model, processor, _vocabulary_of(processor)


def _load_processor(folder: str, base: str, fresh_head: bool) -> tuple[Wav2Vec2Processor, dict[str, int]]:
    """The processor, and the settings of the head where it is to be a fresh one."""
    if cached_file(folder, "vocab.json", _raise_exceptions_for_missing_entries=False):
        return Wav2Vec2Processor.from_pretrained(folder), {}
    if not fresh_head:
        raise ModelError(f"{base} is not the folder of a CTC model: it has no vocab.json; train it first")
    vocabulary = Vocabulary(LIBRISPEECH)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    processor = Wav2Vec2Processor(feature_extractor=extractor, tokenizer=make_processor(vocabulary).tokenizer)
    return processor, {"vocab_size": len(vocabulary), "pad_token_id": vocabulary.blank}


def check_base(base: str, frozen_layers: int = 0) -> None:
    """Raises ModelError when `base` cannot be had, in seconds (transformers' own retries take minutes), or when it
    has fewer layers than are to be frozen."""
    config = model_config(base)
    if frozen_layers > getattr(config, "num_hidden_layers", frozen_layers):
        raise ModelError(f"{frozen_layers} layers cannot be frozen: {base!r} has {config.num_hidden_layers}")


def model_config(base: str) -> PretrainedConfig:
    """The architecture of `base`. Raises ModelError."""
    try:
        if base in SIZES:
            return small_config(Vocabulary(LIBRISPEECH), base)
        if "://" in base:
            return AutoConfig.for_model(**storage.read_json(storage.join(base, "config.json")))
        base = located(base)
        if not os.path.isdir(base) and not isinstance(huggingface_hub.try_to_load_from_cache(base, "config.json"), str):
            huggingface_hub.HfApi().model_info(base, timeout=5)
        return AutoConfig.from_pretrained(base)
    except Exception as error:  # the client raises whatever its transport does
        raise ModelError(_cannot_load(base, error)) from error


def base_version(base: str) -> list[tuple[str, int, int]]:
    """What tells one content of a model folder from another: names, sizes and times. Empty for what is no folder."""
    if base == SHIPPED:
        return [(shipped_version(), 0, 0)]  # the same in every checkout
    if not os.path.isdir(base):
        return []
    entries = [(entry.name, entry.stat()) for entry in os.scandir(base) if entry.is_file()]
    return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in entries)


def make_processor(vocabulary: Vocabulary) -> Wav2Vec2Processor:
    """Feature extractor (zero mean, unit variance, attention mask) and tokenizer for a model of our own."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "vocab.json"
        path.write_text(json.dumps({token: i for i, token in enumerate(vocabulary.tokens)}))
        tokenizer = Wav2Vec2CTCTokenizer(str(path), do_lower_case=False)
    extractor = Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=16_000, do_normalize=True, return_attention_mask=True)
    return Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer)


def save_model(folder: Path, model: PreTrainedModel, processor: Wav2Vec2Processor, facts: Mapping[str, Any]) -> None:
    """Writes the model folder; `drugasr.json` (the facts and the versions) last, as the mark that it is whole."""
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    versions = {name: importlib.metadata.version(name) for name in ("drugasr", "torch", "transformers")}
    facts = {**facts, "versions": versions}
    (folder / "README.md").write_text(_card(facts))
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def _vocabulary_of(processor: Wav2Vec2Processor) -> Vocabulary:
    with tempfile.TemporaryDirectory() as scratch:
        processor.tokenizer.save_vocabulary(scratch)
        return read_vocabulary(scratch)


def _cannot_load(base: str, error: Exception) -> str:
    if os.path.isdir(base) or "://" in base:
        return f"{base} is not the folder of a CTC model: {error}"
    return (
        f"cannot load the model {base!r}: there is no such folder, and the Hugging Face hub gave: {str(error).splitlines()[0]}. "
        f"Either run where the hub can be reached, or download it elsewhere (`hf download {base} --local-dir FOLDER`), "
        "copy the folder here and use --set model.base=FOLDER; --preset mini needs no hub at all"
    )


def _card(facts: Mapping[str, Any]) -> str:
    """Model card with a `model-index`, so that Hugging Face tools show the metrics."""
    metrics = facts.get("metrics", {})
    listed = "".join(f"    - type: {name}\n      value: {value}\n" for name, value in sorted(metrics.items()) if name in ("cer", "wer", "top1", "top5"))
    return (
        "---\nlibrary_name: transformers\npipeline_tag: automatic-speech-recognition\nlanguage: en\nmodel-index:\n- name: drugasr\n  results:\n"
        "  - task:\n      type: automatic-speech-recognition\n    dataset:\n      type: drugasr\n      name: spoken drug names (validation voices)\n"
        f"    metrics:\n{listed}---\n# Spoken drug names\n\nA CTC model of drugasr, fine-tuned on synthetic speech. Load it with\n"
        '`transformers.pipeline("automatic-speech-recognition", model=FOLDER)` or `drugasr.recognition.Recognizer.from_dir(FOLDER, lexicon)`.\n\n'
        f"```json\n{json.dumps(facts, indent=2, sort_keys=True)}\n```\n"
    )
