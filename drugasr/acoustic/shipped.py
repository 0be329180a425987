"""The base model that the package brings with it, under the name `shipped` wherever a model folder is asked for. Needs no torch."""

import hashlib
from importlib import resources
from pathlib import Path

SHIPPED = "shipped"
_FOLDER = "acoustic/base"


def located(model: str) -> str:
    """The folder of `shipped`; any other folder, URI or hub name as it is."""
    return str(resources.files("drugasr") / _FOLDER) if model == SHIPPED else model


def shipped_version() -> str:
    """What tells one shipped model from the next."""
    return hashlib.sha256((Path(located(SHIPPED)) / "model.safetensors").read_bytes()).hexdigest()
