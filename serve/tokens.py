"""Bearer tokens: where some are set, `/v1/` answers only to who shows one. The page and `/health` stay open."""

import hashlib
import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from drugasr import storage
from drugasr.errors import ConfigError, StorageError
from serve.problem import Problem

_LEAST_LETTERS = 16


def read_tokens(uri: str) -> tuple[str, ...]:
    """SHA-256 of each token in a file with one a line; blank lines and those that begin with # are skipped. Raises ConfigError."""
    try:
        lines = [line.strip() for line in storage.read_bytes(uri).decode().splitlines()]
    except (StorageError, UnicodeDecodeError) as error:
        raise ConfigError(f"tokens_file: {error}") from error
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise ConfigError(f"tokens_file {uri} holds no token: write one a line, or leave tokens_file out to ask for none")
    for number, token in enumerate(tokens, start=1):
        if len(token) < _LEAST_LETTERS or not token.isascii() or " " in token:
            raise ConfigError(f"token {number} in {uri} is too short or holds a space: `openssl rand -hex 32` makes a good one")
    return tuple(map(_digest, tokens))


class BearerTokens:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, digests: Collection[str]) -> None:
        self._app, self._digests = app, tuple(digests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/") or self._is_known(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        response = Problem(401, "this server wants a token: send `Authorization: Bearer TOKEN`", code="invalid_api_key").response()
        response.headers["WWW-Authenticate"] = "Bearer"
        await response(scope, receive, send)

    def _is_known(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        digest = _digest(token.strip())
        # All are compared, each in constant time, so that the time tells nothing.
        return scheme.lower() == "bearer" and any([hmac.compare_digest(digest, known) for known in self._digests])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
