"""How long a recognition takes, beside transformers' own pipeline for the same model, which gives the greedy transcript alone.

Shapes: S samples.
"""

import dataclasses
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import pipeline
from transformers.utils import logging as transformers_logging

from benchmarks.harness import Comparison, compare_time
from drugasr import audio
from drugasr.lexicon.drug import Lexicon
from drugasr.recognition import Recognizer

CLIP_S = 1.5
_RUNS, _PROCESS_RUNS = 201, 5
_PEER_PROCESS = """
import sys
import soundfile
from transformers import pipeline
wave_S, rate_hz = soundfile.read(sys.argv[2], dtype="float32")
print(pipeline("automatic-speech-recognition", model=sys.argv[1])({"raw": wave_S, "sampling_rate": rate_hz})["text"])
"""


def time_recognition(model: str, lexicon: Lexicon, waves: Sequence[np.ndarray]) -> list[Comparison]:
    """Median wall times on one thread of one clip [S] after the other, each made `CLIP_S` long; `model` is a local folder."""
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    clips = [_of_length(wave_S) for wave_S in waves]
    recogniser = Recognizer.from_dir(model, lexicon=lexicon, num_threads=1)
    transcriber = pipeline("automatic-speech-recognition", model=model)
    acoustic = recogniser.members[0].model

    def transcribe(clip_S: np.ndarray) -> str:
        return transcriber({"raw": clip_S, "sampling_rate": audio.SAMPLE_RATE_HZ})["text"]

    def each(call):
        """A call that takes another clip each time."""
        endless = itertools.cycle(clips)
        return lambda: call(next(endless))

    what = f"{CLIP_S:g} s clip, 1 thread"
    return [
        compare_time(f"{what}: model's forward pass", each(lambda clip_S: acoustic.log_probs([clip_S])), each(transcribe), runs=_RUNS),
        compare_time(f"{what}: answer from {lexicon.name}", each(lambda clip_S: recogniser.recognize([clip_S])), each(transcribe), runs=_RUNS),
    ]


def time_process(model: str, lexicon: Lexicon, wave_S: np.ndarray) -> Comparison:
    """Median wall time in s of `python -m drugasr` for one clip, from nothing to the answer; `lexicon` is a shipped tier.

    Raises CalledProcessError when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        path.write_bytes(audio.encode_wav(_of_length(wave_S)))
        ours = [sys.executable, "-m", "drugasr", str(path), "--model", model, "--lexicon", lexicon.name]
        peer = [sys.executable, "-c", _PEER_PROCESS, model, str(path)]
        found = compare_time("python -m drugasr clip.wav: the whole process", lambda: _run(ours), lambda: _run(peer), runs=_PROCESS_RUNS)
    return dataclasses.replace(found, ours=found.ours / 1000, peer=found.peer / 1000, unit="s")


def _of_length(wave_S: np.ndarray) -> np.ndarray:
    """The first `CLIP_S` of a clip, or the clip and silence."""
    num_samples = round(CLIP_S * audio.SAMPLE_RATE_HZ)
    return np.pad(wave_S[:num_samples], (0, max(0, num_samples - len(wave_S))))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
