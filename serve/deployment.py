"""The two Serve deployments: `RecognizerReplica` holds the model and batches clips, `Ingress` speaks HTTP before it."""

import asyncio
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.config import BackpressureConfig
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from drugasr import audio
from drugasr.errors import ConfigError, DrugasrError, ModelError
from drugasr.recognition import Recognition, Recognizer
from serve.api import MAX_ALTERNATIVES, create_api
from serve.audit import AuditLog
from serve.problem import log_frames
from serve.search import search
from serve.settings import ServedModel
from serve.telemetry import Both, Telemetry

logger = logging.getLogger(__name__)

MAX_ONGOING = 32
"""Clips that a replica holds at a time, two batches of them; more wait at the ingress."""
MAX_QUEUED = 64
"""Clips that wait at the ingress; more are refused with a 503."""
# Half of what the replica holds: while one batch is computed, the next one is already here.
_MAX_BATCH_CLIPS = MAX_ONGOING // 2
# A batch is padded to its longest clip. 64 s at most bound its memory, and how long a short clip waits beside long ones.
_MAX_BATCH_SAMPLES = 64 * audio.SAMPLE_RATE_HZ
_MAX_FAILURES = 3
_TRIES = 3
_ANSWER_TIMEOUT_S = 50.0
"""Below the `request_timeout_s` of serve/config.yaml: our 503 says when to come again, Serve's 408 says nothing."""
_DESCRIBE_TIMEOUT_S = 5.0
_DRAIN_S = 30.0
"""A replica that is to go answers what it has taken, for so long."""
_NOISE_S = np.random.default_rng(0).normal(scale=0.01, size=audio.SAMPLE_RATE_HZ).astype(np.float32)


def load_recognizer(served: ServedModel) -> Recognizer:
    """The recogniser of a model folder, or the URI of one, on one thread: replicas run beside each other."""
    # Torch reads this when it is loaded, which is in the next line; Ray's own value is the replica's number of CPUs.
    os.environ["OMP_NUM_THREADS"] = "1"
    return Recognizer.from_dir(served.model, lexicon=served.read_lexicon(), rule=served.rule())


def _batch_size(waves: Sequence[np.ndarray]) -> int:
    """In clips, where clips that are longer than a full batch has room for count for more."""
    padded_samples = len(waves) * max(len(wave_S) for wave_S in waves)
    return max(len(waves), math.ceil(padded_samples * _MAX_BATCH_CLIPS / _MAX_BATCH_SAMPLES))


@serve.deployment(
    name="recognizer",
    max_ongoing_requests=MAX_ONGOING,
    max_queued_requests=MAX_QUEUED,
    backpressure_config=BackpressureConfig(retry_after_s=1),
    graceful_shutdown_timeout_s=_DRAIN_S,
    logging_config=LoggingConfig(enable_access_log=False),  # a line a clip costs a tenth of its time; the ingress has one
)
class RecognizerReplica:
    """One model in one process. `load(served)` gives what has the methods of drugasr's Recognizer."""

    def __init__(self, load: Callable = load_recognizer):
        self._load = load
        self._recognizer: Recognizer | None = None
        self._names: dict[str, str] = {}
        self._failures = 0
        self._computing = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Serve calls it before the first request and whenever `user_config` changes; meanwhile the old model answers.

        What cannot be served is refused: the old model stays, and `/health` says so. Raises what is wrong where there is none yet.
        """
        try:
            served = ServedModel.from_dict(user_config)
            self._recognizer, self._names = await asyncio.to_thread(self._prepare, served)
        except Exception as error:  # whatever it is: raised, it would take the old model's replica down
            if self._recognizer is None:
                raise
            # What is wrong with a list may quote its names, which belong in no log.
            why = str(error) if isinstance(error, (ConfigError, ModelError)) else f"{type(error).__name__}: `serve run` with the same arguments says more"
            logger.error("the new user_config is refused, the old one is kept: %s", why)
            self._names = self._names | {"refused": why}
        self._failures = 0

    def _prepare(self, served: ServedModel) -> tuple[Recognizer, dict[str, str]]:
        recognizer = self._load(served)
        # The first clip compiles and allocates; no user is to wait for that.
        (warm_up,) = recognizer.recognize([_NOISE_S], num_alternatives=MAX_ALTERNATIVES)
        recognizer.recognize([_NOISE_S, _NOISE_S[: len(_NOISE_S) * 3 // 4]], num_alternatives=1)
        return recognizer, {"model": warm_up.model, "lexicon": warm_up.lexicon}

    async def recognize(self, wave_S: np.ndarray, num_alternatives: int) -> Recognition | Exception:
        """An error is returned, not raised: Serve logs what is raised, with the message and all."""
        # serve.batch closes a batch when its wait is over, even if the model is busy, and so makes many of one clip
        # (measured). Held back until the model is free, all that came meanwhile enter one batch, and none waits idly.
        await self._idle.wait()
        outcome = await self._recognize_batch(wave_S)
        if isinstance(outcome, Exception):
            return outcome
        return replace(outcome, alternatives=outcome.alternatives[:num_alternatives])

    async def describe(self) -> dict[str, str]:
        return self._names

    async def search_lexicon(self, query: str, limit: int) -> dict[str, Any]:
        return search(self._recognizer.lexicon, query, limit)

    async def check_health(self) -> None:
        """Asked by Serve, which replaces a replica that raises: one whose model cannot answer a clip of noise."""
        if self._failures >= _MAX_FAILURES:
            raise RuntimeError(f"the model failed on {self._failures} clips in a row")
        (outcome,) = await self._compute([_NOISE_S])
        if isinstance(outcome, Exception):
            raise outcome

    @serve.batch(max_batch_size=_MAX_BATCH_CLIPS, batch_wait_timeout_s=0.0, batch_size_fn=_batch_size)
    async def _recognize_batch(self, waves: list[np.ndarray]) -> list[Recognition | Exception]:
        return await self._compute(waves)

    async def _compute(self, waves: list[np.ndarray]) -> list[Recognition | Exception]:
        async with self._computing:
            self._idle.clear()
            try:
                # In a thread, so that clips arrive and health checks are answered meanwhile.
                return await asyncio.to_thread(self._outcomes, waves)
            finally:
                self._idle.set()

    def _outcomes(self, waves: list[np.ndarray]) -> list[Recognition | Exception]:
        recognizer = self._recognizer  # the same for all, though another be swapped in meanwhile
        if len(waves) > 1:
            try:
                outcomes = list(recognizer.recognize(waves, num_alternatives=MAX_ALTERNATIVES))
                self._failures = 0
                return outcomes
            except Exception:
                pass  # one clip is to blame, and the others shall not suffer for it
        return [self._outcome(recognizer, wave_S) for wave_S in waves]

    def _outcome(self, recognizer: Recognizer, wave_S: np.ndarray) -> Recognition | Exception:
        try:
            (recognition,) = recognizer.recognize([wave_S], num_alternatives=MAX_ALTERNATIVES)
        except DrugasrError as error:
            return error
        except Exception as error:
            self._failures += 1
            log_frames(error, "recognition")
            return RuntimeError(f"recognition failed with {type(error).__name__}")
        self._failures = 0
        return recognition


class RemoteRecognizer:
    """An `api.AsyncRecognizer` behind a handle."""

    def __init__(self, handle: DeploymentHandle):
        self._handle = handle.options(_by_reference=False)

    async def recognize(self, wave_S: np.ndarray, num_alternatives: int) -> Recognition:
        for tries_left in reversed(range(_TRIES)):
            try:
                outcome = await asyncio.wait_for(self._handle.recognize.remote(wave_S, num_alternatives), _ANSWER_TIMEOUT_S)
                break
            except RayActorError:
                # The replica died with the clip in it. To recognise it once more does no harm: another replica, or the next.
                if not tries_left:
                    raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def describe(self) -> dict[str, str]:
        return await asyncio.wait_for(self._handle.describe.remote(), _DESCRIBE_TIMEOUT_S)

    async def search_lexicon(self, query: str, limit: int) -> dict[str, Any]:
        return await asyncio.wait_for(self._handle.search_lexicon.remote(query, limit), _DESCRIBE_TIMEOUT_S)


# More than the recogniser ever lets wait, so that it is the API that refuses, in JSON, and not the proxy.
@serve.deployment(
    name="api", max_ongoing_requests=2 * (MAX_ONGOING + MAX_QUEUED), ray_actor_options={"num_cpus": 0}, graceful_shutdown_timeout_s=_DRAIN_S
)
@serve.ingress()
class Ingress:
    def __init__(self, recognizer: DeploymentHandle, tokens: tuple[str, ...] = (), audit_folder: str = ""):
        self._recognizer, self._tokens, self._audit_folder = RemoteRecognizer(recognizer), tokens, audit_folder

    def __serve_build_asgi_app__(self) -> FastAPI:
        observer = Both(Telemetry(), AuditLog(self._audit_folder)) if self._audit_folder else Telemetry()
        return create_api(self._recognizer, tokens=self._tokens, observer=observer)
