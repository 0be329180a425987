"""What the HTTP interface says when it cannot answer: `{"error": {"message", "type", "param", "code"}}`.

Nothing here, nor in the log, repeats what was sent: no audio, no transcript, no name of a drug.
"""

import logging
import traceback
from collections.abc import Callable
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)


class Error(BaseModel):
    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    """The offending input."""
    code: str


class ErrorBody(BaseModel):
    """The body of every answer that is no success, for the OpenAPI document."""

    error: Error


_MEANINGS = {
    400: "The clip, the form or a field of it cannot be used",
    401: "A token is wanted",
    404: "No such model",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "Not audio that can be decoded, or no form",
    422: "A parameter of the query cannot be used",
    503: "Overloaded or not ready: come again after Retry-After",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI's `responses` takes, for the errors of a route; any may want a token, or find the recogniser away."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in (*statuses, 401, 503)}


class Problem(Exception):
    """A refusal with its HTTP `status`; `code` is for programs, `param` names the offending input."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None, retry_after_s: int | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def response(self) -> JSONResponse:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return JSONResponse({"error": error}, self.status, headers)


def unavailable(message: str, *, code: str, retry_after_s: int) -> Problem:
    """A 503 that asks the client to come back after `retry_after_s` seconds."""
    return Problem(503, f"{message}; try again in {retry_after_s} s", code=code, retry_after_s=retry_after_s)


def install(app: FastAPI, count: Callable[[str], None]) -> None:
    """Make every error that leaves `app` a Problem, those of FastAPI and unexpected ones included; `count` is told the code of each."""

    def answered(_: Request, problem: Problem) -> JSONResponse:
        count(problem.code)
        return problem.response()

    app.add_exception_handler(Problem, answered)
    app.add_exception_handler(RequestValidationError, lambda request, error: answered(request, _invalid_parameter(error)))
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, lambda _, __: Response(status_code=499))
    app.add_middleware(_UnexpectedErrors)


def log_frames(error: BaseException, doing: str) -> None:
    """Log where `error` arose, without its message, which may hold a transcript or a name."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed: %s\n%s", doing, type(error).__name__, frames)


def _invalid_parameter(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or None
    return Problem(422, f"{param}: {first['msg']}", code="invalid_parameter", param=param)


def _http(_: Request, error: HTTPException) -> JSONResponse:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    response = Problem(error.status_code, error.detail, code=code).response()
    response.headers.update(error.headers or {})
    return response


class _UnexpectedErrors:
    """ASGI middleware. Starlette's own would hand the error on to Serve, which logs its message."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception as error:
            log_frames(error, f"{scope.get('method', '')} {scope.get('path', '')}")
            if scope["type"] == "http" and not started:
                await Problem(500, "the server failed on this request", code="internal_error").response()(scope, receive, send)
