"""What a recogniser writes, in the alphabet of spoken forms: a to z, apostrophe, single spaces; numbers and units in words."""

import re

from drugasr.lexicon.spoken import spoken_form

_UNITS = {"mg": "milligram", "mcg": "microgram", "ug": "microgram", "ml": "milliliter", "meq": "milliequivalent", "g": "gram", "%": "percent"}
_DOSE = re.compile(rf"(\d[\d.]*)\s*({'|'.join(_UNITS)})(?![a-z])", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_FOREIGN = re.compile(r"[^a-z' ]+")


def as_spoken(text: str) -> str:
    """`Metformin, 500 mg.` -> `metformin five hundred milligrams`. What the alphabet lacks is left out."""
    text = _THOUSANDS.sub("", text.replace("\u00b5g", "ug").replace("\u03bcg", "ug"))
    text = _DOSE.sub(_say_unit, text)
    plain = _FOREIGN.sub(" ", spoken_form(text))
    return " ".join(plain.split())


def _say_unit(match: re.Match[str]) -> str:
    unit = _UNITS[match[2].lower()]
    return f"{match[1]} {unit}{'' if match[1] == '1' or unit == 'percent' else 's'}"
