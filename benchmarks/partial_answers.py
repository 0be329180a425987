"""Would partial answers help while a person speaks? Names cut off at a share of their time, beside the whole ones.

    python -m benchmarks.partial_answers [--clips N]

Counted is how often the name that was said comes first. Silence at both ends is cut away, so that a share
of a clip is a share of the name.
"""

import argparse
import sys

from benchmarks.harness import Comparison, show
from benchmarks.spoken_names import speak
from drugasr.audio import trim_silence
from drugasr.lexicon.reading import read_lexicon
from drugasr.recognition import Recognizer

TIER = "top500"
_SHARES = (0.25, 0.5, 0.75, 0.9)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    num_clips = parser.parse_args().clips
    lexicon = read_lexicon(TIER)
    recognizer = Recognizer.from_dir("shipped", lexicon=lexicon)
    said = [(drug.name, trim_silence(wave_S)) for drug, wave_S in speak(lexicon, num_clips)]

    def right(share: float) -> float:
        answers = [recognizer.recognize([wave_S[: round(share * len(wave_S))]])[0] for _, wave_S in said]
        first = [answer.alternatives[0].drug if answer.alternatives else None for answer in answers]
        return sum(one == name for one, (name, _) in zip(first, said, strict=True)) / len(said)

    whole = right(1.0)
    show([_comparison(f"right name first after {share:.0%} of it, beside the whole", right(share), whole, len(said)) for share in _SHARES])
    return 0


def _comparison(name: str, ours: float, peer: float, runs: int) -> Comparison:
    return Comparison(name=name, ours=ours, peer=peer, ratio=ours / peer, unit="share", runs=runs)


if __name__ == "__main__":
    sys.exit(main())
