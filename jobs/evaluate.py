"""Measures a model on the test voices: top-1 to top-5 by CTC likelihood and by Levenshtein, CER and WER."""

import argparse
import sys

from drugasr import storage
from drugasr.acoustic.facts import read_facts
from drugasr.evaluation.batch import evaluate
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, read_inputs


def parser(name: str = "evaluate", description: str = __doc__) -> argparse.ArgumentParser:
    parser = parser_of(name, description)
    parser.add_argument("--model", required=True, help="model folder that a training wrote")
    add_corpus_flag(parser)
    return parser


def evaluated(config, arguments) -> tuple[Lexicon, dict, str]:
    """The list, the metrics, and the folder where they and the predictions are, which are made unless they are there."""
    inputs = read_inputs(config, arguments)
    name = fingerprint(arguments.model, read_facts(arguments.model), inputs.data_hash, inputs.lexicon.fingerprint)
    out_uri = storage.join(inputs.root_uri, f"evaluation-{name}")
    metrics = evaluate(arguments.model, inputs.corpus_uri, inputs.lexicon, config.cluster, out_uri)
    return inputs.lexicon, metrics, out_uri


def job(config, arguments) -> dict:
    _, metrics, out_uri = evaluated(config, arguments)
    return {"metrics": metrics["overall"], "by_seen": metrics["by_seen"], "out": out_uri}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
