"""Speaks every name of a list with every voice and augments it, into a Parquet corpus."""

import argparse
import sys

from drugasr import storage
from drugasr.cluster import check_storage
from drugasr.corpus.synthesis import synthesise
from drugasr.lexicon.reading import read_lexicon
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    return parser_of("synthesize", __doc__)


def job(config, arguments) -> dict:
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters)
    root = arguments.out or arguments.storage
    check_storage(root)
    corpus_uri = storage.join(root, "corpus")
    done = synthesise(lexicon, config.corpus, config.cluster, corpus_uri)
    return {
        "corpus": corpus_uri,
        "corpus_clips": done.manifest.total_clips,
        "clips_made": done.num_made,
        "failures": done.manifest.num_failures,
        "data_hash": done.manifest.data_hash,
    }


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
