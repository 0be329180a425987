"""Builds the base model that the package ships: speaks the corpus of the preset `pretrain`, and trains on it from scratch.

What is there already is not made again, so a run that was stopped goes on where it was. `--ship FOLDER` writes the model in
float16, with its cards, as the package ships it in drugasr/acoustic/base. docs/BASE.md has the command.
"""

import argparse
import shlex
import sys

from drugasr import storage
from drugasr.acoustic.shipping import ship
from drugasr.evaluation.calibrating import calibrate
from drugasr.lexicon.reading import read_lexicon
from jobs import synthesize, train
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("pretrain", __doc__)
    parser.add_argument("--ship", metavar="FOLDER", help="also write the model there as the package ships it")
    parser.set_defaults(preset="pretrain", preview=None, corpus=None)
    return parser


def job(config, arguments) -> dict:
    made = synthesize.job(config, arguments)
    arguments.corpus = made["corpus"]
    trained = train.job(config, arguments)
    if arguments.ship:
        command = shlex.join(["python", "-m", "jobs.pretrain", *sys.argv[1:]])
        data_card = storage.read_bytes(storage.join(made["corpus"], "README.md"))
        trained["shipped_bytes"] = ship(trained["model"], data_card, arguments.ship, {"command": command})
        # For the list that it serves when no other is named: the other names of the validation voices are outside of it.
        calibrate(arguments.ship, made["corpus"], read_lexicon("top500"), config.cluster)
    return made | trained


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
