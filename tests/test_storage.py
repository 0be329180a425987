import json
import os
from pathlib import Path

import pytest
from pyarrow import fs

from drugasr import storage
from drugasr.errors import StorageError


def visible(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def test_bytes_come_back_through_paths_and_uris(tmp_path):
    uri = storage.join(str(tmp_path), "deep", "er", "file.bin")
    assert not storage.exists(uri)
    storage.write_bytes(uri, b"\x00\xffabc")
    assert (tmp_path / "deep/er/file.bin").read_bytes() == b"\x00\xffabc"
    assert storage.exists(uri)
    assert storage.read_bytes(f"file://{uri}") == b"\x00\xffabc"
    storage.write_bytes(f"file://{uri}", b"new")
    assert (tmp_path / "deep/er/file.bin").read_bytes() == b"new"
    assert os.listdir(tmp_path / "deep/er") == ["file.bin"]
    storage.delete_file(uri)
    assert not storage.exists(uri)


def test_relative_and_home_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    storage.write_bytes("a.txt", b"a")
    storage.write_bytes("~/b.txt", b"b")
    assert (tmp_path / "a.txt").read_bytes() == b"a"
    assert (tmp_path / "home/b.txt").read_bytes() == b"b"


def test_join_keeps_the_scheme():
    assert storage.join("s3://bucket/", "a", "b.parquet") == "s3://bucket/a/b.parquet"


class HalfWritten:
    """A stream that dies after half of the data, as a full disk does."""

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stream.close()

    def write(self, data):
        self._stream.write(data[: len(data) // 2])
        raise OSError("No space left on device")


class FailingDisk:
    """The local file system, failing in the middle of a write or of the rename."""

    def __init__(self, where: str):
        self._real, self._where = fs.LocalFileSystem(), where

    def __getattr__(self, name):
        return getattr(self._real, name)

    def open_output_stream(self, path):
        stream = self._real.open_output_stream(path)
        return HalfWritten(stream) if self._where == "write" else stream

    def move(self, source, target):
        if self._where == "move":
            raise OSError("connection lost")
        self._real.move(source, target)


@pytest.mark.parametrize("where", ["write", "move"])
@pytest.mark.parametrize("old", [None, b"the old content"])
def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path, monkeypatch, where, old):
    path = tmp_path / "file.bin"
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "locate", lambda uri: (FailingDisk(where), uri))
        with pytest.raises(StorageError, match=r"cannot write .*file\.bin"):
            storage.write_bytes(str(path), b"x" * 1000)
    assert visible(tmp_path) == storage.list_files(str(tmp_path)) == ([] if old is None else ["file.bin"])
    assert old is None or path.read_bytes() == old


def test_listing_shows_finished_files_of_this_folder_only(tmp_path):
    for name in ("b.parquet", "a.parquet", "c.json", ".a.parquet.5d41", ".hidden.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "folder.parquet" / "z.parquet").touch()
    assert storage.list_files(str(tmp_path)) == ["a.parquet", "b.parquet", "c.json"]
    assert storage.list_files(str(tmp_path), ".parquet") == ["a.parquet", "b.parquet"]
    assert storage.list_files(str(tmp_path / "nowhere")) == []


def test_a_tree_is_listed_by_relative_paths_without_hidden_ones(tmp_path):
    for name in ("b/deep/z.wav", "b/a.wav", "c.wav", ".git/x", "b/._a.wav", "b/.deep/y.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for uri in (str(tmp_path), f"{tmp_path}/", f"file://{tmp_path}", f"file://{tmp_path}/"):
        assert storage.list_tree(uri) == ["b/a.wav", "b/deep/z.wav", "c.wav"]
    with pytest.raises(StorageError, match="nowhere"):
        storage.list_tree(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("uri", ["nosuchscheme://bucket/file", "ftp://host/file", "://x"])
@pytest.mark.parametrize("call", [storage.read_bytes, storage.exists, storage.list_files, lambda uri: storage.write_bytes(uri, b"x")])
def test_a_scheme_that_nobody_knows(uri, call):
    with pytest.raises(StorageError, match=uri):
        call(uri)


def test_what_cannot_be_read_or_written_is_named(tmp_path):
    with pytest.raises(StorageError, match="nothing_here"):
        storage.read_bytes(str(tmp_path / "nothing_here"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/below"):
        storage.write_bytes(str(tmp_path / "file" / "below"), b"x")
    with pytest.raises(StorageError, match="nothing_here"):
        storage.delete_file(str(tmp_path / "nothing_here"))
    with pytest.raises(StorageError, match="nothing_here"):
        storage.download_folder(str(tmp_path / "nothing_here"), str(tmp_path / "back"))


def test_json(tmp_path):
    uri = str(tmp_path / "value.json")
    storage.write_json(uri, {"b": [1, None], "a": "é"})
    assert json.loads(Path(uri).read_text("utf-8")) == storage.read_json(uri) == {"a": "é", "b": [1, None]}
    first = Path(uri).read_bytes()
    storage.write_json(uri, {"a": "é", "b": [1, None]})
    assert Path(uri).read_bytes() == first
    Path(uri).write_text('{"a": ')
    with pytest.raises(StorageError, match=r"value\.json is not JSON"):
        storage.read_json(uri)


def test_folders_come_down(tmp_path):
    (tmp_path / "here/sub").mkdir(parents=True)
    (tmp_path / "here/one").write_bytes(b"1")
    (tmp_path / "here/sub/two").write_bytes(b"2")
    storage.download_folder(f"file://{tmp_path}/here", str(tmp_path / "back"))
    assert (tmp_path / "back/one").read_bytes() == b"1"
    assert (tmp_path / "back/sub/two").read_bytes() == b"2"
