"""Aliases, marks, and rows that are one drug without their salts; what is asked of names and ids is in `test_reading`."""

import pytest

from drugasr.errors import LexiconError
from drugasr.lexicon.reading import read_lexicon


def faults(write, text: str, **settings) -> list[str]:
    with pytest.raises(LexiconError) as caught:
        read_lexicon(write(text), **settings)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize("separator", ["|", ";", " | ", "||", " ; |"])
def test_aliases(write, separator):
    drug = read_lexicon(write(f"name,aliases\nAcetaminophen,{separator.join(['Paracetamol', 'APAP', 'n-acetyl 4'])}{separator}\n")).drugs[0]
    assert (drug.aliases, drug.name) == (("paracetamol", "apap", "n acetyl four"), "Acetaminophen")
    assert drug.spoken_forms == ("acetaminophen", "paracetamol", "apap", "n acetyl four")


def test_aliases_between_semicolons_in_a_table_of_semicolons(write):
    assert read_lexicon(write('name;aliases\naspirin;"asa;acetylsalicylic acid"\n')).drugs[0].aliases == ("asa", "acetylsalicylic acid")


def test_an_alias_that_is_the_name_or_comes_twice_is_dropped(write):
    assert read_lexicon(write("name,aliases\nCo-codamol,co codamol|Solpadol|solpadol|CO/CODAMOL\n")).drugs[0].aliases == ("solpadol",)


def test_aliases_change_the_fingerprint_and_their_absence_does_not(write):
    plain = read_lexicon(write("name\naspirin\n")).fingerprint
    assert read_lexicon(write("name,aliases\naspirin,\n")).fingerprint == plain
    assert read_lexicon(write("name,aliases\naspirin,asa\n")).fingerprint != plain


def test_an_alias_stands_for_one_drug(write):
    assert faults(write, "name,aliases\naspirin,asa\nmesalazine,ASA|aspirin\ncodeine,mesalazine\n") == [
        "line 3: 'mesalazine': its alias 'ASA' is said like line 2 ('asa'): it may stand for one drug only",
        "line 3: 'mesalazine': its alias 'aspirin' is said like line 2 ('aspirin'): it may stand for one drug only",
        "line 4: 'codeine': its alias 'mesalazine' is said like line 3 ('mesalazine'): it may stand for one drug only",
    ]
    # The name is right, wherever it stands.
    assert faults(write, "name,aliases\naspirin,asa\nasa,\n") == [
        "line 2: 'aspirin': its alias 'asa' is said like line 3 ('asa'): it may stand for one drug only"
    ]


def test_aliases_obey_the_rules_of_names(write):
    found = faults(write, "name,aliases\naspirin,a|5%|aaaaaaa\n8%,9%\n", max_letters=6)
    assert [line.partition(":")[2].partition(":")[0] for line in found] == [
        " 'aspirin' has 7 letters, above the limit of 6",
        " 'aspirin'",
        " 'aspirin'",
        " 'aspirin'",
        " '8%' holds '%'",
        " '8%'",
    ]
    assert "its alias 'a' has fewer than 2 letters" in found[1]
    assert "its alias '5%' holds '%'" in found[2]
    assert "its alias 'aaaaaaa' has 7 letters, above the limit of 6" in found[3]
    assert "its alias '9%' holds '%'" in found[5]


@pytest.mark.parametrize(
    ("written", "is_marked"),
    [("yes", True), ("TRUE", True), ("1", True), ("Y", True), ("no", False), ("False", False), ("0", False), ("n", False), ("", False)],
)
def test_high_alert(write, written, is_marked):
    assert read_lexicon(write(f"name,High_Alert \nheparin,{written}\n")).drugs[0].high_alert is is_marked


def test_a_strange_high_alert_is_a_bad_row(write):
    assert faults(write, "name,high_alert\nheparin,perhaps\n") == ["line 2: 'heparin' has 'perhaps' under high_alert: write yes, no or nothing"]


TWO_SALTS = "name,aliases,kind,id,high_alert\n{}metoprolol tartrate,lopressor,generic,{},no\nMetoprolol succinate,toprol|metoprolol|lopressor,,{},yes\n"


def test_rows_that_differ_in_their_salts_alone_are_one_drug(write):
    lexicon = read_lexicon(write(TWO_SALTS.format("aspirin,,,,\n", "", "")), salts="strip")
    assert [drug.spoken for drug in lexicon.drugs] == ["aspirin", "metoprolol"]
    drug = lexicon.drugs[1]
    assert (drug.name, drug.id, drug.kind, drug.high_alert) == ("metoprolol tartrate", "metoprolol", "generic", True)
    assert drug.aliases == ("lopressor", "toprol")


@pytest.mark.parametrize(("first", "second"), [("m1", ""), ("", "m1"), ("m1", "m1")])
def test_one_drug_takes_the_id_that_there_is(write, first, second):
    assert [drug.id for drug in read_lexicon(write(TWO_SALTS.format("", first, second)), salts="strip").drugs] == ["m1"]


def test_two_ids_are_not_one_drug(write):
    text = TWO_SALTS.format("", "m1", "m2").replace("|metoprolol|lopressor", "")
    assert len(read_lexicon(write(text))) == 2
    (fault,) = faults(write, text, salts="strip")
    assert fault.startswith("line 3: 'Metoprolol succinate' is the drug of line 2 when its salt is not said ('metoprolol'), but has another id")


def test_what_is_a_bad_row_with_salts_is_one_without(write):
    text = "name,aliases,id\nmetoprolol tartrate,,m1\nMETOPROLOL-TARTRATE,,m2\n"
    expected = ["line 3: 'METOPROLOL-TARTRATE' is said like line 2 ('metoprolol tartrate'): keep one of them"]
    assert faults(write, text) == expected
    assert faults(write, text, salts="strip")[:1] == expected


def test_an_alias_may_become_another_drug_without_its_salt(write):
    text = "name,aliases\nmetoprolol,\ntoprol,metoprolol succinate\n"
    assert len(read_lexicon(write(text))) == 2
    assert "said like line 2 ('metoprolol')" in faults(write, text, salts="strip")[0]


def test_ids_stay_apart(write):
    drugs = read_lexicon(write("name,rxcui\naspirin,codeine\ncodeine,\n")).drugs
    assert [drug.id for drug in drugs] == ["aspirin", "codeine"]
