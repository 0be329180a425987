"""A Serve application whose recogniser answers from the length of the clip: each mishap has one."""

import os
import time
from dataclasses import asdict

import numpy as np

from drugasr.config import ServingConfig
from drugasr.errors import AudioError, ModelError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.recognition import Alternative, Recognition
from serve.app import assemble
from serve.settings import ServedModel

METFORMIN = Drug(id="metformin", name="metformin", spoken="metformin")
BEST = Alternative(drug="metformin", tall_man="metFORMIN", confidence=0.9, log_likelihood=-1.0)


class LengthRecognizer:
    """Transcript = clips in this batch; 0.5 s is refused, 0.7 s breaks, 0.8 s and 0.9 s are slow."""

    def __init__(self, served: ServedModel) -> None:
        if "missing" in served.model:
            raise ModelError(f"{served.model} is not there")
        self.model = os.path.basename(served.model)
        self.lexicon = Lexicon(served.lexicon, (METFORMIN,))

    def recognize(self, waves: list[np.ndarray], num_alternatives: int | None = None) -> list[Recognition]:
        lengths = [len(wave_S) for wave_S in waves]
        if 8_000 in lengths:
            raise AudioError("the clip is too short")
        if 11_200 in lengths:
            raise KeyError(METFORMIN.name)
        time.sleep(1.0 if 12_800 in lengths else 0.2 if 14_400 in lengths else 0.0)
        return [self._answer(len(waves), length / 16_000) for length in lengths]

    def _answer(self, num_clips: int, duration_s: float) -> Recognition:
        return Recognition(
            text=str(num_clips),
            drug=BEST.drug,
            confidence=0.9,
            needs_review=False,
            review_reasons=(),
            alternatives=(BEST,) * 5,
            words=(),
            duration_s=duration_s,
            model=self.model,
            lexicon=self.lexicon.name,
        )


def build(args: dict):
    return assemble(ServedModel(**args), ServingConfig(cpus_per_replica=0.5), load=LengthRecognizer)


def config_of(served: ServedModel, swapped: ServedModel | None = None) -> dict:
    """What `serve deploy` takes; `swapped` is put in by the deployment's user_config alone."""
    application = {"name": "drugasr-test", "import_path": "length_recogniser:build", "args": asdict(served)}
    if swapped:
        application["deployments"] = [{"name": "recognizer", "user_config": asdict(swapped)}]
    return {"applications": [application]}
