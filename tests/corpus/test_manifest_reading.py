import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file, read_split
from drugasr.errors import CorpusError, StorageError


def manifest(**changes) -> Manifest:
    values = {
        "lexicon": "two",
        "unseen_drug_ids": ("7",),
        "files": {"train": {"part-b.parquet": 2, "part-a.parquet": 1}, "validation": {}, "test": {}},
        "num_failures": 3,
        "speech_s": {"train": {"part-b.parquet": 60.0, "part-a.parquet": 30.0}, "validation": {}, "test": {}},
        "settings": {"corpus": {f"{split}_voices": ["tone:x"] for split in ("train", "validation", "test")}},
    }
    return Manifest(**values | changes)


@pytest.fixture
def corpus(tmp_path):
    """A corpus as any other program could have written it: two files and the manifest."""
    (tmp_path / "train").mkdir()
    pq.write_table(pa.table({"id": ["b1", "b2"], "text": ["x", "y"]}), tmp_path / "train/part-b.parquet")
    pq.write_table(pa.table({"id": ["a1"], "text": ["z"]}), tmp_path / "train/part-a.parquet")
    pq.write_table(pa.table({"id": ["stale"], "text": ["old"]}), tmp_path / "train/part-old.parquet")
    manifest().write(str(tmp_path))
    return tmp_path


def test_a_manifest_comes_back_as_it_was(corpus):
    assert Manifest.read(str(corpus)) == manifest()
    assert manifest().num_clips("train") == manifest().total_clips == 3


def test_the_data_hash_names_the_files_alone():
    assert manifest().data_hash == manifest(num_failures=0, lexicon="other").data_hash
    files = {"train": {"part-a.parquet": 1, "part-b.parquet": 2}, "validation": {}, "test": {}}
    assert manifest(files=files).data_hash == manifest().data_hash
    assert manifest(files=files | {"test": {"part-a.parquet": 1}}).data_hash != manifest().data_hash


def test_the_data_hash_stands_in_the_file(corpus):
    assert json.loads((corpus / "manifest.json").read_text())["data_hash"] == manifest().data_hash


def test_reading_takes_the_files_of_the_manifest_and_no_other(corpus):
    assert sorted(read_split(str(corpus), "train")["id"].to_pylist()) == ["a1", "b1", "b2"]
    assert read_split(str(corpus), "train", ["text"]).column_names == ["text"]


def test_without_a_manifest_there_is_no_corpus(corpus, tmp_path_factory):
    (corpus / "manifest.json").unlink()
    for folder in (corpus, tmp_path_factory.mktemp("empty"), corpus / "nowhere"):
        with pytest.raises(CorpusError, match=r"no finished corpus.*jobs\.synthesize"):
            read_split(str(folder), "train")


def test_a_missing_file_is_named_with_advice(corpus):
    (corpus / "train/part-a.parquet").unlink()
    with pytest.raises(CorpusError, match=r"part-a\.parquet of the train split.*run jobs\.synthesize again"):
        read_split(str(corpus), "train")


def test_a_damaged_file_is_named_with_advice(corpus):
    whole = (corpus / "train/part-b.parquet").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"rubbish" * 100):
        (corpus / "train/part-b.parquet").write_bytes(damaged)
        with pytest.raises(CorpusError, match=r"part-b\.parquet.*run jobs\.synthesize again"):
            read_split(str(corpus), "train")


def test_a_split_without_files_is_a_corpus_error(corpus):
    with pytest.raises(CorpusError, match="validation"):
        read_split(str(corpus), "validation")


def test_a_column_that_is_not_there_is_a_corpus_error(corpus):
    with pytest.raises(CorpusError, match="part-a"):
        read_file(str(corpus), "train", "part-a.parquet", ["id", "audio"])


def test_a_damaged_manifest_is_named(corpus):
    (corpus / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match=r"manifest\.json"):
        Manifest.read(str(corpus))


def test_the_dataset_card_points_at_the_splits_and_counts(corpus):
    card = (corpus / "README.md").read_text()
    assert card.startswith("---\n")
    for split in ("train", "validation", "test"):
        assert f"  - split: {split}\n    path: {split}/*.parquet\n" in card.split("---\n")[1]
    assert "| train | 3 | 1.5 | tone:x |" in card


def test_audio_comes_back_as_bytes(corpus):
    audio = [{"bytes": np.arange(5, dtype=np.uint8).tobytes(), "path": "x.flac"}]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"audio": audio}), buffer)
    (corpus / "train/part-a.parquet").write_bytes(buffer.getvalue())
    assert read_file(str(corpus), "train", "part-a.parquet")["audio"].to_pylist() == audio
