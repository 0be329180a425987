"""The comparison on Ray: what is done is not done again, whoever is killed."""

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
import pytest

from drugasr.corpus.manifest import Manifest
from drugasr.corpus.schema import CORPUS_SCHEMA
from drugasr.evaluation.batch import compare, evaluate
from drugasr.evaluation.recognisers.spec import parse_specs

pytestmark = pytest.mark.usefixtures("local_ray")
NUM_FILES = 12


@pytest.fixture(scope="module")
def corpus(tiny_corpus, tmp_path_factory) -> Path:
    """The six test clips in twelve files, each time under other ids; the first clip of the second file is corrupt."""
    folder = tmp_path_factory.mktemp("many")
    manifest = Manifest.read(str(tiny_corpus))
    (source,) = (tiny_corpus / "test").glob("*.parquet")
    rows = pq.read_table(source).to_pylist()
    (folder / "test").mkdir()
    files = {}
    for number in range(NUM_FILES):
        copies = [row | {"id": f"{number}-{row['id']}"} for row in rows]
        if number == 1:
            copies[0]["audio"] = {"bytes": b"fLaC, and then nothing", "path": "x.flac"}
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(copies, schema=CORPUS_SCHEMA), buffer)
        files[f"part-espeak-{number:05d}-of-00016-0123456789abcdef.parquet"] = len(copies)
        (folder / "test" / list(files)[-1]).write_bytes(buffer.getvalue())
    dataclasses.replace(manifest, files=manifest.files | {"test": files}, speech_s={**manifest.speech_s, "test": dict.fromkeys(files, 1.0)}).write(str(folder))
    return folder


@pytest.fixture(scope="module")
def list_of_six(six_names, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("list") / "six.csv"
    path.write_text("name,id\n" + "".join(f"{drug.name},{drug.id}\n" for drug in six_names.drugs))
    return path


def rows_of(out: Path) -> dict[tuple[str, str], dict]:
    rows = pq.read_table(out / "predictions.parquet").drop_columns("compute_s").to_pylist()
    found = {(row["recogniser"], row["id"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_killed_comparison_goes_on_to_the_same_predictions(local_ray, planted, corpus, list_of_six, six_names, tiny, tmp_path):
    texts = [f"ours={planted['ours']}", f"s2t={planted['s2t']}"]
    command = [sys.executable, "-m", "jobs.evaluate", "--recognisers", *texts, "--lexicon", str(list_of_six), "--corpus", str(corpus), "--out", str(tmp_path / "killed")]
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "RAY_ADDRESS": local_ray.address}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as job:
        while not (before := sorted((tmp_path / "killed").glob("comparison-*/predictions.parquet/*.parquet"))) and job.poll() is None:
            time.sleep(0.01)
        job.send_signal(signal.SIGKILL)
    assert job.returncode == -signal.SIGKILL and 0 < len(before) < 2 * NUM_FILES
    out = before[0].parents[1]
    assert not (out / "metrics.json").exists()
    written = {path: path.stat().st_mtime_ns for path in out.glob("predictions.parquet/*.parquet")}

    specs = parse_specs(texts)
    found = compare(specs, str(corpus), six_names, tiny.cluster, str(out))
    compare(specs, str(corpus), six_names, tiny.cluster, str(tmp_path / "whole"))
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in written.items())
    resumed = rows_of(out)
    assert resumed == rows_of(tmp_path / "whole") and len(resumed) == 2 * 6 * NUM_FILES
    assert {key[1][:2] for key, row in resumed.items() if row["error"] is not None} == {"1-"}
    assert sum(row["error"] is not None for row in resumed.values()) == 2  # of each recogniser, one
    assert [measured["overall"]["num_failed"] for measured in found["recognisers"].values()] == [1, 1]
    assert json.loads((out / "metrics.json").read_text())["paired"][0]["num_clips"] == 6 * NUM_FILES - 1
    assert "<html" in (out / "report.html").read_text()

    # A second call recognises nothing; with one more, that one alone is heard; the same name with another model replaces the old one's.
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    compare(specs, str(corpus), six_names, tiny.cluster, str(out))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == stamps
    compare(parse_specs([texts[0], f"s2t={planted['whisper']}"]), str(corpus), six_names, tiny.cluster, str(out))
    after = {path.name for path in out.glob("predictions.parquet/*")}
    assert {name.split("-")[0] for name in after} == {"ours", "s2t"} and len(after) == 2 * NUM_FILES
    assert not any(path.name in after for path in stamps if path.name.startswith("s2t-"))


def test_one_model_is_measured_as_ever(planted, tiny_corpus, six_names, tiny, tmp_path):
    metrics = evaluate(planted["ours"], str(tiny_corpus), six_names, tiny.cluster, str(tmp_path), keep_log_probs=True)
    assert metrics["overall"]["top1"] == pytest.approx(1 / 6) and metrics["by_seen"]["seen"]["num_clips"] == 6
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert len(rows) == 6 and all(len(row["log_probs"]) == 1 for row in rows)
