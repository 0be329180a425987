"""Read a closed list of names: a shipped tier, a CSV or TSV file, plain text with one name a line, or a release of RxNorm."""

import codecs
from collections import Counter
from importlib import resources

from drugasr import storage
from drugasr.errors import LexiconError, StorageError
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.fault import report
from drugasr.lexicon.row_check import check_rows
from drugasr.lexicon.rxnorm import find_rxnorm, read_rxnorm
from drugasr.lexicon.table import Row, parse_rows
from drugasr.progress import say

TIERS = ("quick50", "top500", "full")
# The list that the base model is trained on: a URI, since it is neither a file of the user's nor a tier to recognise.
PRETRAINING = "drugasr://pretraining"
SALTS = ("keep", "strip")
_MAX_MB = 100
_CHOICES = f"give the path or URI of a list, or one of the shipped ones: {', '.join(TIERS)}"
_SAVE_AS_UTF8 = "save the list as 'CSV UTF-8' or as UTF-8 text"


def read_lexicon(source: str, max_letters: int = 60, salts: str = "keep") -> Lexicon:
    """The list at `source`: a tier (quick50, top500, full), or the path or URI of a file.

    `PRETRAINING` is the full tier and ordinary English words, which have the kind `word`.

    A table has a header with `name` and, if it likes, `aliases` (between `|` or `;`), `id`, `rxcui`, `kind`, `generic` and
    `high_alert` (yes or no); other columns are ignored. A plain list has one name a line, and comments after `#`.
    A release of RxNorm is its zip, its folder or its RXNCONSO.RRF; its names that cannot be in a list are left out.
    `salts` strip: salts at the end of a name are not said, and rows that are equal without them are one drug.
    Raises LexiconError, which names every bad row with its line number and what to do about it.
    """
    if salts not in SALTS:
        raise LexiconError(f"salts={salts!r}: there are {', '.join(SALTS)}")
    if not source.strip():
        raise LexiconError(f"no list of names is given: {_CHOICES}")
    name = source if source in TIERS else source.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    try:
        release = None if source in (*TIERS, PRETRAINING) else find_rxnorm(source)
        rows = read_rxnorm(release) if release else parse_rows(_read_text(source), source)
    except StorageError as error:
        raise LexiconError(f"cannot read the list of names {source!r}: {_CHOICES} ({error})") from error
    if not rows:
        what = "no current ingredient or brand name of RxNorm is in it: give a whole release" if release else "the list is empty: write one name a line"
        raise LexiconError(f"{source}: {what}")
    if release:
        rows = _usable(rows, source, max_letters, salts)
    drugs, faults = check_rows(rows, max_letters, salts == "strip")
    if faults:
        raise LexiconError(report(source, faults, len(rows)))
    return Lexicon(name, drugs)


def _usable(rows: list[Row], source: str, max_letters: int, salts: str) -> list[Row]:
    """The rows of a release without the bad ones, which its user cannot mend."""
    _, faults = check_rows(rows, max_letters, salts == "strip")
    kinds = {fault.line: fault.kind for fault in faults}
    left_out = ", ".join(f"{count:,} {kind}" for kind, count in Counter(kinds.values()).most_common())
    say(f"RxNorm: {len(rows) - len(kinds):,} names" + (f"; left out: {left_out}" if left_out else ""))
    if len(kinds) == len(rows):
        raise LexiconError(f"{source}: none of the {len(rows):,} names can be in a list ({left_out}): raise lexicon.max_letters, or give another release")
    return [row for row in rows if row.line not in kinds]


def _read_text(source: str) -> str:
    shipped = resources.files("drugasr.lexicon") / "data"
    if source in TIERS:
        return (shipped / f"{source}.tsv").read_text("utf-8")
    if source == PRETRAINING:  # the columns of the full tier begin with name and kind
        words = (shipped / "words.txt").read_text("utf-8").splitlines()
        return (shipped / "full.tsv").read_text("utf-8") + "".join(f"{word}\tword\n" for word in words)
    data = storage.read_bytes(source)
    if len(data) > _MAX_MB * 1_000_000:
        raise LexiconError(f"{source} has {len(data) / 1e6:,.0f} MB, and a list of names at most {_MAX_MB}: give the names alone")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LexiconError(f"{source} is UTF-16, not UTF-8: {_SAVE_AS_UTF8}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LexiconError(f"{source}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8: {_SAVE_AS_UTF8}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise LexiconError(f"{source}, line {line}: a NUL byte: this is no text, or UTF-16: {_SAVE_AS_UTF8}")
    return text
