"""The HTTP interface, for any recogniser: routes, and which error is which status. No Serve needed to test it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from drugasr.errors import AudioError
from drugasr.lexicon.drug import Lexicon
from drugasr.recognition import Recognition
from serve import problem, upload
from serve.problem import Problem, unavailable

MAX_ALTERNATIVES = 5
_PAGE = Path(__file__).parent / "static" / "index.html"
# The page may run its own script and talk to this server, nothing else; `blob:` is its audio worklet.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CLIP_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "audio/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
            },
        },
    }
}


class AsyncRecognizer(Protocol):
    """What the interface asks of a recogniser, near or remote."""

    async def recognize(self, wave_S: np.ndarray, num_alternatives: int) -> Recognition: ...

    async def describe(self) -> dict[str, str]:
        """Names of the `model` and the `lexicon`; answers only when the model has been warmed up."""
        ...


def create_api(recognizer: AsyncRecognizer, lexicon: Lexicon) -> FastAPI:
    """The app. `lexicon` is the list that `recognizer` chooses from."""
    # Without the documentation pages: they load scripts from a CDN. /openapi.json stays.
    app = FastAPI(title="drugasr", docs_url=None, redoc_url=None)
    problem.install(app)
    page = _PAGE.read_text(encoding="utf-8")

    @app.post("/v1/recognize", openapi_extra=_CLIP_BODY)
    async def recognize(
        request: Request, num_alternatives: Annotated[int, Query(ge=1, le=MAX_ALTERNATIVES)] = MAX_ALTERNATIVES
    ) -> Recognition:
        """The drug in a clip of up to 30 s and 10 MiB: WAV, FLAC, MP3 or OGG."""
        data = await upload.read_clip(request)
        # In a thread: decoding 30 s takes long enough to hold up every other request.
        wave_S = await asyncio.to_thread(upload.decode_clip, data)
        with _recognizer_errors_as_problems():
            return await recognizer.recognize(wave_S, num_alternatives)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        with _recognizer_errors_as_problems():
            names = await recognizer.describe()
        return {"object": "list", "data": [{"id": names["model"], "object": "model", "owned_by": "drugasr", "lexicon": names["lexicon"]}]}

    @app.get("/v1/lexicon")
    async def search_lexicon(
        query: Annotated[str, Query(max_length=100)] = "", limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> dict[str, Any]:
        """The drugs whose name or generic holds `query`; those that begin with it come first."""
        wanted = query.strip().casefold()
        found = [drug for drug in lexicon.drugs if wanted in f"{drug.name}\n{drug.generic}".casefold()]
        found.sort(key=lambda drug: not drug.name.casefold().startswith(wanted))
        drugs = [{"id": d.id, "name": d.name, "kind": d.kind or None, "generic": d.generic or None} for d in found[:limit]]
        return {"lexicon": lexicon.name, "total": len(lexicon), "found": len(found), "drugs": drugs}

    @app.get("/health")
    async def health() -> dict[str, str]:
        """200 once the model has answered its warm-up, else 503."""
        with _recognizer_errors_as_problems():
            try:
                return {"status": "ok", **await recognizer.describe()}
            except BackPressureError:
                return {"status": "ok"}  # a full queue stands before a model that works

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        return HTMLResponse(page, headers=headers)

    return app


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
