"""A CTC model as a folder: what `save_pretrained` writes, the processor, a model card and `drugasr.json`."""

import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, Wav2Vec2FeatureExtractor, Wav2Vec2Processor
from transformers.utils import logging as transformers_logging

from drugasr import storage
from drugasr.acoustic.facts import FACTS_FILE
from drugasr.acoustic.processor import make_processor
from drugasr.acoustic.shipped import SHIPPED, located, shipped_version
from drugasr.acoustic.small import SIZES, build_small, small_config
from drugasr.acoustic.vocabulary import LIBRISPEECH, SPOKEN_ALPHABET, Vocabulary, read_vocabulary, vocabulary_of
from drugasr.acoustic.weights import check_family, draw_weights, fit_head, has_weights, read_weights
from drugasr.errors import ModelError, StorageError
from drugasr.progress import say


def start_model(base: str, seed: int, texts: Iterable[str] = (SPOKEN_ALPHABET,)) -> tuple[PreTrainedModel, Wav2Vec2Processor, Vocabulary]:
    """The model that a training on `texts` starts from: `small` and `medium` are built, anything else is loaded.

    A pre-trained encoder without a head, such as facebook/wav2vec2-base, gets a fresh one, for the vocabulary of its
    folder or else for ours. A head that cannot write a letter of the texts, or no space, gets a fresh row for it.
    A folder with a config.json and no weights starts from random ones. What is fresh is drawn from `seed`.
    Raises ModelError.
    """
    texts = list(texts)
    torch.manual_seed(seed)
    if base in SIZES:
        vocabulary = vocabulary_of(texts)
        return build_small(vocabulary, seed, base), make_processor(vocabulary), vocabulary
    with _opened(base) as folder:
        is_drawn = not has_weights(folder)
        if is_drawn:
            say(f"{base} has a config.json and no weights: the model starts from random ones")
        model, lacking = (draw_weights(folder, base), []) if is_drawn else read_weights(folder, base)
        if in_encoder := [name for name in lacking if not name.startswith("lm_head.")]:
            raise ModelError(f"{base}: its weights are not those of its config.json: they lack {in_encoder[0]} and {len(in_encoder) - 1} more")
        found = _has_vocabulary(folder)
        fresh_head = is_drawn or bool(lacking) or not found
        vocabulary = read_vocabulary(folder, fresh_head=fresh_head) if found else vocabulary_of(texts)
        num_trained = 0 if fresh_head else len(vocabulary)
        vocabulary = vocabulary.with_letters("".join(texts))
        fit_head(model, vocabulary, num_trained)
        return model, make_processor(vocabulary, _read_extractor(folder, is_drawn)), vocabulary


def load_model(base: str) -> tuple[PreTrainedModel, Wav2Vec2Processor, Vocabulary]:
    """A trained CTC model from a folder, a URI of one, or the Hugging Face hub. Raises ModelError."""
    with _opened(base) as folder:
        if not _has_vocabulary(folder):
            raise ModelError(f"{base} is not the folder of a CTC model: it has no vocab.json; train it first")
        model, lacking = read_weights(folder, base)
        if lacking:
            raise ModelError(f"{base} is not a trained CTC model: its weights lack {lacking[0]} and {len(lacking) - 1} more; train it first")
        vocabulary = read_vocabulary(folder)
        if " " not in vocabulary.ids:
            raise ModelError(f"{base} writes no space: its vocab.json has no word delimiter such as '|'; train it first, which adds one")
        return model, make_processor(vocabulary, _read_extractor(folder)), vocabulary


@contextmanager
def _opened(base: str) -> Iterator[str]:
    """The folder of a CTC model; see `opened`."""
    check_base(base)
    with opened(base) as folder:
        yield folder


@contextmanager
def opened(base: str) -> Iterator[str]:
    """`base` as a local folder, fetched where it is a URI or a hub name; what goes wrong inside becomes a ModelError.

    Ask `model_config` first: without a hub it gives up in seconds.
    """
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = located(base)
            if "://" in base:
                storage.download_folder(base, scratch)
                folder = scratch
            elif not os.path.isdir(folder):
                folder = _fetch(base)
            yield folder
        except (OSError, ValueError, RuntimeError, SafetensorError, StorageError) as error:
            raise ModelError(_cannot_load(base, error)) from error


def _fetch(name: str) -> str:
    """The hub's model in the local cache; what lies there, where the hub cannot be reached."""
    # One request: looked for one by one, each file that the model lacks would cost half a minute of retries without a hub.
    folder = huggingface_hub.snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "model*.safetensors"])
    return folder if has_weights(folder) else huggingface_hub.snapshot_download(name, allow_patterns=["pytorch_model*"])


def _has_vocabulary(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "vocab.json"))


def _read_extractor(folder: str, is_drawn: bool = False) -> Wav2Vec2FeatureExtractor | None:
    """How the model's audio is prepared; None, for ours, where random weights have none of their own."""
    try:
        return Wav2Vec2FeatureExtractor.from_pretrained(folder)
    except OSError:
        if is_drawn:
            return None
        raise


def check_base(base: str, frozen_layers: int = 0) -> None:
    """Raises ModelError when `base` cannot be had, in seconds (transformers' own retries take minutes), or when it
    has fewer layers than are to be frozen."""
    config = model_config(base)
    check_family(config, base)
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


def save_model(folder: Path, model: PreTrainedModel, processor: Wav2Vec2Processor, facts: Mapping[str, Any]) -> None:
    """Writes the model folder; `drugasr.json` (the facts and the versions) last, as the mark that it is whole."""
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    versions = {name: importlib.metadata.version(name) for name in ("drugasr", "torch", "transformers")}
    facts = {**facts, "versions": versions}
    (folder / "README.md").write_text(_card(facts))
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def _cannot_load(base: str, error: Exception) -> str:
    if os.path.isdir(base) or "://" in base:
        return f"{base} is not the folder of a model that can be used here: {error}"
    return (
        f"cannot load the model {base!r}: there is no such folder, and the Hugging Face hub gave: {str(error).splitlines()[0]}. "
        f"Either run where the hub can be reached, or download it elsewhere (`hf download {base} --local-dir FOLDER`), "
        "copy the folder here and give FOLDER in its place (a training takes --set model.base=FOLDER); --preset mini needs no hub at all"
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
