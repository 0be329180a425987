"""One corpus file becomes one file of predictions of one recogniser: what it answers to every clip.

Shapes: S samples, T frames, V symbols.
"""

import io
import math
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drugasr import audio, storage
from drugasr.corpus.reading import read_file
from drugasr.decoding.answer import Dose, Recognition
from drugasr.errors import AudioError
from drugasr.evaluation.noise import add_noise
from drugasr.evaluation.recognisers.recogniser import NUM_BEST, Hypothesis, SpeechRecogniser
from drugasr.evaluation.text_answer import MIN_SIMILARITY, TextAnswer, TextRanker
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.soundalikes import read_sound_alikes

_BATCH_CLIPS = 16
_KEPT_COLUMNS = ("id", "drug", "drug_id", "text", "engine", "voice", "accent", "dose", "snr_db", "duration_s")

PREDICTION_SCHEMA = pa.schema(
    [
        ("recogniser", pa.string()),
        *((name, pa.float32() if name in ("snr_db", "duration_s") else pa.string()) for name in _KEPT_COLUMNS),
        ("seen", pa.bool_()),  # whether training heard the name
        ("error", pa.string()),  # why the clip could not be heard, and has no answer; null: it was heard
        ("transcript", pa.string()),
        # By CTC likelihood, best first; null: a recogniser that writes text alone.
        ("ranked", pa.list_(pa.string())),  # drug ids
        ("log_likelihoods", pa.list_(pa.float64())),
        ("posteriors", pa.list_(pa.float64())),  # that each was said, given that one name of the list was
        ("ranked_levenshtein", pa.list_(pa.string())),
        ("distances", pa.list_(pa.float64())),  # normalised, 0 to 1
        ("answer", pa.string()),  # null: none of the list
        ("said_dose", pa.string()),  # as it was recognised, such as "500 mg"; null: none
        ("sound_alike", pa.bool_()),  # whether the first ranked is a listed sound-alike of what was said
        ("in_list", pa.float64()),  # probability that a name of the list was said; of text alone, the similarity
        ("confidence", pa.float64()),  # that the first ranked is right, though the answer be null; of text alone, the similarity
        ("needs_review", pa.bool_()),
        ("compute_s", pa.float64()),  # its share of the time that its batch took
        ("log_probs", pa.list_(pa.binary())),  # on request: float16 [T, V] of each member of an ensemble
        ("num_frames", pa.list_(pa.int32())),
    ]
)


class Predictor:
    """A recogniser and a list of names: clips of a corpus -> rows of predictions."""

    def __init__(
        self, name: str, recogniser: SpeechRecogniser, lexicon: Lexicon, *, snrs_db: Sequence[float] = (), keep_log_probs: bool = False
    ) -> None:
        """Hears each clip once more with noise at each of `snrs_db`, but for those that have noise already."""
        self._name, self._recogniser, self._snrs_db, self._keep_log_probs = name, recogniser, snrs_db, keep_log_probs
        self._drugs = {drug.id: drug for drug in lexicon.drugs}
        self._id_of = {drug.name: drug.id for drug in lexicon.drugs}
        self._ranker, self._sound_alikes = TextRanker(lexicon), read_sound_alikes()
        self._hear([np.zeros(audio.SAMPLE_RATE_HZ, np.float32) + 1e-3])  # what the first call compiles is no time of its clips

    def predict_file(self, corpus_uri: str, file_name: str, unseen_drug_ids: set[str], out_uri: str) -> int:
        """Writes the predictions for a file of the test split to `out_uri`; returns the number of rows."""
        table = read_file(corpus_uri, "test", file_name, [*_KEPT_COLUMNS, "audio"])
        rows = []
        for batch in table.to_batches(max_chunksize=_BATCH_CLIPS):
            rows += self.predict(batch.to_pylist(), unseen_drug_ids)
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA), buffer)
        storage.write_bytes(out_uri, buffer.getvalue())
        return len(rows)

    def predict(self, clips: Sequence[Mapping[str, Any]], unseen_drug_ids: set[str]) -> list[dict[str, Any]]:
        """A row a clip, in order. A clip that cannot be decoded has a row with the error, and costs no other."""
        clips = [one for clip in clips for one in (clip, *self._noisy(clip))]
        waves = [_decode(clip) for clip in clips]
        heard = iter(self._hear([wave_S for wave_S in waves if not isinstance(wave_S, str)]))
        rows = []
        for clip, wave_S in zip(clips, waves, strict=True):
            row = dict.fromkeys(PREDICTION_SCHEMA.names) | {"recogniser": self._name} | {name: clip[name] for name in _KEPT_COLUMNS}
            # A name that this list does not have is none of its names.
            row |= {"drug_id": clip["drug_id"] if clip["drug_id"] in self._drugs else None, "seen": clip["drug_id"] not in unseen_drug_ids}
            rows.append(row | ({"error": wave_S} if isinstance(wave_S, str) else self._columns(row["drug_id"], *next(heard))))
        return rows

    def _noisy(self, clip: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Its copies with noise still to come, which `_decode` adds: under ids of their own."""
        return [dict(clip) | {"id": noisy_id(clip["id"], snr_db), "snr_db": snr_db} for snr_db in self._snrs_db if clip["snr_db"] is None]

    def _hear(self, waves: Sequence[np.ndarray]) -> list[tuple[Hypothesis, float]]:
        """Each hypothesis, and the clip's share of the time in seconds, by its length."""
        start_s = time.perf_counter()
        hypotheses = self._recogniser.hear(waves) if waves else []
        took_s = time.perf_counter() - start_s
        num_samples = max(1, sum(map(len, waves)))
        return [(hypothesis, took_s * len(wave_S) / num_samples) for hypothesis, wave_S in zip(hypotheses, waves, strict=True)]

    def _columns(self, said: str | None, hypothesis: Hypothesis, compute_s: float) -> dict[str, Any]:
        text = self._ranker.answer(hypothesis.text, NUM_BEST)
        answer = self._ctc_columns(hypothesis.recognition) if hypothesis.recognition else _text_columns(text)
        levenshtein = [drug.id for drug in text.drugs]
        first = next(iter(answer.get("ranked", levenshtein)), None)
        return answer | {
            "transcript": hypothesis.text,
            "ranked_levenshtein": levenshtein,
            "distances": list(text.distances),
            "sound_alike": said is not None and first is not None and self._are_sound_alikes(said, first),
            "compute_s": compute_s,
            "log_probs": [logp_TV.astype(np.float16).tobytes() for logp_TV in hypothesis.log_probs] if self._keep_log_probs else None,
            "num_frames": [len(logp_TV) for logp_TV in hypothesis.log_probs] if self._keep_log_probs else None,
        }

    def _ctc_columns(self, answer: Recognition) -> dict[str, Any]:
        return {
            "ranked": [self._id_of[alternative.drug] for alternative in answer.alternatives],
            "log_likelihoods": [alternative.log_likelihood for alternative in answer.alternatives],
            "posteriors": [alternative.confidence / answer.in_list if answer.in_list else 0.0 for alternative in answer.alternatives],
            "answer": answer.drug,
            "said_dose": _written(answer.dose) if answer.dose else None,
            "in_list": answer.in_list,
            "confidence": answer.alternatives[0].confidence if answer.alternatives else 0.0,
            "needs_review": answer.needs_review,
        }

    def _are_sound_alikes(self, one: str, other: str) -> bool:
        forms = self._drugs[other].spoken_forms
        return any(partner in forms for form in self._drugs[one].spoken_forms for partner in self._sound_alikes.of(form))


def read_log_probs(row: Mapping[str, Any]) -> list[np.ndarray]:
    """logp_TV (float16, natural logs) of each member, from a row that was predicted with `keep_log_probs`."""
    return [np.frombuffer(data, np.float16).reshape(num_frames, -1) for data, num_frames in zip(row["log_probs"], row["num_frames"], strict=True)]


def _text_columns(text: TextAnswer) -> dict[str, Any]:
    return {
        "answer": text.drugs[0].name if text.similarity >= MIN_SIMILARITY else None,
        "said_dose": text.dose,
        "in_list": text.similarity,
        "confidence": text.similarity,
    }


def noisy_id(clip_id: str, snr_db: float) -> str:
    return f"{clip_id}@{snr_db:g}dB"


def heard_wave(data: bytes, clip_id: str) -> np.ndarray:
    """What a recogniser heard of a clip [S], with its noise where the id is a `noisy_id`. Raises AudioError."""
    wave_S = audio.decode(data)
    if not math.isfinite(float(np.abs(wave_S).sum())):
        raise AudioError("the clip holds samples that are not numbers")
    original, at, level = clip_id.partition("@")
    return add_noise(wave_S, original, float(level.removesuffix("dB"))) if at and len(wave_S) and np.any(wave_S) else wave_S


def _decode(clip: Mapping[str, Any]) -> np.ndarray | str:
    """The wave [S], or why there is none."""
    try:
        return heard_wave((clip["audio"] or {}).get("bytes") or b"", clip["id"])
    except AudioError as error:
        return str(error)


def _written(dose: Dose) -> str:
    """As `drugasr.lexicon.dose.Dose.written`."""
    return f"{Decimal(repr(dose.value)).normalize():f} {dose.unit}"
