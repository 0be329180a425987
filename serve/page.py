"""The page for people: three files that this server sends itself, so that it works with no network behind it."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

_FOLDER = Path(__file__).parent / "static"
_FILES = {"": ("index.html", "text/html"), "static/page.css": ("page.css", "text/css"), "static/page.js": ("page.js", "text/javascript")}
_HEADERS = {
    # Its own script and style, this server, and nothing else; `blob:` is its audio worklet.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' blob:; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # the three belong together: none may be older than the others
}


def install(app: FastAPI) -> None:
    """Serves the page at `/`."""
    for path, (name, media_type) in _FILES.items():
        app.add_api_route(f"/{path}", _sender((_FOLDER / name).read_bytes(), media_type), include_in_schema=False)


def _sender(content: bytes, media_type: str):
    async def send() -> Response:
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers=_HEADERS)

    return send
