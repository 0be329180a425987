"""The HTTP interface with a recogniser made of cardboard: routes, limits and the shape of every error."""

import asyncio
import io
import logging
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from drugasr import audio
from drugasr.errors import AudioError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.recognition import Alternative, Recognition
from serve.api import create_api
from serve.search import search
from serve import upload
from serve.upload import MAX_BODY_BYTES

NAMES = ("hydroxyzine", "hydralazine", "metformin", "glipizide", "glyburide", "losartan")
LEXICON = Lexicon(
    "six", tuple(Drug(id=name, name=name, spoken=name, generic="metformin" if name == "glipizide" else "") for name in NAMES)
)
ANSWER = Recognition(
    text="hydroxizine",
    drug="hydroxyzine",
    confidence=0.6,
    needs_review=True,
    review_reasons=("hydralazine sounds alike",),
    alternatives=tuple(
        Alternative(drug=name, tall_man=name, confidence=0.2, log_likelihood=-3.0 - rank) for rank, name in enumerate(NAMES[:5])
    ),
    words=(),
    duration_s=1.0,
    model="m",
    lexicon="six",
)


class FakeRecognizer:
    """Answers ANSWER, or raises `error`; remembers what it was given."""

    error: Exception | None = None
    answer = ANSWER

    async def recognize(self, wave_S, num_alternatives):
        if self.error:
            raise self.error
        self.wave_S = wave_S
        return replace(self.answer, alternatives=self.answer.alternatives[:num_alternatives])

    async def describe(self):
        if self.error:
            raise self.error
        return {"model": "m", "lexicon": "six"}

    async def search_lexicon(self, query, limit):
        return search(LEXICON, query, limit)


class Counts:
    """Remembers what it is told."""

    def __init__(self):
        self.recognitions, self.codes = [], []

    def answered(self, recognition):
        self.recognitions.append(recognition)

    def refused(self, code):
        self.codes.append(code)


@pytest.fixture
def recognizer():
    return FakeRecognizer()


@pytest.fixture
def client(recognizer):
    return TestClient(create_api(recognizer))


def tone(duration_s=1.0):
    return audio.encode_wav(0.1 * np.sin(np.arange(round(duration_s * 16_000)) / 5).astype(np.float32))


def assert_problem(response, status, code, param=None):
    assert response.status_code == status, response.text
    (error,) = response.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return error["message"]


def test_raw_body_and_form_give_the_same_recognition(client, recognizer):
    raw = client.post("/v1/recognize", content=tone())
    assert raw.status_code == 200
    assert recognizer.wave_S.dtype == np.float32 and len(recognizer.wave_S) == 16_000
    form = client.post("/v1/recognize", files={"file": ("clip.wav", tone(), "audio/wav")})
    assert form.json() == raw.json()
    assert raw.json()["drug"] == "hydroxyzine" and len(raw.json()["alternatives"]) == 5


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_other_containers_and_rates(client, recognizer, container):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((24_000, 2)), 24_000, format=container)
    assert client.post("/v1/recognize", content=buffer.getvalue()).status_code == 200
    assert len(recognizer.wave_S) == pytest.approx(16_000, abs=1600)


def test_num_alternatives(client):
    assert len(client.post("/v1/recognize?num_alternatives=2", content=tone()).json()["alternatives"]) == 2


@pytest.mark.parametrize("value", ["0", "6", "many"])
def test_num_alternatives_out_of_range(client, value):
    response = client.post("/v1/recognize", params={"num_alternatives": value}, content=tone())
    assert_problem(response, 422, "invalid_parameter", "num_alternatives")


def test_a_likelihood_of_zero_is_json_too(client, recognizer):
    recognizer.answer = replace(ANSWER, alternatives=(replace(ANSWER.alternatives[0], log_likelihood=-np.inf),))
    assert client.post("/v1/recognize", content=tone()).json()["alternatives"][0]["log_likelihood"] is None


@pytest.mark.parametrize("clip", [b"", tone(0.0)])
def test_empty_clip(client, clip):
    assert_problem(client.post("/v1/recognize", content=clip), 400, "empty_audio", "file")


@pytest.mark.parametrize("clip", [b"not audio at all", b"RIFF" + b"\xff" * 60, b"fLaC" + b"\0" * 100])
def test_undecodable_clip(client, clip):
    assert_problem(client.post("/v1/recognize", content=clip), 415, "undecodable_audio", "file")


def test_long_clip(client):
    message = assert_problem(client.post("/v1/recognize", content=tone(30.5)), 400, "audio_too_long", "file")
    assert "30.5 s" in message
    assert client.post("/v1/recognize", content=tone(30.0)).status_code == 200


def test_a_small_file_that_unpacks_to_an_hour_is_not_unpacked(client, monkeypatch):
    monkeypatch.setattr(audio, "decode", lambda data: pytest.fail("unpacked"))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(3600 * 8000, np.int16), 8000, format="FLAC")
    assert len(buffer.getvalue()) < 2**20
    assert_problem(client.post("/v1/recognize", content=buffer.getvalue()), 400, "audio_too_long", "file")


@pytest.mark.parametrize(("rate_hz", "channels", "code"), [(1000, 1, "unsupported_sampling_rate"), (96_000, 6, "too_many_samples")])
def test_odd_formats(client, rate_hz, channels, code):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((rate_hz * 28, channels), np.int16), rate_hz, format="FLAC")
    assert_problem(client.post("/v1/recognize", content=buffer.getvalue()), 415, code, "file")


@pytest.mark.parametrize("declare", [True, False])
@pytest.mark.parametrize("form", [True, False])
def test_large_body_is_refused_while_it_arrives(client, declare, form):
    sent = 0
    headers = {"Content-Type": "multipart/form-data; boundary=b"} if form else {}

    def chunks():
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' if form else b""
        for _ in range(30):
            sent += 2**20
            yield b"\0" * 2**20

    if declare:
        headers["Content-Length"] = str(MAX_BODY_BYTES + 1)
    response = client.post("/v1/recognize", content=chunks(), headers=headers)
    assert_problem(response, 413, "body_too_large")


def test_form_without_a_file(client):
    response = client.post("/v1/recognize", files={"clip": ("a.wav", tone())})
    assert_problem(response, 400, "missing_file", "file")
    response = client.post("/v1/recognize", data={"file": "text"}, files={"other": b"x"})
    assert_problem(response, 400, "missing_file", "file")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=b"])
def test_broken_form(client, content_type):
    response = client.post("/v1/recognize", content=b"garbage", headers={"Content-Type": content_type})
    assert_problem(response, 400, "invalid_form")


def test_overload(client, recognizer):
    recognizer.error = BackPressureError(64, 64)
    response = client.post("/v1/recognize", content=tone())
    assert_problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/health").status_code == 200  # busy is not ill


@pytest.mark.parametrize("error", [RayActorError(), TimeoutError()])
def test_recognizer_away(client, recognizer, error):
    recognizer.error = error
    for response in (client.post("/v1/recognize", content=tone()), client.get("/health"), client.get("/v1/models")):
        assert_problem(response, 503, "not_ready")
        assert int(response.headers["Retry-After"]) > 0


def test_clip_that_the_recognizer_refuses(client, recognizer):
    recognizer.error = AudioError("the clip is too short: 0.01 s")
    assert "too short" in assert_problem(client.post("/v1/recognize", content=tone()), 400, "invalid_audio", "file")


def test_unexpected_error_tells_nobody_what_was_said(client, recognizer, caplog):
    recognizer.error = ValueError("hydroxyzine")
    with caplog.at_level(logging.DEBUG):
        response = client.post("/v1/recognize", content=tone())
        client.get("/v1/lexicon?query=hydroxyzine")
    assert_problem(response, 500, "internal_error")
    assert "hydroxyzine" not in response.text
    ours = [record for record in caplog.records if record.name.startswith(("serve", "drugasr"))]
    assert "ValueError" in ours[0].getMessage()
    assert not [record for record in ours if "hydroxyzine" in record.getMessage()]


def test_unknown_route_and_method(client):
    assert_problem(client.get("/v1/nothing"), 404, "not_found")
    response = client.get("/v1/recognize")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_what_is_answered_and_refused_is_counted(recognizer):
    counts = Counts()
    client = TestClient(create_api(recognizer, observer=counts))
    client.post("/v1/recognize", content=tone())
    client.post("/v1/recognize", content=b"")
    client.post("/v1/recognize?num_alternatives=9", content=tone())
    assert len(counts.recognitions) == 1 and counts.codes == ["empty_audio", "invalid_parameter"]


def test_a_body_that_trickles_in_is_given_up(client, monkeypatch):
    monkeypatch.setattr(upload, "MAX_UPLOAD_S", 0.2)

    def trickle():
        for _ in range(20):
            time.sleep(0.1)
            yield b"\0"

    async def slow_stream(self):
        for piece in trickle():
            await asyncio.sleep(0)
            yield piece

    monkeypatch.setattr("starlette.requests.Request.stream", slow_stream)
    message = assert_problem(client.post("/v1/recognize", content=b"x"), 408, "upload_too_slow")
    assert "0.2 s" in message


def test_models_and_health(client):
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"], model["lexicon"]) == ("m", "model", "six")
    assert client.get("/v1/models/m").json() == client.get("/v1/models/whisper-1").json() == model
    assert_problem(client.get("/v1/models/other"), 404, "model_not_found", "model")
    assert client.get("/health").json() == {"status": "ok", "model": "m", "lexicon": "six"}


def test_lexicon_search(client):
    everything = client.get("/v1/lexicon").json()
    assert (everything["total"], everything["found"], len(everything["drugs"])) == (6, 6, 6)
    found = client.get("/v1/lexicon", params={"query": " MET", "limit": 1}).json()
    assert found["found"] == 2 and [drug["name"] for drug in found["drugs"]] == ["metformin"]
    assert client.get("/v1/lexicon?query=zzz").json()["drugs"] == []
    assert_problem(client.get("/v1/lexicon?limit=0"), 422, "invalid_parameter", "limit")


def test_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    parts = [client.get(f"/{part}") for part in re.findall(r'(?:href|src)="([^":]+)"', page.text)]
    assert {part.headers["content-type"] for part in parts} == {"text/css; charset=utf-8", "text/javascript; charset=utf-8"}
    for response in (page, *parts):
        assert response.status_code == 200
        assert "default-src 'none'" in response.headers["Content-Security-Policy"] and "unsafe" not in response.headers["Content-Security-Policy"]
        assert "http://" not in response.text and "https://" not in response.text
        assert "innerHTML" not in response.text


def test_schema_names_the_recognition(client):
    schema = client.get("/openapi.json").json()
    assert "Recognition" in schema["components"]["schemas"]
    assert "requestBody" in schema["paths"]["/v1/recognize"]["post"]
