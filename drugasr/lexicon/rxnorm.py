"""Ingredients and brand names of RxNorm, from a release as NLM publishes it: the zip, its folder, or its RXNCONSO.RRF.

Rich Release Format: UTF-8 rows of columns that each end in `|`, without a header or quotes. See NLM's "RxNorm Technical
Documentation", sections on RXNCONSO.RRF and RXNREL.RRF.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from drugasr import storage
from drugasr.errors import LexiconError, StorageError
from drugasr.lexicon.table import Row

_NAMES, _RELATIONS = "RXNCONSO.RRF", "RXNREL.RRF"
_NUM_COLUMNS = {_NAMES: 18, _RELATIONS: 16}
_KINDS = {"IN": "generic", "BN": "brand"}
_MAX_ROW_BYTES = 100_000  # names are at most 3,000 characters long
_BUFFER_BYTES = 1 << 20


def find_rxnorm(source: str) -> str | None:
    """The zip or the RXNCONSO.RRF that `source` is or holds; None if it is another file. Raises StorageError."""
    if source.endswith(_NAMES) or source.lower().endswith(".zip"):
        return source
    if source.lower().endswith((".csv", ".tsv", ".txt")):
        return None
    return next(filter(storage.exists, (storage.join(source, _NAMES), storage.join(source, "rrf", _NAMES))), None)


def read_rxnorm(source: str) -> list[Row]:
    """The ingredients (kind generic) and brand names of the release at `source`, which `find_rxnorm` gave, with their RxCUIs as ids.

    RxNorm's own current names alone (SAB RXNORM, SUPPRESS N). Raises LexiconError for a release that is damaged or is none.
    """
    try:
        with ExitStack() as files:
            release = _open_zip(source, files) if source.lower().endswith(".zip") else _open_folder(source, files)
            names = list(_names(release))
            generics = _generics(release, names) if release.relations else {}
    except (OSError, EOFError, ValueError, NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        raise LexiconError(f"cannot read {source} as a release of RxNorm ({error}): download it again") from error
    return [Row(line=line, name=name, kind=_KINDS[kind], generic=generics.get(rxcui, ""), id=rxcui) for line, rxcui, kind, name in names]


@dataclass(frozen=True, kw_only=True)
class _Release:
    source: str
    names: BinaryIO
    relations: BinaryIO | None


def _open_zip(source: str, files: ExitStack) -> _Release:
    archive = files.enter_context(zipfile.ZipFile(io.BytesIO(storage.read_bytes(source))))
    # The full release holds the prescribable one in a folder further down.
    found = sorted((name for name in archive.namelist() if name.split("/")[-1] == _NAMES), key=lambda name: name.count("/"))
    if not found:
        raise LexiconError(f"{source} holds no {_NAMES}: give a release of RxNorm as it is downloaded; for a list of your own, the unpacked file")
    relations = found[0].removesuffix(_NAMES) + _RELATIONS

    def member(name: str) -> BinaryIO:
        if archive.getinfo(name).flag_bits & 1:
            raise LexiconError(f"{source} is encrypted: unpack it, and give the folder")
        return io.BufferedReader(files.enter_context(archive.open(name)), _BUFFER_BYTES)

    return _Release(source=source, names=member(found[0]), relations=member(relations) if relations in archive.namelist() else None)


def _open_folder(source: str, files: ExitStack) -> _Release:
    relations = source[: -len(_NAMES)] + _RELATIONS
    with_relations = storage.exists(relations)
    return _Release(
        source=source,
        names=files.enter_context(_open(source)),
        relations=files.enter_context(_open(relations)) if with_relations else None,
    )


def _open(uri: str) -> BinaryIO:
    """`uri` as a stream: unpacked, the relations of a full release are larger than the memory of many a machine."""
    filesystem, path = storage.locate(uri)
    try:
        return io.BufferedReader(filesystem.open_input_stream(path), _BUFFER_BYTES)
    except OSError as error:
        raise StorageError(f"cannot read {uri}: {error}") from error


def _names(release: _Release) -> Iterator[tuple[int, str, str, str]]:
    """Line, RxCUI, term type and name."""
    for line, cells in _rows(release.names, f"{release.source}: {_NAMES}", _NUM_COLUMNS[_NAMES], b"|RXNORM|"):
        rxcui, source, kind, name, suppressed = cells[0], cells[11], cells[12], cells[14], cells[16]
        if source == "RXNORM" and suppressed == "N" and kind in _KINDS:
            yield line, rxcui, kind, name


def _generics(release: _Release, names: list[tuple[int, str, str, str]]) -> dict[str, str]:
    """RxCUI of a brand -> name of its ingredient, for brands that have just one.

    A row says what its second concept is to its first: RXCUI2 of `tradename_of` is the brand, RXCUI1 its ingredient;
    `has_tradename` is the same the other way round. Every relation stands in both rows.
    """
    ingredients = {rxcui: name for _, rxcui, kind, name in names if kind == "IN"}
    brands = {rxcui for _, rxcui, kind, _ in names if kind == "BN"}
    found: dict[str, set[str]] = {}
    for _, cells in _rows(release.relations, f"{release.source}: {_RELATIONS}", _NUM_COLUMNS[_RELATIONS], b"tradename"):
        first, second, relation = cells[0], cells[4], cells[7]
        ingredient, brand = (first, second) if relation == "tradename_of" else (second, first)
        if relation in ("tradename_of", "has_tradename") and brand in brands and ingredient in ingredients:
            found.setdefault(brand, set()).add(ingredient)
    return {brand: ingredients[next(iter(rxcuis))] for brand, rxcuis in found.items() if len(rxcuis) == 1}


def _rows(stream: BinaryIO, source: str, num_columns: int, wanted: bytes) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold the bytes `wanted`, with their lines. Raises LexiconError for a row of too few or too many columns."""
    for line, row in enumerate(iter(lambda: stream.readline(_MAX_ROW_BYTES), b""), start=1):
        num_bars = row.count(b"|")
        if num_bars not in (num_columns - 1, num_columns) and row.strip():  # the last bar is often lost on the way
            raise LexiconError(f"{source}, line {line}: {num_bars} columns and not {num_columns}: the file is cut short or damaged; download it again")
        if wanted in row:
            try:
                yield line, row.decode().rstrip("\r\n").split("|")
            except UnicodeDecodeError as error:
                raise LexiconError(f"{source}, line {line}: not UTF-8 ({error.reason}): the file is damaged; download it again") from error
