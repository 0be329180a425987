"""Doses: which strengths of a drug are marketed, and how they are said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources

from num2words import num2words

from drugasr.errors import LexiconError
from drugasr.lexicon.drug import Drug

# RxNorm's units of what a patient is given, as they are written and said. Concentrations (MG/ML) are left out:
# nobody orders a drug by those.
_UNITS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "MG": {"written": ("mg", "mg"), "en": ("milligram", "milligrams"), "fa": ("میلی گرم", "میلی گرم")},
    "MCG": {"written": ("mcg", "mcg"), "en": ("microgram", "micrograms"), "fa": ("میکروگرم", "میکروگرم")},
    "UNT": {"written": ("units", "units"), "en": ("unit", "units"), "fa": ("واحد", "واحد")},
    "MEQ": {"written": ("mEq", "mEq"), "en": ("milliequivalent", "milliequivalents"), "fa": ("میلی اکی والان", "میلی اکی والان")},
    "%": {"written": ("%", "%"), "en": ("percent", "percent"), "fa": ("درصد", "درصد")},
}
LANGUAGES = ("en", "fa")
_MOST_SAID_IN_MCG = Decimal("0.3")  # mg: levothyroxine's strongest, 300 mcg on its box


@dataclass(frozen=True, kw_only=True)
class Dose:
    written: str
    """Such as `2.5 mg`."""
    spoken: str
    """Such as `two point five milligrams`; Persian in its own script."""


def marketed_doses(drug: Drug, language: str = "en") -> tuple[Dose, ...]:
    """The strengths in which `drug`, or the generic that it stands for, is sold, smallest first; none if unknown."""
    strengths = _strengths()
    return tuple(make_dose(value, unit, language) for value, unit in strengths.get(drug.spoken) or strengths.get(drug.generic.lower(), ()))


@cache  # num2words is slow, and a plan asks for every name again and again
def make_dose(value: Decimal, unit: str, language: str = "en") -> Dose:
    """`Decimal("2.5")`, `MG` as a dose. Raises LexiconError for a unit or a language that has no words here."""
    if unit not in _UNITS or language not in LANGUAGES:
        raise LexiconError(f"no words for the dose {value} {unit} in {language!r}: units are {', '.join(_UNITS)}, languages {', '.join(LANGUAGES)}")
    if unit == "MG" and value <= _MOST_SAID_IN_MCG:
        value, unit = value * 1000, "MCG"
    value = value.normalize()
    # num2words takes a whole Decimal for a number with decimals.
    number = num2words(int(value) if value == value.to_integral_value() else value, lang=language)
    # Nobody says "and"; a letter of the alphabet alone makes the English words.
    words = re.sub(r"[-,]| and ", " ", number) if language == "en" else number
    name = _UNITS[unit][language][value != 1]
    return Dose(written=f"{value:f} {_UNITS[unit]['written'][0]}", spoken=" ".join(f"{words} {name}".split()))


@cache
def _strengths() -> Mapping[str, tuple[tuple[Decimal, str], ...]]:
    """Ingredient -> its strengths in sayable units, smallest first."""
    found: dict[str, set[tuple[Decimal, str]]] = {}
    lines = (resources.files("drugasr.lexicon") / "data" / "strengths.tsv").read_text("utf-8").splitlines()
    for line in lines[1:]:
        ingredient, _, value, unit = line.split("\t")
        if unit in _UNITS:
            found.setdefault(ingredient, set()).add((Decimal(value), unit))
    return {ingredient: tuple(sorted(strengths)) for ingredient, strengths in found.items()}
