"""What a finished corpus holds. `manifest.json` is written last: a corpus without it is not finished."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from drugasr import storage
from drugasr.corpus.schema import SPLITS
from drugasr.errors import CorpusError
from drugasr.fingerprint import fingerprint


@dataclass(frozen=True, kw_only=True)
class Manifest:
    lexicon: str
    """Name of the list of drug names."""
    unseen_drug_ids: tuple[str, ...]
    """Drugs whose names training never hears."""
    files: dict[str, dict[str, int]]
    """Split -> file name -> clips in it."""
    num_failures: int
    speech_s: dict[str, dict[str, float]]
    """Split -> file name -> seconds of audio in it."""
    settings: dict[str, Any]
    """The corpus settings and the versions of the voices."""

    @property
    def data_hash(self) -> str:
        """Name of the audio itself: equal for equal plans, however they were built."""
        return fingerprint(self.files)

    def num_clips(self, split: str) -> int:
        return sum(self.files[split].values())

    @property
    def total_clips(self) -> int:
        return sum(map(self.num_clips, SPLITS))

    def total_speech_s(self, split: str) -> float:
        return sum(self.speech_s[split].values())

    @staticmethod
    def exists(corpus_uri: str) -> bool:
        return storage.exists(storage.join(corpus_uri, "manifest.json"))

    def write(self, corpus_uri: str) -> None:
        storage.write_bytes(storage.join(corpus_uri, "README.md"), self._card().encode())
        storage.write_json(storage.join(corpus_uri, "manifest.json"), dataclasses.asdict(self) | {"data_hash": self.data_hash})

    @classmethod
    def read(cls, corpus_uri: str) -> "Manifest":
        """Raises CorpusError when there is no finished corpus."""
        if not cls.exists(corpus_uri):
            raise CorpusError(f"{corpus_uri} holds no finished corpus (no manifest.json): run jobs.synthesize first, or again if it was stopped")
        values = storage.read_json(storage.join(corpus_uri, "manifest.json"))
        values.pop("data_hash")
        return cls(**values | {"unseen_drug_ids": tuple(values["unseen_drug_ids"])})

    def _card(self) -> str:
        """Dataset card: the front matter lets `load_dataset` find the splits."""
        data_files = "".join(f"  - split: {split}\n    path: {split}/*.parquet\n" for split in SPLITS)
        rows = "".join(
            f"| {split} | {self.num_clips(split):,} | {self.total_speech_s(split) / 60:.1f} | {', '.join(self.settings['corpus'][f'{split}_voices'])} |\n"
            for split in SPLITS
        )
        return (
            f"---\npretty_name: {json.dumps(f'drugasr {self.lexicon}')}\ntask_categories: [automatic-speech-recognition]\nlanguage: [en]\n"
            f"configs:\n- config_name: default\n  data_files:\n{data_files}---\n"
            f"# Spoken drug names: {self.lexicon}\n\nMade by drugasr: synthetic speech (`source` tts)"
            f"{' and recordings (`source` recording)' if self.settings['corpus'].get('recordings') else ''}; "
            f"{self.num_failures} clips could not be made or used (see `failures/`).\n"
            f"Training never hears {len(self.unseen_drug_ids)} of the names; no voice stands in two splits."
            f"{' Where `drug_id` is null, a name is said that is not in the list.' if self.settings['corpus'].get('num_outsiders') else ''}\n\n"
            f"| split | clips | minutes | voices |\n|---|---|---|---|\n{rows}"
        )
