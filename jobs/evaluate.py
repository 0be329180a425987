"""Measures a model on the test voices: top-1 to top-5 by CTC likelihood and by Levenshtein, CER and WER."""

import argparse
import sys

from drugasr import storage
from drugasr.acoustic.folder import read_facts
from drugasr.evaluation.batch import evaluate
from drugasr.fingerprint import fingerprint
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, read_inputs


def parser() -> argparse.ArgumentParser:
    parser = parser_of("evaluate", __doc__)
    parser.add_argument("--model", required=True, help="model folder that a training wrote")
    add_corpus_flag(parser)
    return parser


def job(config, arguments) -> dict:
    inputs = read_inputs(config, arguments)
    name = fingerprint(arguments.model, read_facts(arguments.model), inputs.data_hash, inputs.lexicon.fingerprint)
    out_uri = storage.join(inputs.root_uri, f"evaluation-{name}")
    metrics = evaluate(arguments.model, inputs.corpus_uri, inputs.lexicon, config.cluster, out_uri)
    return {"metrics": metrics["overall"], "by_seen": metrics["by_seen"], "out": out_uri}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
