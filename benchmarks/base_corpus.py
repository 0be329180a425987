"""The clips that a base model is measured on: names of top500, clean, by the voices that its training never heard.

An ordinary corpus of drugasr, whose test split is all that matters. It is made once and kept in the storage.

Shapes: S samples.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from drugasr import audio, presets, storage
from drugasr.config import ClusterConfig, CorpusConfig
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import versions_of_voices
from drugasr.corpus.reading import read_file
from drugasr.corpus.synthesis import synthesise
from drugasr.errors import CorpusError, InputError, VoiceError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.voices.voice import engine, split_name

TIER = "top500"
# A corpus has three splits. The other two are as small as the plan allows, of voices that no test hears.
_TRAIN_VOICES, _VALIDATION_VOICES = ("espeak:en",), ("espeak:en+Andy",)
_TRAIN_DRAWS = {"espeak": 0.02}
_CLIPS_PER_SHARD = 256
_OBJECT_STORE_BYTES = 2**28  # it holds the plan alone
_COLUMNS = ("id", "audio", "drug", "drug_id", "engine", "voice")


@dataclass(frozen=True, kw_only=True)
class Clip:
    id: str
    drug: str
    """Name of the drug that is said."""
    engine: str
    voice: str
    is_trained: bool
    """Whether the base's training says the name."""
    wave_S: np.ndarray


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="model folder that a training wrote")
    parser.add_argument("--storage", required=True, help="folder or URI where the clips are kept")
    parser.add_argument("--names", type=int, metavar="N", help=f"so many names of {TIER}, a quarter of them never trained on (default: all)")


def corpus_uri_of(arguments: argparse.Namespace) -> str:
    """Where the clips of so many names are kept. Raises InputError for a number below 1."""
    if arguments.names is not None and arguments.names < 1:
        raise InputError(f"--names {arguments.names}: give 1 name at least")
    root = arguments.storage if "://" in arguments.storage else os.path.abspath(os.path.expanduser(arguments.storage))
    return storage.join(root, "base-clips" if arguments.names is None else f"base-clips-{arguments.names}")


def make_corpus(corpus_uri: str, lexicon: Lexicon, num_names: int | None, engines: dict[str, dict[str, Any]]) -> None:
    """Speaks the clips that are not there yet; all there, or clips of more voices, it starts no Ray.

    `engines`: options of an engine by its name. An engine that cannot be used without options of its own is left out, with
    a word. Raises VoiceError for one that cannot be used with them, CorpusError when clips cannot be made.
    """
    voices, why_not = _usable_voices(engines)
    config = _config(voices, num_names, engines)
    if not (Manifest.exists(corpus_uri) and _covers(Manifest.read(corpus_uri), lexicon, config)):
        ray.init(address="local", num_cpus=os.cpu_count(), include_dashboard=False, logging_level="error", object_store_memory=_OBJECT_STORE_BYTES)
        try:
            synthesise(lexicon, config, ClusterConfig(cpus_per_task=1.0), corpus_uri)
        finally:
            ray.shutdown()
    there = Manifest.read(corpus_uri).settings["voices"]
    for name, reason in why_not.items():
        if missing := [voice for voice in presets.BASE_TEST_VOICES if split_name(voice)[0] == name and voice not in there]:
            say(f"left out: {', '.join(missing)}: {reason}")


def read_clips(corpus_uri: str) -> Iterator[Clip]:
    """The test clips, engine by engine. Raises CorpusError when there are none."""
    manifest = Manifest.read(corpus_uri)
    if manifest.num_failures:
        say(f"{manifest.num_failures} clips of {corpus_uri} could not be made: they are not measured")
    unseen = set(manifest.unseen_drug_ids)
    for file_name in manifest.files["test"]:
        for row in read_file(corpus_uri, "test", file_name, list(_COLUMNS)).to_pylist():
            yield Clip(
                id=row["id"],
                drug=row["drug"],
                engine=row["engine"],
                voice=row["voice"],
                is_trained=row["drug_id"] not in unseen,
                wave_S=audio.decode(row["audio"]["bytes"]),
            )


def check_made(corpus_uri: str) -> None:
    """Raises CorpusError when `benchmarks.base` has not made the clips."""
    if not Manifest.exists(corpus_uri):
        raise CorpusError(f"{corpus_uri} holds no clips: run benchmarks.base with the same --storage and --names first")


def _usable_voices(engines: dict[str, dict[str, Any]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The test voices whose engine can be used, and why another cannot be. Raises VoiceError for one that has options."""
    why_not = {}
    for name in dict.fromkeys(split_name(voice)[0] for voice in presets.BASE_TEST_VOICES):
        try:
            engine(name, engines.get(name))
        except VoiceError as error:
            if name in engines:
                raise
            why_not[name] = str(error)
    return tuple(voice for voice in presets.BASE_TEST_VOICES if split_name(voice)[0] not in why_not), why_not


def _config(voices: tuple[str, ...], num_names: int | None, engines: dict[str, dict[str, Any]]) -> CorpusConfig:
    """The preset's test voices at their own rate and pitch, and the names that it holds out."""
    return dataclasses.replace(
        presets.pretrain().corpus,
        train_voices=_TRAIN_VOICES,
        validation_voices=_VALIDATION_VOICES,
        test_voices=voices,
        rates=(1.0,),
        pitches=(1.0,),
        draws_by_engine=_TRAIN_DRAWS,
        engines=engines,
        augmentation="none",
        num_augmented_by_engine={},
        max_names={"validation": 1} | ({"test": num_names} if num_names else {}),
        clips_per_shard=_CLIPS_PER_SHARD,
    )


def _covers(manifest: Manifest, lexicon: Lexicon, config: CorpusConfig) -> bool:
    """Whether a corpus was made by the same settings, of these voices at least."""
    there, wanted = manifest.settings["corpus"], json.loads(json.dumps(dataclasses.asdict(config)))
    same = all(there.get(key) == value for key, value in wanted.items() if key not in ("test_voices", "engines"))
    versions = versions_of_voices(config)
    return same and manifest.settings["lexicon_fingerprint"] == lexicon.fingerprint and versions.items() <= manifest.settings["voices"].items()
