"""Measures recognisers on the test voices, side by side: our models, others of the hub, ensembles; metrics.json, predictions, a report."""

import argparse
import sys

from drugasr import storage
from drugasr.acoustic.facts import read_facts
from drugasr.evaluation.batch import compare, evaluate
from drugasr.evaluation.recognisers.spec import parse_specs
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from jobs.command import run_job
from jobs.flags import parser_of
from jobs.inputs import add_corpus_flag, read_inputs
from jobs.locations import model_location


def parser() -> argparse.ArgumentParser:
    parser = parser_of("evaluate", __doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--model", help="one model folder that a training wrote")
    chosen.add_argument(
        "--recognisers", nargs="+", metavar="R",
        help="[NAME=]MODEL[@LANGUAGE][+MODEL...]: a model folder, its URI, a hub name (HuBERT, wav2vec2, S2T, Whisper), `shipped` or `pocketsphinx`; "
        "@en masks a multilingual one, + makes an ensemble",
    )  # fmt: skip
    parser.add_argument("--snr-db", nargs="+", type=float, default=[], metavar="DB", help="with --recognisers: hear each clip again with noise at each SNR")
    parser.add_argument("--log-probs", action="store_true", help="keep the log-probabilities of every frame in the predictions")
    add_corpus_flag(parser)
    return parser


def evaluated(config, arguments) -> tuple[Lexicon, dict, str]:
    """Of one model: the list, the metrics, and the folder where they and the predictions are, which are made unless they are there."""
    inputs = read_inputs(config, arguments)
    name = fingerprint(arguments.model, read_facts(arguments.model), inputs.data_hash, inputs.lexicon.fingerprint)
    out_uri = storage.join(inputs.root_uri, f"evaluation-{name}")
    metrics = evaluate(arguments.model, inputs.corpus_uri, inputs.lexicon, config.cluster, out_uri, keep_log_probs=getattr(arguments, "log_probs", False))
    return inputs.lexicon, metrics, out_uri


def job(config, arguments) -> dict:
    if arguments.model:
        _, metrics, out_uri = evaluated(config, arguments)
        return {"metrics": metrics["overall"], "by_seen": metrics["by_seen"], "report": storage.join(out_uri, "report.html"), "out": out_uri}
    specs = [spec.located(lambda model: model_location("recognisers", model)) for spec in parse_specs(arguments.recognisers)]
    inputs = read_inputs(config, arguments)
    # Whoever else is compared on the same clips and names joins the same folder: nothing is recognised twice.
    out_uri = storage.join(inputs.root_uri, f"comparison-{fingerprint(inputs.data_hash, inputs.lexicon.fingerprint)}")
    options = {"snrs_db": tuple(arguments.snr_db), "keep_log_probs": arguments.log_probs}
    found = compare(specs, inputs.corpus_uri, inputs.lexicon, config.cluster, out_uri, **options)
    overall = {name: measured["overall"] for name, measured in found["recognisers"].items()}
    return {"metrics": overall, "report": storage.join(out_uri, "report.html"), "out": out_uri}


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
