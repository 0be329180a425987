"""A few names through every stage, as a user runs it: killed half-way, run again, answered over HTTP."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
NAMES = "metformin\nlisinopril\nwarfarin\ndigoxin\nambien\nlasix\n"
SETTINGS = """
[corpus]
train_voices = ["espeak:en-us+f1", "espeak:en+m2"]
validation_voices = ["espeak:en-us+Annie"]
test_voices = ["espeak:en-us+f5", "pico:en-GB"]
num_augmented = 1
unseen_fraction = 0.2
num_outsiders = 2
clips_per_shard = 16
[training]
num_epochs = 2
[tuning]
num_trials = 2
num_epochs = 1
frozen_layers = [0, 2]
clip_fraction = 1.0
[serving]
port = 0
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "names.txt").write_text(NAMES)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    arguments = ["--config", str(tmp_path / "settings.toml"), "--lexicon", str(tmp_path / "names.txt"), "--storage", str(tmp_path / "storage")]
    return ["python", "-m", "jobs.pipeline", *arguments]


def start(*command: str, cwd: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    launcher = [sys.executable, "-m", "jobs.local", "--", *command]
    return subprocess.Popen(launcher, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_pipeline_goes_on_and_its_model_answers(command, tmp_path):
    with start(*command, cwd=tmp_path) as first:
        for line in first.stdout:
            if "training: epoch 1/1" in line:  # in the search
                break
        else:
            pytest.fail("the first run ended before the search had trained")
        first.kill()
    corpus = tmp_path / "storage" / "corpus"
    written = {path: path.stat().st_mtime_ns for path in corpus.rglob("*.parquet")}
    assert written

    submit = shlex.join(["ray", "job", "submit", "--working-dir", str(ROOT), "--", *command])
    again = shlex.join([*command, "--no-serve", "--out", str(tmp_path / "again")])
    second = start("sh", "-c", f"{submit} && echo AGAIN && {again}", cwd=tmp_path)
    output, _ = second.communicate(timeout=600)
    assert second.returncode == 0, output
    output, output_again = output.split("\nAGAIN\n")
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*.parquet")} == written

    result = json.loads((tmp_path / "storage" / "result.json").read_text())
    assert result["clips_made"] == 0
    assert result["corpus_clips"] == sum(pq.read_metadata(path).num_rows for path in written)
    assert result["trials"] == 2
    predictions = pq.read_table(next((tmp_path / "storage").glob("training-*/evaluation-*/predictions.parquet"))).to_pylist()
    assert len(predictions) == 2 * (6 + 2)  # test voices x names, the unseen ones and those outside the list too
    listed = [row for row in predictions if row["drug_id"] is not None]
    for k in (1, 5):
        assert result[f"test_top{k}"] == sum(row["drug_id"] in row["ranked"][:k] for row in listed) / len(listed) and len(listed) == 12
    facts = json.loads(Path(result["model"], "drugasr.json").read_text())
    assert (facts["calibration"]["num_clips"], facts["calibration"]["num_outsiders"]) == (6, 2)
    assert "<html" in Path(result["confusions"]).read_text()
    assert len(result["served_answer"]["alternatives"]) == 5
    report = Path(result["report"]).read_text()
    assert all(f">{trial}</td>" in report for trial in ("01", "02"))
    lines = [line for line in output.splitlines() if line.startswith("{")]
    assert json.loads(lines[-1]) == result

    assert "training: epoch" not in output_again and "0 of them made now" in output_again
    repeated = json.loads((tmp_path / "again" / "result.json").read_text())
    same = ("corpus_clips", "clips_made", "trials", "best", "model", "test_top1", "test_cer")
    assert {name: repeated[name] for name in same} == {name: result[name] for name in same}
