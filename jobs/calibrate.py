"""Calibrates a model's confidence on the validation voices, for another list than it was trained on, or after new recordings."""

import argparse
import sys

from drugasr.evaluation.calibrating import calibrate
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, add_model_flag, read_inputs


def parser() -> argparse.ArgumentParser:
    parser = parser_of("calibrate", __doc__)
    add_model_flag(parser)
    add_corpus_flag(parser)
    return parser


def job(config, arguments) -> dict:
    inputs = read_inputs(config, arguments)
    calibration = calibrate(arguments.model, inputs.corpus_uri, inputs.lexicon, config.cluster)
    return {"model": arguments.model, "clips": calibration.num_clips, "outsiders": calibration.num_outsiders}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
