"""Doses: which strengths of a drug are marketed, and all the ways in which one is said."""

import re
from collections import Counter
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
    "G": {"written": ("g", "g"), "en": ("gram", "grams"), "fa": ("گرم", "گرم")},
    "MCG": {"written": ("mcg", "mcg"), "en": ("microgram", "micrograms"), "fa": ("میکروگرم", "میکروگرم")},
    "UNT": {"written": ("units", "units"), "en": ("unit", "units"), "fa": ("واحد", "واحد")},
    "MEQ": {"written": ("mEq", "mEq"), "en": ("milliequivalent", "milliequivalents"), "fa": ("میلی اکی والان", "میلی اکی والان")},
    "ML": {"written": ("mL", "mL"), "en": ("milliliter", "milliliters"), "fa": ("میلی لیتر", "میلی لیتر")},
    "%": {"written": ("%", "%"), "en": ("percent", "percent"), "fa": ("درصد", "درصد")},
}
_SHORT_UNITS: Mapping[str, tuple[str, ...]] = {"MG": ("migs", "m g"), "MCG": ("mikes", "m c g"), "ML": ("mils", "m l"), "UNT": ("u",)}
LANGUAGES = ("en", "fa")
_MOST_SAID_IN_MCG = Decimal("0.3")  # mg: levothyroxine's strongest, 300 mcg on its box
_VOLUMES_ML = tuple(map(Decimal, ("2.5", "5", "10", "15", "20", "30")))  # a spoonful and its multiples: volumes, not strengths
RELEASE_SUFFIXES = ("er", "xr", "sr", "cr", "xl", "ir", "dr", "la", "extended release", "sustained release", "controlled release")
"""What may stand between a name and its dose; two letters are said one by one."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    value: Decimal
    unit: str
    """RxNorm's, such as `MG`."""
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
    spoken = f"{_words(value, language)} {_UNITS[unit][language][value != 1]}"
    return Dose(value=value, unit=unit, written=f"{value:f} {_UNITS[unit]['written'][0]}", spoken=spoken)


def common_doses() -> Mapping[Dose, float]:
    """Every dose that some ingredient is marketed in, and the volumes of spoons -> its share of all ingredients' strengths."""
    counts = Counter(make_dose(value, unit) for strengths in _strengths().values() for value, unit in strengths)
    counts |= Counter(make_dose(value, "ML") for value in _VOLUMES_ML)
    return {dose: count / counts.total() for dose, count in counts.items()}


@cache
def spoken_variants(dose: Dose) -> tuple[str, ...]:
    """The ways in which `dose` is said in English, the plain one first: `three twenty five`, `point five`, units or none."""
    numbers = _number_variants(dose.value)
    said = [f"{number} {unit}" for unit in (_UNITS[dose.unit]["en"][dose.value != 1], *_SHORT_UNITS.get(dose.unit, ())) for number in numbers]
    if dose.unit == "MG" and dose.value >= 1000:
        said += [f"{number} gram{'s' * (dose.value != 1000)}" for number in _number_variants(dose.value / 1000)]
    if dose.unit == "MCG":
        said += [f"{number} milligrams" for number in _number_variants((dose.value / 1000).normalize())]
    return tuple(dict.fromkeys([*said, *numbers]))


def _number_variants(value: Decimal) -> tuple[str, ...]:
    whole = int(value)
    plain = _words(value)
    found = [plain]
    if value != whole:
        if whole == 0:
            found += [plain.removeprefix("zero "), plain.replace("zero", "nought", 1)]
        if value - whole == Decimal("0.5"):
            found.append(f"{_words(whole)} and a half" if whole else "half")
    elif 100 < whole < 1000 and whole % 100:
        tail = _words(whole % 100)
        found.append(f"{_words(whole // 100)} {tail if whole % 100 > 9 else f'oh {tail}'}")
    elif 1000 < whole < 10_000 and whole % 100 == 0 and whole % 1000:
        found.append(f"{_words(whole // 100)} hundred")
    if plain.startswith("one hundred") or plain.startswith("one thousand"):
        found.append(plain.replace("one", "a", 1))
    return tuple(dict.fromkeys(found))


def _words(value: Decimal | int, language: str = "en") -> str:
    # num2words takes a whole Decimal for a number with decimals.
    words = num2words(int(value) if value == int(value) else value, lang=language)
    # Nobody says "and"; letters of the alphabet alone make the English words.
    return " ".join((re.sub(r"[-,]| and ", " ", words) if language == "en" else words).split())


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
