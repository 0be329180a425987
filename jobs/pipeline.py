"""From a list of names to a deployed recogniser: corpus, search, training, evaluation, serving."""

import argparse
import sys

from drugasr import pipeline, storage
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.progress import say
from jobs.command import run_job
from jobs.deploying import ask, deploy, write_serve_config
from jobs.flags import parser_of


def parser() -> argparse.ArgumentParser:
    parser = parser_of("pipeline", __doc__)
    parser.add_argument("--no-serve", action="store_true", help="stop after the evaluation")
    return parser


def job(config, arguments) -> dict:
    done = pipeline.run(config, arguments.storage)
    serve_uri = storage.join(arguments.storage, "serve.yaml")
    serve_config = write_serve_config(done.model, config.lexicon, config.serving, serve_uri)
    result = {
        "corpus_clips": done.corpus_clips,
        "clips_made": done.clips_made,
        "trials": done.trials,
        "best": done.best,
        **{f"test_{name}": done.metrics["overall"][name] for name in ("top1", "top5", "levenshtein_top1", "cer", "wer", "ece", "rejected_at_90")},
        "report": done.report,
        "confusions": done.confusions,
        "model": done.model,
        "serve_config": serve_uri,
        "stages_s": done.stages_s,
    }
    if not arguments.no_serve:
        result["served_answer"] = _ask_about_a_held_out_clip(deploy(serve_config), done.corpus_uri)
    storage.write_json(storage.join(arguments.out or arguments.storage, "result.json"), result)
    return result


def _ask_about_a_held_out_clip(address: str, corpus_uri: str) -> dict:
    file_name = min(Manifest.read(corpus_uri).files["test"])
    clips = read_file(corpus_uri, "test", file_name, ["audio", "drug", "drug_id", "voice"]).to_pylist()
    clip = next((clip for clip in clips if clip["drug_id"] is not None), clips[0])  # of the list, rather than one outside it
    say(f"serving: {address} answers a clip of {clip['drug']}, spoken by {clip['voice']}, a voice that training never heard")
    answer = ask(address, clip["audio"]["bytes"])
    for number, alternative in enumerate(answer["alternatives"], start=1):
        say(f"  {number}. {alternative['tall_man']:<28} {alternative['confidence']:6.1%}")
    return {"said": clip["drug"], **{name: answer[name] for name in ("drug", "confidence", "needs_review")}} | {
        "alternatives": [[a["drug"], round(a["confidence"], 4)] for a in answer["alternatives"]]
    }


if __name__ == "__main__":
    sys.exit(run_job(parser(), job))
