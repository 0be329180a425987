"""Calibrates a model's confidence on the validation voices, for another list than it was trained on, or after new recordings."""

import argparse
import sys

from drugasr.evaluation.calibrating import calibrate
from jobs import evaluate
from jobs.command import run_job
from jobs.inputs import read_inputs


def parser() -> argparse.ArgumentParser:
    return evaluate.parser("calibrate", __doc__)


def job(config, arguments) -> dict:
    inputs = read_inputs(config, arguments)
    calibration = calibrate(arguments.model, inputs.corpus_uri, inputs.lexicon, config.cluster)
    return {"model": arguments.model, "clips": calibration.num_clips, "outsiders": calibration.num_outsiders}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
