"""The HTTP interface, for any recogniser: routes, and which error is which status. No Serve needed to test it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from drugasr.errors import AudioError
from drugasr.recognition import Recognition
from serve import page, problem, transcription, upload
from serve.problem import Problem, unavailable
from serve.telemetry import Observer, Silent
from serve.tokens import BearerTokens

MAX_ALTERNATIVES = 5
_BINARY = {"type": "string", "format": "binary"}
_CLIP_TYPES = ("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg", "audio/mp4", "audio/aac", "audio/webm", "application/octet-stream")
_CLIP_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{media_type: {"schema": _BINARY} for media_type in _CLIP_TYPES},
            "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY}}},
        },
    }
}
_TRANSCRIPTION_BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": transcription.BODY_SCHEMA}}}}


class AsyncRecognizer(Protocol):
    """What the interface asks of a recogniser, near or remote."""

    async def recognize(self, wave_S: np.ndarray, num_alternatives: int) -> Recognition: ...

    async def describe(self) -> dict[str, str]:
        """Names of the `model` and the `lexicon`, and what was `refused` since; answers only when the model has been warmed up."""
        ...

    async def search_lexicon(self, query: str, limit: int) -> dict[str, Any]: ...


def create_api(recognizer: AsyncRecognizer, *, tokens: Sequence[str] = (), observer: Observer = Silent()) -> FastAPI:
    """The app. With `tokens` (digests, `serve.tokens`), `/v1/` asks for one; `observer` counts answers and refusals."""
    # Without the documentation pages: they load scripts from a CDN. /openapi.json stays.
    app = FastAPI(title="drugasr", docs_url=None, redoc_url=None)
    problem.install(app, observer.refused)
    if tokens:
        app.add_middleware(BearerTokens, digests=tokens)
    page.install(app)

    async def hear(data: bytes, num_alternatives: int) -> Recognition:
        # In a thread: decoding 30 s takes long enough to hold up every other request.
        wave_S = await asyncio.to_thread(upload.decode_clip, data)
        with _recognizer_errors_as_problems():
            recognition = await recognizer.recognize(wave_S, num_alternatives)
        observer.answered(recognition)
        return recognition

    async def describe() -> dict[str, str]:
        with _recognizer_errors_as_problems():
            return await recognizer.describe()

    @app.post("/v1/recognize", openapi_extra=_CLIP_BODY, responses=problem.responses(400, 408, 413, 415, 422))
    async def recognize(
        request: Request, num_alternatives: Annotated[int, Query(ge=1, le=MAX_ALTERNATIVES)] = MAX_ALTERNATIVES
    ) -> Recognition:
        """The drug in a clip of up to 30 s and 10 MiB: WAV, FLAC, MP3, OGG, M4A, AAC or WebM."""
        return await hear(await upload.read_clip(request), num_alternatives)

    @app.post(
        "/v1/audio/transcriptions",
        openapi_extra=_TRANSCRIPTION_BODY,
        response_class=Response,
        responses={200: {"content": transcription.CONTENT}, **problem.responses(400, 404, 408, 413, 415)},
    )
    async def transcribe(request: Request) -> Response:
        """The same for clients of OpenAI's: the drug and its dose as text, in any of OpenAI's formats."""
        data, form = await upload.read_form(request)
        wanted = transcription.read_request(form)
        if wanted.model not in (*transcription.ALIASES, (await describe())["model"]):
            raise Problem(404, "the model does not exist: GET /v1/models names the one that is served", code="model_not_found", param="model")
        return transcription.answer(wanted, await hear(data, 1))

    @app.get("/v1/models", responses=problem.responses())
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_as_model(await describe())]}

    @app.get("/v1/models/{model}", responses=problem.responses(404, 422))
    async def model(model: str) -> dict[str, Any]:
        names = await describe()
        if model not in (*transcription.ALIASES, names["model"]):
            raise Problem(404, "the model does not exist", code="model_not_found", param="model")
        return _as_model(names)

    @app.get("/v1/lexicon", responses=problem.responses(422))
    async def search_lexicon(
        query: Annotated[str, Query(max_length=100)] = "", limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> dict[str, Any]:
        """The drugs whose name or generic holds `query`; those that begin with it come first."""
        with _recognizer_errors_as_problems():
            return await recognizer.search_lexicon(query, limit)

    @app.get("/health", responses=problem.responses())
    async def health() -> dict[str, str]:
        """200 once the model has answered its warm-up, else 503."""
        with _recognizer_errors_as_problems():
            try:
                return {"status": "ok", **await recognizer.describe()}
            except BackPressureError:
                return {"status": "ok"}  # a full queue stands before a model that works

    return app


def _as_model(names: dict[str, str]) -> dict[str, Any]:
    return {"id": names["model"], "object": "model", "created": 0, "owned_by": "drugasr", "lexicon": names["lexicon"]}


@contextmanager
def _recognizer_errors_as_problems() -> Iterator[None]:
    """Not as exception handlers of the app: Serve puts its own, in plain text, in place of those for its errors."""
    try:
        yield
    except AudioError as error:
        raise Problem(400, str(error), code="invalid_audio", param="file") from error
    except BackPressureError as error:
        raise unavailable("too many clips are waiting", code="overloaded", retry_after_s=1) from error
    except (DeploymentUnavailableError, RayActorError, TimeoutError) as error:
        raise unavailable("the recogniser is not ready", code="not_ready", retry_after_s=5) from error
