"""Rows of predictions: one a clip, whatever the clip is."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from drugasr.evaluation.metrics import compute_metrics
from drugasr.evaluation.prediction import PREDICTION_SCHEMA, Predictor, heard_wave, read_log_probs
from drugasr.evaluation.recognisers.recogniser import Hypothesis
from drugasr.evaluation.recognisers.spelling import as_spoken
from drugasr.evaluation.text_answer import MIN_SIMILARITY, TextRanker, split_dose
from drugasr.lexicon.drug import Drug, Lexicon

LEXICON = Lexicon("four", (
    Drug(id="1", name="Hydroxyzine", spoken="hydroxyzine"), Drug(id="2", name="Hydralazine", spoken="hydralazine"),
    Drug(id="3", name="Lasix", spoken="lasix", aliases=("furosemide",)), Drug(id="4", name="Zocor", spoken="zocor"),
))  # fmt: skip


class Dictation:
    """A recogniser that writes the texts it was given, one a clip."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.num_heard = iter(("", *texts)), 0  # the predictor warms it up with one clip

    def hear(self, waves):
        self.num_heard += len(waves)
        return [Hypothesis(text=next(self.texts), log_probs=(np.full((3, 4), -1.5, np.float32),)) for _ in waves]


def clip(data: bytes | None = None, **changes) -> dict:
    if data is None:
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(8_000, 0.1), 16_000, format="FLAC")
        data = buffer.getvalue()
    return {
        "id": "1", "drug": "Lasix", "drug_id": "3", "text": "lasix", "engine": "espeak", "voice": "espeak:en", "accent": "en", "dose": None, "snr_db": None,
        "duration_s": 0.5, "audio": {"bytes": data, "path": "1.flac"},
    } | changes  # fmt: skip


def predict(clips, *texts, **options):
    return Predictor("dictation", Dictation(*texts), LEXICON, **options).predict(clips, {"4"})


def not_a_number() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(8_000, np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


@pytest.mark.parametrize("broken", [b"", b"fLaC and then rubbish", not_a_number()])
def test_a_corrupt_clip_costs_its_own_row_and_nothing_else(broken):
    whole = predict([clip(id="1"), clip(id="2")], "lasix", "zocor")
    rows = predict([clip(id="1"), clip(broken, id="corrupt"), clip(id="2")], "lasix", "zocor")
    without_time = [row | {"compute_s": None} for row in rows]
    assert [row for row in without_time if row["id"] != "corrupt"] == [row | {"compute_s": None} for row in whole]
    assert rows[1]["error"] and rows[1]["transcript"] is None and rows[1]["drug_id"] == "3"
    metrics = compute_metrics(rows)["overall"]
    assert (metrics["num_clips"], metrics["num_failed"]) == (2, 1)
    assert {k: v for k, v in metrics.items() if k not in ("num_failed", "rtf")} == {
        k: v for k, v in compute_metrics(whole)["overall"].items() if k not in ("num_failed", "rtf")
    }


def test_a_file_of_nothing_but_corrupt_clips_has_its_rows():
    rows = predict([clip(b""), clip(b"x")])
    assert [row["error"] is not None for row in rows] == [True, True] and compute_metrics(rows)["overall"]["top1"] is None


def test_rows_survive_the_schema():
    rows = predict([clip(), clip(b"")], "lasix five hundred milligrams", keep_log_probs=True)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA), buffer)
    read = pq.read_table(buffer).to_pylist()
    assert read[0]["said_dose"] == "500 mg" and read[0]["ranked"] is None and read[0]["ranked_levenshtein"][0] == "3"
    (logp_TV,) = read_log_probs(read[0])
    np.testing.assert_array_equal(logp_TV, np.full((3, 4), -1.5, np.float16))


def test_a_sound_alike_that_came_first_is_marked():
    said = {"drug": "Hydroxyzine", "drug_id": "1", "text": "hydroxyzine"}
    rows = predict([clip(**said)] * 3, "hydralazine", "hydroxyzine", "zocor")
    assert [row["sound_alike"] for row in rows] == [True, False, False]
    assert compute_metrics(rows)["overall"]["sound_alike"] == pytest.approx(1 / 3)


def test_an_alias_counts_for_its_drug_and_names_of_other_lists_for_none():
    row, outsider = predict([clip(), clip(drug="Aspirin", drug_id="9", text="aspirin")], "furosemid", "qqqq")
    assert row["ranked_levenshtein"][0] == "3" and len(row["ranked_levenshtein"]) == len(row["distances"]) == 4
    assert row["distances"][0] == pytest.approx(0.1) and row["confidence"] == pytest.approx(0.9) and row["answer"] == "Lasix"
    assert outsider["drug_id"] is None and outsider["answer"] is None and outsider["confidence"] < MIN_SIMILARITY


def test_nothing_heard_is_near_no_name():
    (row,) = predict([clip()], "")
    assert row["ranked_levenshtein"] == [] and row["answer"] is None and row["confidence"] == 0.0


def test_unseen_names_are_told():
    assert [row["seen"] for row in predict([clip(), clip(drug_id="4")], "", "")] == [True, False]


@pytest.mark.parametrize(
    ("text", "name", "dose"),
    [
        ("lasix five hundred milligrams", "lasix", "500 mg"), ("lasix forty migs", "lasix", "40 mg"), ("insulin glargine ten units", "insulin glargine", "10 units"),
        ("lasix two point five milligrams", "lasix", "2.5 mg"), ("lasix", "lasix", None), ("five hundred milligrams", "five hundred milligrams", None),
        ("lasix five", "lasix five", None), ("", "", None),
    ],
)  # fmt: skip
def test_the_dose_at_the_end_of_a_text(text, name, dose):
    assert split_dose(text) == (name, dose)


def test_the_dose_is_no_part_of_the_name_that_is_compared():
    plain, dosed = (TextRanker(LEXICON).answer(text, 5) for text in ("zocor", "zocor five hundred milligrams"))
    assert dosed.drugs == plain.drugs and dosed.distances == plain.distances and dosed.distances[0] == 0.0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (" Metformin, 500 mg.", "metformin five hundred milligrams"), ("Insulin glargine 1,000 units", "insulin glargine one thousand units"),
        ("DIGOXIN 1mg", "digoxin one milligram"), ("Vitamin B12 2.5 µg", "vitamin b twelve two point five micrograms"), ("5% dextrose!", "five percent dextrose"),
        ("70/30", "seventy thirty"), ("\u201cCafé\u201d \u2014 [BLANK_AUDIO]", "cafe blank audio"), ("", ""), ("\u0436", ""),
    ],
)  # fmt: skip
def test_spelling(written, said):
    assert as_spoken(written) == said


class Ear(Dictation):
    """Remembers what it hears."""

    def hear(self, waves):
        self.waves = waves
        return [Hypothesis(text="") for _ in waves]


def test_noise_is_added_at_the_level_that_is_asked_for_under_ids_of_their_own():
    ear, buffer = Ear(), io.BytesIO()
    soundfile.write(buffer, 0.1 * np.sin(np.arange(8_000)), 16_000, format="FLAC")
    predictor = Predictor("ear", ear, LEXICON, snrs_db=(20.0, 5.0))
    rows = predictor.predict([clip(buffer.getvalue()), clip(buffer.getvalue(), id="2", snr_db=3.0), clip(b"", id="3")], set())
    assert [(row["id"], row["snr_db"]) for row in rows] == [
        ("1", None), ("1@20dB", 20.0), ("1@5dB", 5.0), ("2", 3.0), ("3", None), ("3@20dB", 20.0), ("3@5dB", 5.0)
    ]  # fmt: skip
    assert [row["error"] is not None for row in rows] == [False] * 4 + [True] * 3
    clean_S, *noisy = ear.waves[:3]
    for noisy_S, snr_db in zip(noisy, (20.0, 5.0), strict=True):
        power = np.mean(clean_S.astype(float) ** 2) / np.mean((noisy_S.astype(float) - clean_S) ** 2)
        assert 10 * np.log10(power) == pytest.approx(snr_db, abs=0.05)
    np.testing.assert_array_equal(ear.waves[3], clean_S)  # it came with noise
    np.testing.assert_array_equal(heard_wave(buffer.getvalue(), "1@5dB"), noisy[1])
