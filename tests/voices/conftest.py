"""Google's voices, on a server of the tests' own."""

import pytest
from google_server import GoogleServer
from google_user import NoLimit

from drugasr.voices import google
from drugasr.voices.google import GoogleEngine


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = GoogleServer()
    yield server
    server.close()


@pytest.fixture
def naps(monkeypatch) -> list[float]:
    """Back-offs are written down, not slept."""
    naps = []
    monkeypatch.setattr(google, "sleep", naps.append)
    return naps


@pytest.fixture
def make(server, tmp_path, naps):
    def make(**options) -> GoogleEngine:
        made = GoogleEngine(**{"endpoint": server.endpoint, "cache_uri": str(tmp_path / "cache"), **options})
        made.limiter = NoLimit()
        return made

    return make
