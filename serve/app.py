"""The Serve application: `serve run serve.app:build model=FOLDER lexicon=quick50`, or `serve deploy serve/config.yaml`."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from ray.serve import Application

from drugasr.acoustic.shipped import SHIPPED
from drugasr.config import ServingConfig
from drugasr.errors import ConfigError
from serve.deployment import MAX_ONGOING, Ingress, RecognizerReplica, load_recognizer
from serve.settings import ServedModel
from serve.tokens import read_tokens

_SERVING = ("num_replicas", "max_replicas", "cpus_per_replica")
ARGUMENTS = ("model", "lexicon", "salts", "review", *_SERVING, "tokens_file", "audit_folder")
_REPLICAS_PER_INGRESS = 4


def build(args: dict[str, Any]) -> Application:
    """The application for `args`: `model` (folder, URI or `shipped`; shipped), `lexicon` (tier, path or URI; quick50),
    `salts` (keep or strip, as in the training; keep), `review` (thresholds of `drugasr.decoding.review.ReviewRule`), `num_replicas`
    (1), `max_replicas` (as many), `cpus_per_replica` (1.0) `tokens_file` (one token a line; none: no token is asked for) and `audit_folder` (`serve.audit`; none: nothing is kept).

    Everything is checked here, before anything is deployed: an error in a replica ends up in a log.
    Raises ConfigError, ModelError or LexiconError.
    """
    unknown = sorted(set(args) - set(ARGUMENTS))
    if unknown:
        raise ConfigError(f"unknown arguments {', '.join(unknown)}: there are {', '.join(ARGUMENTS)}")
    try:
        serving = ServingConfig(**{name: args[name] for name in _SERVING if name in args})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc'])) or 'replicas'}={first['input']}: {first['msg']}") from error
    served = ServedModel(
        model=args.get("model") or SHIPPED, lexicon=args.get("lexicon", "quick50"), salts=args.get("salts", "keep"), review=args.get("review") or {}
    )
    tokens = read_tokens(args["tokens_file"]) if args.get("tokens_file") else ()
    audit_folder = os.path.abspath(args["audit_folder"]) if args.get("audit_folder") else ""
    return assemble(served.checked(), serving, tokens, audit_folder=audit_folder)


def assemble(
    served: ServedModel, serving: ServingConfig, tokens: Sequence[str] = (), load: Callable = load_recognizer, audit_folder: str = ""
) -> Application:
    """The application, unchecked. `load(served)` runs in each replica and gives its recogniser; `tokens` are digests.

    What is served is the deployment's `user_config`: another model or list is swapped in without a new process.
    """
    most = serving.max_replicas or serving.num_replicas
    scaling = {"num_replicas": serving.num_replicas}
    if most > serving.num_replicas:
        # Half of what a replica holds: one full batch.
        scaling = {"autoscaling_config": {"min_replicas": serving.num_replicas, "max_replicas": most, "target_ongoing_requests": MAX_ONGOING // 2}}
    recognizer = RecognizerReplica.options(
        user_config=served.to_dict(), ray_actor_options={"num_cpus": serving.cpus_per_replica}, **scaling
    ).bind(load)
    # Decoding and HTTP take a fraction of a model's time; the count follows the replicas.
    return Ingress.options(num_replicas=math.ceil(most / _REPLICAS_PER_INGRESS)).bind(recognizer, tuple(tokens), audit_folder)
