"""Files at a URI: a local path, or anything pyarrow.fs understands (`s3://`, `gs://`).

A file appears whole or not at all: it is written under a temporary name and renamed.
"""

import json
import os
import uuid
from typing import Any

import pyarrow as pa
from pyarrow import fs

from drugasr.errors import StorageError


def locate(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of `uri` and the path in it. Raises StorageError for a scheme nobody knows."""
    if "://" not in uri:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
    try:
        return fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"cannot use {uri!r} as a location: {error}") from error


def join(uri: str, *names: str) -> str:
    return "/".join([uri.rstrip("/"), *names])


def exists(uri: str) -> bool:
    filesystem, path = locate(uri)
    try:
        return filesystem.get_file_info(path).type != fs.FileType.NotFound
    except OSError as error:
        raise StorageError(f"cannot look at {uri}: {error}") from error


def list_files(uri: str, suffix: str = "", hidden: bool = False) -> list[str]:
    """Names (not paths) of the files directly in folder `uri`, sorted; none if there is no such folder.

    `hidden` lists those that begin with a dot too, such as what a killed process was writing.
    """
    filesystem, path = locate(uri)
    selector = fs.FileSelector(path, allow_not_found=True)
    try:
        found = [info.base_name for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]
    except OSError as error:
        raise StorageError(f"cannot list {uri}: {error}") from error
    return sorted(name for name in found if name.endswith(suffix) and (hidden or not name.startswith(".")))


def list_tree(uri: str) -> list[str]:
    """Paths, relative to folder `uri`, of the files in it and in the folders below, sorted; hidden ones are left out."""
    filesystem, path = locate(uri)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    except OSError as error:
        raise StorageError(f"cannot list {uri}: {error}") from error
    found = [info.path[len(path.rstrip("/")) + 1 :] for info in infos if info.type == fs.FileType.File]
    return sorted(name for name in found if not any(part.startswith(".") for part in name.split("/")))


def read_bytes(uri: str) -> bytes:
    filesystem, path = locate(uri)
    try:
        with filesystem.open_input_stream(path) as stream:
            return stream.read()
    except OSError as error:
        raise StorageError(f"cannot read {uri}: {error}") from error


def write_bytes(uri: str, data: bytes) -> None:
    """Write `data` so that a reader sees either the old file or the new one, never a part."""
    filesystem, path = locate(uri)
    folder, name = path.rsplit("/", 1)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        filesystem.create_dir(folder, recursive=True)
        with filesystem.open_output_stream(temporary) as stream:
            stream.write(data)
        filesystem.move(temporary, path)
    except OSError as error:
        raise StorageError(f"cannot write {uri}: {error}") from error


def read_json(uri: str) -> Any:
    try:
        return json.loads(read_bytes(uri))
    except json.JSONDecodeError as error:
        raise StorageError(f"{uri} is not JSON: {error}") from error


def write_json(uri: str, value: Any) -> None:
    write_bytes(uri, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n")


def delete_file(uri: str) -> None:
    filesystem, path = locate(uri)
    try:
        filesystem.delete_file(path)
    except OSError as error:
        raise StorageError(f"cannot delete {uri}: {error}") from error


def download_folder(uri: str, local_folder: str) -> None:
    """Copy every file under folder `uri` to `local_folder`."""
    filesystem, path = locate(uri)
    try:
        fs.copy_files(path, local_folder, source_filesystem=filesystem)
    except OSError as error:
        raise StorageError(f"cannot read {uri}: {error}") from error
