import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drugasr.lexicon.spoken import spoken_form, why_unsayable


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("Aspirin", "aspirin"),
        ("  Co-Trimoxazole ", "co trimoxazole"),
        ("amoxicillin/clavulanate", "amoxicillin clavulanate"),
        ("Caf\u00e9ine \u2013  Forte", "cafeine forte"),
        ("St John\u2019s wort", "st john's wort"),
        ("\ufb01lgrastim", "filgrastim"),
        ("vitamin b12", "vitamin b twelve"),
        ("Vitamin B\u2081\u2082", "vitamin b twelve"),
        ("5-fluorouracil", "five fluorouracil"),
        ("polyethylene glycol 3350", "polyethylene glycol three thousand three hundred fifty"),
        ("technetium tc-99m", "technetium tc ninety nine m"),
        ("selenium sulfide 2.5", "selenium sulfide two point five"),
        ("drug 0.05", "drug zero point zero five"),
        ("drug 2.50", "drug two point five zero"),
        ("drug 999999", "drug nine hundred ninety nine thousand nine hundred ninety nine"),
        ("10/20", "ten twenty"),
        ("A&D", "a and d"),
        ("aspirin + caffeine", "aspirin and caffeine"),
        ("a+b+c", "a and b and c"),
        ("Tylenol\u00ae", "tylenol"),
        ("Advil\u2122 PM\u00ae", "advil pm"),
        ("Advil\u00ae/Motrin\u00ae", "advil motrin"),
    ],
)
def test_how_a_name_is_said(name, spoken):
    assert spoken_form(name) == spoken
    assert why_unsayable(spoken, 60) is None


@pytest.mark.parametrize(
    ("name", "signs"),
    [
        ("dextrose 5%", "'%'"),
        ("insulin (human)", "'(', ')'"),
        ("\u0153stradiol", "'\u0153' (U+0153)"),
        ("\u0430spirin", "'\u0430' (U+0430)"),
        ("drug \u0663", "'\u0663' (U+0663)"),
        ("drug 007", "'0', '7'"),
        ("drug 1000000", "'1', '0'"),
        ("drug " + "9" * 30, "'9'"),
        ("drug 1.2345", "'1', '.', '2', '3', '4', '5'"),
        ("drug 1.2.3", "'1', '.', '2', '3'"),
        ("drug 1,000", "',', '0'"),
        ("vitamin d+", "'+'"),
        ("& co", "'&'"),
        ("a&&b", "'&'"),
        ("".join(map(chr, range(0x4E00, 0x4E20))), "'\u4e07' (U+4E07), ...:"),
    ],
)
def test_what_cannot_be_said_is_named(name, signs):
    kind, detail = why_unsayable(spoken_form(name), 60)
    assert (kind, detail.startswith("holds ")) == ("cannot be said", True)
    assert signs in detail


@pytest.mark.parametrize(("form", "kind"), [("", "no name"), ("q", "too short"), ("''", "too short"), ("a b c", None), ("a b c d", "too long")])
def test_lengths_count_letters_alone(form, kind):
    problem = why_unsayable(form, 3)
    assert (problem[0] if problem else None) == kind


@given(st.one_of(st.text(), st.text("aB1 .,'-/&+\u00ae\u2122\u00e9%\u2019"), st.from_regex(r"[a-zA-Z0-9 .&+/-]{1,30}", fullmatch=True)))
@example("\u0149")  # decomposes to an apostrophe of its own
@example("-&-a")
@example("5.&.5")
def test_a_spoken_form_is_in_the_alphabet_or_refused_and_stays_as_it_is(name):
    form = spoken_form(name)
    assert spoken_form(form) == form
    if why_unsayable(form, 1000) is None:
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", form)


@given(st.integers(0, 999_999), st.from_regex("[0-9]{0,3}", fullmatch=True))
def test_every_number_below_a_million_is_said(whole, decimals):
    form = spoken_form(f"drug {whole}.{decimals}" if decimals else f"drug {whole}")
    assert re.fullmatch(r"drug( [a-z]+)+", form) and " and " not in form
