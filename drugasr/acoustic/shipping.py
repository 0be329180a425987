"""A trained model becomes the one that the package ships: half the bytes, and the cards that say how it was made."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from drugasr import storage
from drugasr.acoustic.facts import read_facts
from drugasr.acoustic.folder import load_model, save_model

DATA_CARD = "DATA.md"


def ship(model_uri: str, data_card: bytes, folder: str, facts: Mapping[str, Any]) -> int:
    """Writes the model in float16, its facts with `facts` beside them, and the card of its corpus; returns the bytes written.

    The optimiser stays behind. Raises ModelError or StorageError.
    """
    model, processor, _ = load_model(model_uri)
    with tempfile.TemporaryDirectory() as scratch:
        save_model(Path(scratch), model.to(torch.float16), processor, read_facts(model_uri) | facts)
        (Path(scratch) / DATA_CARD).write_bytes(data_card)
        files = sorted(Path(scratch).iterdir())
        for file in files:
            storage.write_bytes(storage.join(folder, file.name), file.read_bytes())
        return sum(file.stat().st_size for file in files)
