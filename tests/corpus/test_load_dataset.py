"""What `datasets` makes of a corpus, from its files alone and from its folder through the dataset card."""

import io
import socket

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from drugasr import audio
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.schema import CORPUS_SCHEMA, FAILURE_SCHEMA, SPLITS

COUNTS = {"train": 5, "validation": 2, "test": 3}


def row(split: str, number: int) -> dict:
    wave_S = np.random.default_rng(number).uniform(-0.5, 0.5, 4000 + number).astype(np.float32)
    return {
        "id": f"{split}{number}", "audio": {"bytes": audio.encode_flac(wave_S), "path": f"{split}{number}.flac"}, "text": "metformin five hundred",
        "drug": "Metformin", "drug_id": "6809", "dose": "500 mg" if number else None, "engine": "tone", "voice": "tone:a", "accent": "flat",
        "rate": 1.25, "pitch": 1.0, "augmentation": '{"Gain": {"gain_db": -3.0}}' if number else "", "snr_db": 12.5 if number else None,
        "duration_s": audio.duration_s(wave_S), "sampling_rate": audio.SAMPLE_RATE_HZ, "seed": 2**62 + number, "source": "tts",
    }  # fmt: skip


@pytest.fixture
def rows() -> dict[str, list[dict]]:
    tables = {split: pa.Table.from_pylist([row(split, i) for i in range(num)], schema=CORPUS_SCHEMA) for split, num in COUNTS.items()}
    return {split: table.to_pylist() for split, table in tables.items()}  # floats as a file of the schema holds them


@pytest.fixture
def corpus(tmp_path, rows):
    """A corpus of two files a split, with failures and a preview beside it."""
    folder = tmp_path / "corpus"
    for split, clips in rows.items():
        (folder / split).mkdir(parents=True)
        for number, part in enumerate((clips[:1], clips[1:])):
            pq.write_table(pa.Table.from_pylist(part, schema=CORPUS_SCHEMA), folder / split / f"part-{number}.parquet")
    (folder / "failures").mkdir()
    pq.write_table(FAILURE_SCHEMA.empty_table(), folder / "failures/train-part-0.parquet")
    (folder / "preview.html").write_text("<!doctype html>")
    Manifest(
        lexicon="two", unseen_drug_ids=(), files={split: {"part-0.parquet": 1, "part-1.parquet": n - 1} for split, n in COUNTS.items()},
        num_failures=0, speech_s=dict.fromkeys(SPLITS, {"part-0.parquet": 1.0}), settings={"corpus": {f"{split}_voices": ["tone:a"] for split in SPLITS}},
    ).write(str(folder))  # fmt: skip
    return folder


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`load_dataset` without a network, with a cache of its own."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asks the network"))
    return lambda *arguments, **options: datasets.load_dataset(*arguments, cache_dir=str(tmp_path / "cache"), **options)


def check(loaded, clips: list[dict]) -> None:
    """The rows as they were written, an Audio column among them, and each clip sample for sample."""
    assert loaded.features["audio"] == datasets.Audio(sampling_rate=audio.SAMPLE_RATE_HZ)
    assert loaded.column_names == CORPUS_SCHEMA.names
    # `datasets` decodes with torchcodec, which wants a system FFmpeg; anyone else takes the bytes.
    read = loaded.cast_column("audio", datasets.Audio(decode=False)).to_list()
    assert read == clips
    for clip in read:
        wave_S, rate_hz = soundfile.read(io.BytesIO(clip["audio"]["bytes"]), dtype="float32")
        assert rate_hz == audio.SAMPLE_RATE_HZ
        np.testing.assert_array_equal(wave_S, audio.decode(clip["audio"]["bytes"]))


def test_its_files_load_with_an_audio_column(corpus, load, rows):
    loaded = load("parquet", data_files={split: f"{corpus}/{split}/*.parquet" for split in SPLITS})
    assert {split: len(loaded[split]) for split in loaded} == COUNTS
    for split in SPLITS:
        check(loaded[split], rows[split])


def test_its_folder_loads_through_the_card(corpus, load, rows):
    loaded = load(str(corpus))
    assert {split: len(loaded[split]) for split in loaded} == COUNTS
    for split in SPLITS:
        check(loaded[split], rows[split])


def test_it_streams(corpus, load, rows):
    streamed = load(str(corpus), split="train", streaming=True)
    assert streamed.features["audio"] == datasets.Audio(sampling_rate=audio.SAMPLE_RATE_HZ)
    assert list(streamed.cast_column("audio", datasets.Audio(decode=False))) == rows["train"]


def test_every_column_has_its_type(corpus, load):
    features = load(str(corpus), split="test").features
    assert {name: f.dtype for name, f in features.items() if name != "audio"} == {
        field.name: {"float": "float32"}.get(str(field.type), str(field.type)) for field in CORPUS_SCHEMA if field.name != "audio"
    }
