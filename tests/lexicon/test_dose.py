from decimal import Decimal

import pytest

from drugasr.errors import LexiconError
from drugasr.lexicon.dose import make_dose, marketed_doses
from drugasr.lexicon.drug import Drug


@pytest.mark.parametrize(
    ("value", "unit", "written", "spoken"),
    [
        ("500", "MG", "500 mg", "five hundred milligrams"),
        ("1", "MG", "1 mg", "one milligram"),
        ("2.50", "MG", "2.5 mg", "two point five milligrams"),
        ("325", "MG", "325 mg", "three hundred twenty five milligrams"),
        ("1000", "MG", "1000 mg", "one thousand milligrams"),
        ("0.125", "MG", "125 mcg", "one hundred twenty five micrograms"),
        ("0.5", "MG", "0.5 mg", "zero point five milligrams"),
        ("100", "UNT", "100 units", "one hundred units"),
        ("20", "MEQ", "20 mEq", "twenty milliequivalents"),
        ("1", "%", "1 %", "one percent"),
    ],
)
def test_english_doses_are_said_in_the_models_alphabet(value, unit, written, spoken):
    dose = make_dose(Decimal(value), unit)
    assert (dose.written, dose.spoken) == (written, spoken)
    assert set(dose.spoken) <= set("abcdefghijklmnopqrstuvwxyz ")


def test_persian_doses():
    assert make_dose(Decimal(500), "MG", "fa").spoken == "پانصد میلی گرم"
    assert make_dose(Decimal("2.5"), "MG", "fa").spoken == "دو و نیم میلی گرم"


@pytest.mark.parametrize(("unit", "language"), [("MG/ML", "en"), ("MG", "de")])
def test_what_has_no_words_is_refused(unit, language):
    with pytest.raises(LexiconError, match="no words for the dose 5"):
        make_dose(Decimal(5), unit, language)


def test_a_brand_is_sold_like_its_generic():
    generic = Drug(id="1", name="zolpidem", spoken="zolpidem")
    brand = Drug(id="2", name="Ambien", spoken="ambien", generic="Zolpidem")
    assert [dose.written for dose in marketed_doses(generic)][:3] == ["1.75 mg", "3.5 mg", "5 mg"]
    assert marketed_doses(brand) == marketed_doses(generic)
    assert marketed_doses(Drug(id="3", name="x", spoken="notadrug")) == ()
