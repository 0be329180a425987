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
_KEPT_COLUMNS = ("id", "drug", "drug_id", "text", "engine", "voice", "accent", "snr_db", "duration_s")

PREDICTION_SCHEMA = pa.schema(
    [
        *((name, pa.float32() if name in ("snr_db", "duration_s") else pa.string()) for name in _KEPT_COLUMNS),
        ("seen", pa.bool_()),  # whether training heard the name
        ("transcript", pa.string()),
        ("ranked", pa.list_(pa.string())),  # drug ids by CTC likelihood, best first
        ("log_likelihoods", pa.list_(pa.float64())),
        ("ranked_levenshtein", pa.list_(pa.string())),
        ("answer", pa.string()),  # null: none of the list
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
    names = [drug.spoken for drug in lexicon.drugs]
    answers = recogniser.recognize([audio.decode(clip["audio"]["bytes"]) for clip in clips], NUM_BEST)
    for clip, answer in zip(clips, answers, strict=True):
        yield {name: clip[name] for name in _KEPT_COLUMNS} | {
            "seen": clip["drug_id"] not in unseen,
            "ranked": [ids[alternative.drug] for alternative in answer.alternatives],
            "log_likelihoods": [alternative.log_likelihood for alternative in answer.alternatives],
            "ranked_levenshtein": [lexicon.drugs[i].id for i in rank_by_levenshtein(answer.text, names, NUM_BEST).index_K],
            "transcript": answer.text,
            "answer": answer.drug,
            "confidence": answer.alternatives[0].confidence if answer.alternatives else 0.0,
            "needs_review": answer.needs_review,
        }
