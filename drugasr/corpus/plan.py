"""Which utterance is spoken by which voice, for which split: a pure function of lexicon and settings.

The plan is cut into shards by engine and by a hash of the name, so that one more name changes one shard of each
split and engine, and streams: the driver's memory grows with the names, not with the clips; a worker lists the utterances of its shard.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from drugasr.config import CorpusConfig
from drugasr.corpus.schema import SPLITS
from drugasr.fingerprint import fingerprint, fraction_of, seed_of
from drugasr.lexicon.dose import Dose, marketed_doses
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.voices.voice import engine, split_name

# Raise it when the code changes what a clip sounds like: every id changes, and every clip is made again.
AUDIO_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Utterance:
    drug: Drug
    voice: str
    """`engine:voice`."""
    voice_version: str
    rate: float
    pitch: float
    augmentation: str
    """Recipe of the copy; empty for the clean clip."""
    copy: int
    """Number of the augmented copy, from 1; 0 for the clean clip."""
    corpus_seed: int
    dose: Dose | None = None
    """What is said after the name."""
    dose_voice: str = ""
    """`engine:voice` of a dose that is recorded by itself and joined; empty: name and dose are one phrase."""
    dose_voice_version: str = ""
    recipe_version: str = ""
    """Changes when the recipe's output may (`augmentation.recipe_version`); empty for the clean clip."""

    @property
    def text(self) -> str:
        return f"{self.drug.spoken} {self.dose.spoken}" if self.dose else self.drug.spoken

    @cached_property
    def id(self) -> str:
        return fingerprint(
            AUDIO_VERSION, self.text, self.voice, self.voice_version, self.rate, self.pitch,
            self.augmentation, self.copy, self.corpus_seed, self.recipe_version,
            self.dose_voice, self.dose_voice_version,
        )  # fmt: skip

    @property
    def seed(self) -> int:
        return seed_of(self.id)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One Parquet file: every clip that one engine makes of some names for one split."""

    split: str
    engine: str
    bucket: int
    num_buckets: int
    drugs: tuple[Drug, ...]
    config: CorpusConfig
    voice_versions: Mapping[str, str]
    """Version of each voice of the engine in this split, and of the dose's voice."""
    recipe_version: str = ""

    @cached_property
    def file_name(self) -> str:
        """Ends in a hash of the content, so that a file that is there is a file that is right."""
        config, copies = self.config, self._copies
        recipe = config.augmentation if any(copies.values()) else ""
        doses = (config.dose_style, config.dose_voice) if config.num_doses else ()
        content = fingerprint(
            AUDIO_VERSION, [(d.id, d.name, d.spoken, choose_doses(d, config)) for d in self.drugs], config.rates, config.pitches, doses,
            recipe, self.recipe_version if recipe else "", list(copies.items()), config.seed, dict(self.voice_versions),
        )  # fmt: skip
        return f"part-{self.engine}-{self.bucket:05d}-of-{self.num_buckets:05d}-{content}.parquet"

    def utterances(self) -> Iterator[Utterance]:
        config = self.config
        for drug in self.drugs:
            doses = [None, *choose_doses(drug, config)]
            for voice, num_augmented in self._copies.items():
                for rate in config.rates:
                    for pitch in config.pitches:
                        for dose in doses:
                            for copy in range(num_augmented + 1):
                                joined = self._dose_voice(voice) if dose and config.dose_style == "joined" else ""
                                yield Utterance(
                                    drug=drug,
                                    voice=voice,
                                    voice_version=self.voice_versions[voice],
                                    rate=rate,
                                    pitch=pitch,
                                    augmentation=config.augmentation if copy else "",
                                    copy=copy,
                                    corpus_seed=config.seed,
                                    dose=dose,
                                    dose_voice=joined,
                                    dose_voice_version=self.voice_versions[joined] if joined else "",
                                    recipe_version=self.recipe_version if copy else "",
                                )

    @cached_property
    def num_clips(self) -> int:
        per_name = clips_per_name(self.config, self.split, self.engine)
        return per_name * sum(1 + len(choose_doses(drug, self.config)) for drug in self.drugs)

    def _dose_voice(self, voice: str) -> str:
        """A voice that training hears is in no other split, so the others say their doses themselves."""
        return (self.config.dose_voice if self.split == "train" else "") or voice

    @property
    def _copies(self) -> dict[str, int]:
        return copies_by_voice(self.config, self.split, self.engine)


def plan_shards(lexicon: Lexicon, config: CorpusConfig, voice_versions: Mapping[str, str], recipe_version: str = "") -> Iterator[Shard]:
    """The shards of every split. Training leaves the unseen names out; the other splits hold every name."""
    for split in SPLITS:
        drugs = [d for d in lexicon.drugs if split != "train" or not is_unseen(d, config)]
        num_texts = sum(1 + len(choose_doses(drug, config)) for drug in drugs)
        for engine_name in sorted({split_name(voice)[0] for voice in split_voices(config, split)}):
            num_buckets = _num_buckets(num_texts * clips_per_name(config, split, engine_name), config.clips_per_shard)
            buckets: dict[int, list[Drug]] = defaultdict(list)
            for drug in drugs:
                buckets[seed_of("bucket", drug.spoken) % num_buckets].append(drug)
            voices = {*copies_by_voice(config, split, engine_name), config.dose_voice if config.num_doses and split == "train" else ""}
            versions = {voice: version for voice, version in voice_versions.items() if voice in voices}
            for bucket, members in sorted(buckets.items()):
                yield Shard(
                    split=split,
                    engine=engine_name,
                    bucket=bucket,
                    num_buckets=num_buckets,
                    # Sorted, so that the order of the list does not change the file.
                    drugs=tuple(sorted(members, key=lambda drug: drug.spoken)),
                    config=config,
                    voice_versions=versions,
                    recipe_version=recipe_version,
                )


def all_voices(config: CorpusConfig) -> tuple[str, ...]:
    dose_voice = (config.dose_voice,) if config.num_doses and config.dose_voice else ()
    return (*config.train_voices, *config.validation_voices, *config.test_voices, *dose_voice)


def versions_of_voices(config: CorpusConfig) -> dict[str, str]:
    """`engine:voice` -> version, asked of the engines here. Raises VoiceError."""
    return {name: engine(split_name(name)[0], config.engines.get(split_name(name)[0])).version(split_name(name)[1]) for name in all_voices(config)}


def choose_doses(drug: Drug, config: CorpusConfig) -> tuple[Dose, ...]:
    """At most `num_doses` of the drug's marketed strengths, chosen by name and dose alone."""
    if not config.num_doses:
        return ()
    doses = marketed_doses(drug, config.dose_language)
    chosen = sorted(doses, key=lambda dose: seed_of("dose", config.seed, drug.spoken, dose.written))[: config.num_doses]
    return tuple(dose for dose in doses if dose in chosen)


def is_unseen(drug: Drug, config: CorpusConfig) -> bool:
    """Whether training never hears the name; decided by the name alone, so that others may come and go."""
    return fraction_of("unseen", config.seed, drug.spoken) < config.unseen_fraction


def split_voices(config: CorpusConfig, split: str) -> tuple[str, ...]:
    return {"train": config.train_voices, "validation": config.validation_voices, "test": config.test_voices}[split]


def clips_per_name(config: CorpusConfig, split: str, engine_name: str) -> int:
    """Clips of one text (a name, or a name with a dose) by all voices of the engine."""
    per_voice = len(config.rates) * len(config.pitches)
    return sum(per_voice * (num_augmented + 1) for num_augmented in copies_by_voice(config, split, engine_name).values())


def copies_by_voice(config: CorpusConfig, split: str, engine_name: str) -> dict[str, int]:
    """Augmented copies of each utterance, by voice of the engine: only training clips have any."""
    voices = [voice for voice in split_voices(config, split) if split_name(voice)[0] == engine_name]
    if split != "train" or config.augmentation == "none":
        return dict.fromkeys(voices, 0)
    return dict.fromkeys(voices, config.num_augmented_by_engine.get(engine_name, config.num_augmented))


def _num_buckets(num_clips: int, clips_per_shard: int) -> int:
    """A power of two, so that when it doubles, a new bucket's clips all lie in one old bucket."""
    buckets = 1
    while buckets * clips_per_shard < num_clips:
        buckets *= 2
    return buckets
