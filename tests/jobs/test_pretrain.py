"""The base model's job, on a few names, a word and two voices."""

import json
from pathlib import Path

import pytest

from drugasr import storage
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
NAMES = "name\tkind\nmetformin\tgeneric\nlisinopril\tgeneric\nwarfarin\tgeneric\nlasix\tbrand\ntable\tword\n"


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "names.tsv").write_text(NAMES)
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
    second = pretrain.job(config, arguments)
    assert second == first | {"clips_made": 0}
