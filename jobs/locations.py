"""Paths that mean the same on the driver and on every worker."""

import os
from dataclasses import replace

from drugasr.acoustic.shipped import SHIPPED
from drugasr.config import Config
from drugasr.errors import InputError
from drugasr.lexicon.reading import TIERS


def location_of(flag: str, value: str) -> str:
    """An absolute path, a URI or `shipped`. Raises InputError for a relative path in a copy that Ray will delete."""
    if "://" in value or value == SHIPPED:
        return value.rstrip("/")
    path = os.path.expanduser(value)
    if not os.path.isabs(path) and "/working_dir_files/" in f"{os.getcwd()}/":
        raise InputError(f"--{flag} {value} is relative, and a submitted job runs in a temporary copy of the folder: give an absolute path or a URI")
    return os.path.abspath(path)


def model_location(flag: str, value: str) -> str:
    """The whole path of a folder that is here; anything else (a hub name, a URI, `shipped`) as it is."""
    return location_of(flag, value) if _is_here(value) or value.startswith(("/", "~", ".")) else value


def with_whole_locations(config: Config) -> Config:
    """The settings with whole paths in them: workers run in other folders."""
    source, base, corpus = config.lexicon.source, config.model.base, config.corpus
    if source not in TIERS:
        config = replace(config, lexicon=replace(config.lexicon, source=location_of("lexicon", source)))
    if _is_here(base):
        config = replace(config, model=replace(config.model, base=location_of("set model.base", base)))
    engines = {
        name: {key: location_of(f"set corpus.engines.{name}.{key}", value) if key.endswith("_uri") and value or _is_here(value) else value for key, value in options.items()}
        for name, options in corpus.engines.items()
    }
    named = {name: getattr(corpus, name) for name in ("recordings", "noise_folder")}
    whole = {name: location_of(f"set corpus.{name}", value) for name, value in named.items() if value}
    return replace(config, corpus=replace(corpus, engines=engines, **whole))


def _is_here(value: object) -> bool:
    return isinstance(value, str) and bool(value) and os.path.exists(os.path.expanduser(value))
