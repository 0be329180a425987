import random

import numpy as np
import pytest
import soundfile

from drugasr.corpus import babble
from drugasr.corpus.augmentation import augment
from drugasr.corpus.babble import Babble
from drugasr.corpus.background import Hum, add_noises
from drugasr.corpus.transforms import Codec, Room, Silence, Telephone
from drugasr.presets import TEST_VOICES, VALIDATION_VOICES
from drugasr.voices.voice import engine

RATE_HZ = 16_000
# Probability of each family; noise of AddColorNoise and Hum is one background of three.
EXPECTED = {
    "TimeStretch": 0.4, "PitchShift": 0.4, "Silence": 0.6, "Room": 0.5, "Babble": 0.3, "AddColorNoise": 0.4, "Hum": 0.2,
    "ClippingDistortion": 0.15, "Gain": 0.8, "Telephone": 0.3, "Codec": 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="module")
def speech_S() -> np.ndarray:
    wave_S, rate_hz = engine("pico").synthesise("hydrochlorothiazide", voice="en-US", rate=1.0, pitch=1.0, seed=0)
    assert rate_hz == RATE_HZ
    return wave_S


@pytest.fixture(scope="module")
def drawn_by_seed(speech_S):
    return {seed: augment(speech_S[:4800], "clinic", seed)[1:] for seed in range(400)}


def level(wave_S: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.asarray(wave_S, float) ** 2)))


def band_level(wave_S: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(wave_S)) ** 2
    hz = np.fft.rfftfreq(len(wave_S), 1 / RATE_HZ)
    return float(np.sqrt(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() / spectrum.sum()))


def test_every_family_takes_its_turn_and_stands_in_the_order_of_sound(drawn_by_seed):
    counts = dict.fromkeys(EXPECTED, 0)
    for drawn, _ in drawn_by_seed.values():
        for name in drawn:
            counts[name] += 1
        order = [list(EXPECTED).index(name) for name in drawn]
        assert order == sorted(order)
    for name, share in EXPECTED.items():
        assert counts[name] / len(drawn_by_seed) == pytest.approx(share, abs=0.1), name


def test_the_recorded_snr_is_of_all_noises_together(drawn_by_seed):
    for drawn, snr_db in drawn_by_seed.values():
        each = [values["snr_db"] for values in drawn.values() if "snr_db" in values]
        if not each:
            assert snr_db is None
        else:
            assert 2 < snr_db <= min(each)
            assert 10 ** (-snr_db / 10) == pytest.approx(sum(10 ** (-db / 10) for db in each), rel=0.03)


def test_the_snr_is_that_of_the_speech_without_the_silence_around(speech_S):
    padded_S = np.pad(speech_S, len(speech_S))
    heard = []
    for _ in range(60):
        noisy_S, drawn, snr_db = add_noises(padded_S, 1 / 3, "")
        if snr_db is None:
            np.testing.assert_array_equal(noisy_S, padded_S)
            continue
        measured_db = 20 * np.log10(level(speech_S) / level(noisy_S - padded_S))
        assert measured_db == pytest.approx(snr_db, abs=0.3), drawn
        heard += drawn
        assert level((noisy_S - padded_S)[: len(speech_S) // 2]) > 0  # in the silence too
    assert set(heard) == {"Babble", "AddColorNoise", "Hum"}


def test_silence_is_added_on_both_sides(speech_S):
    transform = Silence(max_s=0.7, p=1.0)
    wave_S = transform(speech_S, RATE_HZ)
    before, after = (round(transform.parameters[side] * RATE_HZ) for side in ("before_s", "after_s"))
    np.testing.assert_array_equal(wave_S[before : before + len(speech_S)], speech_S)
    assert len(wave_S) == before + len(speech_S) + after
    assert 0 < before <= 0.7 * RATE_HZ > after > 0
    assert not wave_S[:before].any()


def test_the_room_decays_by_60_db_in_its_time(speech_S):
    click_S = np.zeros(RATE_HZ, np.float32)
    click_S[0] = 1
    echoes_S = Room(t60_s=(0.4, 0.4), direct_db=(6.0, 6.0), p=1.0)(click_S, RATE_HZ)
    assert echoes_S[0] == pytest.approx(1, abs=1e-3)
    tail_S = echoes_S[1:]
    assert 10 * np.log10(1 / np.sum(tail_S**2)) == pytest.approx(6, abs=0.1)
    assert not tail_S[: round(0.0015 * RATE_HZ)].round(6).any()  # before the first echo
    early, late = (level(tail_S[round(start * RATE_HZ) : round((start + 0.1) * RATE_HZ)]) for start in (0.05, 0.25))
    assert 20 * np.log10(early / late) == pytest.approx(30, abs=2)  # half of the time between them
    assert not tail_S[round(0.4 * RATE_HZ) :].round(5).any()
    room_S = Room(t60_s=(0.4, 0.4), direct_db=(6.0, 6.0), p=1.0)(speech_S, RATE_HZ)
    assert room_S.shape == speech_S.shape


def test_the_telephone_keeps_its_band_the_length_and_the_voice(speech_S):
    codecs = set()
    for _ in range(40):
        transform = Telephone(p=1.0)
        wave_S = transform(speech_S, RATE_HZ)
        codecs.add(transform.parameters["subtype"])
        assert wave_S.shape == speech_S.shape
        assert band_level(wave_S, 4000, 8000) < 0.02
        assert abs(np.correlate(wave_S, speech_S, "full").argmax() - (len(speech_S) - 1)) < 0.005 * RATE_HZ  # no delay
        assert np.corrcoef(np.abs(wave_S), np.abs(speech_S))[0, 1] > 0.4
        noise_S = np.random.normal(0, 0.1, 32_000).astype(np.float32)
        after_S = transform(noise_S, RATE_HZ)
        rumble, voice = (level(after_S) * band_level(after_S, *hz) / (level(noise_S) * band_level(noise_S, *hz)) for hz in ((10, 100), (400, 3000)))
        assert 20 * np.log10(rumble) < -10
        assert 20 * np.log10(voice) == pytest.approx(0, abs=3)
    assert codecs == {"ULAW", "ALAW", "GSM610", "VORBIS"}


def test_a_recorders_codec_keeps_the_length_and_the_voice(speech_S):
    codecs = set()
    for _ in range(12):
        transform = Codec(p=1.0)
        wave_S = transform(speech_S, RATE_HZ)
        codecs.add(transform.parameters["subtype"])
        assert wave_S.shape == speech_S.shape
        assert 0.8 < np.corrcoef(wave_S, speech_S)[0, 1] < 1
    assert codecs == {"MPEG_LAYER_III", "VORBIS"}


@pytest.mark.parametrize("num_samples", [800, 4000, 16_001])
def test_short_and_odd_clips_keep_their_length_through_every_codec(num_samples):
    wave_S = np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32)
    for _ in range(20):
        assert Telephone(p=1.0)(wave_S, RATE_HZ).shape == Codec(p=1.0)(wave_S, RATE_HZ).shape == wave_S.shape


def test_hum_has_the_mains_frequency_alone(speech_S):
    silence_S = np.full(RATE_HZ, 1e-3, np.float32)
    transform = Hum(snr_db=0.0)
    hum_S = transform(silence_S, RATE_HZ) - silence_S
    spectrum = np.abs(np.fft.rfft(hum_S))
    loud_hz = np.flatnonzero(spectrum > 0.01 * spectrum.max())
    assert transform.parameters["mains_hz"] in (50, 60)
    assert set(loud_hz) == {transform.parameters["mains_hz"] * number for number in range(1, 11)}


def test_babble_is_three_to_seven_of_the_pool_at_the_snr(speech_S):
    mixes, sizes = set(), set()
    for _ in range(30):
        transform = Babble(snr_db=10.0)
        noise_S = transform(speech_S, RATE_HZ) - speech_S
        assert 20 * np.log10(level(speech_S) / level(noise_S)) == pytest.approx(10, abs=0.01)
        sizes.add(len(transform.parameters["talkers"]))
        assert len(set(transform.parameters["talkers"])) == len(transform.parameters["talkers"])
        mixes.add(noise_S.tobytes())
    assert sizes == set(range(3, 8))
    assert len(mixes) == 30


def test_babble_covers_clips_longer_than_its_sentences():
    long_S = np.full(10 * RATE_HZ, 0.1, np.float32)
    noise_S = Babble(snr_db=0.0)(long_S, RATE_HZ) - long_S
    assert all(level(second_S) > 0.01 for second_S in np.split(noise_S, 10))


def test_the_pool_is_made_once_without_a_random_draw_and_by_no_voice_that_is_kept_for_testing():
    state = random.getstate(), np.random.get_state()[1].tobytes()
    babble._pool.cache_clear()
    pool = babble._pool()
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == state
    assert babble._pool() is pool
    assert len({wave_S.tobytes() for wave_S in pool}) == 12
    assert all(level(wave_S) == pytest.approx(1, abs=1e-3) for wave_S in pool)
    voices = {f"espeak:{voice}" for voice, _ in babble._SENTENCES}
    assert not voices & {*TEST_VOICES, *VALIDATION_VOICES}
    assert not {voice.partition("+")[2] for voice in voices} & {"f5", "m5"}
    for voice in voices:
        engine("espeak").check(voice.removeprefix("espeak:"))


def test_nobody_in_the_babble_names_a_drug():
    from drugasr.lexicon.reading import read_lexicon

    said = {word for _, sentence in babble._SENTENCES for word in sentence.split()}
    named = {word for drug in read_lexicon("full", 60).drugs for word in drug.spoken.split() if " " not in drug.spoken}
    assert not said & named


class TestRecordings:
    @pytest.fixture
    def folder(self, tmp_path):
        """A pump at 1 kHz, in stereo at 44.1 kHz, and a fan at 2 kHz, shorter than the clip."""
        pump = np.sin(2 * np.pi * 1000 * np.arange(4 * 44_100) / 44_100)
        soundfile.write(tmp_path / "pump.wav", np.stack([pump, pump], axis=1), 44_100)
        (tmp_path / "night").mkdir()
        soundfile.write(tmp_path / "night" / "fan.ogg", np.sin(2 * np.pi * 2000 * np.arange(4000) / 16_000), 16_000)
        return tmp_path

    def test_they_are_mixed_in_at_the_snr_beside_the_other_noises(self, folder, speech_S, recwarn):
        backgrounds, recordings = [], set()
        for _ in range(100):
            noisy_S, drawn, snr_db = add_noises(speech_S, 1.0, str(folder))
            backgrounds += [name for name in drawn if name != "Babble"]
            if drawn.keys() == {"AddBackgroundNoise"}:
                noise_S, values = noisy_S - speech_S, drawn["AddBackgroundNoise"]
                assert 20 * np.log10(level(speech_S) / level(noise_S)) == pytest.approx(snr_db, abs=0.3)
                hz = np.abs(np.fft.rfft(noise_S)).argmax() * RATE_HZ / len(noise_S)
                assert hz == pytest.approx({"pump.wav": 1000, "night/fan.ogg": 2000}[values["recording"]], rel=0.05)
                assert values.keys() == {"recording", "offset_s", "snr_db"}
                recordings.add(values["recording"])
        assert recordings == {"pump.wav", "night/fan.ogg"}
        assert 0.3 < backgrounds.count("AddBackgroundNoise") / len(backgrounds) < 0.7
        assert not recwarn.list

    def test_the_same_recordings_elsewhere_give_the_same_bytes(self, folder, speech_S, tmp_path):
        clips = [augment(speech_S, "clinic", seed, noise_folder=str(folder)) for seed in range(15)]
        assert any("AddBackgroundNoise" in drawn for _, drawn, _ in clips)
        elsewhere = tmp_path.rename(tmp_path.parent / f"{tmp_path.name}-moved")
        for seed, (wave_S, drawn, snr_db) in enumerate(clips):
            again_S, *rest = augment(speech_S, "clinic", seed, noise_folder=str(elsewhere))
            assert again_S.tobytes() == wave_S.tobytes()
            assert rest == [drawn, snr_db]

    def test_a_silent_recording_is_no_noise(self, tmp_path, speech_S):
        soundfile.write(tmp_path / "nothing.wav", np.zeros(RATE_HZ), RATE_HZ)
        for _ in range(40):
            noisy_S, drawn, snr_db = add_noises(speech_S, 1.0, str(tmp_path))
            assert "AddBackgroundNoise" not in drawn
            assert (snr_db is None) == (not drawn) == np.array_equal(noisy_S, speech_S)
