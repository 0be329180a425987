"""Searches of the preset mini, small enough that several seeds of two searchers are affordable.

A tenth of the training clips, two epochs, one trial at a time, and a wider range of learning rates than the preset's, which holds
hardly a bad one.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drugasr import presets
from drugasr.config import Config
from drugasr.corpus.synthesis import synthesise
from drugasr.lexicon.reading import read_lexicon
from drugasr.tuning.search import search

_NEAR_TOP1, _NEAR_CER = 0.01, 0.02


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a trial came to."""

    top1: float
    cer: float

    def is_near(self, best: "Found") -> bool:
        return self.top1 >= best.top1 - _NEAR_TOP1 and self.cer <= best.cer + _NEAR_CER


def run_searches(searchers: tuple[str, ...], num_seeds: int, num_trials: int, storage: Path) -> Iterator[tuple[str, int, list[Found]]]:
    """Searcher, seed, and its trials in the order in which they began. The corpus stays in `storage`, with what was searched there."""
    config = presets.mini()
    lexicon, corpus_uri = read_lexicon(config.lexicon.source), str(storage / "corpus")
    synthesise(lexicon, config.corpus, config.cluster, corpus_uri)
    for seed in range(num_seeds):
        for searcher in searchers:
            folder = storage / f"search-{searcher}-{seed}-{num_trials}"
            search(_config(config, searcher, seed, num_trials), corpus_uri, lexicon, str(folder))
            rows = sorted(csv.DictReader(io.StringIO((folder / "trials.csv").read_text())), key=lambda row: row["trial_id"])
            yield searcher, seed, [Found(top1=float(row["top1"] or 0.0), cer=float(row["cer"] or "inf")) for row in rows]


def _config(mini: Config, searcher: str, seed: int, num_trials: int) -> Config:
    changes = {"num_trials": num_trials, "num_epochs": 2, "clip_fraction": 0.1, "max_concurrent": 1, "min_learning_rate": 5e-5, "max_learning_rate": 1e-2}
    return dataclasses.replace(mini, tuning=dataclasses.replace(mini.tuning, searcher=searcher, seed=seed, **changes))
