import dataclasses
import io
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import torch.nn.functional as F

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.config import TrainingConfig
from drugasr.errors import ModelError, TrainingError
from drugasr.training.clips import min_frames, read_clips

VOCABULARY = Vocabulary(LIBRISPEECH)
OUTSIDERS = {"zolpidem", "ramipril"}
CONFIG = TrainingConfig(num_epochs=1, learning_rate=1.0, max_clip_s=3.0)


def flac(seconds: float, hz: float = 300) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16_000)) / 16_000), 16_000, format="FLAC")
    return buffer.getvalue()


@pytest.fixture
def corpus(tmp_path):
    """Writes clips of (text, seconds), two a file, as any program could; returns the folder."""

    def write(*clips):
        rows = [
            {
                "id": f"clip{i}", "audio": {"bytes": flac(seconds, 200 + 10 * i), "path": f"{i}.flac"}, "text": text,
                "drug_id": None if text in OUTSIDERS else f"id-{text}", "duration_s": seconds,
            }
            for i, (text, seconds) in enumerate(clips)
        ]
        (tmp_path / "train").mkdir()
        files = {}
        for start in range(0, len(rows), 2):
            table = pa.Table.from_pylist(rows[start : start + 2])
            table = table.set_column(3, "drug_id", table["drug_id"].cast(pa.string()))  # also where all are null
            files[f"part-{start}.parquet"] = len(table)
            pq.write_table(table, tmp_path / "train" / f"part-{start}.parquet")
        values = {"lexicon": "x", "unseen_drug_ids": [], "files": {"train": files}, "num_failures": 0, "speech_s": {}, "settings": {}, "data_hash": ""}
        (tmp_path / "manifest.json").write_text(json.dumps(values))
        return str(tmp_path)

    return write


def read(uri, **changes):
    return read_clips(uri, "train", VOCABULARY, CONFIG, frame_s=0.02, **changes)


def test_min_frames_is_the_shortest_clip_that_ctc_can_align():
    for label in itertools.chain.from_iterable(itertools.product((1, 2), repeat=length) for length in range(1, 6)):
        finite = [
            frames
            for frames in range(1, 12)
            if torch.isfinite(F.ctc_loss(torch.zeros(frames, 1, 3), torch.tensor([label]), torch.tensor([frames]), torch.tensor([len(label)])))
        ]
        assert min_frames(list(label)) == finite[0], label


def test_every_usable_clip_with_its_label_and_its_audio(corpus):
    clips = read(corpus(("aspirin", 1.0), ("codeine", 0.75), ("insulin", 1.25)))
    assert len(clips) == 3
    assert clips.texts == ["aspirin", "codeine", "insulin"]
    assert clips.drug_ids == ["id-aspirin", "id-codeine", "id-insulin"]
    for i, seconds in enumerate((1.0, 0.75, 1.25)):
        wave_S = clips.wave(i)
        assert len(wave_S) == seconds * 16_000
        assert clips.durations_s[i] == pytest.approx(seconds)
        assert np.abs(np.fft.rfft(wave_S)).argmax() / seconds == pytest.approx(200 + 10 * i, abs=2)  # its own, not a neighbour's
        assert VOCABULARY.decode(clips.labels[i]) == clips.texts[i]


def test_clips_that_do_not_fit_are_left_out_and_counted(corpus, capsys):
    """Too short for SpecAugment, too short for the text, too long; the others keep their own audio."""
    clips = read(corpus(("it", 0.2), ("hydrochlorothiazide", 0.3), ("aspirin", 1.0), ("aspirin", 3.5), ("codeine", 0.5)))
    assert clips.texts == ["aspirin", "codeine"]
    assert clips.drug_ids == ["id-aspirin", "id-codeine"]
    assert [VOCABULARY.decode(label) for label in clips.labels] == clips.texts
    assert clips.durations_s == pytest.approx([1.0, 0.5])
    assert [len(clips.wave(i)) for i in range(2)] == [16_000, 8_000]
    assert "3 clips of train left out" in capsys.readouterr().err


def test_names_outside_the_list_are_not_for_training(corpus, capsys):
    """Nor do they count as unusable, however long; the others keep their own audio."""
    clips = read(corpus(("aspirin", 1.0), ("zolpidem", 1.0), ("ramipril", 9.0), ("codeine", 0.5), ("zolpidem", 0.1)))
    assert (clips.ids, clips.texts, clips.drug_ids) == (["clip0", "clip3"], ["aspirin", "codeine"], ["id-aspirin", "id-codeine"])
    assert [len(clips.wave(i)) for i in range(2)] == [16_000, 8_000]
    assert capsys.readouterr().err == ""


def test_a_split_of_names_outside_the_list_has_nothing_to_train_on(corpus):
    with pytest.raises(TrainingError, match=r"3 clips, 1 too short or too long, 2 of names outside the list"):
        read(corpus(("zolpidem", 1.0), ("ramipril", 9.0), ("aspirin", 9.0)))


def test_nothing_is_said_when_nothing_is_left_out(corpus, capsys):
    read(corpus(("aspirin", 1.0)))
    assert capsys.readouterr().err == ""


def test_a_fraction_is_chosen_by_id(corpus, capsys):
    uri = corpus(*[("aspirin", 0.5)] * 200)
    half = read(uri, fraction=0.5)
    quarter = read(uri, fraction=0.25)
    assert 70 < len(half) < 130
    assert 30 < len(quarter) < 75
    chosen = [{flac.as_py() for flac in clips.flacs} for clips in (quarter, half)]
    assert len(chosen[1]) == len(half)
    assert chosen[0] < chosen[1]
    assert capsys.readouterr().err == ""  # left out on purpose, not for a fault


def test_no_usable_clip_is_an_error_that_counts(corpus):
    with pytest.raises(TrainingError, match=r"no usable clip in the train split.*2 clips, 2 too"):
        read(corpus(("aspirin", 0.1), ("aspirin", 9.0)))


def test_a_text_that_the_model_cannot_write_is_named(corpus):
    with pytest.raises(ModelError, match="'5'"):
        read(corpus(("aspirin 5", 1.0)))


def test_the_limit_is_the_setting(corpus):
    uri = corpus(("aspirin", 1.0), ("aspirin", 2.0))
    assert len(read_clips(uri, "train", VOCABULARY, dataclasses.replace(CONFIG, max_clip_s=1.5), frame_s=0.02)) == 1
    assert len(read(uri)) == 2
