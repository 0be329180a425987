"""Searches the frozen-layer count and the learning rate, and writes the report."""

import argparse
import sys

from drugasr import pipeline, storage
from drugasr.acoustic.folder import check_base
from drugasr.cluster import check_storage
from drugasr.corpus.manifest import Manifest
from drugasr.lexicon.reading import read_lexicon
from drugasr.tuning.search import search
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("tune", __doc__)
    parser.add_argument("--corpus", help="folder of jobs.synthesize (default: the corpus in the storage)")
    return parser


def job(config, arguments) -> dict:
    corpus_uri = arguments.corpus or storage.join(arguments.storage, "corpus")
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters)
    data_hash = Manifest.read(corpus_uri).data_hash
    check_base(config.model.base, max(config.tuning.frozen_layers))
    root = arguments.out or arguments.storage
    check_storage(root)
    name = f"search-{pipeline.search_name(config, lexicon, data_hash)}"
    search_uri = storage.join(root, name)
    search(config, corpus_uri, lexicon, search_uri)
    best = storage.read_json(storage.join(search_uri, "best.json"))
    return {"trials": best["num_trials"], "best": best["params"], "report": storage.join(search_uri, "report.html")}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
