"""What a transcript alone tells: the names nearest to it by Levenshtein distance, and the dose that it ends in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from drugasr.decoding.levenshtein import rank_by_levenshtein
from drugasr.lexicon.dose import common_doses, spoken_variants
from drugasr.lexicon.drug import Drug, Lexicon

MIN_SIMILARITY = 0.5
"""Similarity (1 less the normalised distance) under which a transcript is none of the names."""
_UNIT_WORDS = ("gram", "grams", "percent", "unit", "units", "milli", "micro", "mg", "mcg", "migs", "mikes", "mils")
_MAX_DOSE_WORDS = 10


@dataclass(frozen=True, kw_only=True)
class TextAnswer:
    drugs: tuple[Drug, ...]
    """The nearest, nearest first; none for an empty transcript."""
    distances: tuple[float, ...]
    """Normalised Levenshtein distance of each to the transcript, 0 to 1."""
    dose: str | None
    """As it is written, such as `500 mg`; None where the transcript ends in none."""

    @property
    def similarity(self) -> float:
        """Of the nearest name: the only confidence that a text has, and calibrated on nothing."""
        return 1.0 - self.distances[0] if self.distances else 0.0


class TextRanker:
    def __init__(self, lexicon: Lexicon) -> None:
        self._drugs = [drug for drug in lexicon.drugs for _ in drug.spoken_forms]
        self._forms = [form for drug in lexicon.drugs for form in drug.spoken_forms]
        self._num_forms = max((len(drug.spoken_forms) for drug in lexicon.drugs), default=1)

    def answer(self, text: str, num_best: int) -> TextAnswer:
        """The dose is cut off before names are compared; equally near names stand in the order of the list."""
        name, dose = split_dose(text)
        # An empty text is as far from every name.
        nearest = rank_by_levenshtein(name, self._forms, num_best * self._num_forms) if name else None
        best: dict[str, tuple[Drug, float]] = {}
        for i, distance in zip(nearest.index_K, nearest.distance_K, strict=True) if nearest else ():
            best.setdefault(self._drugs[i].id, (self._drugs[i], float(distance)))
        kept = list(best.values())[:num_best]
        return TextAnswer(drugs=tuple(drug for drug, _ in kept), distances=tuple(distance for _, distance in kept), dose=dose)


def split_dose(text: str) -> tuple[str, str | None]:
    """`metformin five hundred milligrams` -> `metformin`, `500 mg`; the longest dose with a unit that the text ends in."""
    words: Sequence[str] = text.split()
    for first in range(max(1, len(words) - _MAX_DOSE_WORDS), len(words)):
        if written := _spoken_doses().get(" ".join(words[first:])):
            return " ".join(words[:first]), written
    return text, None


@cache
def _spoken_doses() -> Mapping[str, str]:
    """Every way of saying a marketed dose with its unit -> the dose as written; of two doses that sound alike, the commoner."""
    doses = common_doses()
    return {
        form: dose.written
        for dose in sorted(doses, key=doses.__getitem__)
        for form in spoken_variants(dose)
        if form.split()[-1].startswith(_UNIT_WORDS)
    }
