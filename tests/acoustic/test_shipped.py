"""The model in the package: small enough, whole, and good enough to answer with no training."""

from pathlib import Path

import pytest
import soxr
import torch

from drugasr.acoustic.facts import read_facts
from drugasr.acoustic.folder import base_version, check_base, load_model, model_config
from drugasr.acoustic.shipped import SHIPPED, located
from drugasr.errors import ModelError
from drugasr.lexicon.reading import read_lexicon
from drugasr.recognition import Recognizer
from drugasr.voices.voice import engine

MAX_BYTES = 16e6


def test_it_is_whole_small_and_says_how_it_was_made():
    folder = Path(located(SHIPPED))
    assert sum(file.stat().st_size for file in folder.iterdir()) < MAX_BYTES
    assert {"README.md", "DATA.md", "config.json", "vocab.json"} <= {file.name for file in folder.iterdir()}
    facts = read_facts(str(folder))
    assert facts["command"].startswith("python -m jobs.pretrain")
    assert {"config", "data_hash", "versions", "metrics", "calibration"} <= facts.keys()
    assert facts["config"]["training"]["seed"] == 0


def test_it_is_loaded_in_float32_by_its_name():
    model, _, vocabulary = load_model(SHIPPED)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.vocab_size == len(vocabulary)
    check_base(SHIPPED, frozen_layers=model_config(SHIPPED).num_hidden_layers)
    with pytest.raises(ModelError, match="7 layers cannot be frozen: 'shipped' has 6"):
        check_base(SHIPPED, frozen_layers=7)
    assert base_version(SHIPPED) == base_version(SHIPPED) != []


def test_it_hears_voices_that_it_has_never_met():
    """A small sample of docs/BASE.md: names of top500 in a kept-out variant of eSpeak."""
    lexicon = read_lexicon("top500")
    drugs = lexicon.drugs[::25]
    voice = engine("espeak")
    waves = [soxr.resample(*voice.synthesise(drug.spoken, voice="en-us+f5", rate=1.0, pitch=1.0, seed=0), 16_000) for drug in drugs]
    answers = Recognizer.from_dir(SHIPPED, lexicon=lexicon).recognize(waves)
    right = [answer.alternatives[0].drug == drug.name for answer, drug in zip(answers, drugs, strict=True)]
    assert sum(right) >= 0.9 * len(drugs)
    assert all(answer.model == SHIPPED for answer in answers)
