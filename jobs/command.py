"""What every job does around its one call: configuration, Ray, exit code, the line of JSON."""

import argparse
import json
import logging
import os
import traceback
from collections.abc import Callable
from typing import Any

import ray

from drugasr.config import Config
from drugasr.errors import DrugasrError, InputError, deliberate
from drugasr.progress import say
from jobs.flags import config_of
from jobs.locations import location_of

Job = Callable[[Config, argparse.Namespace], dict[str, Any]]


def run_job(parser: argparse.ArgumentParser, job: Job) -> int:
    """Parses, connects, runs `job` and prints its result as the last line of stdout.

    Exit codes: 0 done, 1 failed, 2 bad input.
    """
    arguments = parser.parse_args()
    try:
        config = config_of(arguments)
        for name in ("storage", "out", "corpus", "model", "ship", "resume"):
            if isinstance(value := getattr(arguments, name, None), str):
                setattr(arguments, name, location_of(name, value))
        _connect()
        result = job(config, arguments)
        code = 0
    except Exception as error:  # whatever it is, the caller gets the line of JSON and the right code
        cause = deliberate(error)
        say(f"error: {cause}" if cause else traceback.format_exc())
        result = {"error": str(cause or error), "type": type(cause or error).__name__}
        code = cause.exit_code if cause else DrugasrError.exit_code
    ray.shutdown()  # first: what workers still print comes before the last line
    print(json.dumps(result), flush=True)
    return code


def _connect() -> None:
    """Joins the Ray of RAY_ADDRESS (a submitted job has one), or starts one in this process."""
    defaults = {
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        # On a loaded machine two trials' workers import torch for longer than Ray's 60 s, and are started anew, for ever.
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "180",
        "RAY_AIR_NEW_OUTPUT": "0",  # Tune's new output prints a table whatever its verbosity
        **{"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16384", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"},  # the first: room for all shapes of batches
    }
    os.environ |= (defaults := defaults | {name: os.environ[name] for name in defaults if name in os.environ})
    if os.environ.get("RAY_ADDRESS", "").startswith("http"):
        raise InputError("RAY_ADDRESS is a dashboard's: submit the job (`ray job submit --working-dir . -- python -m jobs...`), or unset it")
    # `local`, and not Ray's default: that joins whatever Ray it finds on the machine.
    here = {"address": "local", "num_cpus": max(4, os.cpu_count() or 1), "include_dashboard": False}
    ray.init(logging_level=logging.WARNING, runtime_env={"env_vars": defaults}, **({} if "RAY_ADDRESS" in os.environ else here))
