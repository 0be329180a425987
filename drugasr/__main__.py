"""`python -m drugasr clip.wav ...`: the likeliest drug names in recordings, for a person, or as JSON with --json."""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from drugasr import audio
from drugasr.acoustic.shipped import SHIPPED
from drugasr.decoding.answer import Recognition
from drugasr.errors import DrugasrError, InputError

_BATCH_CLIPS = 16


def main() -> int:
    """Exit codes: 0 all clips were answered, 1 failed, 2 bad input; a clip that cannot be read does not stop the others."""
    parser = argparse.ArgumentParser(prog="python -m drugasr", description=__doc__)
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="recordings: WAV, FLAC, MP3, OGG, M4A, WebM")
    parser.add_argument("--model", action="append", help="model folder that a training wrote; several for an ensemble (default: the shipped one)")
    parser.add_argument("--weight", action="append", type=float, help="of each model of an ensemble, in their order (default: equal)")
    parser.add_argument("--lexicon", default="top500", help="quick50, top500, full, or the path or URI of a list (default: top500)")
    parser.add_argument("--salts", choices=("keep", "strip"), default="keep", help="whether salts at the end of a name are said")
    parser.add_argument("--json", action="store_true", help="one line of JSON a clip, with times, alternatives and reasons")
    arguments = parser.parse_args()
    try:
        return _answer(arguments)
    except DrugasrError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _answer(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from drugasr.lexicon.reading import read_lexicon
    from drugasr.recognition import Recognizer  # torch takes seconds to load: not for --help, nor for a bad flag

    recognizer = Recognizer.from_dir(
        *(arguments.model or [SHIPPED]), lexicon=read_lexicon(arguments.lexicon, salts=arguments.salts), weights=arguments.weight, num_threads=os.cpu_count() or 1
    )
    exit_code = 0
    for start in range(0, len(arguments.clips), _BATCH_CLIPS):
        waves = {}
        for path in arguments.clips[start : start + _BATCH_CLIPS]:
            try:
                waves[path] = audio.decode(Path(path).read_bytes())
            except (OSError, DrugasrError) as error:
                print(f"{path}: {error}", file=sys.stderr)
                exit_code = InputError.exit_code
        for path, answer in zip(waves, recognizer.recognize(list(waves.values())), strict=True):
            plain = {"clip": path, **dataclasses.asdict(answer)}
            print(json.dumps(plain, ensure_ascii=False) if arguments.json else _as_text(path, answer), flush=True)
    return exit_code


def _as_text(path: str, answer: Recognition) -> str:
    dose = f" {answer.dose.value:g} {answer.dose.unit}" if answer.dose else ""
    name = f"{answer.alternatives[0].tall_man}{dose}" if answer.drug else "none of the list"
    lines = [f"{path}: {name} ({answer.confidence:.0%})" + (f"   CHECK: {', '.join(answer.review_reasons)}" if answer.needs_review else "")]
    lines += [
        f"  {rank}. {other.tall_man:30} {other.confidence:6.1%}" + (f"   sounds like {', '.join(other.sounds_like)}" if other.sounds_like else "")
        for rank, other in enumerate(answer.alternatives, start=1)
    ]
    return "\n".join([*lines, f'  heard: "{answer.text}"'])


if __name__ == "__main__":
    sys.exit(main())
