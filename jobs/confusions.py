"""Which names of the list a model confuses on the test voices: a page for a person, and a CSV file of all pairs."""

import argparse
import sys

from drugasr import storage
from drugasr.evaluation.confusions import write_confusions
from jobs import evaluate
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, add_model_flag


def parser() -> argparse.ArgumentParser:
    parser = parser_of("confusions", __doc__)
    add_model_flag(parser)
    add_corpus_flag(parser)
    return parser


def job(config, arguments) -> dict:
    lexicon, metrics, out_uri = evaluate.evaluated(config, arguments)
    written = write_confusions(storage.join(out_uri, "predictions.parquet"), lexicon, out_uri)
    return {**written, "top1": metrics["overall"]["top1"]}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
