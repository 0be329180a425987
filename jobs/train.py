"""Fine-tunes a CTC model on a corpus with data-parallel workers; a run that was stopped goes on where it was."""

import argparse
import sys

from drugasr import pipeline, storage
from drugasr.acoustic.folder import check_base
from drugasr.cluster import check_storage, check_training
from drugasr.corpus.manifest import Manifest
from drugasr.lexicon.reading import read_lexicon
from drugasr.training.distributed import train_distributed
from jobs.command import run_job
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("train", __doc__)
    parser.add_argument("--corpus", help="folder of jobs.synthesize (default: the corpus in the storage)")
    return parser


def job(config, arguments) -> dict:
    corpus_uri = arguments.corpus or storage.join(arguments.storage, "corpus")
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters)
    data_hash = Manifest.read(corpus_uri).data_hash
    check_base(config.model.base, config.model.frozen_layers)
    check_training(config.cluster)
    root = arguments.out or arguments.storage
    check_storage(root)
    name = f"training-{pipeline.training_name(config, lexicon, data_hash)}"
    trained = train_distributed(config, corpus_uri, lexicon, storage.join(root, name))
    return {"model": trained.model_uri, "metrics": trained.metrics}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
