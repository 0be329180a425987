"""What the tests of recordings start from: four drugs, a folder of tones, and its import."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from drugasr import storage
from drugasr.config import CorpusConfig
from drugasr.corpus.recordings import plan_recordings, write_recordings
from drugasr.corpus.schema import CORPUS_SCHEMA, FAILURE_SCHEMA
from drugasr.errors import RecordingError
from drugasr.lexicon.drug import Drug, Lexicon

NAMES = ("Aspirin", "Folic Acid", "Co-trimoxazole", "Warfarin")
LEXICON = Lexicon("test", tuple(Drug(id=f"id-{name}", name=name, spoken=name.lower().replace("-", " ")) for name in NAMES))
CONFIG = CorpusConfig(train_voices=("tone:a",), validation_voices=("tone:b",), test_voices=("tone:c",), unseen_fraction=0.0)


def speech(hz: float = 300, *, seconds: float = 0.5, level: float = 0.5, rate_hz: int = 16_000, silence_s: float = 0.5) -> np.ndarray:
    """A tone with silence on both sides."""
    tone = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.pad(tone, round(silence_s * rate_hz))


class Folder:
    """A folder of recordings; every file that is not told otherwise sounds different."""

    def __init__(self, path: Path):
        self.path, self._num = path, 0
        path.mkdir()

    def add(self, name: str, wave: np.ndarray | None = None, rate_hz: int = 16_000, **options) -> Path:
        self._num += 1
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech(200 + 10 * self._num) if wave is None else wave, rate_hz, **options)
        return path

    def manifest(self, text: str, name: str = "list.csv") -> str:
        (self.path / name).write_text(text, "utf-8")
        return str(self.path / name)


class RecordedCorpus:
    """A corpus that takes recordings in the way the synthesis does."""

    def __init__(self, uri: str):
        self.uri = uri

    def build(self, source, config=CONFIG) -> tuple[dict, dict]:
        """Rows and failures by split."""
        rows, failures = defaultdict(list), defaultdict(list)
        for shard in plan_recordings(str(source), LEXICON, config):
            report = write_recordings(self.uri, shard)
            made = pq.read_table(f"{self.uri}/{shard.split}/{shard.file_name}")
            assert made.schema.equals(CORPUS_SCHEMA, check_metadata=True)
            failed_uri = f"{self.uri}/failures/{shard.split}-{shard.file_name}"
            failed = pq.read_table(failed_uri) if storage.exists(failed_uri) else FAILURE_SCHEMA.empty_table()
            assert (report.num_clips, report.num_failures, report.num_made) == (len(made), len(failed), len(made))
            assert shard.num_clips == len(made) + len(failed)
            assert report.speech_s == pytest.approx(sum(made["duration_s"].to_pylist()), abs=0.01)
            rows[shard.split] += made.to_pylist()
            failures[shard.split] += failed.to_pylist()
        return rows, failures


def faults_of(source, config=CONFIG) -> list[str]:
    with pytest.raises(RecordingError) as caught:
        plan_recordings(str(source), LEXICON, config)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()
