"""Read a closed list of names: a shipped tier, a CSV or TSV file, or plain text with one name a line."""

import re
import unicodedata
from collections import Counter
from importlib import resources

from drugasr import storage
from drugasr.errors import LexiconError, StorageError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.table import Row, parse_rows

TIERS = ("quick50", "top500", "full")
MIN_LETTERS = 2
_MAX_ROWS_PRINTED = 50
_SEPARATORS = re.compile(r"[\s/\-\u2010-\u2015\u2212]+")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc", "'''")
_OUTSIDE_ALPHABET = re.compile(r"[^a-z' ]")


def read_lexicon(source: str, max_letters: int = 60) -> Lexicon:
    """The list at `source`: a tier (quick50, top500, full), or the path or URI of a file.

    A table has a header with `name` and, if it likes, `id`, `rxcui`, `kind` and `generic`; other
    columns are ignored. A plain list has one name a line, and comments after `#`.
    Raises LexiconError, which lists every bad row with its line number and what to do about it.
    """
    rows = parse_rows(_read_text(source), source)
    if not rows:
        raise LexiconError(f"{source}: the list is empty: write one name a line")
    spoken = {row.line: spoken_form(row.name) for row in rows}
    problems = _bad_names(rows, spoken, max_letters) | _bad_ids(rows, spoken)
    if problems:
        raise LexiconError(_report(source, rows, problems))
    ids = _choose_ids(rows, spoken)
    name = source if source in TIERS else source.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    drugs = tuple(
        Drug(id=ids[row.line], name=row.name, spoken=spoken[row.line], kind=row.kind, generic=row.generic) for row in rows
    )
    return Lexicon(name, drugs)


def spoken_form(name: str) -> str:
    """`name` as it is said: lower case, accents folded, hyphens and slashes as spaces, single spaces.

    What the alphabet still lacks (digits, for one) stays in, for the caller to refuse.
    """
    decomposed = unicodedata.normalize("NFKD", name.translate(_APOSTROPHES))
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _SEPARATORS.sub(" ", plain.lower()).strip()


def _read_text(source: str) -> str:
    if source in TIERS:
        return (resources.files("drugasr.lexicon") / "data" / f"{source}.tsv").read_text("utf-8")
    choices = f"give the path or URI of a list, or one of the shipped ones: {', '.join(TIERS)}"
    if not source.strip():
        raise LexiconError(f"no list of names is given: {choices}")
    try:
        data = storage.read_bytes(source)
    except StorageError as error:
        raise LexiconError(f"cannot read the list of names {source!r}: {choices} ({error})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LexiconError(
            f"{source}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8: save the list as 'CSV UTF-8' or as UTF-8 text"
        ) from error


def _bad_names(rows: list[Row], spoken: dict[int, str], max_letters: int) -> dict[int, str]:
    problems: dict[int, str] = {}
    first_line: dict[str, int] = {}
    for row in rows:
        form = spoken[row.line]
        num_letters = sum("a" <= character <= "z" for character in form)
        foreign = dict.fromkeys(_OUTSIDE_ALPHABET.findall(form))
        if row.num_extra_cells:
            problems[row.line] = "has more cells than the header: put quotes around a value that holds the separator"
        elif not form:
            problems[row.line] = "has no name: write one or delete the row"
        elif foreign:
            problems[row.line] = f"holds {', '.join(map(_show, foreign))}: write it as it is said, in letters a to z, apostrophes and spaces"
        elif num_letters < MIN_LETTERS:
            problems[row.line] = f"has fewer than {MIN_LETTERS} letters: too short to recognise; write it in full or delete it"
        elif num_letters > max_letters:
            problems[row.line] = f"has {num_letters} letters, above the limit of {max_letters}: shorten it (or raise lexicon.max_letters)"
        elif form in first_line:
            problems[row.line] = f"is said like line {first_line[form]} ({form!r}): keep one of them"
        first_line.setdefault(form, row.line)
    return problems


def _bad_ids(rows: list[Row], spoken: dict[int, str]) -> dict[int, str]:
    problems: dict[int, str] = {}
    first_line: dict[str, int] = {}
    for row in rows:
        if row.id and first_line.setdefault(row.id, row.line) != row.line:
            problems[row.line] = f"has the id {row.id!r} of line {first_line[row.id]}: give every row its own id"
    for row in rows:
        if not row.id and spoken[row.line] in first_line:
            problems[row.line] = f"has no id, and is itself the id of line {first_line[spoken[row.line]]}: give it one"
    return problems


def _choose_ids(rows: list[Row], spoken: dict[int, str]) -> dict[int, str]:
    """Line -> id. Rows that share an RxCUI all go by their spoken forms, so that their order does not matter."""
    uses = Counter(row.rxcui for row in rows) + Counter(row.id for row in rows)
    return {row.line: row.id or (row.rxcui if uses[row.rxcui] == 1 else "") or spoken[row.line] for row in rows}


def _report(source: str, rows: list[Row], problems: dict[int, str]) -> str:
    names = {row.line: row.name for row in rows}
    lines = [f"  line {line}: {names[line]!r} {problems[line]}" for line in sorted(problems)]
    if len(lines) > _MAX_ROWS_PRINTED:
        lines[_MAX_ROWS_PRINTED:] = [f"  ... and {len(lines) - _MAX_ROWS_PRINTED} more"]
    count = f"{len(problems)} bad row{'s' if len(problems) > 1 else ''} of {len(rows)}"
    return f"{source}: {count}:\n" + "\n".join(lines)


def _show(character: str) -> str:
    return repr(character) if character.isprintable() and character.isascii() else f"{character!r} (U+{ord(character):04X})"
