"""Which utterance is spoken by which voice, for which split: a pure function of lexicon and settings.

The plan is cut into shards by a hash of the name, so that one more name changes one shard of each split,
and streams: the driver holds names and shards, a worker the utterances of its shard.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from drugasr.config import CorpusConfig
from drugasr.corpus.schema import SPLITS
from drugasr.fingerprint import fingerprint, fraction_of, seed_of
from drugasr.lexicon.drug import Drug, Lexicon

# Raise it when the code changes what a clip sounds like: every id changes, and every clip is made again.
AUDIO_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Utterance:
    drug: Drug
    voice: str
    """`engine:voice`."""
    engine_version: str
    rate: float
    pitch: float
    augmentation: str
    """Recipe of the copy; empty for the clean clip."""
    copy: int
    """Number of the augmented copy, from 1; 0 for the clean clip."""
    corpus_seed: int

    @property
    def id(self) -> str:
        return fingerprint(
            AUDIO_VERSION, self.drug.spoken, self.voice, self.engine_version,
            self.rate, self.pitch, self.augmentation, self.copy, self.corpus_seed,
        )  # fmt: skip

    @property
    def seed(self) -> int:
        return seed_of(self.id)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One Parquet file: every clip of some names in one split."""

    split: str
    bucket: int
    num_buckets: int
    drugs: tuple[Drug, ...]
    config: CorpusConfig
    engine_versions: dict[str, str]
    """Version of each engine, by its name."""

    @property
    def file_name(self) -> str:
        """Ends in a hash of the content, so that a file that is there is a file that is right."""
        copies = _copies(self.config, self.split)
        recipe = self.config.augmentation if any(copies.values()) else ""
        content = fingerprint(
            AUDIO_VERSION, [(d.id, d.name, d.spoken) for d in self.drugs], self.config.rates, self.config.pitches, recipe, list(copies.items()), self.config.seed,
            self.engine_versions,
        )  # fmt: skip
        return f"part-{self.bucket:05d}-of-{self.num_buckets:05d}-{content}.parquet"

    def utterances(self) -> Iterator[Utterance]:
        copies = _copies(self.config, self.split)
        for drug in self.drugs:
            for voice, num_augmented in copies.items():
                for rate in self.config.rates:
                    for pitch in self.config.pitches:
                        for copy in range(num_augmented + 1):
                            yield Utterance(
                                drug=drug,
                                voice=voice,
                                engine_version=self.engine_versions[voice.partition(":")[0]],
                                rate=rate,
                                pitch=pitch,
                                augmentation=self.config.augmentation if copy else "",
                                copy=copy,
                                corpus_seed=self.config.seed,
                            )

    @property
    def num_clips(self) -> int:
        return len(self.drugs) * clips_per_name(self.config, self.split)


def plan_shards(lexicon: Lexicon, config: CorpusConfig, engine_versions: dict[str, str]) -> Iterator[Shard]:
    """The shards of every split. Training leaves the unseen names out; the other splits hold every name."""
    for split in SPLITS:
        drugs = [d for d in lexicon.drugs if split != "train" or not is_unseen(d, config)]
        num_buckets = _num_buckets(len(drugs) * clips_per_name(config, split), config.clips_per_shard)
        buckets: dict[int, list[Drug]] = defaultdict(list)
        for drug in drugs:
            buckets[seed_of("bucket", drug.spoken) % num_buckets].append(drug)
        voices = {voice.partition(":")[0] for voice in split_voices(config, split)}
        versions = {name: version for name, version in engine_versions.items() if name in voices}
        for bucket, members in sorted(buckets.items()):
            # Sorted, so that the order of the list does not change the file.
            ordered = tuple(sorted(members, key=lambda drug: drug.spoken))
            yield Shard(split=split, bucket=bucket, num_buckets=num_buckets, drugs=ordered, config=config, engine_versions=versions)


def is_unseen(drug: Drug, config: CorpusConfig) -> bool:
    """Whether training never hears the name; decided by the name alone, so that others may come and go."""
    return fraction_of("unseen", config.seed, drug.spoken) < config.unseen_fraction


def split_voices(config: CorpusConfig, split: str) -> tuple[str, ...]:
    return {"train": config.train_voices, "validation": config.validation_voices, "test": config.test_voices}[split]


def clips_per_name(config: CorpusConfig, split: str) -> int:
    per_voice = len(config.rates) * len(config.pitches)
    return sum(per_voice * (num_augmented + 1) for num_augmented in _copies(config, split).values())


def _copies(config: CorpusConfig, split: str) -> dict[str, int]:
    """Augmented copies of each utterance, by voice: only training clips have any."""
    if split != "train" or config.augmentation == "none":
        return dict.fromkeys(split_voices(config, split), 0)
    by_engine = config.num_augmented_by_engine
    return {voice: by_engine.get(voice.partition(":")[0], config.num_augmented) for voice in config.train_voices}


def _num_buckets(num_clips: int, clips_per_shard: int) -> int:
    """A power of two, so that when it doubles, a new bucket's clips all lie in one old bucket."""
    buckets = 1
    while buckets * clips_per_shard < num_clips:
        buckets *= 2
    return buckets
