"""What is wrong with a row of a list, and the report of all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MAX_IN_FULL = 50
_MAX_CHARACTERS_SHOWN = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    line: int
    kind: str
    """In a few words, such as `too long`: many faults are told by their kind."""
    detail: str
    """Which value, what is wrong, and what to do."""


def report(source: str, faults: Sequence[Fault], num_rows: int) -> str:
    """Every fault by its line: the first 50 in full, the others as lines with the kind of their fault."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    num_bad = len({fault.line for fault in ordered})
    lines = [f"{source}: {num_bad} bad row{'s' if num_bad > 1 else ''} of {num_rows}:"]
    lines += [f"  line {fault.line}: {fault.detail}" for fault in ordered[:_MAX_IN_FULL]]
    others: dict[str, dict[int, None]] = {}
    for fault in ordered[_MAX_IN_FULL:]:
        others.setdefault(fault.kind, {})[fault.line] = None
    if others:
        lines.append(f"and {len(ordered) - _MAX_IN_FULL} more:")
        lines += [f"  {kind}: line{'s' if len(found) > 1 else ''} {_ranges(found)}" for kind, found in others.items()]
    return "\n".join(lines)


def shown(value: str) -> str:
    """`value` in quotes, cut to what fits on a line."""
    return repr(value if len(value) <= _MAX_CHARACTERS_SHOWN else value[: _MAX_CHARACTERS_SHOWN - 3] + "...")


def _ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as `3, 7-120`."""
    ends: list[list[int]] = []
    for number in numbers:
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)
