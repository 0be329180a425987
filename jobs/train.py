"""Fine-tunes a CTC model on a corpus with data-parallel workers and calibrates it; a run that was stopped goes on where it was.

`--resume RUN` goes on with the training in that folder, with the configuration and the corpus that it began with.
"""

import argparse
import sys

from drugasr import pipeline, storage
from drugasr.acoustic.folder import check_base
from drugasr.cluster import check_training
from drugasr.errors import InputError
from drugasr.evaluation.calibrating import calibrate
from drugasr.training.distributed import read_run, train_distributed
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, read_inputs


def parser() -> argparse.ArgumentParser:
    parser = parser_of("train", __doc__)
    add_corpus_flag(parser)
    parser.add_argument("--resume", metavar="RUN", help="folder of a training that was stopped; the other settings are read from it")
    return parser


def job(config, arguments) -> dict:
    run_uri = getattr(arguments, "resume", None)
    if run_uri:
        config, arguments.corpus = read_run(run_uri)
        arguments.out = run_uri.rpartition("/")[0]
    inputs = read_inputs(config, arguments)
    check_base(config.model.base, config.model.frozen_layers)
    check_training(config)
    name = f"training-{pipeline.training_name(config, inputs.lexicon, inputs.data_hash)}"
    if run_uri and run_uri.rpartition("/")[2] != name:
        raise InputError(f"{run_uri} cannot be resumed: its list, corpus or base model has changed since; without --resume, {name} begins anew")
    trained = train_distributed(config, inputs.corpus_uri, inputs.lexicon, storage.join(inputs.root_uri, name))
    calibrate(trained.model_uri, inputs.corpus_uri, inputs.lexicon, config.cluster)
    return {"model": trained.model_uri, "metrics": trained.metrics}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
