"""Presets, and how a run's configuration is put together: preset, then TOML file, then `--set a.b=c`."""

import dataclasses
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any

from pydantic import TypeAdapter, ValidationError

from drugasr import storage
from drugasr.config import ClusterConfig, Config, CorpusConfig, LexiconConfig, ModelConfig, TrainingConfig, TuningConfig
from drugasr.errors import ConfigError, StorageError

# The variants f5 and m5 and Pico's British voice are kept for testing, in every preset.
TEST_VOICES = ("espeak:en-us+f5", "espeak:en-us+m5", "espeak:en-gb-scotland+f5", "espeak:en-gb-scotland+m5", "pico:en-GB")
VALIDATION_VOICES = ("espeak:en-us+Annie", "espeak:en+Andy", "espeak:en-gb-x-rp+Michael")
_ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
_VARIANTS = ("f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4", "m6", "m7", "m8")
# Of a base model alone: engines that no other preset can count on (Kokoro's files are downloaded, Piper is an extra).
BASE_TEST_VOICES = (*TEST_VOICES, "piper:joe", "kokoro:bf_lily", "kokoro:bm_daniel", "kokoro:am_puck", "kokoro:af_nova")
_BASE_VALIDATION_VOICES = (*VALIDATION_VOICES, "pico:it-IT", "kokoro:af_sarah", "kokoro:am_eric")
# High voices are the ones that a small model hears worst.
_MORE_VARIANTS = (
    *("Alicia", "Andrea", "anika", "aunty", "belinda", "grandma", "linda", "shelby", "steph"),
    *("adam", "david", "ed", "grandpa", "john", "klatt", "max", "paul", "quincy", "rob", "travis"),
)
_FOREIGN = {
    **{"af": "f1", "cs": "m1", "de": "f2", "es": "m2", "es-419": "f3", "fr": "m3", "id": "f4", "it": "m4", "nl": "m6"},
    **{"pl": "f1", "pt-br": "m7", "ro": "f2", "sv": "m8", "tr": "f3"},
}
_KOKORO = (
    *("af_alloy", "am_echo", "af_aoede", "am_liam", "bf_alice", "af_heart", "am_michael"),
    *("af_jessica", "am_onyx", "bm_fable", "af_nicole", "am_santa", "af_river", "af_sky"),
)


def mini() -> Config:
    """Two CPU cores, no network: the shipped HuBERT of 5.1 M parameters, fine-tuned on a short list in minutes."""
    return Config(
        lexicon=LexiconConfig(source="quick50"),
        corpus=CorpusConfig(
            train_voices=(
                *(f"espeak:{accent}+{variant}" for accent in _ACCENTS[:6] for variant in _alternate(accent, 2)),
                "pico:en-US",
                *("pico:de-DE", "pico:es-ES", "pico:fr-FR"),  # other languages' voices read the names as foreign accents
            ),
            # Not eSpeak alone, whose voices the shipped model hears all but perfectly: they could not tell one trial from another.
            validation_voices=(*VALIDATION_VOICES, "pico:it-IT"),
            test_voices=TEST_VOICES,
            num_augmented=2,
            num_augmented_by_engine={"pico": 4},
            clips_per_shard=128,
            seed=7,  # leaves 5 of the 50 names out of training, the nearest to a tenth
        ),
        model=ModelConfig(base="shipped"),
        training=TrainingConfig(num_epochs=4, learning_rate=5e-4, batch_s=12, dropout=0.1, mask_time_prob=0.05),
        tuning=TuningConfig(
            num_trials=4,
            num_epochs=2,
            frozen_layers=(0, 2, 4, 5),
            min_learning_rate=2e-4,
            max_learning_rate=2e-3,
            num_workers=1,
            clip_fraction=0.5,
        ),
        # Of the 4 logical CPUs that a laptop's Ray is given, two workers must leave room for the drivers.
        cluster=ClusterConfig(num_workers=2, cpus_per_worker=0.9, cpus_per_task=1.0),
    )


def base() -> Config:
    """One GPU or a few CPU nodes: `facebook/hubert-base-ls960` with a fresh head on the 500 commonest names."""
    return Config(
        lexicon=LexiconConfig(source="top500"),
        corpus=_all_voices(num_augmented=2),
        model=ModelConfig(base="facebook/hubert-base-ls960", frozen_layers=8),
        training=TrainingConfig(num_epochs=10, learning_rate=1e-4, batch_s=100),
        tuning=TuningConfig(
            num_trials=12, num_epochs=4, frozen_layers=(0, 4, 6, 8, 10, 11), min_learning_rate=1e-5, max_learning_rate=1e-3,
            searcher="optuna", num_workers=1,
        ),
    )


def large() -> Config:
    """A GPU cluster: `facebook/hubert-large-ls960-ft`, whose CTC head is already trained."""
    return Config(
        lexicon=LexiconConfig(source="full"),
        corpus=_all_voices(num_augmented=4),
        model=ModelConfig(base="facebook/hubert-large-ls960-ft", frozen_layers=22),
        training=TrainingConfig(num_epochs=10, learning_rate=3e-5, batch_s=400),
        tuning=TuningConfig(
            num_trials=16, num_epochs=4, frozen_layers=(12, 16, 18, 20, 22, 23), min_learning_rate=1e-6, max_learning_rate=3e-4,
            searcher="optuna", num_workers=1,
        ),
        cluster=ClusterConfig(num_workers=4, gpus_per_worker=1.0),
    )


def pretrain() -> Config:
    """The model that the package ships: trained from scratch on all drug names and ordinary words, by a mixture of engines.

    Its clips are about 13 % eSpeak, 26 % Pico, 31 % Flite, 15 % Hibari and 15 % Kokoro, which takes 0.8 s of a core for each clean one.
    """
    return Config(
        lexicon=LexiconConfig(source="drugasr://pretraining"),
        corpus=CorpusConfig(
            train_voices=(
                *(f"espeak:{accent}+{variant}" for accent in _ACCENTS for variant in (*_VARIANTS, *_MORE_VARIANTS)),
                *(f"espeak:{language}+{variant}" for language, variant in _FOREIGN.items()),
                *("pico:en-US", "pico:de-DE"),  # half of Pico's clips
                *("flite:awb", "flite:kal16", "flite:rms", "flite:slt"),  # like Pico and Hibari, with pronunciations that are not eSpeak's
                "hibari:heart",  # the same speaker as kokoro:af_heart
                *(f"kokoro:{voice}" for voice in _KOKORO),
                # The mean of two voices is a new speaker.
                *(f"kokoro:{voice}*{_KOKORO[(i + step) % len(_KOKORO)]}" for step in (1, 4) for i, voice in enumerate(_KOKORO)),
            ),
            validation_voices=_BASE_VALIDATION_VOICES,
            test_voices=BASE_TEST_VOICES,
            rates=(0.85, 1.0, 1.2),
            pitches=(0.85, 1.0, 1.15),
            draws_by_engine={"espeak": 0.5, "pico": 1.0, "flite": 1.2, "hibari": 0.6, "kokoro": 0.3, "piper": 0.0},
            augmentation="clinic",
            num_augmented_by_engine={"kokoro": 3},
            unseen_fraction=0.0,
            unseen_names=tuple((resources.files("drugasr") / "lexicon/data/heldout.txt").read_text("utf-8").splitlines()),
            max_names={"validation": 120, "test": 120},
            num_outsiders=0,  # the list holds every name that could be one
            clips_per_shard=512,
        ),
        model=ModelConfig(base="medium", freeze_convolution=False),
        training=TrainingConfig(
            num_epochs=6,
            learning_rate=1e-3,
            warmup_fraction=0.01,
            hold_fraction=0.5,
            batch_s=48,
            dropout=0.1,
            mask_time_prob=0.1,
            augmentation="speaker",  # few engines, so few speakers
        ),
        tuning=TuningConfig(num_trials=1, num_epochs=1, frozen_layers=(0,), min_learning_rate=5e-4, max_learning_rate=3e-3),
        cluster=ClusterConfig(num_workers=2, cpus_per_worker=0.9, cpus_per_task=1.0),
    )


PRESETS = {"mini": mini, "base": base, "large": large, "pretrain": pretrain}


def load(preset: str, toml_uri: str | None = None, assignments: Iterable[str] = ()) -> Config:
    """The preset with the differences of a TOML file, then of `a.b=c` assignments. Raises ConfigError."""
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown: choose one of {', '.join(PRESETS)}")
    values = dataclasses.asdict(PRESETS[preset]())
    if toml_uri is not None:
        _merge(values, _read_toml(toml_uri), origin=toml_uri)
    for assignment in assignments:
        # corpus.engines.kokoro.model=... adds to the table; corpus.engines={...} replaces it.
        adds = assignment.partition("=")[0].count(".") > 1
        _merge(values, _parse_assignment(assignment), origin=f"--set {assignment}", adds=adds)
    return from_dict(values)


def from_dict(values: dict[str, Any]) -> Config:
    """The inverse of `dataclasses.asdict(config)`. Raises ConfigError that names every bad field."""
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        problems = (
            f"  {_dotted(e['loc'])}: {e['msg']}" + ("" if isinstance(e["input"], dict) else f", not {e['input']!r}")
            for e in error.errors()
        )
        raise ConfigError("the configuration is wrong:\n" + "\n".join(problems)) from error


def _all_voices(num_augmented: int) -> CorpusConfig:
    return CorpusConfig(
        train_voices=(*(f"espeak:{accent}+{variant}" for accent in _ACCENTS for variant in _VARIANTS), "pico:en-US"),
        validation_voices=VALIDATION_VOICES,
        test_voices=TEST_VOICES,
        rates=(0.85, 1.0, 1.2),
        augmentation="clinic",
        num_augmented=num_augmented,
        clips_per_shard=1024,
    )


def _alternate(accent: str, count: int) -> tuple[str, ...]:
    """`count` variants for an accent, so that neighbouring accents get different ones."""
    start = _ACCENTS.index(accent)
    females, males = _VARIANTS[:4], _VARIANTS[4:]
    return tuple((females if i % 2 == 0 else males)[(start + i) % 4] for i in range(count))


def _read_toml(uri: str) -> dict[str, Any]:
    try:
        return tomllib.loads(storage.read_bytes(uri).decode())
    except StorageError as error:
        raise ConfigError(f"--config: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {uri} is not TOML: {error}") from error


def _parse_assignment(assignment: str) -> dict[str, Any]:
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {assignment!r}: write it as section.field=value, such as training.num_epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def _merge(values: dict[str, Any], differences: dict[str, Any], origin: str, path: str = "", adds: bool = False) -> None:
    for key, value in differences.items():
        if key not in values:
            raise ConfigError(f"{origin}: there is no setting {path + key!r}; here are {', '.join(path + k for k in values)}")
        if isinstance(values[key], dict) and not path:  # a section, not a setting that is a table
            if not isinstance(value, dict):
                raise ConfigError(f"{origin}: {path + key!r} is a section; set one of {', '.join(f'{path}{key}.{k}' for k in values[key])}")
            _merge(values[key], value, origin, f"{path}{key}.", adds)
        else:
            values[key] = _added(values[key], value) if adds else value


def _added(old: Any, new: Any) -> Any:
    """A table with the entries of another, and of the tables in it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _added(old.get(key), value) for key, value in new.items()}
    return new


def _dotted(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location)
