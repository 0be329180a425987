"""The base model's job, on a few names, a word and two voices."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from drugasr import storage
from drugasr.acoustic.folder import load_model
from drugasr.lexicon.reading import read_lexicon
from jobs import pretrain
from jobs.flags import config_of

SETTINGS = """
[corpus]
train_voices = ["espeak:en-us+f1", "pico:en-US"]
validation_voices = ["espeak:en-us+Annie"]
test_voices = ["espeak:en-us+f5"]
draws_by_engine = {espeak = 2, pico = 1}
num_augmented_by_engine = {}
unseen_names = ["lasix"]
[training]
num_epochs = 1
"""
NAMES = {"metformin": "generic", "lisinopril": "generic", "warfarin": "generic", "lasix": "brand", "table": "word"}


@pytest.fixture
def arguments(tmp_path):
    # The ids are those of top500, for which a model that is to be shipped is calibrated.
    ids = {drug.spoken: drug.id for drug in read_lexicon("top500").drugs}
    (tmp_path / "names.tsv").write_text("\n".join(["name\tkind\tid", *(f"{name}\t{kind}\t{ids.get(name, name)}" for name, kind in NAMES.items())]) + "\n")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    flags = {"--config": "settings.toml", "--lexicon": "names.tsv", "--storage": "storage"}
    return pretrain.parser().parse_args([part for flag, name in flags.items() for part in (flag, str(tmp_path / name))])


def test_it_takes_its_own_preset_and_another_where_one_is_named():
    assert config_of(pretrain.parser().parse_args([])).lexicon.source == "drugasr://pretraining"
    assert config_of(pretrain.parser().parse_args(["--preset", "mini"])).lexicon.source == "quick50"


@pytest.mark.usefixtures("local_ray")
def test_it_speaks_and_trains_once(arguments, tmp_path):
    config = config_of(arguments)
    first = pretrain.job(config, arguments)
    json.dumps(first)
    assert first["failures"] == 0
    assert first["clips_made"] == first["corpus_clips"] == 4 * 2 * (2 + 1) + 4 + 4  # drawn and their copies, validation, test
    facts = storage.read_json(str(Path(first["model"]) / "drugasr.json"))
    assert facts["data_hash"] == first["data_hash"]
    assert facts["config"]["corpus"]["unseen_names"] == ["lasix"]
    assert first["metrics"]["epoch"] == 1
    arguments.ship = str(tmp_path / "shipped")
    second = pretrain.job(config, arguments)
    num_bytes = second.pop("shipped_bytes")
    assert second == first | {"clips_made": 0}
    assert num_bytes < 0.6 * (Path(first["model"]) / "model.safetensors").stat().st_size
    with safe_open(tmp_path / "shipped" / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}
    # The same model, as far as half the bits go, with its cards and where it comes from.
    whole, half = (load_model(folder)[0].state_dict() for folder in (first["model"], arguments.ship))
    assert all(half[name].dtype == torch.float32 and torch.allclose(half[name], whole[name], atol=1e-3, rtol=1e-3) for name in whole)
    shipped = storage.read_json(str(tmp_path / "shipped" / "drugasr.json"))
    assert shipped["command"].startswith("python -m jobs.pretrain") and shipped["calibration"]
    assert (tmp_path / "shipped" / "DATA.md").read_bytes() == (tmp_path / "storage" / "corpus" / "README.md").read_bytes()
