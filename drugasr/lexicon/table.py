"""Rows of a list of names, from CSV, TSV or plain text, each with the line that it starts on."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from drugasr.errors import LexiconError
from drugasr.lexicon.fault import shown

_DELIMITERS = "\t,;"
_COLUMNS = ("name", "aliases", "id", "rxcui", "kind", "generic", "high_alert")
_MAX_COLUMNS_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    line: int
    """Line of the file, from 1."""
    name: str
    aliases: tuple[str, ...] = ()
    """As the list writes them."""
    id: str = ""
    rxcui: str = ""
    kind: str = ""
    generic: str = ""
    high_alert: str = ""
    """As the list writes it."""
    num_extra_cells: int = 0
    """Cells beyond the header's: an unquoted separator, as a rule."""


def parse_rows(text: str, source: str) -> list[Row]:
    """The rows of `text`, blank lines and comments left out. `source` is for messages.

    Raises LexiconError for a table without a `name` column, with a column that is read twice, or with broken quotes.
    """
    header = next((line for line in io.StringIO(text, newline=None) if line.strip()), "").strip("\n")
    delimiter = max(_DELIMITERS, key=header.count)
    is_table = (
        source.lower().endswith((".csv", ".tsv"))
        or (delimiter in header and not header.lstrip().startswith("#"))
        or header.strip().strip('"').lower() == "name"
    )
    return list(_table_rows(text, source, delimiter) if is_table else _plain_rows(text))


def _plain_rows(text: str) -> Iterator[Row]:
    for line, content in enumerate(io.StringIO(text, newline=None), start=1):
        name = content.partition("#")[0].strip()
        if name:
            yield Row(line=line, name=name)


def _table_rows(text: str, source: str, delimiter: str) -> Iterator[Row]:
    rows = _numbered_cells(text, source, delimiter)
    _, header = next(rows, (1, []))
    columns = [cell.lower() for cell in header]
    if not columns:
        return
    twice = [column for column in _COLUMNS if columns.count(column) > 1]
    if twice or "name" not in columns:
        fault = f"more than one `{twice[0]}` column" if twice else "no `name` column"
        found = ", ".join(map(shown, header[:_MAX_COLUMNS_SHOWN])) + (", ..." if len(header) > _MAX_COLUMNS_SHOWN else "")
        raise LexiconError(
            f"{source}: the header has {fault}, but {found}: name the column of drug names `name`,"
            " and each column differently, or use a text file with one name a line and no separators"
        )
    places = {column: columns.index(column) for column in _COLUMNS if column in columns}
    for line, cells in rows:
        values = {column: cells[place] for column, place in places.items() if place < len(cells)}
        written = values.pop("aliases", "").replace(";", "|")
        aliases = tuple(filter(None, map(str.strip, written.split("|")))) if written else ()
        num_extra_cells = len(cells) - len(columns) if any(cells[len(columns) :]) else 0
        yield Row(line=line, aliases=aliases, num_extra_cells=num_extra_cells, **{"name": "", **values})


def _numbered_cells(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row starts and its stripped cells; rows with nothing in them are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise LexiconError(f"{source}, line {line}: broken quotes ({error}): close or remove them") from error
        if any(cells):
            yield line, cells
