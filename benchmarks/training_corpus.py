"""A corpus for the benchmark of training: names of quick50 in eSpeak's voices, written without Ray."""

import dataclasses
from pathlib import Path

from drugasr import presets
from drugasr.config import CorpusConfig
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import plan_shards, versions_of_voices
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import write_shard
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.voices.voice import engine

_MAX_VALIDATION_NAMES = 20


def make_corpus(folder: Path, num_clips: int) -> tuple[str, Lexicon, int]:
    """The corpus, its list, and how many training clips it holds: about `num_clips`."""
    names = read_lexicon("quick50")
    voices = tuple(voice for voice in presets.mini().corpus.train_voices if voice.startswith("espeak:"))
    num_names = min(len(names), max(2, num_clips))
    lexicon = Lexicon("benchmark", names.drugs[:num_names])
    config = CorpusConfig(
        train_voices=voices, validation_voices=("espeak:en-us+Annie",), test_voices=("espeak:en-us+f5",), augmentation="none", unseen_fraction=0.0,
        draws_by_engine={"espeak": num_clips / num_names}, max_names={"validation": min(_MAX_VALIDATION_NAMES, max(2, num_clips // 10)), "test": 1}, num_outsiders=0,
        rates=(0.85, 1.0, 1.2),
    )  # fmt: skip
    maker = ClipMaker({"espeak": engine("espeak")})
    reports = [write_shard(str(folder), shard, [], maker) for shard in plan_shards(lexicon, config, versions_of_voices(config))]
    Manifest(
        lexicon=lexicon.name,
        unseen_drug_ids=(),
        files={split: {report.file_name: report.num_clips for report in reports if report.split == split} for split in SPLITS},
        num_failures=sum(report.num_failures for report in reports),
        speech_s={split: {report.file_name: report.speech_s for report in reports if report.split == split} for split in SPLITS},
        settings={"corpus": dataclasses.asdict(config)},
    ).write(str(folder))
    return str(folder), lexicon, sum(report.num_clips for report in reports if report.split == "train")
