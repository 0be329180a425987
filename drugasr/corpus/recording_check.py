"""Rows of a list become recordings of drugs: every name, dose, split, speaker and file is checked, and all faults are told at once."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from rapidfuzz import fuzz, process

from drugasr import storage
from drugasr.corpus.recording_list import Row, list_rows
from drugasr.corpus.schema import SPLITS
from drugasr.errors import RecordingError, StorageError
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.dose import Dose, make_dose
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.salts import strip_salts
from drugasr.lexicon.spoken import spoken_form

# Raise it when the code changes what a recording's row holds.
RECORDING_VERSION = 1
UNKNOWN_SPEAKER = "unknown"
_DOSE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(\S+)")
_UNITS = {"mg": "MG", "mcg": "MCG", "\u03bcg": "MCG", "unit": "UNT", "units": "UNT", "meq": "MEQ", "%": "%"}
_MIN_SIMILARITY = 60  # of 100; a suggestion further away would only confuse
_MAX_ROWS_PRINTED = 50
_NUM_READERS = 16  # files read at once: it is the storage that takes its time


@dataclass(frozen=True, kw_only=True)
class Recording:
    path: str
    """Relative to the folder, or as the manifest has it."""
    uri: str
    content: str
    """SHA-256 of the file."""
    drug: Drug
    form: str
    """The drug's spoken form that was said: its name or an alias."""
    dose: Dose | None
    speaker: str
    """In lower case; `unknown` for all whom nobody named."""
    split: str
    """Until the splits are dealt, empty where the manifest demands none."""
    duplicate_of: str = ""
    """Path of an earlier recording that is the same file."""

    @property
    def text(self) -> str:
        return f"{self.form} {self.dose.spoken}" if self.dose else self.form

    @property
    def voice(self) -> str:
        return f"recording:{self.speaker}"

    @property
    def id(self) -> str:
        return fingerprint(RECORDING_VERSION, self.content, self.text)


def read_recordings(source: str, lexicon: Lexicon, dose_language: str) -> list[Recording]:
    """The recordings in the order of the list. Reads every file once, for its hash.

    Raises RecordingError, which lists every bad row and what to do about it.
    """
    drugs = {form: drug for drug in lexicon.drugs for form in drug.spoken_forms}
    rows = list_rows(source, drugs)
    with ThreadPoolExecutor(_NUM_READERS) as pool:
        found = list(pool.map(lambda row: _resolve(row, drugs, dose_language), rows))
    faults = [(number, str(result)) for number, result in enumerate(found) if not isinstance(result, Recording)]
    faults += _torn_speakers(rows)
    if faults:
        lines = [f"  {rows[number].where}: {text}" for number, text in sorted(faults)[:_MAX_ROWS_PRINTED]]
        if len(faults) > len(lines):
            lines.append(f"  ... and {len(faults) - len(lines)} more")
        raise RecordingError(f"{source}: {len(faults)} fault{'s' if len(faults) > 1 else ''} in {len(rows)} recordings:\n" + "\n".join(lines))
    return [result for result in found if isinstance(result, Recording)]


def _resolve(row: Row, drugs: Mapping[str, Drug], dose_language: str) -> Recording | RecordingError:
    try:
        if row.num_extra_cells:
            raise RecordingError("has more cells than the header: put quotes around a value that holds the separator")
        if not row.path:
            raise RecordingError("has no path: write one or delete the row")
        if row.split and row.split not in SPLITS:
            raise RecordingError(f"there is no split {row.split!r}: write {', '.join(SPLITS)}, or nothing to have the speaker dealt to one")
        form = _find_form(row.drug, drugs)
        return Recording(
            path=row.path,
            uri=row.uri,
            drug=drugs[form],
            form=form,
            dose=_read_dose(row.dose, dose_language) if row.dose else None,
            content=hashlib.sha256(storage.read_bytes(row.uri)).hexdigest(),
            speaker=_speaker_of(row),
            split=row.split,
        )
    except StorageError as error:
        return RecordingError(f"{error}: correct the path or delete the row")
    except RecordingError as error:
        return error


def _find_form(name: str, drugs: Mapping[str, Drug]) -> str:
    spoken = spoken_form(name)
    # A list that was read without its salts has the drug without them.
    for form in (spoken, strip_salts(spoken)):
        if form in drugs:
            return form
    near = process.extractOne(spoken, drugs.keys(), scorer=fuzz.ratio, score_cutoff=_MIN_SIMILARITY)
    suggestion = f" (is it {drugs[near[0]].name!r}?)" if near else ""
    raise RecordingError(f"no drug of the list is called {name!r}{suggestion}: correct it, add it to the list, or take the recording out")


def _read_dose(written: str, language: str) -> Dose:
    match = _DOSE.fullmatch(unicodedata.normalize("NFKC", written).casefold().strip())
    if match is None or match[2] not in _UNITS:
        raise RecordingError(f"the dose {written!r} is no number with a unit: write it like '2.5 mg', with one of {', '.join(_UNITS)}")
    return make_dose(Decimal(match[1]), _UNITS[match[2]], language)


def _speaker_of(row: Row) -> str:
    """Case and form of the letters do not make another speaker."""
    return " ".join(unicodedata.normalize("NFKC", row.speaker).casefold().split()) or UNKNOWN_SPEAKER


def _torn_speakers(rows: list[Row]) -> Iterator[tuple[int, str]]:
    """The numbers of the rows that demand another split for their speaker than an earlier one, with what to do."""
    first: dict[str, Row] = {}
    for number, row in enumerate(rows):
        if row.split in SPLITS:
            earlier = first.setdefault(_speaker_of(row), row)
            if earlier.split != row.split:
                yield number, (
                    f"the speaker {_speaker_of(row)!r} is for {row.split}, but on {earlier.where} for {earlier.split}: give a speaker one split"
                    f" (whoever is not named counts as one speaker, {UNKNOWN_SPEAKER!r})"
                )
