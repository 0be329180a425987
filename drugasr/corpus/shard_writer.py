"""One shard of the plan becomes one Parquet file; clips that an older file holds are kept, not made again."""

import io
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drugasr import storage
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.crash_guard import CrashGuard
from drugasr.corpus.plan import Shard
from drugasr.corpus.reading import read_file
from drugasr.corpus.schema import CORPUS_SCHEMA, FAILURE_SCHEMA, SPLITS
from drugasr.errors import VoiceFailure

_FILE_NAME = re.compile(r"part-([a-z0-9_]+)-(\d+)-of-(\d+)-[0-9a-f]+\.parquet")
# A file of ours, in a split's folder or in `failures`; with dots before and more behind, one that was not finished.
_OURS = re.compile(rf"\.{{0,2}}(({'|'.join(SPLITS)})-)?{_FILE_NAME.pattern}(\.trying)?(\.[0-9a-f]+)?")


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    split: str
    file_name: str
    num_clips: int
    num_failures: int
    num_made: int
    """Clips made now; the others were taken over from an older file."""
    speech_s: float


def write_shard(corpus_uri: str, shard: Shard, older_files: list[str], maker: ClipMaker) -> ShardReport:
    """Writes `<corpus>/<split>/<shard file>` and, where clips failed, `<corpus>/failures/<same name>`."""
    kept = _read_kept(corpus_uri, shard, older_files)
    tries = _read_tries(storage.join(corpus_uri, "failures", failures_name(shard.split, shard.file_name)))
    guard = CrashGuard(storage.join(corpus_uri, shard.split, f".{shard.file_name}.trying"))
    rows, failures, num_made = [], [], 0
    for utterance in shard.utterances():
        if utterance.id in kept:
            rows.append(kept[utterance.id] | maker.plan_columns(utterance))
            continue
        try:
            if guard.is_deadly(utterance.id):
                raise VoiceFailure("the engine crashed, and took its process with it")
            guard.trying(utterance.id)
            rows.append(maker.make_row(utterance))
            num_made += 1
        except VoiceFailure as error:
            columns = maker.plan_columns(utterance) | {"split": shard.split, "error": str(error), "tries": tries.get(utterance.id, 0) + error.tries}
            failures.append({name: columns[name] for name in FAILURE_SCHEMA.names})
    report = write_rows(corpus_uri, shard.split, shard.file_name, rows, failures, num_made)
    guard.survived()
    return report


def write_rows(
    corpus_uri: str, split: str, file_name: str, rows: list[dict[str, Any]], failures: list[dict[str, Any]], num_made: int
) -> ShardReport:
    """Writes `rows` to `<corpus>/<split>/<file_name>`, and `failures` beside; takes away what failed in an earlier run."""
    failures_uri = storage.join(corpus_uri, "failures", failures_name(split, file_name))
    if failures:
        _write(failures_uri, failures, FAILURE_SCHEMA)
    _write(storage.join(corpus_uri, split, file_name), rows, CORPUS_SCHEMA)
    if not failures and storage.exists(failures_uri):
        storage.delete_file(failures_uri)
    return ShardReport(
        split=split,
        file_name=file_name,
        num_clips=len(rows),
        num_failures=len(failures),
        num_made=num_made,
        speech_s=_rounded(sum(row["duration_s"] for row in rows)),
    )


def report_of_file(corpus_uri: str, split: str, file_name: str) -> ShardReport:
    """The report of a file that is already there."""
    durations = read_file(corpus_uri, split, file_name, ["duration_s"])["duration_s"]
    return ShardReport(
        split=split, file_name=file_name, num_clips=len(durations), num_failures=0, num_made=0,
        speech_s=_rounded(pc.sum(durations).as_py() or 0.0),
    )  # fmt: skip


def is_our_file(name: str) -> bool:
    """Whether a synthesis wrote it, or was writing it when it was killed."""
    return _OURS.fullmatch(name) is not None


def failures_name(split: str, file_name: str) -> str:
    """The file in `<corpus>/failures` that tells what `<split>/<file_name>` lacks, and why."""
    return f"{split}-{file_name}"


def _read_kept(corpus_uri: str, shard: Shard, older_files: list[str]) -> dict[str, dict[str, Any]]:
    """Rows of the older files of this split that the shard wants again, by id."""
    wanted = {utterance.id for utterance in shard.utterances()}
    kept: dict[str, dict[str, Any]] = {}
    for file_name in older_files:
        if _may_share_names(file_name, shard):
            ids = read_file(corpus_uri, shard.split, file_name, ["id"])["id"]
            mask = pc.is_in(ids, value_set=pa.array(wanted, pa.string()))
            if pc.any(mask).as_py():
                kept |= {row["id"]: row for row in read_file(corpus_uri, shard.split, file_name).filter(mask).to_pylist()}
    return kept


def _may_share_names(file_name: str, shard: Shard) -> bool:
    """Bucket numbers are a name's hash modulo a power of two, so they agree modulo the smaller power."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None or match[1] != shard.engine:
        return False
    modulus = min(int(match[3]), shard.num_buckets)
    return int(match[2]) % modulus == shard.bucket % modulus


def _read_tries(failures_uri: str) -> dict[str, int]:
    """Id -> how often earlier runs tried the clip."""
    if not storage.exists(failures_uri):
        return {}
    table = pq.read_table(io.BytesIO(storage.read_bytes(failures_uri)), columns=["id", "tries"])
    return dict(zip(table["id"].to_pylist(), table["tries"].to_pylist(), strict=True))


def _rounded(speech_s: float) -> float:
    """The file keeps float32: its sum differs in the last digits from that of what was written."""
    return round(speech_s, 2)


def _write(uri: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    buffer = io.BytesIO()
    # FLAC does not compress further, and a page index would only cost.
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression={"audio.bytes": "NONE"} if "audio" in schema.names else "snappy")
    storage.write_bytes(uri, buffer.getvalue())
