"""Searches the frozen-layer count and the learning rate, and writes the report."""

import argparse
import sys

from drugasr import pipeline, storage
from drugasr.acoustic.folder import check_base
from drugasr.tuning.search import search
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, read_inputs


def parser() -> argparse.ArgumentParser:
    parser = parser_of("tune", __doc__)
    add_corpus_flag(parser)
    return parser


def job(config, arguments) -> dict:
    inputs = read_inputs(config, arguments)
    check_base(config.model.base, max(config.tuning.frozen_layers))
    name = f"search-{pipeline.search_name(config, inputs.lexicon, inputs.data_hash)}"
    search_uri = storage.join(inputs.root_uri, name)
    search(config, inputs.corpus_uri, inputs.lexicon, search_uri)
    best = storage.read_json(storage.join(search_uri, "best.json"))
    return {"trials": best["num_trials"], "best": best["params"], "report": storage.join(search_uri, "report.html")}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
