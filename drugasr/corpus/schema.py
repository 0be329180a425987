"""The columns of a corpus, in the Hugging Face Audio convention."""

import json

import pyarrow as pa

SPLITS = ("train", "validation", "test")

_COLUMNS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # hash of everything that determines the audio
        pa.field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),  # FLAC, 16 kHz mono
        pa.field("text", pa.string()),  # what was said, in the model's alphabet
        pa.field("drug", pa.string()),
        pa.field("drug_id", pa.string()),  # null: a name that is not in the list
        pa.field("dose", pa.string()),  # null: the name alone
        pa.field("engine", pa.string()),
        pa.field("voice", pa.string()),
        pa.field("accent", pa.string()),
        pa.field("rate", pa.float32()),
        pa.field("pitch", pa.float32()),
        pa.field("augmentation", pa.string()),  # JSON of the parameters drawn; "" is clean
        pa.field("snr_db", pa.float32()),  # null: no noise was added
        pa.field("duration_s", pa.float32()),
        pa.field("sampling_rate", pa.int32()),
        pa.field("seed", pa.int64()),
        pa.field("source", pa.string()),  # tts | recording
    ]
)
# Without this, `datasets` reads `audio` as a plain struct and cannot play it.
_FEATURES = {
    field.name: {"_type": "Audio", "sampling_rate": 16_000}
    if field.name == "audio"
    else {"_type": "Value", "dtype": {"float": "float32"}.get(str(field.type), str(field.type))}
    for field in _COLUMNS
}
CORPUS_SCHEMA = _COLUMNS.with_metadata({"huggingface": json.dumps({"info": {"features": _FEATURES}})})

FAILURE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("drug_id", pa.string()),
        pa.field("engine", pa.string()),
        pa.field("voice", pa.string()),
        pa.field("split", pa.string()),
        pa.field("error", pa.string()),
        pa.field("tries", pa.int32()),  # over all runs
    ]
)
