"""Speaks every name of a list with every voice and augments it, into a Parquet corpus."""

import argparse
import sys

from drugasr import storage
from drugasr.cluster import check_storage
from drugasr.corpus.preview import MAX_CLIPS, check_num_clips, write_preview
from drugasr.corpus.synthesis import synthesise
from drugasr.lexicon.reading import read_lexicon
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("synthesize", __doc__)
    parser.add_argument(
        "--preview", type=int, metavar="N", help=f"write preview.html beside the corpus too: N random clips to see and hear (1 to {MAX_CLIPS})"
    )
    return parser


def job(config, arguments) -> dict:
    if arguments.preview is not None:
        check_num_clips(arguments.preview)
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters, config.lexicon.salts)
    root = arguments.out or arguments.storage
    check_storage(root)
    corpus_uri = storage.join(root, "corpus")
    done = synthesise(lexicon, config.corpus, config.cluster, corpus_uri)
    result = {
        "corpus": corpus_uri,
        "corpus_clips": done.manifest.total_clips,
        "clips_made": done.num_made,
        "failures": done.manifest.num_failures,
        "data_hash": done.manifest.data_hash,
    }
    if arguments.preview is not None:
        result["preview"] = storage.join(corpus_uri, "preview.html")
        write_preview(corpus_uri, arguments.preview, result["preview"], config.corpus.seed)
    return result


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
