"""What the stages behind the corpus start from."""

import argparse
from dataclasses import dataclass

from drugasr import storage
from drugasr.cluster import check_storage
from drugasr.config import Config
from drugasr.corpus.manifest import Manifest
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon


@dataclass(frozen=True, kw_only=True)
class Inputs:
    corpus_uri: str
    data_hash: str
    lexicon: Lexicon
    root_uri: str
    """Where the job writes, under a name of its own."""


def add_corpus_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", help="folder of jobs.synthesize (default: the corpus in the storage)")


def add_model_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="model folder that a training wrote")


def read_inputs(config: Config, arguments: argparse.Namespace) -> Inputs:
    """Raises LexiconError, CorpusError or StorageError before any work."""
    corpus_uri = arguments.corpus or storage.join(arguments.storage, "corpus")
    lexicon = read_lexicon(config.lexicon.source, config.lexicon.max_letters, config.lexicon.salts)
    data_hash = Manifest.read(corpus_uri).data_hash
    root_uri = arguments.out or arguments.storage
    check_storage(root_uri)
    return Inputs(corpus_uri=corpus_uri, data_hash=data_hash, lexicon=lexicon, root_uri=root_uri)
