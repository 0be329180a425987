"""A drug as the recogniser knows it, and the closed list of them that it chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from drugasr.fingerprint import fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Drug:
    id: str
    """Stable identity: the list's `id` (or `rxcui`) column, else the spoken form."""
    name: str
    """As the list writes it, for display."""
    spoken: str
    """What is said, in the model's alphabet: lower-case a to z, apostrophe and single spaces."""
    kind: str = ""
    """`generic`, `brand` or empty."""
    generic: str = ""
    """Generic name of a brand, where the list tells."""
    aliases: tuple[str, ...] = ()
    """Other spoken forms of the same drug; whichever is said, the answer is this drug."""
    high_alert: bool = False
    """Whether the list marks the drug as one whose mix-up is especially dangerous."""

    @property
    def spoken_forms(self) -> tuple[str, ...]:
        return (self.spoken, *self.aliases)


@dataclass(frozen=True)
class Lexicon:
    """Drugs in the order of their list; spoken forms, aliases too, and ids are unique (`reading` checks it)."""

    name: str
    drugs: Sequence[Drug]

    def __len__(self) -> int:
        return len(self.drugs)

    @cached_property
    def fingerprint(self) -> str:
        """Name of the content: changes when any drug does, not with their order."""
        return fingerprint(sorted((d.id, d.name, d.spoken_forms) for d in self.drugs))
