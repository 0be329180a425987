"""Ours beside a recogniser of the old school: PocketSphinx 5 with a grammar of the same names, on the same clean clips.

    python -m benchmarks.closed_grammar --model FOLDER --storage FOLDER [--names N]

The clips are those of `benchmarks.base`, which must have run with the same --storage and --names; the list is top500, whole.
An error is any answer but the name that was said, none included. Ours is the first name by CTC likelihood.

The peer hears each name as eSpeak pronounces it (`drugasr.evaluation.recognisers.arpabet`). It gets every chance: its setups (`sphinx.SETUPS`)
are all tried on a sample of the very clips that it is measured on, and the best of them is taken. Ours has no setup.
"""

import argparse
import heapq
import itertools
import os
import sys
from collections import Counter
from collections.abc import Sequence

from benchmarks import base_corpus
from benchmarks.base_corpus import TIER, Clip
from benchmarks.harness import Comparison, show
from drugasr.corpus.manifest import Manifest
from drugasr.errors import CorpusError, DrugasrError
from drugasr.evaluation.recognisers.sphinx import SETUPS, ClosedGrammar, Setup, check_installed
from drugasr.fingerprint import seed_of
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import Progress, say
from drugasr.recognition import Recognizer

_BATCH_CLIPS = 32
_SAMPLE_CLIPS = 400
_TOTAL = "all voices"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    base_corpus.add_flags(parser)
    try:
        show(_measure(parser.parse_args()))
        return 0
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _measure(arguments: argparse.Namespace) -> list[Comparison]:
    check_installed()
    corpus_uri, lexicon = base_corpus.corpus_uri_of(arguments), read_lexicon(TIER)
    base_corpus.check_made(corpus_uri)
    recogniser = Recognizer.from_dir(arguments.model, lexicon=lexicon, num_threads=os.cpu_count() or 1)
    setup = _best_setup(lexicon, corpus_uri)
    grammar = _Peer(lexicon, setup)

    clips_of, ours, peer = Counter(), Counter(), Counter()
    clips = base_corpus.read_clips(corpus_uri)
    progress = Progress("recognition by both", Manifest.read(corpus_uri).num_clips("test"))
    while batch := list(itertools.islice(clips, _BATCH_CLIPS)):
        answers = recogniser.recognize([clip.wave_S for clip in batch], 1)
        for clip, answer in zip(batch, answers, strict=True):
            first = answer.alternatives[0].drug if answer.alternatives else None
            peer_is_wrong = grammar.is_wrong(clip)
            for group in (_TOTAL, clip.engine, "trained names" if clip.is_trained else "names never trained"):
                clips_of[group] += 1
                ours[group] += first != clip.drug
                peer[group] += peer_is_wrong
        progress.advance(len(batch))
    groups = sorted(clips_of, key=lambda group: (group != _TOTAL, group))
    return [_comparison(group, ours[group], peer[group], clips_of[group], lexicon) for group in groups]


class _Peer:
    def __init__(self, lexicon: Lexicon, setup: Setup) -> None:
        self._spoken = {drug.name: drug.spoken for drug in lexicon.drugs}
        self._grammar = ClosedGrammar(list(self._spoken.values()), setup)

    def is_wrong(self, clip: Clip) -> bool:
        return self._grammar.recognise(clip.wave_S) != self._spoken[clip.drug]


def _best_setup(lexicon: Lexicon, corpus_uri: str) -> Setup:
    """The setup with the fewest errors on a sample of the clips; of equal ones, the first. Prints all."""
    sample = _sample(corpus_uri)
    print(f"the peer's errors on {len(sample):,} of the clips:")
    errors = []
    for setup in SETUPS:
        grammar = _Peer(lexicon, setup)
        errors.append(sum(map(grammar.is_wrong, sample)))
        print(f"  {errors[-1]:>5}  {setup.name}", flush=True)
    best = SETUPS[errors.index(min(errors))]
    print(f"the peer is measured with: {best.name}\n")
    return best


def _sample(corpus_uri: str) -> Sequence[Clip]:
    """The `_SAMPLE_CLIPS` clips that a hash of their ids puts first, of all engines. Raises CorpusError without a clip."""
    clips = heapq.nsmallest(_SAMPLE_CLIPS, base_corpus.read_clips(corpus_uri), key=lambda clip: seed_of("setup", clip.id))
    if not clips:
        raise CorpusError(f"{corpus_uri} holds no test clip: run benchmarks.base again")
    say(f"trying {len(SETUPS)} setups of the peer on {len(clips):,} clips")
    return clips


def _comparison(group: str, ours: int, peer: int, num_clips: int, lexicon: Lexicon) -> Comparison:
    """Errors of the two; where ours has none, as if it had one."""
    return Comparison(
        name=f"errors on clean clips, {lexicon.name}: {group}", ours=ours, peer=peer, ratio=peer / max(ours, 1), unit=f"of {num_clips:,}", runs=1
    )


if __name__ == "__main__":
    sys.exit(main())
