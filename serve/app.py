"""The Serve application: `serve run serve.app:build model=FOLDER lexicon=quick50`, or `serve deploy serve/config.yaml`."""

import math
import os
from collections.abc import Callable

from pydantic import ValidationError
from ray.serve import Application

from drugasr import storage
from drugasr.acoustic.shipped import SHIPPED, located
from drugasr.config import ServingConfig
from drugasr.errors import ConfigError, ModelError, StorageError
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon
from serve.deployment import Ingress, RecognizerReplica, load_recognizer

MODEL_FILES = ("config.json", "drugasr.json", "model.safetensors", "vocab.json")
_ARGUMENTS = ("model", "lexicon", "salts", "num_replicas", "cpus_per_replica")
_REPLICAS_PER_INGRESS = 4


def build(args: dict[str, str]) -> Application:
    """The application for `args`: `model` (folder, URI or `shipped`; shipped), `lexicon` (tier, path or URI; quick50),
    `salts` (keep or strip, as in the training; keep), `num_replicas` (1) and `cpus_per_replica` (1.0).

    Everything is checked here, before anything is deployed: an error in a replica ends up in a log.
    Raises ConfigError, ModelError or LexiconError.
    """
    unknown = sorted(set(args) - set(_ARGUMENTS))
    if unknown:
        raise ConfigError(f"unknown arguments {', '.join(unknown)}: there are {', '.join(_ARGUMENTS)}")
    try:
        serving = ServingConfig(**{name: args[name] for name in ("num_replicas", "cpus_per_replica") if name in args})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{first['loc'][0]}={first['input']}: {first['msg']}") from error
    model = check_model(args.get("model") or SHIPPED)
    return assemble(model, read_lexicon(args.get("lexicon", "quick50"), salts=args.get("salts", "keep")), serving)


def assemble(model: str, lexicon: Lexicon, serving: ServingConfig, load: Callable = load_recognizer) -> Application:
    """The application, unchecked. `load(model, lexicon)` runs in each replica and gives its recogniser."""
    recognizer = RecognizerReplica.options(
        num_replicas=serving.num_replicas, ray_actor_options={"num_cpus": serving.cpus_per_replica}
    ).bind(model, lexicon, load)
    # Decoding and HTTP take a fraction of a model's time; the count follows the replicas.
    num_ingresses = math.ceil(serving.num_replicas / _REPLICAS_PER_INGRESS)
    return Ingress.options(num_replicas=num_ingresses).bind(recognizer, lexicon)


def check_model(model: str) -> str:
    """`model`, made absolute if it is a path, once it is seen to be a model folder. Raises ModelError.

    A path must be there on every node that runs a replica; a URI need only be readable from it.
    """
    location = located(model)
    location = location if "://" in location else os.path.abspath(os.path.expanduser(location))
    try:
        present = storage.list_files(location)
        missing = [name for name in MODEL_FILES if name not in present]
        if missing:
            what = f"lacks {', '.join(missing)}" if present else "is not there, or holds no file"
            raise ModelError(f"{model} is not a model folder: it {what}; give the folder that the training wrote")
        for name in MODEL_FILES:
            if name.endswith(".json"):
                storage.read_json(storage.join(location, name))
    except (StorageError, OSError) as error:
        raise ModelError(f"cannot read the model {model}: {error}") from error
    return location
