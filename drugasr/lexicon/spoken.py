"""How a written name is said, in the model's alphabet: lower-case a to z, apostrophe and single spaces."""

import re
import unicodedata
from functools import lru_cache
from itertools import islice

from num2words import num2words

MIN_LETTERS = 2
MAX_CHARACTERS = 1000  # far above any name; what is longer is not looked at
_SIGNS = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'"})
_MARKS = str.maketrans(dict.fromkeys("\u00ae\u2122\u2120", " "))
_SEPARATORS = re.compile(r"[\s/\-\u2010-\u2015\u2212]+")
_AND = re.compile(r"(?<=\w) ?[&+] ?(?=\w)")
# Up to 999999.999. Longer digits are a code, not a number, and 007 is not said like 7: both stay, to be refused.
_NUMBER = re.compile(r"(?<![0-9.])(0|[1-9][0-9]{0,5})(?:\.([0-9]{1,3}))?(?!\.?[0-9])")
_OUTSIDE_ALPHABET = re.compile(r"[^a-z' ]")
_MAX_SIGNS_SHOWN = 8


def spoken_form(name: str) -> str:
    """`name` as it is said: lower case, accents folded, hyphens and slashes as spaces, `&` and `+` as "and", numbers in words.

    Trade marks are dropped. What the alphabet still lacks (brackets, for one) stays in, for `why_unsayable` to name.
    """
    if not name.isascii():
        # The marks go first: decomposed, a trade mark is the letters "TM".
        decomposed = unicodedata.normalize("NFKD", name.translate(_MARKS)).translate(_SIGNS)
        name = "".join(character for character in decomposed if not unicodedata.combining(character))
    plain = name.lower()
    if plain.isalpha():
        return plain
    plain = _SEPARATORS.sub(" ", plain).strip()
    if not plain.replace(" ", "").isalpha():
        plain = _NUMBER.sub(_say_number, _AND.sub(" and ", plain))
    return " ".join(plain.split())


def why_unsayable(form: str, max_letters: int) -> tuple[str, str] | None:
    """Why a spoken form cannot be in a list: the problem in a few words, and the same with what to do; None if it can."""
    if not form:
        return "no name", "has no name: write one or delete the row"
    if found := dict.fromkeys(_OUTSIDE_ALPHABET.findall(form)):
        signs = ", ".join(map(_show, islice(found, _MAX_SIGNS_SHOWN))) + (", ..." if len(found) > _MAX_SIGNS_SHOWN else "")
        advice = "write it as it is said, in letters a to z, apostrophes, spaces and numbers below a million"
        return "cannot be said", f"holds {signs}: {advice}"
    num_letters = len(form) - form.count(" ") - form.count("'")
    if num_letters < MIN_LETTERS:
        return "too short", f"has fewer than {MIN_LETTERS} letters: too short to recognise; write it in full or delete it"
    if num_letters > max_letters:
        return "too long", f"has {num_letters} letters, above the limit of {max_letters}: shorten it (or raise lexicon.max_letters)"
    return None


def _say_number(match: re.Match[str]) -> str:
    whole, decimals = match.groups()
    words = _words(whole)
    return f" {words} point {' '.join(map(_words, decimals))} " if decimals else f" {words} "


@lru_cache(maxsize=10_000)  # num2words takes 30 us, and lists say 12 again and again
def _words(digits: str) -> str:
    return re.sub(r"[-,]| and ", " ", num2words(int(digits)))


def _show(character: str) -> str:
    return repr(character) if character.isprintable() and character.isascii() else f"{character!r} (U+{ord(character):04X})"
