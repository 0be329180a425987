"""A comparison of recognisers that is killed half-way and run again, beside one that nothing disturbed: 2,000 clips, one of them corrupt.

    python -m benchmarks.comparison --storage FOLDER --recognisers R R R R

The clips are the names of quick50 in 40 voices of eSpeak, made once and kept in the storage. The job runs three times, each
time on a Ray of its own: whole; killed (SIGKILL) when a third of its files are written; and again, to its end. Every row of
the predictions must be the same but for the stopwatch's column, and the corrupt clip must have cost its own rows alone.
"""

import argparse
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from benchmarks.harness import Comparison, show
from drugasr import presets
from drugasr.config import ClusterConfig
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.corpus.schema import CORPUS_SCHEMA
from drugasr.corpus.synthesis import synthesise
from drugasr.errors import DrugasrError
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import say

TIER = "quick50"
_ACCENTS, _VARIANTS = ("en-us", "en", "en-gb-scotland", "en-029", "en-gb-x-rp"), ("f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4")
_CLIPS_PER_SHARD = 128
_KILLED_AT = 1 / 3  # of the files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", required=True, help="folder where clips and predictions are kept")
    parser.add_argument("--recognisers", nargs="+", required=True, help="as `jobs.evaluate` takes them")
    arguments = parser.parse_args()
    try:
        show(_measure(Path(arguments.storage).absolute(), arguments.recognisers))
        return 0
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _measure(storage: Path, recognisers: list[str]) -> list[Comparison]:
    corpus = storage / "corpus"
    spoiled = _make_corpus(corpus)
    num_clips = Manifest.read(str(corpus)).num_clips("test")
    start_s = time.monotonic()
    whole = _predictions(_run(storage, corpus, "whole", recognisers))
    whole_s, start_s = time.monotonic() - start_s, time.monotonic()
    num_before = _run_and_kill(storage, corpus, recognisers, num_files=len(list((storage / "whole").glob("*/predictions.parquet/*.parquet"))))
    resumed = _predictions(_run(storage, corpus, "resumed", recognisers))
    resumed_s = time.monotonic() - start_s
    num_different = sum(whole.get(key) != resumed.get(key) for key in whole.keys() | resumed.keys())
    failed = {key for key, row in resumed.items() if row["error"] is not None}
    expected = {(name, spoiled) for name, _ in whole}
    say(f"{len(resumed):,} rows, {num_before:,} files before the kill, {num_different} rows differ, rows with an error: {sorted(failed)}")
    return [
        Comparison(name="rows that differ after a kill", ours=num_different, peer=len(whole), ratio=len(whole) / max(1, num_different), unit="rows", runs=1),
        Comparison(name="rows lost to a corrupt clip", ours=len(failed), peer=len(expected), ratio=float(failed == expected), unit="rows", runs=1),
        Comparison(name=f"{num_clips:,} clips x {len(recognisers)}: killed and resumed", ours=resumed_s, peer=whole_s, ratio=whole_s / resumed_s, unit="s", runs=1),
    ]


def _make_corpus(corpus: Path) -> str:
    """Speaks the clips that are not there, and spoils one, whose id it returns."""
    if not Manifest.exists(str(corpus)):
        voices = tuple(f"espeak:{accent}+{variant}" for accent in _ACCENTS for variant in _VARIANTS)
        config = dataclasses.replace(
            presets.mini().corpus, train_voices=("espeak:en+m7",), validation_voices=("espeak:en+m5",), test_voices=voices, rates=(1.0,), augmentation="none",
            num_augmented_by_engine={}, draws_by_engine={}, max_names={"validation": 1}, num_outsiders=0, clips_per_shard=_CLIPS_PER_SHARD,
        )  # fmt: skip
        ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level="error")
        try:
            synthesise(read_lexicon(TIER), config, ClusterConfig(), str(corpus))
        finally:
            ray.shutdown()
    file_name = min(Manifest.read(str(corpus)).files["test"])
    rows = read_file(str(corpus), "test", file_name).to_pylist()
    rows[3]["audio"]["bytes"] = b"fLaC, and then nothing that is audio"
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=CORPUS_SCHEMA), buffer)
    (corpus / "test" / file_name).write_bytes(buffer.getvalue())
    return rows[3]["id"]


def _start(storage: Path, corpus: Path, out: str, recognisers: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "jobs.evaluate", "--recognisers", *recognisers, "--lexicon", TIER, "--corpus", str(corpus), "--out", str(storage / out)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _run(storage: Path, corpus: Path, out: str, recognisers: list[str]) -> Path:
    """The folder of the predictions. Raises CalledProcessError when the job fails."""
    with _start(storage, corpus, out, recognisers) as job:
        output, _ = job.communicate()
    if job.returncode:
        raise subprocess.CalledProcessError(job.returncode, job.args, output)
    return Path(json.loads(output.splitlines()[-1])["out"])


def _run_and_kill(storage: Path, corpus: Path, recognisers: list[str], num_files: int) -> int:
    """Starts the job and kills it, with all that it started, when a third of the files are there: how many there were."""

    def written() -> int:
        return len(list((storage / "resumed").glob("*/predictions.parquet/*.parquet")))

    with _start(storage, corpus, "resumed", recognisers) as job:
        while written() < _KILLED_AT * num_files and job.poll() is None:
            time.sleep(0.02)
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    return written()


def _predictions(out: Path) -> dict[tuple[str, str], dict]:
    """Recogniser and clip -> its row, without the stopwatch."""
    rows = pq.read_table(out / "predictions.parquet").drop_columns("compute_s").to_pylist()
    found = {(row["recogniser"], row["id"]): row for row in rows}
    if len(found) != len(rows):
        raise AssertionError(f"{len(rows)} rows for {len(found)} clips and recognisers")
    return found


if __name__ == "__main__":
    sys.exit(main())
