import json
import random

import numpy as np
import pytest

from drugasr import audio
from drugasr.corpus.augmentation import augment, noise_version, recipe_version
from drugasr.errors import ConfigError

RECIPES = ("light", "clinic", "speaker", "recipe2022")


def voiced(seconds: float = 1.0) -> np.ndarray:
    """A buzz with harmonics, quiet enough that no gain reaches full scale."""
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    wave_S = sum(np.sin(2 * np.pi * 150 * k * time_s) / k for k in range(1, 20)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time_s))
    return (0.1 * wave_S / np.abs(wave_S).max()).astype(np.float32)


@pytest.fixture(scope="module")
def drawn_by_seed():
    """Seed -> the transforms that it applies; a short clip is enough to tell."""
    return {seed: augment(voiced(0.3), "light", seed)[1].keys() for seed in range(400)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_seed_gives_the_same_audio_and_another_seed_another(recipe):
    clips = {}
    for seed in range(12):
        random.seed(seed + 100)  # what was drawn before must not matter
        np.random.seed(seed + 200)
        clips[seed] = augment(voiced(), recipe, seed, copy=3)
    for seed in reversed(range(12)):
        random.seed(1)
        np.random.seed(2)
        wave_S, drawn, snr_db = augment(voiced(), recipe, seed, copy=3)
        assert wave_S.tobytes() == clips[seed][0].tobytes()
        assert (drawn, snr_db) == clips[seed][1:]
    assert len({wave_S.tobytes() for wave_S, _, _ in clips.values()}) == 12


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_global_generators_and_the_clip_are_left_alone(recipe):
    random.seed(5)
    np.random.seed(6)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    wave_S = voiced()
    for seed in range(8):
        augment(wave_S, recipe, seed, copy=seed)
    assert random.getstate() == python_state
    assert np.random.get_state()[0] == numpy_state[0]
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])
    assert np.random.get_state()[2:] == numpy_state[2:]
    np.testing.assert_array_equal(wave_S, voiced())


def test_the_generators_are_put_back_after_an_error_too():
    state = random.getstate()
    with pytest.raises(KeyError):
        augment(voiced(), "no such recipe", 1)
    assert random.getstate() == state


def test_the_recorded_snr_is_the_snr(drawn_by_seed):
    noise_only = [seed for seed, names in drawn_by_seed.items() if set(names) == {"AddColorNoise"}]
    assert noise_only
    for seed in noise_only:
        clean_S = voiced(2.0)
        noisy_S, drawn, snr_db = augment(clean_S, "light", seed)
        assert set(drawn) == {"AddColorNoise"}
        noise_S = noisy_S - clean_S
        measured_db = 10 * np.log10(np.mean(clean_S.astype(float) ** 2) / np.mean(noise_S.astype(float) ** 2))
        assert measured_db == pytest.approx(snr_db, abs=1)
        assert drawn["AddColorNoise"]["snr_db"] == snr_db
        assert 5 <= snr_db <= 30


def test_without_noise_there_is_no_snr_and_without_transforms_no_change(drawn_by_seed):
    quiet = [seed for seed, names in drawn_by_seed.items() if "AddColorNoise" not in names]
    assert 60 < len(quiet) < 180  # 30% of 400
    assert all(augment(voiced(0.3), "light", seed)[2] is None for seed in quiet[:5])
    untouched = [seed for seed, names in drawn_by_seed.items() if not names]
    assert untouched
    np.testing.assert_array_equal(augment(voiced(), "light", untouched[0])[0], voiced())


def test_every_transform_takes_its_turn(drawn_by_seed):
    counts = {}
    for names in drawn_by_seed.values():
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    expected = {"TimeStretch": 0.6, "PitchShift": 0.5, "SevenBandParametricEQ": 0.5, "BandPassFilter": 0.2, "Gain": 0.8, "AddColorNoise": 0.7}
    assert counts.keys() == expected.keys()
    for name, share in expected.items():
        assert counts[name] / len(drawn_by_seed) == pytest.approx(share, abs=0.1), name


def test_time_stretch_changes_the_length_and_gain_the_level(drawn_by_seed):
    stretched = [seed for seed, names in drawn_by_seed.items() if "TimeStretch" in names][:10]
    for seed in stretched:
        wave_S, drawn, _ = augment(voiced(), "light", seed)
        assert len(wave_S) == pytest.approx(16_000 / drawn["TimeStretch"]["rate"], rel=0.02)
    for seed in [seed for seed, names in drawn_by_seed.items() if set(names) == {"Gain"}][:3]:
        wave_S, drawn, _ = augment(voiced(), "light", seed)
        factor = np.sqrt(np.mean(wave_S**2) / np.mean(voiced() ** 2))
        assert 20 * np.log10(factor) == pytest.approx(20 * np.log10(drawn["Gain"]["amplitude_ratio"]), abs=0.1)


def test_another_speaker_is_higher_and_faster_or_lower_and_slower_by_one_factor():
    tone_S = (0.1 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)
    factors = []
    for seed in range(40):
        wave_S, drawn, _ = augment(tone_S, "speaker", seed)
        if "Resample" in drawn:
            factors.append(16_000 / drawn["Resample"]["target_sample_rate"])
            spectrum = np.abs(np.fft.rfft(wave_S * np.hanning(len(wave_S))))
            assert spectrum.argmax() * 16_000 / len(wave_S) == pytest.approx(1000 * factors[-1], rel=0.01)
            assert len(wave_S) == pytest.approx(16_000 / factors[-1], rel=0.001)
    assert 0.85 <= min(factors) < 0.9 and 1.1 < max(factors) <= 1.181


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_audio_stays_within_full_scale_and_the_parameters_are_json(recipe):
    loud_S = (voiced() * 9.9).astype(np.float32)
    for seed in range(40):
        wave_S, drawn, snr_db = augment(loud_S, recipe, seed, copy=seed)
        assert wave_S.dtype == np.float32
        assert np.isfinite(wave_S).all()
        assert np.abs(wave_S).max() <= 1
        assert json.loads(json.dumps(drawn)) == drawn
        assert (snr_db is not None) == any("snr_db" in values for values in drawn.values())


class TestNoiseVersion:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "ward" / "night").mkdir(parents=True)
        (tmp_path / "ward" / "bed.wav").write_bytes(audio.encode_wav(voiced()))
        (tmp_path / "ward" / "night" / "fan.FLAC").write_bytes(audio.encode_flac(voiced(2.0)))
        (tmp_path / "ward" / "notes.txt").write_text("recorded in spring")
        return tmp_path / "ward"

    def test_it_is_empty_without_a_folder(self):
        assert noise_version("") == ""

    def test_it_names_what_is_heard_and_nothing_else(self, folder):
        version = noise_version(str(folder))
        assert len(version) == 16
        (folder / "notes.txt").write_text("or in summer")
        moved = folder.rename(folder.parent / "elsewhere")
        assert noise_version(str(moved)) == version
        versions = {version}
        (moved / "bed.wav").write_bytes(audio.encode_wav(voiced() / 2))
        versions.add(noise_version(str(moved)))
        (moved / "bed.wav").rename(moved / "lamp.wav")
        versions.add(noise_version(str(moved)))
        (moved / "night" / "fan.FLAC").unlink()
        versions.add(noise_version(str(moved)))
        assert len(versions) == 4

    def test_a_folder_that_is_not_there_or_holds_nothing_is_refused(self, tmp_path):
        with pytest.raises(ConfigError, match=r"corpus\.noise_folder: there is no folder .*missing"):
            noise_version(str(tmp_path / "missing"))
        (tmp_path / "readme.txt").write_text("no noise")
        with pytest.raises(ConfigError, match=r"holds no recording: put \.flac, \.mp3, \.ogg, \.wav"):
            noise_version(str(tmp_path))

    def test_a_recording_that_cannot_be_used_is_named(self, folder):
        (folder / "broken.wav").write_bytes(b"RIFF")
        with pytest.raises(ConfigError, match=r"broken\.wav cannot be read"):
            noise_version(str(folder))
        (folder / "broken.wav").write_bytes(audio.encode_wav(voiced()[:0]))
        with pytest.raises(ConfigError, match=r"broken\.wav holds 0 samples"):
            noise_version(str(folder))

    def test_it_is_part_of_the_recipe_that_hears_it(self, folder):
        assert recipe_version("none", str(folder)) == ""
        assert recipe_version("light", str(folder)) == recipe_version("light")
        assert recipe_version("clinic", str(folder)) != recipe_version("clinic")
