"""Pairs of drugs that are listed as confusable, and their tall-man letters."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources

from drugasr.lexicon.similarity import MIN_SIMILARITY, Neighbour, neighbours


@dataclass(frozen=True)
class SoundAlikes:
    """Names are in their spoken forms; the list may know names that a lexicon does not, and the reverse."""

    partners: Mapping[str, tuple[str, ...]]
    """Name -> its listed sound-alikes, those of FDA first."""
    tall_man_letters: Mapping[str, str]
    """Name -> the name in tall-man letters; only those that FDA's list has."""

    def of(self, spoken: str) -> tuple[str, ...]:
        return self.partners.get(spoken, ())

    def tall_man(self, spoken: str) -> str | None:
        return self.tall_man_letters.get(spoken)

    def neighbours(self, spoken: str, lexicon_names: Iterable[str], num: int = 10, min_similarity: float = MIN_SIMILARITY) -> tuple[Neighbour, ...]:
        """The listed sound-alikes of a name that the list has, however unlike, and the most similar others up to `num`; best first."""
        names = set(lexicon_names)
        partners = names.intersection(self.of(spoken))
        listed = [replace(near, listed=True) for near in neighbours(spoken, partners, len(partners), min_similarity=0.0)]
        others = neighbours(spoken, names - partners, max(0, num - len(listed)), min_similarity)
        return tuple(sorted([*listed, *others], key=lambda near: (-near.similarity, near.spoken)))


def read_sound_alikes() -> SoundAlikes:
    """The shipped list, `data/lasa.tsv`; `data/PROVENANCE.md` tells how far to trust it."""
    partners: dict[str, list[str]] = {}
    tall_man: dict[str, str] = {}
    with (resources.files("drugasr.lexicon") / "data" / "lasa.tsv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            for one, other in (("a", "b"), ("b", "a")):
                name = row[f"name_{one}"]
                partners.setdefault(name, []).append(row[f"name_{other}"])
                if row[f"tallman_{one}"]:
                    tall_man[name] = row[f"tallman_{one}"]
    return SoundAlikes({name: tuple(others) for name, others in partners.items()}, tall_man)
