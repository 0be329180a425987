"""Builds the base model that the package ships: speaks the corpus of the preset `pretrain`, and trains on it from scratch.

What is there already is not made again, so a run that was stopped goes on where it was. docs/BASE.md has the command.
"""

import argparse
import sys

from jobs import synthesize, train
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("pretrain", __doc__)
    parser.set_defaults(preset="pretrain", preview=None, corpus=None)
    return parser


def job(config, arguments) -> dict:
    made = synthesize.job(config, arguments)
    arguments.corpus = made["corpus"]
    return made | train.job(config, arguments)


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
