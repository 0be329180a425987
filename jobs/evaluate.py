"""Measures a model on the test voices: top-1 to top-5 by CTC likelihood and by Levenshtein, CER and WER."""

import argparse
import sys

from drugasr import storage
from drugasr.acoustic.folder import read_facts
from drugasr.cluster import check_storage
from drugasr.corpus.manifest import Manifest
from drugasr.evaluation.batch import evaluate
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.reading import read_lexicon
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("evaluate", __doc__)
    parser.add_argument("--model", required=True, help="model folder that a training wrote")
    parser.add_argument("--corpus", help="folder of jobs.synthesize (default: the corpus in the storage)")
    return parser


def job(config, arguments) -> dict:
    corpus_uri = arguments.corpus or storage.join(arguments.storage, "corpus")
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters)
    data_hash = Manifest.read(corpus_uri).data_hash
    model = fingerprint(read_facts(arguments.model), arguments.model)
    root = arguments.out or arguments.storage
    check_storage(root)
    out_uri = storage.join(root, f"evaluation-{fingerprint(model, data_hash, lexicon.fingerprint)}")
    metrics = evaluate(arguments.model, corpus_uri, lexicon, config.cluster, out_uri)
    return {"metrics": metrics["overall"], "by_seen": metrics["by_seen"], "out": out_uri}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
