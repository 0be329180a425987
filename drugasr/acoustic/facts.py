"""`drugasr.json` of a model folder: what it was trained on and with, how good it is, its calibration. Needs no torch."""

from typing import Any

from drugasr import storage
from drugasr.acoustic.shipped import located
from drugasr.errors import ModelError

FACTS_FILE = "drugasr.json"


def read_facts(folder: str) -> dict[str, Any]:
    """Raises ModelError when there is none."""
    uri = storage.join(located(folder), FACTS_FILE)
    if not storage.exists(uri):
        raise ModelError(f"{folder} is not a finished drugasr model: it holds no {FACTS_FILE}")
    return storage.read_json(uri)


def add_facts(folder: str, facts: dict[str, Any]) -> None:
    """Puts `facts` beside those that are there, or in their place. Raises ModelError."""
    storage.write_json(storage.join(located(folder), FACTS_FILE), read_facts(folder) | facts)
