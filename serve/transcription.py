"""`POST /v1/audio/transcriptions`: what a client of OpenAI's sends, and the answer that it expects."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData

from drugasr.decoding.answer import Recognition
from serve import formats
from serve.problem import Problem

ALIASES = ("drugasr", "whisper-1")
"""Model names that mean whichever model is served: programs often have one of OpenAI's built in."""
_GRANULARITIES = "timestamp_granularities[]"


class TranscriptionRequest(BaseModel):
    """The form without the file. The language, the prompt and the temperature change nothing: names of a list are looked for."""

    model: str
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    prompt: str = ""
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    timestamp_granularities: frozenset[Literal["word", "segment"]] = frozenset({"segment"})
    stream: bool = False


def _in_form(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that may be left out: a form has no null."""
    (kind,) = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return kind


# What the OpenAPI document says of the body, which is read by `serve.upload` rather than by FastAPI.
BODY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        **{
            _GRANULARITIES if name == "timestamp_granularities" else name: _in_form(schema)
            for name, schema in TranscriptionRequest.model_json_schema()["properties"].items()
        },
    },
    # Times of words and segments have a place in one format only.
    "dependentSchemas": {_GRANULARITIES: {"required": ["response_format"], "properties": {"response_format": {"const": "verbose_json"}}}},
}
CONTENT = {media_type: {"schema": {"type": kind}} for media_type, kind in (
    ("application/json", "object"), ("text/plain", "string"), ("application/x-subrip", "string"), ("text/vtt", "string"), ("text/event-stream", "string"),
)}  # fmt: skip
"""The same of the answer."""


def read_request(form: FormData) -> TranscriptionRequest:
    """Raises Problem 400 that names the field."""
    fields: dict[str, Any] = {name: form[name] for name in TranscriptionRequest.model_fields if isinstance(form.get(name), str)}
    if granularities := form.getlist(_GRANULARITIES):
        fields["timestamp_granularities"] = granularities
    try:
        request = TranscriptionRequest(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = _GRANULARITIES if first["loc"][0] == "timestamp_granularities" else str(first["loc"][0])
        raise Problem(400, f"{name}: {first['msg']}", code="missing_parameter" if first["type"] == "missing" else "invalid_parameter", param=name) from error
    if granularities and request.response_format != "verbose_json":
        raise Problem(400, f"{_GRANULARITIES} needs response_format=verbose_json", code="invalid_parameter", param=_GRANULARITIES)
    return request


def answer(request: TranscriptionRequest, recognition: Recognition) -> Response:
    match request.response_format:
        case "text":
            return PlainTextResponse(formats.text_of(recognition) + "\n")
        case "srt":
            return PlainTextResponse(formats.as_srt(recognition), media_type="application/x-subrip")
        case "vtt":
            return PlainTextResponse(formats.as_vtt(recognition), media_type="text/vtt")
        case "verbose_json":
            return JSONResponse(formats.as_verbose_json(recognition, request.temperature, request.timestamp_granularities))
        case _ if request.stream:
            return StreamingResponse(_events(recognition), media_type="text/event-stream")
        case _:
            return JSONResponse(formats.as_json(recognition))


async def _events(recognition: Recognition) -> AsyncIterator[str]:
    """The answer comes whole, when the clip has ended: one delta."""
    text = formats.text_of(recognition)
    yield f"data: {json.dumps({'type': 'transcript.text.delta', 'delta': text})}\n\n"
    yield f"data: {json.dumps({'type': 'transcript.text.done', **formats.as_json(recognition)})}\n\n"
    yield "data: [DONE]\n\n"
