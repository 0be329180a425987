"""How a folder and a manifest name recordings."""

import pytest
from recording_folder import LEXICON, faults_of

from drugasr.corpus.recording_list import parse_stem


@pytest.mark.parametrize(
    ("stem", "name", "dose"),
    [
        ("aspirin", "aspirin", ""),
        ("aspirin2", "aspirin", ""),
        ("aspirin123", "aspirin", ""),
        ("Aspirin 2", "Aspirin", ""),
        ("aspirin-2", "aspirin", ""),
        ("aspirin_2", "aspirin", ""),
        ("aspirin(2)", "aspirin", ""),
        ("aspirin (2)", "aspirin", ""),
        ("co-trimoxazole-2", "co-trimoxazole", ""),
        ("folic_acid", "folic acid", ""),
        ("folic_acid_3", "folic acid", ""),
        ("folic_acid_5mg", "folic acid", "5mg"),
        ("folic acid_5 mg (2)", "folic acid", "5 mg"),
        ("aspirin_0.5mg(12)", "aspirin", "0.5mg"),
        ("aspirin_5%2", "aspirin", "5%"),
        ("aspirin_100mg_2", "aspirin", "100mg"),
        ("aspirin_500", "aspirin", "500"),  # a dose without its unit, which is refused
        ("aspirin_40(2)", "aspirin", "40"),
        ("aspirin_0.5", "aspirin", "0.5"),
    ],
)
def test_a_file_name_tells_name_and_dose(stem, name, dose):
    assert parse_stem(stem, {drug.spoken for drug in LEXICON.drugs}) == (name, dose)


@pytest.mark.parametrize(("name", "separator"), [("list.csv", ","), ("list.csv", ";"), ("list.tsv", "\t")])
def test_a_manifest_becomes_rows(folder, recorded, name, separator):
    folder.add("a b.wav")
    folder.add("deep/b.wav")
    whole = folder.add("c.ogg")
    table = [
        ("\ufeffPath", "notes", "Drug", "speaker", "dose", "split"),
        ("a b.wav", "x", "ASPIRIN", "Ann", "100 mg", "validation"),
        ("", "", "", "", "", ""),
        ("deep/b.wav", "", "co trimoxazole", "Bob", "", "Train"),
        (str(whole), "", "Warfarin", "Ann", "1 unit", ""),
    ]
    source = folder.manifest("\n".join(separator.join(cells) for cells in table) + "\n", name)
    rows, failures = recorded.build(source)
    assert not any(failures.values())
    assert [row["text"] for row in rows["train"]] == ["co trimoxazole"]
    # Ann's other recording follows the split that is demanded for her.
    assert sorted((row["text"], row["dose"], row["voice"]) for row in rows["validation"]) == [
        ("aspirin one hundred milligrams", "100 mg", "recording:ann"),
        ("warfarin one unit", "1 units", "recording:ann"),
    ]


def test_locations_may_be_uris(folder, recorded):
    folder.add("Anna #1é/aspirin (1).wav")
    folder.add("Anna #1é/folic acid_5%.wav")
    rows, _ = recorded.build(f"file://{folder.path}")
    assert sorted(row["text"] for split in rows.values() for row in split) == ["aspirin", "folic acid five percent"]
    rows, _ = recorded.build("file://" + folder.manifest("path,drug\nAnna #1é/aspirin (1).wav,aspirin\n"))
    assert [row["text"] for row in rows["test"]] == ["aspirin"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,drug\na.wav,aspirin\n", "must have `path` and `drug` once each, but has 'file', 'drug'"),
        ("path,path,drug\na.wav,b.wav,aspirin\n", "once each"),
        ("", "but has nothing"),
        ("path,drug\n", "lists no recording"),
        ('path,drug\n"a.wav,aspirin\n', "line 2: broken quotes"),
    ],
)
def test_a_table_that_is_none_is_refused(folder, text, complaint):
    assert complaint in "\n".join(faults_of(folder.manifest(text)))


def test_a_source_that_cannot_be_read_is_refused(folder):
    assert "cannot read the recordings" in faults_of(folder.path / "nowhere")[0]
    assert "cannot read the recordings" in faults_of(folder.path / "nowhere.csv")[0]
    assert "lists no recording" in faults_of(folder.path)[0]
    (folder.path / "latin.csv").write_bytes("path,drug\né.wav,aspirin\n".encode("latin-1"))
    assert "not UTF-8" in faults_of(folder.path / "latin.csv")[0]
