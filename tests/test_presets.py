import dataclasses

import pytest

from drugasr import presets
from drugasr.config import Config
from drugasr.errors import ConfigError
from drugasr.lexicon.reading import read_lexicon
from drugasr.presets import BASE_TEST_VOICES, PRESETS, TEST_VOICES, from_dict, load


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "differences.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_and_survives_the_way_through_a_dict(preset):
    config = load(preset)
    assert isinstance(config, Config)
    assert config == PRESETS[preset]()
    values = dataclasses.asdict(config)
    assert from_dict(values) == config
    values["training"]["num_epochs"] += 1
    assert from_dict(values) != config


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_tests_on_the_same_voices_and_keeps_them_out_of_training(preset):
    corpus = load(preset).corpus
    assert corpus.test_voices == (BASE_TEST_VOICES if preset == "pretrain" else TEST_VOICES)
    heard = {*corpus.train_voices, *corpus.validation_voices}
    assert not heard & set(BASE_TEST_VOICES)
    # Not the variant in another accent either: f5 and m5 are a speaker, whatever the accent.
    assert not {voice.partition("+")[2] for voice in heard} & {"f5", "m5"}


def test_the_file_beats_the_preset_and_an_assignment_beats_the_file(toml):
    uri = toml("[training]\nnum_epochs = 3\nlearning_rate = 1e-4\n[model]\nfrozen_layers = 2\n")
    config = load("mini", uri, ["training.num_epochs=5", "training.num_epochs=6"])
    assert config.training.num_epochs == 6
    assert config.training.learning_rate == 1e-4
    assert config.model.frozen_layers == 2
    assert config.training.weight_decay == presets.mini().training.weight_decay
    assert load("mini", uri).training.num_epochs == 3


@pytest.mark.parametrize(
    ("assignment", "read", "value"),
    [
        ("lexicon.source=names.csv", lambda c: c.lexicon.source, "names.csv"),
        ("lexicon.source='a b.csv'", lambda c: c.lexicon.source, "a b.csv"),
        ("lexicon.source=s3://bucket/names.csv?a=b", lambda c: c.lexicon.source, "s3://bucket/names.csv?a=b"),
        ("model.freeze_convolution=true", lambda c: c.model.freeze_convolution, True),
        ("training.learning_rate=3e-4", lambda c: c.training.learning_rate, 3e-4),
        ("tuning.frozen_layers=[0, 2]", lambda c: c.tuning.frozen_layers, (0, 2)),
        ('corpus.train_voices=["espeak:fr"]', lambda c: c.corpus.train_voices, ("espeak:fr",)),
        (" training.seed =4", lambda c: c.training.seed, 4),
    ],
)
def test_assignments_are_toml_values_or_bare_words(assignment, read, value):
    assert read(load("mini", assignments=[assignment])) == value


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("training.num_epochs=many", "training.num_epochs"),
        ("training.num_epochs=0", "training.num_epochs"),
        ("training.learning_rate=nan", "training.learning_rate"),
        ("training.learning_rate=-1", "training.learning_rate"),
        ("training.dropout=1.0", "training.dropout"),
        ("corpus.augmentation=heavy", "corpus.augmentation"),
        ("corpus.unseen_fraction=0.9", "corpus.unseen_fraction"),
        ('corpus.train_voices=["espeak:en", "no colon"]', "corpus.train_voices.1"),
        ("corpus.train_voices=[]", "corpus.train_voices"),
        ("serving.port=70000", "serving.port"),
        ("tuning.frozen_layers=[-1]", "tuning.frozen_layers.0"),
    ],
)
def test_a_value_of_a_wrong_type_or_range_is_named(assignment, named):
    with pytest.raises(ConfigError) as caught:
        load("mini", assignments=[assignment])
    assert f"  {named}: " in str(caught.value)


def test_every_bad_field_is_named_at_once(toml):
    with pytest.raises(ConfigError) as caught:
        load("mini", toml("[training]\nnum_epochs = 0\n[tuning]\nnum_trials = 'x'\n"))
    assert "training.num_epochs" in str(caught.value)
    assert "tuning.num_trials" in str(caught.value)
    assert "not 'x'" in str(caught.value)


def test_unknown_names_are_refused_with_the_choices(toml):
    with pytest.raises(ConfigError, match="mini, base, large"):
        load("maxi")
    with pytest.raises(ConfigError, match=r"'training\.epochs'.*training\.num_epochs"):
        load("mini", assignments=["training.epochs=3"])
    with pytest.raises(ConfigError, match=r"'trainer'.*training"):
        load("mini", toml("[trainer]\nnum_epochs = 3\n"))
    with pytest.raises(ConfigError, match=r"section.*training\.num_epochs"):
        load("mini", assignments=["training=3"])
    values = dataclasses.asdict(presets.mini())
    values["model"]["depth"] = 3
    with pytest.raises(ConfigError, match=r"model\.depth"):
        from_dict(values)


@pytest.mark.parametrize("assignment", ["training.num_epochs", "=3", " =3", ""])
def test_a_malformed_assignment_shows_how_to_write_one(assignment):
    with pytest.raises(ConfigError, match=r"training\.num_epochs=3"):
        load("mini", assignments=[assignment])


def test_a_bad_toml_file_is_named(toml, tmp_path):
    with pytest.raises(ConfigError, match=r"differences\.toml is not TOML"):
        load("mini", toml("[training\n"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml is not TOML"):
        load("mini", str(tmp_path / "binary.toml"))
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load("mini", str(tmp_path / "nowhere.toml"))


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        (["espeak:a"], ["espeak:a"], ["espeak:c"]),
        (["espeak:a"], ["espeak:b"], ["espeak:a"]),
        (["espeak:c"], ["espeak:a"], ["espeak:b", "espeak:a"]),
        (["espeak:a", "espeak:a"], ["espeak:b"], ["espeak:c"]),
    ],
)
def test_a_voice_belongs_to_one_split_once(train, validation, test):
    values = dataclasses.asdict(presets.mini())
    values["corpus"] |= {"train_voices": train, "validation_voices": validation, "test_voices": test}
    with pytest.raises(ConfigError, match="'espeak:a'.*one split"):
        from_dict(values)


@pytest.mark.parametrize("assignment", ["corpus.rates=[0.4]", "corpus.rates=[1.0, 1.0]", "corpus.pitches=[2.5]"])
def test_rates_and_pitches_are_different_and_in_range(assignment):
    with pytest.raises(ConfigError, match=assignment.partition("=")[0].partition(".")[2]):
        load("mini", assignments=[assignment])


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match=r"warmup_fraction \+ hold_fraction"):
        load("mini", assignments=["training.warmup_fraction=0.7", "training.hold_fraction=0.7"])
    with pytest.raises(ConfigError, match="min_learning_rate"):
        load("mini", assignments=["tuning.min_learning_rate=1.0"])


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        presets.mini().training.num_epochs = 1


def test_the_base_model_never_hears_the_names_that_are_kept_for_testing():
    names = {drug.spoken for drug in read_lexicon("top500").drugs}
    held_out = presets.pretrain().corpus.unseen_names
    assert len(held_out) == len({*held_out} & names) == 50


def test_the_base_model_hears_no_test_voice_in_a_blend():
    corpus = presets.pretrain().corpus
    tested, heard = (
        {part for voice in voices for part in voice.partition(":")[2].split("*") if voice.startswith("kokoro:")}
        for voices in (corpus.test_voices, (*corpus.train_voices, *corpus.validation_voices))
    )
    assert tested == {"bf_lily", "bm_daniel", "am_puck", "af_nova"}
    assert len(heard) == 16 and not heard & tested
    assert not any(voice.startswith("piper:") for voice in corpus.train_voices)
