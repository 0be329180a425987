"""The flags that all jobs share, and what they mean."""

import argparse
import json
import sys
from typing import NoReturn

from drugasr import presets
from drugasr.config import Config
from drugasr.errors import InputError
from drugasr.progress import say
from jobs.locations import with_whole_locations

_DEFAULT_STORAGE = "~/drugasr"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Bad flags end like other bad input: a message, the line of JSON, exit code 2."""
        self.print_usage(sys.stderr)
        say(f"error: {message}")
        print(json.dumps({"error": message, "type": "InputError"}), flush=True)
        sys.exit(InputError.exit_code)


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags that all jobs share."""
    parser = _Parser(prog=f"python -m jobs.{name}", description=description)
    parser.add_argument("--preset", default="mini", help=f"one of {', '.join(presets.PRESETS)} (default: mini)")
    parser.add_argument("--config", metavar="FILE", help="TOML file of differences from the preset")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], dest="assignments", help="one difference; may be repeated")
    parser.add_argument("--storage", default=_DEFAULT_STORAGE, help=f"folder or URI that all stages share (default: {_DEFAULT_STORAGE})")
    parser.add_argument("--out", help="folder or URI for what this job writes (default: the storage)")
    parser.add_argument("--lexicon", help="quick50, top500, full, or the path or URI of a list of names")
    parser.add_argument("--num-workers", type=int, help="data-parallel training workers")
    parser.add_argument("--gpu", action="store_true", help="give each training worker a GPU")
    parser.add_argument("--seed", type=int, help="seed of the corpus, the training and the search")
    return parser


def config_of(arguments: argparse.Namespace) -> Config:
    """The preset with all differences. Raises ConfigError."""
    flags = {
        "lexicon.source": arguments.lexicon,
        "cluster.num_workers": arguments.num_workers,
        "cluster.gpus_per_worker": 1.0 if arguments.gpu else None,
        **{f"{section}.seed": arguments.seed for section in ("corpus", "training", "tuning")},
    }
    assignments = [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    return with_whole_locations(presets.load(arguments.preset, arguments.config, [*arguments.assignments, *assignments]))
