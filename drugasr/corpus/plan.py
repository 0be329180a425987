"""Which utterance is spoken by which voice, for which split: a pure function of lexicon and settings.

The plan is cut into shards by engine and by a hash of the name, so that one more name changes one shard of each
split and engine, and streams: the driver's memory grows with the names, not with the clips; a worker lists the utterances of its shard.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from drugasr.config import CorpusConfig
from drugasr.corpus.outsiders import choose_outsiders
from drugasr.corpus.schema import SPLITS
from drugasr.fingerprint import fingerprint, fraction_of, seed_of
from drugasr.lexicon.dose import Dose, marketed_doses
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.voices.voice import engine, split_name

# Raise it when the code changes what a clip sounds like: every id changes, and every clip is made again.
AUDIO_VERSION = 2
# Names of this kind are practice: training alone says them.
WORD = "word"

Text = tuple[str, Dose | None]
"""What is said of a drug: an alias, or empty for its name, and the dose behind it."""
Way = tuple[str, float, float]
"""How it is said: `engine:voice`, rate and pitch."""


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
    alias: str = ""
    """What is said instead of the drug's first spoken form."""
    dose: Dose | None = None
    """What is said after the name."""
    dose_voice: str = ""
    """`engine:voice` of a dose that is recorded by itself and joined; empty: name and dose are one phrase."""
    dose_voice_version: str = ""
    recipe_version: str = ""
    """Changes when the recipe's output may (`augmentation.recipe_version`); empty for the clean clip."""

    @property
    def text(self) -> str:
        form = self.alias or self.drug.spoken
        return f"{form} {self.dose.spoken}" if self.dose else form

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
        drugs = [(d.id, d.name, d.spoken_forms, [(dose.written, dose.spoken) for dose in choose_doses(d, config)]) for d in self.drugs]
        draws = [] if self._draws is None else [self._draws if self.split == "train" else "once a voice"]
        content = fingerprint(
            AUDIO_VERSION, drugs, config.rates, config.pitches, doses, recipe, self.recipe_version if recipe else "",
            list(copies.items()), config.seed, dict(self.voice_versions), *draws,
        )  # fmt: skip
        return f"part-{self.engine}-{self.bucket:05d}-of-{self.num_buckets:05d}-{content}.parquet"

    def utterances(self) -> Iterator[Utterance]:
        config, copies = self.config, self._copies
        for drug in self.drugs:
            for (voice, rate, pitch), (alias, dose) in self._said(drug, tuple(copies)):
                for copy in range(copies[voice] + 1):
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
                        alias=alias,
                        dose=dose,
                        dose_voice=joined,
                        dose_voice_version=self.voice_versions[joined] if joined else "",
                        recipe_version=self.recipe_version if copy else "",
                    )

    @cached_property
    def num_clips(self) -> int:
        config, copies = self.config, self._copies
        if self._draws is None or self.split != "train":
            return round(clips_per_text(config, self.split, self.engine)) * sum(len(texts_of(drug, config)) for drug in self.drugs)
        return sum(copies[voice] + 1 for drug in self.drugs for (voice, _, _), _ in self._said(drug, tuple(copies)))

    def _said(self, drug: Drug, voices: Sequence[str]) -> Iterator[tuple[Way, Text]]:
        """What is said of the drug in which way, clean."""
        config, texts = self.config, texts_of(drug, self.config)
        if self._draws is None:
            yield from product(product(voices, config.rates, config.pitches), texts)
            return
        for alias, dose in texts:
            spoken = alias or drug.spoken, dose.spoken if dose else ""
            if self.split == "train":
                ways = _draw_ways(self._draws, voices, config, self.engine, *spoken)
            else:
                ways = (way for voice in voices for way in _draw_ways(1, (voice,), config, voice, *spoken))
            yield from ((way, (alias, dose)) for way in ways)

    @property
    def _draws(self) -> float | None:
        """Clean clips of a text in training; None where all voices say it in all ways."""
        return self.config.draws_by_engine.get(self.engine)

    def _dose_voice(self, voice: str) -> str:
        """A voice that training hears is in no other split, so the others say their doses themselves."""
        return (self.config.dose_voice if self.split == "train" else "") or voice

    @property
    def _copies(self) -> dict[str, int]:
        return copies_by_voice(self.config, self.split, self.engine)


def plan_shards(lexicon: Lexicon, config: CorpusConfig, voice_versions: Mapping[str, str], recipe_version: str = "") -> Iterator[Shard]:
    """The shards of every split. Training leaves the unseen names out; the other splits hold every name (but see `max_names`), and
    outsiders of their own."""
    outsiders = choose_outsiders(lexicon, config)
    for split in SPLITS:
        drugs = [*_names_of(split, lexicon, config), *outsiders.get(split, ())]
        num_texts = sum(len(texts_of(drug, config)) for drug in drugs)
        for engine_name in sorted({split_name(voice)[0] for voice in split_voices(config, split)}):
            num_buckets = _num_buckets(num_texts * clips_per_text(config, split, engine_name), config.clips_per_shard)
            buckets: dict[int, list[Drug]] = defaultdict(list)
            for drug in drugs:
                buckets[seed_of("bucket", drug.spoken) % num_buckets].append(drug)
            voices = {*copies_by_voice(config, split, engine_name), config.dose_voice if config.num_doses and split == "train" else ""}
            versions = {voice: version for voice, version in voice_versions.items() if voice in voices}
            for bucket, members in sorted(buckets.items()):
                shard = Shard(
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
                if shard.num_clips:
                    yield shard


def all_voices(config: CorpusConfig) -> tuple[str, ...]:
    dose_voice = (config.dose_voice,) if config.num_doses and config.dose_voice else ()
    return (*config.train_voices, *config.validation_voices, *config.test_voices, *dose_voice)


def versions_of_voices(config: CorpusConfig) -> dict[str, str]:
    """`engine:voice` -> version, asked of the engines here. Raises VoiceError."""
    return {name: engine(split_name(name)[0], config.engines.get(split_name(name)[0])).version(split_name(name)[1]) for name in all_voices(config)}


def texts_of(drug: Drug, config: CorpusConfig) -> list[Text]:
    """What is said of the drug: the name, the name with its doses, and each alias alone."""
    return [("", None), *(("", dose) for dose in choose_doses(drug, config)), *((alias, None) for alias in drug.aliases)]


def choose_doses(drug: Drug, config: CorpusConfig) -> tuple[Dose, ...]:
    """At most `num_doses` of the drug's marketed strengths, chosen by name and dose alone; none of an outsider's."""
    if not config.num_doses or not drug.id:
        return ()
    doses = marketed_doses(drug, config.dose_language)
    chosen = sorted(doses, key=lambda dose: seed_of("dose", config.seed, drug.spoken, dose.written))[: config.num_doses]
    return tuple(dose for dose in doses if dose in chosen)


def is_unseen(drug: Drug, config: CorpusConfig) -> bool:
    """Whether training never hears the drug, aliases too; decided by its name alone, so that others may come and go."""
    if fraction_of("unseen", config.seed, drug.spoken) < config.unseen_fraction:
        return True
    return any(f" {name} " in f" {form} " for name in config.unseen_names for form in drug.spoken_forms)


def split_voices(config: CorpusConfig, split: str) -> tuple[str, ...]:
    return {"train": config.train_voices, "validation": config.validation_voices, "test": config.test_voices}[split]


def clips_per_text(config: CorpusConfig, split: str, engine_name: str) -> float:
    """Clips of one text (a name, a name with a dose, or an alias) by all voices of the engine, on average."""
    copies, draws = copies_by_voice(config, split, engine_name), config.draws_by_engine.get(engine_name)
    per_voice = 1.0 * len(config.rates) * len(config.pitches)
    if draws is not None:
        per_voice = min(draws / len(copies), per_voice) if split == "train" else 1.0
    return sum(per_voice * (num_augmented + 1) for num_augmented in copies.values())


def copies_by_voice(config: CorpusConfig, split: str, engine_name: str) -> dict[str, int]:
    """Augmented copies of each utterance, by voice of the engine: only training clips have any."""
    voices = [voice for voice in split_voices(config, split) if split_name(voice)[0] == engine_name]
    if split != "train" or config.augmentation == "none":
        return dict.fromkeys(voices, 0)
    return dict.fromkeys(voices, config.num_augmented_by_engine.get(engine_name, config.num_augmented))


def _names_of(split: str, lexicon: Lexicon, config: CorpusConfig) -> list[Drug]:
    """Drawn by their names alone where there are to be fewer, so that one more in the list replaces at most one."""
    if split == "train":
        return [drug for drug in lexicon.drugs if not is_unseen(drug, config)]
    drugs = [drug for drug in lexicon.drugs if drug.kind != WORD]
    if (limit := config.max_names.get(split)) is None:
        return drugs
    drugs.sort(key=lambda drug: seed_of("name", split, config.seed, drug.spoken))
    unseen = [drug for drug in drugs if is_unseen(drug, config)][: math.ceil(limit / 4)]
    return [*unseen, *[drug for drug in drugs if not is_unseen(drug, config)][: limit - len(unseen)]]


def _draw_ways(draws: float, voices: Sequence[str], config: CorpusConfig, *text: str) -> list[Way]:
    """`draws` different ways to say a text, as many as there are at most; of a fraction, one more for that share of the texts.

    They hang on the text, and a larger number adds to them.
    """
    generator = random.Random(seed_of("ways", config.seed, *text))
    num_ways = len(voices) * len(config.rates) * len(config.pitches)
    ways: dict[Way, None] = {}
    for _ in range(min(int(draws + generator.random()), num_ways)):
        while (way := (generator.choice(voices), generator.choice(config.rates), generator.choice(config.pitches))) in ways:
            pass
        ways[way] = None
    return list(ways)


def _num_buckets(num_clips: float, clips_per_shard: int) -> int:
    """A power of two, so that when it doubles, a new bucket's clips all lie in one old bucket."""
    buckets = 1
    while buckets * clips_per_shard < num_clips:
        buckets *= 2
    return buckets
