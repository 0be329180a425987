"""A base model on voices that it never heard: top-1 and top-5 among the names of top500.

    python -m benchmarks.base --model FOLDER --storage FOLDER [--kokoro-model FILE --kokoro-voices FILE] [--names N]

- clean clips, the names that the base was trained on and the 50 that it was not (`heldout.txt`), by engine and in total
- the same clips with noise at 10 dB, of the kinds that the recipe `clinic` makes, and in the band of a telephone
- the same clips ranked over the full tier, which holds all names of top500
- the time of one recognition, and of `python -m drugasr clip.wav`

The peer of a share is the name nearest to the greedy transcript by Levenshtein distance; of a time, transformers' pipeline,
which gives the transcript alone. The clips are made by the first run and kept; Piper and Kokoro are left out, with a word,
where they are not installed or Kokoro's files are not given.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import base_corpus
from benchmarks.accuracy import NUM_BEST, TOTAL, Accuracy
from benchmarks.base_corpus import TIER, Clip
from benchmarks.conditions import NOISES, SNR_DB, add_noise, noise_of, telephone
from benchmarks.harness import Comparison, show
from benchmarks.latency import time_process, time_recognition
from drugasr.acoustic.shipped import located
from drugasr.corpus.manifest import Manifest
from drugasr.errors import DrugasrError, InputError
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import Progress
from drugasr.recognition import CtcModel, Member, Recognizer
from drugasr.voices.voice import split_name

FULL_TIER = "full"
_BATCH_CLIPS = 32
_NUM_TIMED_CLIPS = 20


@dataclass(frozen=True, kw_only=True)
class Condition:
    name: str
    degrade: Callable[[Clip], np.ndarray]
    tiers: tuple[str, ...] = (TIER,)
    groups: Callable[[Clip], tuple[str, ...]] = lambda clip: ()
    """Groups that a clip is counted in, beside its engine and its voice."""


_CLEAN = "clean"
CONDITIONS = (
    Condition(name=_CLEAN, degrade=lambda clip: clip.wave_S, tiers=(TIER, FULL_TIER)),
    Condition(
        name=f"noise at {SNR_DB:g} dB",
        degrade=lambda clip: add_noise(clip.wave_S, clip.id),
        groups=lambda clip: (f"noise: {noise_of(clip.id)}",),
    ),
    Condition(name="telephone band", degrade=lambda clip: telephone(clip.wave_S, clip.id)),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    base_corpus.add_flags(parser)
    parser.add_argument("--kokoro-model", metavar="FILE", help="Kokoro's model, such as kokoro-v1.0.int8.onnx")
    parser.add_argument("--kokoro-voices", metavar="FILE", help="Kokoro's voices, such as voices-v1.0.bin")
    try:
        show(_measure(parser.parse_args()))
        return 0
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _measure(arguments: argparse.Namespace) -> list[Comparison]:
    top500, corpus_uri = read_lexicon(TIER), base_corpus.corpus_uri_of(arguments)
    # First, so that a wrong folder costs no synthesis.
    recogniser = Recognizer.from_dir(arguments.model, lexicon=top500, num_threads=os.cpu_count() or 1)
    base_corpus.make_corpus(corpus_uri, top500, arguments.names, _engines_of(arguments))
    results = []
    for condition, tier, accuracy in measure_accuracy(recogniser, corpus_uri):
        print(accuracy.table(), end="\n\n")
        by_engine = condition == _CLEAN and tier == TIER
        # With noise and on the telephone, the first name alone is asked for.
        results += accuracy.comparisons(accuracy.engines if by_engine else (TOTAL,), (1, NUM_BEST) if condition == _CLEAN else (1,))
    num_clips = Manifest.read(corpus_uri).num_clips("test")
    timed = [clip.wave_S for clip in itertools.islice(base_corpus.read_clips(corpus_uri), 0, None, max(1, num_clips // _NUM_TIMED_CLIPS))]
    folder = located(arguments.model)
    return [*results, *time_recognition(folder, top500, timed), time_process(folder, top500, timed[0])]


def measure_accuracy(recogniser: Recognizer, corpus_uri: str) -> Iterator[tuple[str, str, Accuracy]]:
    """Condition, tier and the counts, over all clips; each condition takes one forward pass, however many lists it is ranked over."""
    members = [Member(model=Remembering(one.model), calibration=one.calibration, weight=one.weight) for one in recogniser.members]
    num_threads = os.cpu_count() or 1
    recognisers = {tier: Recognizer(members, read_lexicon(tier), num_threads=num_threads) for tier in (TIER, FULL_TIER)}
    counts = {(c.name, tier): Accuracy(c.name, recognisers[tier].lexicon) for c in CONDITIONS for tier in c.tiers}
    progress = Progress("recognition", Manifest.read(corpus_uri).num_clips("test"))
    clips = base_corpus.read_clips(corpus_uri)
    while batch := list(itertools.islice(clips, _BATCH_CLIPS)):
        for condition in CONDITIONS:
            waves = [condition.degrade(clip) for clip in batch]
            for tier in condition.tiers:
                for clip, answer in zip(batch, recognisers[tier].recognize(waves, NUM_BEST), strict=True):
                    counts[condition.name, tier].add(clip, answer, condition.groups(clip))
        progress.advance(len(batch))
    return ((condition, tier, accuracy) for (condition, tier), accuracy in counts.items())


class Remembering:
    """A model that keeps its last frames, so that a second list is ranked over the same ones."""

    def __init__(self, model: CtcModel) -> None:
        self.name, self.vocabulary, self.frame_s = model.name, model.vocabulary, model.frame_s
        self._model = model
        self._waves: list[np.ndarray] = []
        self._logps: list[np.ndarray] = []

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """logp_TV of each waveform: float32, natural logs."""
        if len(waves) != len(self._waves) or any(new is not old for new, old in zip(waves, self._waves)):
            self._waves, self._logps = list(waves), self._model.log_probs(waves)
        return self._logps


def _engines_of(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Options of the engines, by name. Raises InputError when one of Kokoro's two files is missing."""
    files = {"model": arguments.kokoro_model, "voices": arguments.kokoro_voices}
    if not any(files.values()):
        return {}
    if not all(files.values()):
        raise InputError("Kokoro needs both --kokoro-model and --kokoro-voices")
    return {"kokoro": {option: os.path.abspath(os.path.expanduser(path)) for option, path in files.items()}}


if __name__ == "__main__":
    sys.exit(main())
