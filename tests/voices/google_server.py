"""A local HTTP server that speaks the protocol of Google Translate's voices, and misbehaves as it is told."""

import base64
import io
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np
import soundfile

PATH = "/_/TranslateWebserverUi/data/batchexecute"
SORRY = "<!doctype html><html><title>Sorry...</title>Our systems have detected unusual traffic</html>"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    """How long it takes; ends early when the server does."""
    drip_s: float = 0.0
    """Between one byte and the next."""
    promised: int | None = None
    """Bytes that the Content-Length claims; the body's own by default."""


def tone_mp3(text: str) -> bytes:
    """A tone of 24 kHz; its pitch and length tell the text."""
    time_s = np.arange(24_000 * tone_s(text)) / 24_000
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * tone_hz(text) * time_s), 24_000, format="MP3")
    return buffer.getvalue()


def tone_hz(text: str) -> float:
    return 200 + sum(map(ord, text)) % 500


def tone_s(text: str) -> float:
    return 0.4 + 0.02 * len(text)


def speech(mp3: bytes) -> Answer:
    """As the service framed its answers on 2020-11-20: a guard, then pieces of JSON, each after its length."""
    payload = json.dumps([base64.b64encode(mp3).decode()], separators=(",", ":")) + "\n"
    return in_frames(json.dumps(payload).replace("=", "\\u003d"))


def in_frames(payload: str) -> Answer:
    pieces = (
        f'[["wrb.fr","jQ1olc",{payload},null,null,null,"generic"]\n]\n',
        '[["di",37]\n,["af.httprm",36,"-668177807451224424",66]\n]\n',
    )
    return Answer(body=(")]}'\n\n" + "".join(f"{len(piece) + 1}\n{piece}" for piece in pieces)).encode())


def in_one_piece(mp3: bytes) -> Answer:
    """As it does without lengths."""
    payload = json.dumps(json.dumps([base64.b64encode(mp3).decode()]))
    return Answer(body=f""")]}}'\n\n[["wrb.fr","jQ1olc",{payload}]\n,["di",52]\n,["af.httprm",51,"8692744518077823928",2]\n]""".encode())


class GoogleServer:
    """Gives the answers of `script` in turn, and after them good ones; `asked` collects (text, language)."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[tuple[str, str]] = []
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer_to(self, path: str, body: bytes) -> Answer:
        assert path == PATH
        [(rpc, parameters, _, _)] = json.loads(parse_qs(body.decode())["f.req"][0])[0]
        text, language, speed, _ = json.loads(parameters)
        assert (rpc, speed) == ("jQ1olc", None)
        with self._lock:
            self.asked.append((text, language))
            return self.script.pop(0) if self.script else speech(tone_mp3(text))

    def _handler(outer) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(outer._answer_to(self.path, body))

            def do_GET(self) -> None:  # where banned clients are sent
                self._send(Answer(status=429, body=SORRY.encode()))

            def _send(self, answer: Answer) -> None:
                outer._closing.wait(answer.seconds)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) if answer.promised is None else answer.promised))
                self.end_headers()
                for start in range(len(answer.body)) if answer.drip_s else ():
                    self.wfile.write(answer.body[start : start + 1])
                    if outer._closing.wait(answer.drip_s):
                        return
                self.wfile.write(b"" if answer.drip_s else answer.body)
                self.close_connection = answer.promised is not None

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the client has gone
                    self.close_connection = True

            def log_message(self, *arguments) -> None:
                pass

        return Handler
