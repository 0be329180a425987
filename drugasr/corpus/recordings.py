"""Real recordings as rows of the corpus: dealt to splits by speaker, checked like any clip, never one twice.

`recording_list` says how a folder or a manifest names them. A speaker stands in one split alone: the one that the
manifest demands, else one drawn from the speaker's name; who is not named counts as one speaker and is for test.
Training leaves out the names that are kept unseen. A file whose bytes came before, in any split, is a failure row;
the same samples in another container (WAV and FLAC) are recognised within one shard only.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from drugasr import audio, storage
from drugasr.config import CorpusConfig
from drugasr.corpus.plan import is_unseen
from drugasr.corpus.quality import find_fault
from drugasr.corpus.recording_check import UNKNOWN_SPEAKER, Recording, read_recordings
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import ShardReport, write_rows
from drugasr.errors import AudioError
from drugasr.fingerprint import fingerprint, fraction_of, seed_of
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say

_TRAIN_FRACTION, _VALIDATION_FRACTION = 0.6, 0.2  # of the speakers; the rest is for test


@dataclass(frozen=True, kw_only=True)
class RecordingShard:
    """One Parquet file: some recordings of one split."""

    engine: ClassVar[str] = "recording"
    split: str
    bucket: int
    num_buckets: int
    recordings: tuple[Recording, ...]

    @property
    def num_clips(self) -> int:
        return len(self.recordings)

    @cached_property
    def file_name(self) -> str:
        """Ends in a hash of the content, so that a file that is there is a file that is right."""
        content = fingerprint([(r.id, r.drug, r.dose, r.speaker, r.duplicate_of) for r in self.recordings])
        return f"part-{self.engine}-{self.bucket:05d}-of-{self.num_buckets:05d}-{content}.parquet"


def plan_recordings(source: str, lexicon: Lexicon, config: CorpusConfig) -> list[RecordingShard]:
    """The shards of the folder or manifest `source`; none for an empty `source`. Raises RecordingError with every bad row."""
    if not source:
        return []
    listed = read_recordings(source, lexicon, config.dose_language)
    demanded = {recording.speaker: recording.split for recording in listed if recording.split}
    dealt = [replace(r, split=demanded.get(r.speaker) or deal_split(r.speaker)) for r in listed]
    kept = _mark_duplicates([r for r in dealt if r.split != "train" or not is_unseen(r.drug, config)])
    counts = Counter(recording.split for recording in kept)
    say(
        f"recordings: {len(listed):,} files of {len({r.speaker for r in listed}):,} speakers: "
        + ", ".join(f"{counts[split]:,} for {split}" for split in SPLITS)
        + f"; {len(listed) - len(kept):,} left out of training, which never hears their names"
    )
    return [shard for split in SPLITS for shard in _cut([r for r in kept if r.split == split], split, config.clips_per_shard)]


def deal_split(speaker: str) -> str:
    """The split of a speaker of whom the manifest demands nothing: by name alone, so that others may come and go."""
    if speaker == UNKNOWN_SPEAKER:
        return "test"
    drawn = fraction_of("speaker", speaker)
    return "train" if drawn < _TRAIN_FRACTION else "validation" if drawn < _TRAIN_FRACTION + _VALIDATION_FRACTION else "test"


def write_recordings(corpus_uri: str, shard: RecordingShard) -> ShardReport:
    """Writes `<corpus>/<split>/<shard file>` and, where recordings will not do, `<corpus>/failures/<same name>`."""
    rows, failures = [], []
    path_of: dict[bytes, str] = {}
    for recording in shard.recordings:
        try:
            speech_S = _read_speech(recording)
            flac = audio.encode_flac(speech_S)
            if path_of.setdefault(flac, recording.path) != recording.path:
                raise AudioError(f"duplicate of {path_of[flac]}")
            rows.append(_columns(recording) | {"audio": {"bytes": flac, "path": f"{recording.id}.flac"}, "duration_s": audio.duration_s(speech_S)})
        except AudioError as error:
            columns = _columns(recording)
            failures.append(
                {name: columns[name] for name in ("id", "text", "drug_id", "engine", "voice")}
                | {"split": shard.split, "error": f"{recording.path}: {error}", "tries": 1}
            )
    return write_rows(corpus_uri, shard.split, shard.file_name, rows, failures, num_made=len(rows))


def _read_speech(recording: Recording) -> np.ndarray:
    """Speech [S] without silence around. Raises AudioError with what is wrong with it."""
    if recording.duplicate_of:
        raise AudioError(f"duplicate of {recording.duplicate_of}")
    wave_S = audio.decode(storage.read_bytes(recording.uri))
    speech_S = audio.trim_silence(wave_S)
    if fault := find_fault(wave_S, speech_S):
        raise AudioError(fault)
    return speech_S


def _columns(recording: Recording) -> dict[str, Any]:
    """The columns that the list alone decides."""
    return {
        "id": recording.id,
        "text": recording.text,
        "drug": recording.drug.name,
        "drug_id": recording.drug.id,
        "dose": recording.dose.written if recording.dose else None,
        "engine": RecordingShard.engine,
        "voice": recording.voice,
        "accent": "",
        "rate": 1.0,
        "pitch": 1.0,
        "augmentation": "",
        "snr_db": None,
        "sampling_rate": audio.SAMPLE_RATE_HZ,
        "seed": 0,
        "source": "recording",
    }


def _mark_duplicates(recordings: list[Recording]) -> list[Recording]:
    first: dict[str, Recording] = {}
    return [replace(r, duplicate_of=first[r.content].path) if first.setdefault(r.content, r) is not r else r for r in recordings]


def _cut(recordings: list[Recording], split: str, clips_per_shard: int) -> list[RecordingShard]:
    """By a hash of the path into a power of two of buckets, so that one more file changes one shard."""
    num_buckets = 1 << (-(-len(recordings) // clips_per_shard) - 1).bit_length() if recordings else 1
    buckets: dict[int, list[Recording]] = defaultdict(list)
    for recording in sorted(recordings, key=lambda r: r.path):
        buckets[seed_of("recording", recording.path) % num_buckets].append(recording)
    return [RecordingShard(split=split, bucket=b, num_buckets=num_buckets, recordings=tuple(members)) for b, members in sorted(buckets.items())]
