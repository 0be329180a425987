import zipfile
from pathlib import Path

import pytest

from drugasr.errors import LexiconError
from drugasr.lexicon.reading import read_lexicon

NAMES = [
    (1191, "RXNORM", "IN", "aspirin", "N"),
    (1191, "MMSL", "IN", "ASPIRIN (acetylsalicylic acid)", "N"),
    (1191, "RXNORM", "SY", "acetylsalicylic acid", "N"),
    (161, "RXNORM", "IN", "acetaminophen", "N"),
    (202433, "RXNORM", "BN", "Tylenol", "N"),
    (215256, "RXNORM", "BN", "Anacin", "N"),
    (1886, "RXNORM", "IN", "caffeine", "N"),
    (999, "RXNORM", "IN", "gone", "O"),
    (1000, "RXNORM", "SCD", "aspirin 81 MG Oral Tablet", "N"),
    (1001, "RXNORM", "IN", "insulin, regular, human", "N"),
    (1002, "RXNORM", "BN", "Humulin R", "N"),
    (1003, "RXNORM", "BN", "ASPIRIN", "N"),
    (1004, "RXNORM", "BN", "Vitamin B12 Cré", "N"),
    (1005, "RXNORM", "IN", "x" * 61, "N"),
    (1006, "RXNORM", "BN", "Aspirin Sodium", "N"),
]
RELATIONS = [
    (161, 202433, "tradename_of"),
    (202433, 161, "has_tradename"),
    (1191, 215256, "tradename_of"),
    (215256, 1886, "has_tradename"),
    (1001, 1002, "tradename_of"),
    (1191, 1004, "ingredient_of"),
    (999, 1004, "tradename_of"),
    ("", "", "tradename_of"),
]
NAMES_TEXT = "".join(f"{rxcui}|ENG||||||{i}|{i}|{rxcui}||{sab}|{tty}|{rxcui}|{name}||{suppress}|4096|\n" for i, (rxcui, sab, tty, name, suppress) in enumerate(NAMES))
RELATIONS_TEXT = "".join(f"{one}||CUI|RO|{other}||CUI|{rela}|{i}||RXNORM|RXNORM||||4096|\n" for i, (one, other, rela) in enumerate(RELATIONS))
EXPECTED = [
    ("1191", "aspirin", "generic", ""),
    ("161", "acetaminophen", "generic", ""),
    ("202433", "Tylenol", "brand", "acetaminophen"),
    ("215256", "Anacin", "brand", ""),  # two ingredients
    ("1886", "caffeine", "generic", ""),
    ("1002", "Humulin R", "brand", "insulin, regular, human"),
    ("1004", "Vitamin B12 Cré", "brand", ""),
    ("1006", "Aspirin Sodium", "brand", ""),
]


def folder_of(path: Path, names: str | bytes = NAMES_TEXT, relations: str | None = RELATIONS_TEXT) -> Path:
    path.mkdir(parents=True)
    (path / "RXNCONSO.RRF").write_bytes(names if isinstance(names, bytes) else names.encode())
    if relations is not None:
        (path / "RXNREL.RRF").write_text(relations)
    return path


def zip_of(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def facts(source: object, **settings) -> list[tuple[str, str, str, str]]:
    return [(drug.id, drug.name, drug.kind, drug.generic) for drug in read_lexicon(str(source), **settings).drugs]


def test_a_release_as_it_is_downloaded(tmp_path, capsys):
    files = {"prescribe/rrf/RXNCONSO.RRF": "x", "rrf/RXNCONSO.RRF": NAMES_TEXT, "rrf/RXNREL.RRF": RELATIONS_TEXT, "Readme.txt": "hello"}
    release = zip_of(tmp_path / "RxNorm_full_10062025.zip", files)
    assert facts(release) == EXPECTED
    assert facts(f"file://{release}") == EXPECTED
    assert read_lexicon(str(release)).name == "RxNorm_full_10062025"
    told = capsys.readouterr().err
    assert "RxNorm: 8 names; left out: 1 cannot be said, 1 said like another, 1 too long" in told
    assert "insulin" not in told


@pytest.mark.parametrize("place", ["", "rrf"])
def test_a_folder_or_a_file(tmp_path, place):
    folder = folder_of(tmp_path / "RxNorm" / place)
    assert facts(tmp_path / "RxNorm") == facts(folder / "RXNCONSO.RRF") == facts(f"file://{tmp_path}/RxNorm") == EXPECTED


def test_without_relations_no_brand_has_a_generic(tmp_path):
    folder_of(tmp_path / "release", relations=None)
    assert facts(tmp_path / "release") == [(*drug[:3], "") for drug in EXPECTED]


def test_rows_may_have_lost_their_last_bar_and_gained_a_carriage_return(tmp_path):
    text = NAMES_TEXT.replace("4096|\n", "4096\r\n") + "\r\n"
    assert facts(folder_of(tmp_path / "release", text, RELATIONS_TEXT.replace("4096|\n", "4096\r\n"))) == EXPECTED


def test_salts_and_lengths_are_as_for_any_list(tmp_path, capsys):
    release = folder_of(tmp_path / "release")
    assert [name for _, name, _, _ in facts(release, salts="strip")] == [name for _, name, _, _ in EXPECTED[:-1]]
    assert "1 another id than the same drug" in capsys.readouterr().err
    assert len(facts(release, max_letters=8)) == 5
    with pytest.raises(LexiconError, match="none of the 11 names can be in a list"):
        read_lexicon(str(release), max_letters=5)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES_TEXT[:-40], "RXNCONSO.RRF, line 15: 1. columns and not 18: the file is cut short or damaged"),
        (NAMES_TEXT.replace("4096|\n", "4096|x|\n"), "line 1: 19 columns and not 18"),
        ("a list\n", "line 1: 0 columns and not 18"),
        ("x" * 10_000_000, "line 1: 0 columns"),
        (NAMES_TEXT.encode("latin-1"), "line 13: not UTF-8"),
        (NAMES_TEXT.replace("RXNORM", "MMSL"), "no current ingredient or brand name of RxNorm is in it"),
        ("", "no current ingredient"),
    ],
)
def test_damaged_names(tmp_path, names, message):
    with pytest.raises(LexiconError, match=message):
        read_lexicon(str(folder_of(tmp_path / "release", names)))


def test_damaged_relations(tmp_path):
    with pytest.raises(LexiconError, match="RXNREL.RRF, line 8: .* columns and not 16"):
        read_lexicon(str(folder_of(tmp_path / "release", relations=RELATIONS_TEXT[:-30])))


def test_zips_that_hold_no_release(tmp_path):
    with pytest.raises(LexiconError, match=r"holds no RXNCONSO.RRF: give a release of RxNorm"):
        read_lexicon(str(zip_of(tmp_path / "empty.zip", {})))
    with pytest.raises(LexiconError, match=r"holds no RXNCONSO.RRF"):
        read_lexicon(str(zip_of(tmp_path / "list.zip", {"names.csv": "name\naspirin\n"})))


def test_damaged_zips(tmp_path):
    sound = zip_of(tmp_path / "sound.zip", {"rrf/RXNCONSO.RRF": NAMES_TEXT * 50}).read_bytes()
    damaged = {"none": b"", "text": b"name\naspirin\n", "cut": sound[: len(sound) // 2], "bits": sound[:200] + b"\0" * 50 + sound[250:]}
    for name, data in damaged.items():
        (tmp_path / f"{name}.zip").write_bytes(data)
        with pytest.raises(LexiconError, match=f"cannot read .*{name}.zip as a release of RxNorm"):
            read_lexicon(str(tmp_path / f"{name}.zip"))


def test_an_encrypted_zip(tmp_path):
    path = zip_of(tmp_path / "secret.zip", {"rrf/RXNCONSO.RRF": NAMES_TEXT})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(LexiconError, match="is encrypted: unpack it"):
        read_lexicon(str(path))
