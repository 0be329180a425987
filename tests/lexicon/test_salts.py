import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugasr.lexicon.reading import read_lexicon
from drugasr.lexicon.salts import METALS, SALTS, strip_salts


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("metoprolol tartrate", "metoprolol"),
        ("morphine sulphate", "morphine"),
        ("amlodipine besilate", "amlodipine"),
        ("dextromethorphan hbr", "dextromethorphan"),
        ("amoxicillin trihydrate", "amoxicillin"),
        ("amoxicillin clavulanate potassium", "amoxicillin clavulanate"),
        ("clopidogrel hydrogen sulfate", "clopidogrel"),
        ("dexamethasone sodium phosphate", "dexamethasone"),
        ("methylprednisolone sodium succinate", "methylprednisolone"),
        ("bupivacaine hydrochloride monohydrate", "bupivacaine"),
        ("sevelamer carbonate", "sevelamer"),
        ("magnesium sulfate heptahydrate", "magnesium sulfate"),
        ("fentanyl citrate", "fentanyl"),
    ],
)
def test_salts_at_the_end_are_not_said(name, stripped):
    assert strip_salts(name) == stripped


@pytest.mark.parametrize(
    "name",
    [
        "metoprolol",
        "sodium",
        "potassium chloride",
        "sodium bicarbonate",
        "calcium carbonate",
        "lithium citrate",
        "ferrous sulfate",
        "monobasic sodium phosphate",
        "potassium sodium tartrate",
        "dextrose potassium chloride",  # dextrose/potassium chloride, two drugs
        "aspirin and calcium carbonate",
        "vitamin d with calcium",
        "sodium valproate",
        "l lysine",
        "dimethyl fumarate",
        "ethyl chloride",
        "ringer's lactate",
        "edetate disodium",
        "edetate calcium disodium",
        "haloperidol decanoate",
        "penicillin g benzathine",
        "chloral hydrate",
        "isosorbide mononitrate",
        "",
    ],
)
def test_what_would_be_no_drug_or_another_one_stays_whole(name):
    assert strip_salts(name) == name


@given(st.lists(st.sampled_from(sorted(SALTS | METALS | {"metoprolol", "and", "l"})), min_size=1, max_size=5).map(" ".join))
def test_something_is_always_left_and_nothing_is_put_in(name):
    stripped = strip_salts(name)
    assert stripped and f"{name} ".startswith(f"{stripped} ")
    assert not (stripped != name and set(stripped.split()) <= SALTS | METALS and stripped.split()[-1] in METALS)


def test_the_full_list_without_salts():
    kept, stripped = read_lexicon("full"), read_lexicon("full", salts="strip")
    assert {"metoprolol", "metoprolol tartrate"} <= {drug.spoken for drug in kept.drugs}
    assert {drug.spoken for drug in stripped.drugs} == {strip_salts(drug.spoken) for drug in kept.drugs}
