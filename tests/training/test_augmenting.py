import dataclasses
import json
import shutil
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from drugasr import audio
from drugasr.acoustic.folder import load_model
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.corpus.augmentation import augment
from drugasr.training.augmenting import TrainingWaves, make_waves
from drugasr.training.clips import read_clips
from drugasr.training.cpu_tasks import map_on_cpus
from drugasr.training.distributed import train_distributed
from drugasr.training.loop import train
from drugasr.training.workers import Workers

NAMES = ("aspirin", "codeine", "digoxin", "heparin", "insulin", "losartan")
RECIPES = ("light", "clinic", "recipe2022")


def buzz(number: int, seconds: float) -> bytes:
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    wave_S = sum(np.sin(2 * np.pi * (100 + 5 * number) * k * time_s) / k for k in range(1, 15))
    return audio.encode_flac((0.1 * wave_S).astype(np.float32))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """Sixty training and six validation clips, written as any program could."""
    folder, files = tmp_path_factory.mktemp("corpus"), {}
    for split, count in (("train", 60), ("validation", 6)):
        rows = []
        for i in range(count):
            name, seconds = NAMES[i % 6], 0.6 + i % 7 / 10
            row = {"id": f"{split}{i}", "text": name, "drug_id": f"id-{name}", "duration_s": seconds}
            rows.append(row | {"audio": {"bytes": buzz(i, seconds), "path": f"{i}.flac"}})
        (folder / split).mkdir()
        pq.write_table(pa.Table.from_pylist(rows), folder / split / "part-0.parquet")
        files[split] = {"part-0.parquet": count}
    values = {"lexicon": "six", "unseen_drug_ids": [], "files": files, "num_failures": 0, "speech_s": {}, "settings": {}, "data_hash": ""}
    (folder / "manifest.json").write_text(json.dumps(values))
    return str(folder)


@pytest.fixture
def waves_of(corpus, training_config):
    """The wave of every clip in an epoch, by the settings of the training."""

    def make(epoch=0, steps=None, map_in_order=map, **settings):
        config = training_config(**settings)
        clips = read_clips(corpus, "train", Vocabulary(LIBRISPEECH), config.training, frame_s=0.02)
        steps = steps or [range(start, start + 10) for start in range(0, 60, 10)]
        made = list(TrainingWaves(clips, config, map_in_order).of_epoch(epoch, steps))
        assert [len(waves) for waves in made] == [len(step) for step in steps]
        return {i: wave_S for step, waves in zip(steps, made, strict=True) for i, wave_S in zip(step, waves, strict=True)}

    return make


def changed(waves, clean) -> set[int]:
    return {i for i in waves if not np.array_equal(waves[i], clean[i])}


def test_without_augmentation_the_clips_are_as_stored(waves_of):
    for i, wave_S in waves_of(epoch=1, augmentation="none").items():
        assert wave_S.tobytes() == audio.decode(buzz(i, 0.6 + i % 7 / 10)).tobytes()


@pytest.mark.parametrize("recipe", RECIPES)
def test_half_of_the_clips_anew_in_every_epoch(waves_of, recipe):
    clean = waves_of(augmentation="none")
    epochs = [waves_of(epoch, augmentation=recipe) for epoch in range(3)]
    halves = [changed(waves, clean) for waves in epochs]
    assert all(18 <= len(half) <= 42 for half in halves)
    assert halves[0] != halves[1] != halves[2]
    assert set.union(*halves) > halves[0]
    twice = halves[0] & halves[1]
    assert any(not np.array_equal(epochs[0][i], epochs[1][i]) for i in twice)
    lengths = {len(epochs[0][i]) != len(clean[i]) for i in halves[0]}
    assert True in lengths


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_clip_sounds_the_same_whatever_comes_with_it(waves_of, recipe):
    """Other steps, other ranks, other order: as after a change of the number of workers, or a resume."""
    waves = waves_of(epoch=4, augmentation=recipe)
    np.random.seed(99)
    again = waves_of(epoch=4, augmentation=recipe, steps=[[59, 3, 17], [3], *([i] for i in range(58, -1, -1))])
    assert all(waves[i].tobytes() == again[i].tobytes() for i in waves)
    other_seed = waves_of(epoch=4, augmentation=recipe, seed=1)
    assert any(waves[i].tobytes() != other_seed[i].tobytes() for i in waves)


@pytest.mark.usefixtures("local_ray")
def test_ray_makes_the_same_waves_as_one_process(waves_of):
    for recipe in RECIPES:
        here = waves_of(epoch=2, augmentation=recipe)
        there = waves_of(epoch=2, augmentation=recipe, map_in_order=partial(map_on_cpus, num_cpus=0.5, patience_s=120.0))
        assert all(here[i].tobytes() == there[i].tobytes() and here[i].dtype == there[i].dtype for i in here)


def test_a_clip_too_short_for_its_text_or_too_long_stays_clean(corpus, training_config):
    """1.4 times as fast, most clips would be too short for the limits here; 0.6 times as fast, too long."""
    config = training_config(augmentation="recipe2022")
    clips = read_clips(corpus, "train", Vocabulary(LIBRISPEECH), config.training, frame_s=0.02)
    assert (clips.min_s <= clips.durations_s).all()
    assert clips.min_s[0] == pytest.approx(max(0.25, (len("aspirin") + 2) * 0.02))
    narrow = dataclasses.replace(clips, min_s=clips.durations_s - 1e-9)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, max_clip_s=1.0))
    (waves,) = TrainingWaves(narrow, config).of_epoch(0, [range(60)])
    (free,) = TrainingWaves(clips, config).of_epoch(0, [range(60)])
    shorter = [i for i in range(60) if len(free[i]) < len(clips.wave(i))]
    assert shorter  # else nothing is tested
    assert all(np.array_equal(waves[i], clips.wave(i)) for i in shorter)
    assert all(len(wave_S) <= max(16_000, len(clips.wave(i))) for i, wave_S in enumerate(waves))
    assert any(len(wave_S) > len(clips.wave(i)) for i, wave_S in enumerate(waves))


def test_it_is_the_recipe_of_the_corpus(waves_of, corpus, training_config):
    """What comes out is what `augment` gives for some seed: no other gain, length or rounding."""
    seen = []
    config = training_config(augmentation="light")
    clips = read_clips(corpus, "train", Vocabulary(LIBRISPEECH), config.training, frame_s=0.02)

    def spy(function, jobs):
        for job in jobs:
            seen.append(job)
            yield function(job)

    list(TrainingWaves(clips, config, spy).of_epoch(0, [range(10), [10]]))
    assert [job.ids for job in seen] == [[f"train{i}" for i in range(10)], ["train10"]]
    assert {(job.recipe, job.epoch) for job in seen} == {("light", 0)}
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drugasr.training.augmenting.augment", lambda *a, **k: calls.append((a, k)) or augment(*a, **k))
        made = [wave_S for job in seen for wave_S in make_waves(job)]
    assert calls
    for (clean_S, recipe, seed), options in calls:
        assert any(np.array_equal(augment(clean_S, recipe, seed, **options)[0], wave_S) for wave_S in made)


def run(config, corpus, six_names, folder, **options):
    """Weights and training losses; stops after `die_after` as a killed process would."""
    die_after, losses = options.pop("die_after", None), []

    def report(metrics, model_folder):
        losses.append(metrics["train_loss"])
        if model_folder is not None:
            shutil.copytree(model_folder, folder / f"epoch{metrics['epoch']}")
            if metrics["epoch"] == die_after:
                raise KeyboardInterrupt

    train(config, corpus, six_names, Workers(), report, **options)
    return load_model(str(folder / f"epoch{config.training.num_epochs}"))[0].state_dict(), losses


@pytest.mark.usefixtures("local_ray")
def test_the_training_is_the_same_in_line_with_ray_and_after_a_resume(corpus, training_config, six_names, tmp_path):
    config = training_config(augmentation="clinic", mask_time_prob=0.2, dropout=0.1, batch_s=12.0)
    straight, losses = run(config, corpus, six_names, tmp_path / "straight")
    assert np.isfinite(losses).all()
    shared, _ = run(config, corpus, six_names, tmp_path / "ray", map_in_order=partial(map_on_cpus, num_cpus=0.5))
    with pytest.raises(KeyboardInterrupt):
        run(config, corpus, six_names, tmp_path / "killed", die_after=1)
    resumed, _ = run(config, corpus, six_names, tmp_path / "killed", resume_from=tmp_path / "killed" / "epoch1")
    for name in straight:
        assert torch.equal(straight[name], shared[name]), name
        assert torch.equal(straight[name], resumed[name]), name
    plain = dataclasses.replace(config, training=dataclasses.replace(config.training, augmentation="none"))
    clean, _ = run(plain, corpus, six_names, tmp_path / "clean")
    assert any(not torch.equal(straight[name], clean[name]) for name in straight)


@pytest.mark.usefixtures("local_ray")
class TestOnRay:
    def test_two_workers_train_with_tasks_beside_them(self, corpus, training_config, six_names, tmp_path, tiny):
        config = training_config(augmentation="light", num_epochs=1, batch_s=12.0, mask_time_prob=0.0, dropout=0.0)
        config = dataclasses.replace(config, cluster=tiny.cluster)
        trained = train_distributed(config, corpus, six_names, str(tmp_path / "run"))
        _, (alone,) = run(config, corpus, six_names, tmp_path / "alone")
        assert trained.metrics["train_loss"] == pytest.approx(alone, abs=1e-3)  # the same clips, augmented the same
