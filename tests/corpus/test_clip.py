import dataclasses
import io
import json
from decimal import Decimal

import numpy as np
import pytest
import soundfile

from drugasr.corpus.clip import join_speech
from drugasr.corpus.plan import Utterance
from drugasr.corpus.schema import CORPUS_SCHEMA
from drugasr.errors import VoiceError, VoiceFailure
from drugasr.lexicon.dose import make_dose
from drugasr.lexicon.drug import Drug

CLEAN = Utterance(
    drug=Drug(id="7", name="Aspirin", spoken="aspirin"), voice="tone:a", voice_version="tone 1", rate=1.25, pitch=0.8,
    augmentation="", copy=0, corpus_seed=1,
)  # fmt: skip


def sine(seconds: float, *, level: float = 0.5, rate_hz: int = 16_000) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def with_nan(wave_S: np.ndarray, value: float) -> np.ndarray:
    wave_S[len(wave_S) // 2] = value
    return wave_S


def test_a_row_says_what_was_planned_and_holds_the_audio(tones, maker):
    row = maker.make_row(CLEAN)
    assert row.keys() == set(CORPUS_SCHEMA.names)
    wave_S, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate_hz == row["sampling_rate"] == 16_000
    assert row["duration_s"] == pytest.approx(len(wave_S) / 16_000) == pytest.approx(0.3 / 1.25, abs=0.01)
    assert row["audio"]["path"] == f"{CLEAN.id}.flac"
    planned = {
        "id": CLEAN.id, "text": "aspirin", "drug": "Aspirin", "drug_id": "7", "dose": None, "engine": "tone", "voice": "tone:a",
        "accent": "flat", "rate": 1.25, "pitch": 0.8, "augmentation": "", "snr_db": None, "seed": CLEAN.seed, "source": "tts",
    }  # fmt: skip
    assert {name: row[name] for name in planned} == planned


def test_surrounding_silence_and_other_rates_are_dealt_with(tones, maker):
    silence = np.zeros(22_050, np.float32)
    tones.answers["aspirin"] = np.concatenate([silence, sine(0.5, rate_hz=22_050), silence]), 22_050
    row = maker.make_row(CLEAN)
    assert row["duration_s"] == pytest.approx(0.5 + 2 * 0.05, abs=0.02)
    wave_S, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert np.abs(np.fft.rfft(wave_S)).argmax() / row["duration_s"] == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros(16_000, np.float32), "silent"),
        (np.zeros(0, np.float32), "silent"),
        (sine(1.0, level=0.005), "silent.*0.005"),
        (np.concatenate([np.zeros(16_000, np.float32), sine(0.02), np.zeros(16_000, np.float32)]), r"0\.12 s of speech"),
        (sine(21.0), r"21\.00 s of speech"),
        (with_nan(sine(1.0), np.nan), "not numbers"),
        (with_nan(sine(1.0), np.inf), "not numbers"),
    ],
    ids=["zeros", "nothing", "too quiet", "too short", "too long", "NaN", "infinite"],
)
def test_what_is_no_speech_is_a_failure_with_its_reason(tones, maker, answer, reason):
    tones.answers["aspirin"] = answer, 16_000
    with pytest.raises(VoiceFailure, match=reason):
        maker.make_row(CLEAN)
    augmented = dataclasses.replace(CLEAN, augmentation="light", copy=1)
    with pytest.raises(VoiceFailure, match=reason):
        maker.make_row(augmented)


def test_an_augmented_copy_degrades_the_clean_clip_and_tells_how(tones, maker):
    copies = [maker.make_row(dataclasses.replace(CLEAN, augmentation="light", copy=copy)) for copy in range(1, 7)]
    clean = maker.make_row(CLEAN)
    assert len({row["audio"]["bytes"] for row in [clean, *copies]}) >= 6
    for row in copies:
        drawn = json.loads(row["augmentation"])
        assert (row["snr_db"] is not None) == ("AddColorNoise" in drawn)
    assert any(row["snr_db"] is not None for row in copies)


def test_a_clip_does_not_depend_on_the_clips_before_it(tones, maker):
    copy = dataclasses.replace(CLEAN, augmentation="light", copy=2)
    alone = maker.make_row(copy)
    maker.make_row(CLEAN)
    maker.make_row(dataclasses.replace(CLEAN, voice="tone:b"))
    assert maker.make_row(copy) == alone
    first = maker.make_row(CLEAN)
    assert maker.make_row(CLEAN) == first


def test_an_engine_that_raises_costs_the_clip_and_says_what_it_raised(tones, maker):
    tones.synthesise = None
    with pytest.raises(VoiceFailure, match="TypeError"):
        maker.make_row(CLEAN)


def test_what_is_wrong_with_the_engine_itself_ends_the_job(tones, maker):
    def lost(*arguments, **options):
        raise VoiceError("the model file is gone")

    tones.synthesise = lost
    with pytest.raises(VoiceError):
        maker.make_row(CLEAN)


FIVE_MG = make_dose(Decimal(5), "MG")


def test_a_dose_is_part_of_the_phrase(tones, maker):
    row = maker.make_row(dataclasses.replace(CLEAN, dose=FIVE_MG))
    assert tones.said == ["aspirin five milligrams"]
    assert (row["text"], row["drug"], row["dose"]) == ("aspirin five milligrams", "Aspirin", "5 mg")


def test_a_joined_dose_is_two_recordings_without_a_gap(tones, maker):
    silence = np.zeros(8000, np.float32)
    tones.answers["aspirin"] = np.concatenate([silence, sine(0.6), silence]), 16_000
    tones.answers["five milligrams"] = np.concatenate([silence, sine(0.4, level=0.1), silence]), 16_000
    row = maker.make_row(dataclasses.replace(CLEAN, dose=FIVE_MG, dose_voice="tone:b"))
    assert tones.said == ["aspirin", "five milligrams"]
    assert row["duration_s"] == pytest.approx(0.6 + 0.4 + 4 * 0.05 - 0.02, abs=0.01)
    wave_S, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    levels = [np.abs(part).max() for part in (wave_S[:6000], wave_S[-6000:])]
    assert levels[1] == pytest.approx(levels[0], rel=0.15)  # the dose is not whispered


def test_joining_fades_one_clip_into_the_other():
    ones, threes = np.ones(1000, np.float32), np.full(500, 0.5, np.float32)
    joined = join_speech(ones, threes, cross_fade_s=100 / 16_000)
    assert len(joined) == 1400
    assert joined == pytest.approx(np.ones(1400))  # the level of the first, and no dip or bump in the middle
    assert len(join_speech(ones[:3], threes)) == 500


def test_what_failed_is_not_asked_again_for_each_copy(tones, maker):
    tones.poisoned = {"aspirin"}
    for copy in range(3):
        with pytest.raises(VoiceFailure, match="cannot say aspirin") as caught:
            maker.make_row(dataclasses.replace(CLEAN, augmentation="light" if copy else "", copy=copy))
        assert caught.value.tries == (0 if copy else 1)
    assert tones.said == ["aspirin"]
