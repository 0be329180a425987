"""One corpus file becomes one file of predictions: what a recogniser answers to every clip."""

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drugasr import audio, storage
from drugasr.corpus.reading import read_file
from drugasr.decoding.levenshtein import rank_by_levenshtein
from drugasr.lexicon.drug import Lexicon
from drugasr.recognition import Recognizer

NUM_BEST = 5
_BATCH_CLIPS = 16
_KEPT_COLUMNS = ("id", "drug", "drug_id", "text", "engine", "voice", "accent", "dose", "snr_db", "duration_s")

PREDICTION_SCHEMA = pa.schema(
    [
        *((name, pa.float32() if name in ("snr_db", "duration_s") else pa.string()) for name in _KEPT_COLUMNS),
        ("seen", pa.bool_()),  # whether training heard the name
        ("transcript", pa.string()),
        ("ranked", pa.list_(pa.string())),  # drug ids by CTC likelihood, best first
        ("log_likelihoods", pa.list_(pa.float64())),
        ("posteriors", pa.list_(pa.float64())),  # that each was said, given that one name of the list was
        ("ranked_levenshtein", pa.list_(pa.string())),
        ("answer", pa.string()),  # null: none of the list
        ("said_dose", pa.string()),  # as it was recognised, such as "500 mg"; null: none
        ("in_list", pa.float64()),  # probability that a name of the list was said
        ("confidence", pa.float64()),  # that the first ranked is right, though the answer be null
        ("needs_review", pa.bool_()),
    ]
)


def predict_file(
    recogniser: Recognizer, lexicon: Lexicon, corpus_uri: str, file_name: str, unseen_drug_ids: set[str], out_uri: str
) -> int:
    """Writes the predictions for a file of the test split to `out_uri`; returns the number of clips."""
    table = read_file(corpus_uri, "test", file_name, [*_KEPT_COLUMNS, "audio"])
    rows = []
    for batch in table.to_batches(max_chunksize=_BATCH_CLIPS):
        rows += _predict(recogniser, lexicon, batch.to_pylist(), unseen_drug_ids)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA), buffer)
    storage.write_bytes(out_uri, buffer.getvalue())
    return len(rows)


def _predict(recogniser: Recognizer, lexicon: Lexicon, clips: list[dict[str, Any]], unseen: set[str]) -> Iterator[dict[str, Any]]:
    ids = {drug.name: drug.id for drug in lexicon.drugs}
    listed = set(ids.values())
    forms = [(drug.id, form) for drug in lexicon.drugs for form in drug.spoken_forms]
    answers = recogniser.recognize([audio.decode(clip["audio"]["bytes"]) for clip in clips], NUM_BEST)
    for clip, answer in zip(clips, answers, strict=True):
        nearest = rank_by_levenshtein(answer.text, [form for _, form in forms], NUM_BEST).index_K
        yield {name: clip[name] for name in _KEPT_COLUMNS} | {
            # A name that this list does not have is none of its names.
            "drug_id": clip["drug_id"] if clip["drug_id"] in listed else None,
            "seen": clip["drug_id"] not in unseen,
            "ranked": [ids[alternative.drug] for alternative in answer.alternatives],
            "log_likelihoods": [alternative.log_likelihood for alternative in answer.alternatives],
            "posteriors": [alternative.confidence / answer.in_list if answer.in_list else 0.0 for alternative in answer.alternatives],
            "ranked_levenshtein": list(dict.fromkeys(forms[i][0] for i in nearest)),
            "transcript": answer.text,
            "answer": answer.drug,
            "said_dose": f"{answer.dose.value:g} {answer.dose.unit}" if answer.dose else None,
            "in_list": answer.in_list,
            "confidence": answer.alternatives[0].confidence if answer.alternatives else 0.0,
            "needs_review": answer.needs_review,
        }
