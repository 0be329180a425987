"""The rows of a list, checked and made into drugs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from drugasr.lexicon.drug import Drug
from drugasr.lexicon.fault import Fault, shown
from drugasr.lexicon.salts import strip_salts
from drugasr.lexicon.spoken import MAX_CHARACTERS, spoken_form, why_unsayable
from drugasr.lexicon.table import Row

_YES, _NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n", "")
# Spoken form of a drug -> the rows that are it: one, or several that differ in their salts alone.
_Groups = Mapping[str, Sequence[Row]]


def check_rows(rows: Sequence[Row], max_letters: int, strip: bool) -> tuple[tuple[Drug, ...], list[Fault]]:
    """The drugs of `rows`, and what is wrong; the drugs are of use only if nothing is.

    With `strip`, salts are not said, and rows that are equal without them are one drug: the first, with the aliases of all.
    """
    faults: list[Fault] = []
    spoken, groups = _group(rows, max_letters, strip, faults)
    aliases = _aliases(rows, spoken, groups, max_letters, strip, faults)
    faults += [*_bad_ids(rows, spoken), *_torn_groups(groups), *_bad_marks(rows)]
    ids = _choose_ids(groups)
    drugs = tuple(
        Drug(
            id=ids[form],
            name=group[0].name,
            spoken=form,
            kind=group[0].kind,
            generic=group[0].generic,
            aliases=tuple(aliases.get(form, ())),
            high_alert=any(row.high_alert and row.high_alert.lower() in _YES for row in group),
        )
        for form, group in groups.items()
    )
    return drugs, faults


def _group(rows: Sequence[Row], max_letters: int, strip: bool, faults: list[Fault]) -> tuple[list[str], _Groups]:
    """The spoken form of each row, empty where it cannot be said, and the groups of the sound rows."""
    spoken: list[str] = []
    groups: dict[str, list[Row]] = {}
    first_line: dict[str, int] = {}
    for row in rows:
        kept, form, problem = _say(row.name, max_letters, strip)
        if row.num_extra_cells:
            problem = "too many cells", "has more cells than the header: put quotes around a value that holds the separator"
        spoken.append("" if problem else form)
        if not problem and first_line.setdefault(kept, row.line) != row.line:
            problem = "said like another", f"is said like line {first_line[kept]} ({kept!r}): keep one of them"
        if problem:
            faults.append(Fault(line=row.line, kind=problem[0], detail=f"{shown(row.name)} {problem[1]}"))
        else:
            groups.setdefault(form, []).append(row)
    return spoken, groups


def _say(name: str, max_letters: int, strip: bool) -> tuple[str, str, tuple[str, str] | None]:
    """How `name` is said with and without its salts, and what is wrong with that."""
    if len(name) > MAX_CHARACTERS:
        return "", "", ("too long", f"has {len(name):,} characters: write a name, or put the names on lines of their own")
    kept = spoken_form(name)
    form = strip_salts(kept) if strip else kept
    return kept, form, why_unsayable(form, max_letters)


def _aliases(
    rows: Sequence[Row], spoken: Sequence[str], groups: _Groups, max_letters: int, strip: bool, faults: list[Fault]
) -> Mapping[str, Sequence[str]]:
    """Spoken form of a drug -> its aliases, without those that are its name, or twice."""
    owners = {form: (form, group[0].line) for form, group in groups.items()}
    found: dict[str, list[str]] = {}
    for row, form in zip(rows, spoken):
        drug = form or str(row.line)  # a row with a bad name is a drug of its own
        for alias in row.aliases:
            _, said, problem = _say(alias, max_letters, strip)
            if not problem and said not in owners:
                owners[said] = drug, row.line
                found.setdefault(drug, []).append(said)
            elif not problem and owners[said][0] != drug:
                problem = "alias said like another", f"is said like line {owners[said][1]} ({said!r}): it may stand for one drug only"
            if problem:
                faults.append(Fault(line=row.line, kind=problem[0], detail=f"{shown(row.name)}: its alias {shown(alias)} {problem[1]}"))
    return found


def _bad_ids(rows: Sequence[Row], spoken: Sequence[str]) -> Iterator[Fault]:
    owners: dict[str, tuple[str, int]] = {}
    with_id: set[str] = set()
    for row, form in zip(rows, spoken):
        if row.id:
            with_id.add(form)
            drug = form or str(row.line)
            owner, line = owners.setdefault(row.id, (drug, row.line))
            if owner != drug:
                advice = f"has the id {shown(row.id)} of line {line}: give every row its own id"
                yield Fault(line=row.line, kind="id of another", detail=f"{shown(row.name)} {advice}")
    for row, form in zip(rows, spoken):
        if form in owners and form not in with_id:
            advice = f"has no id, and is itself the id of line {owners[form][1]}: give it one"
            yield Fault(line=row.line, kind="id of another", detail=f"{shown(row.name)} {advice}")


def _torn_groups(groups: _Groups) -> Iterator[Fault]:
    for form, group in groups.items():
        with_id = [row for row in group if row.id]
        for row in with_id[1:]:
            if row.id != with_id[0].id:
                advice = f"is the drug of line {with_id[0].line} when its salt is not said ({form!r}), but has another id: give both one id, or keep the salts"
                yield Fault(line=row.line, kind="another id than the same drug", detail=f"{shown(row.name)} {advice}")


def _bad_marks(rows: Iterable[Row]) -> Iterator[Fault]:
    for row in rows:
        if row.high_alert and row.high_alert.lower() not in _YES + _NO:
            advice = f"has {shown(row.high_alert)} under high_alert: write yes, no or nothing"
            yield Fault(line=row.line, kind="bad high_alert", detail=f"{shown(row.name)} {advice}")


def _choose_ids(groups: _Groups) -> Mapping[str, str]:
    """Spoken form -> id. Drugs that share an RxCUI all go by their spoken forms, so that their order does not matter."""
    given = {form: next((row.id for row in group if row.id), "") for form, group in groups.items()}
    uses = Counter(chain((group[0].rxcui for group in groups.values()), given.values(), groups))
    return {form: given[form] or (group[0].rxcui if uses[group[0].rxcui] == 1 else "") or form for form, group in groups.items()}
