"""The rows of a list of real recordings, as a folder or a manifest gives them: nothing is looked up yet.

A folder: `DRUG.wav`, or `SPEAKER/DRUG.wav` with the speaker in the first folder. A dose follows an underscore and
has a unit; the number of the take comes last: `aspirin.wav`, `aspirin2.mp3`, `aspirin-2.m4a`, `aspirin_2.wav`,
`aspirin_100mg.wav`, `aspirin_0.5 mg(3).wav`, `folic_acid_5mg.ogg`. Hidden files and those that are no audio are
passed over.

A manifest: CSV or TSV with the columns `path` (relative to the manifest) and `drug` and, if it likes, `speaker`,
`dose` and `split` (train, validation, test); other columns are ignored.
"""

import csv
import io
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from drugasr import storage
from drugasr.errors import RecordingError, StorageError
from drugasr.lexicon.spoken import spoken_form

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm")
# After an underscore, a number of three digits is no take but a dose without its unit: to be refused, not dropped.
_TAKE = re.compile(r"\s*\([0-9]+\)$|_[0-9]{1,2}$|(?<=[^\W\d_])[\s-]*[0-9]+$|(?<=%)[\s-]*[0-9]+$")


@dataclass(frozen=True, kw_only=True)
class Row:
    where: str
    """`line 3` of the manifest, or the path in the folder."""
    path: str
    """Relative to the folder, or as the manifest has it."""
    uri: str
    drug: str
    dose: str = ""
    speaker: str = ""
    split: str = ""
    num_extra_cells: int = 0
    """Cells beyond the header's: an unquoted separator, as a rule."""


def list_rows(source: str, spoken_names: Container[str]) -> list[Row]:
    """The rows of a manifest in its order, of a folder sorted by path. `spoken_names` tells `folic_acid` from a dose.

    Raises RecordingError when `source` cannot be read, lists nothing, or is a table without the columns.
    """
    try:
        is_manifest = source.lower().endswith((".csv", ".tsv"))
        rows = list(_manifest_rows(source) if is_manifest else _folder_rows(source, spoken_names))
    except StorageError as error:
        raise RecordingError(f"cannot read the recordings: give a folder, or a manifest that ends in .csv or .tsv ({error})") from error
    if not rows:
        raise RecordingError(f"{source} lists no recording: put audio there ({', '.join(AUDIO_SUFFIXES)}), or leave corpus.recordings empty")
    return rows


def parse_stem(stem: str, spoken_names: Container[str]) -> tuple[str, str]:
    """Name and dose (empty: none) in a file name without its ending: `aspirin_100mg(2)` -> `aspirin`, `100mg`."""
    said = _TAKE.sub("", stem)
    if spoken_form(said.replace("_", " ")) in spoken_names:
        return said.replace("_", " "), ""
    name, _, dose = said.rpartition("_")
    return (name.replace("_", " "), dose) if name else (said, "")


def _folder_rows(folder: str, spoken_names: Container[str]) -> Iterator[Row]:
    for path in storage.list_tree(folder):
        if path.lower().endswith(AUDIO_SUFFIXES):
            drug, dose = parse_stem(PurePosixPath(path).stem, spoken_names)
            speaker = path.split("/")[0] if "/" in path else ""
            yield Row(where=path, path=path, uri=_uri_of(path, folder), drug=drug, dose=dose, speaker=speaker)


def _manifest_rows(source: str) -> Iterator[Row]:
    try:
        text = storage.read_bytes(source).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{source} is not UTF-8 ({error.reason}): save it as 'CSV UTF-8'") from error
    delimiter = max("\t,;", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="", strict=True)
    try:
        columns = [cell.strip().lower() for cell in reader.fieldnames or ()]
        if columns.count("path") != 1 or columns.count("drug") != 1:
            raise RecordingError(f"{source}: the header must have `path` and `drug` once each, but has {', '.join(map(repr, columns)) or 'nothing'}")
        reader.fieldnames = columns
        for cells in reader:
            extra = cells.pop(None, [])
            values = {column: cell.strip() for column, cell in cells.items()}
            if not any(values.values()):
                continue
            yield Row(
                where=f"line {reader.line_num}",
                path=values["path"],
                uri=_uri_of(values["path"], source.rpartition("/")[0] or "."),
                drug=values["drug"],
                dose=values.get("dose", ""),
                speaker=values.get("speaker", ""),
                split=values.get("split", "").lower(),
                num_extra_cells=len(extra) if any(extra) else 0,
            )
    except csv.Error as error:
        raise RecordingError(f"{source}, line {reader.line_num + 1}: broken quotes ({error}): close or remove them") from error


def _uri_of(path: str, folder: str) -> str:
    if path.startswith("/") or "://" in path:
        return path
    return storage.join(folder, quote(path) if "://" in folder else path)  # a URI holds no spaces
