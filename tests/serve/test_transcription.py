"""The transcription interface, asked by OpenAI's own client over a real socket."""

from dataclasses import replace

import openai
import pytest
from fastapi.testclient import TestClient
from test_api import ANSWER, FakeRecognizer, assert_problem, tone

from drugasr.decoding.answer import Dose, Word
from serve.api import create_api

HEARD = replace(ANSWER, words=(Word(word="hydroxizine", start=0.2, end=0.9, confidence=0.8),), dose=Dose(value=25.0, unit="mg"))


@pytest.fixture(scope="module")
def url(listening):
    recognizer = FakeRecognizer()
    recognizer.answer = HEARD
    with listening(create_api(recognizer)) as address:
        yield f"{address}/v1"


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def ask(client, **arguments):
    return client.audio.transcriptions.create(**({"file": ("clip.wav", tone()), "model": "whisper-1"} | arguments))


def test_json(client):
    answer = ask(client)
    assert answer.text == "hydroxyzine 25 mg"
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 1.0)


@pytest.mark.parametrize(("response_format", "text"), [
    ("text", "hydroxyzine 25 mg\n"),
    ("srt", "1\n00:00:00,200 --> 00:00:00,900\nhydroxyzine 25 mg\n\n"),
    ("vtt", "WEBVTT\n\n00:00:00.200 --> 00:00:00.900\nhydroxyzine 25 mg\n\n"),
])  # fmt: skip
def test_plain_formats(client, response_format, text):
    assert ask(client, response_format=response_format) == text


def test_verbose_json_with_words_and_segments(client):
    answer = ask(client, response_format="verbose_json", timestamp_granularities=["word", "segment"], language="en", temperature=0.2, prompt="ward 3")
    assert (answer.text, answer.language, answer.duration) == ("hydroxyzine 25 mg", "english", 1.0)
    assert [word.word for word in answer.words] == ["hydroxyzine", "25", "mg"]
    assert (answer.words[0].start, answer.words[-1].end) == (0.2, 0.9)
    (segment,) = answer.segments
    # Every field that OpenAI's own types name is there, with a value of its type.
    for model in (answer, segment, answer.words[0], answer.usage):
        assert set(type(model).model_fields) <= model.model_fields_set
        type(model).model_validate(model.model_dump(), strict=True)
    assert answer.model_extra["drug"] == "hydroxyzine"


def test_streamed(client):
    events = list(ask(client, stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[1].text == "hydroxyzine 25 mg"


def test_models(client):
    assert [model.id for model in client.models.list()] == ["m"]
    assert client.models.retrieve("m").owned_by == "drugasr"
    assert ask(client, model="m").text == "hydroxyzine 25 mg"


@pytest.mark.parametrize(("arguments", "error", "code", "param"), [
    ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found", "model"),
    ({"temperature": 1.5}, openai.BadRequestError, "invalid_parameter", "temperature"),
    ({"response_format": "diarized_json"}, openai.BadRequestError, "invalid_parameter", "response_format"),
    ({"language": "the queen's"}, openai.BadRequestError, "invalid_parameter", "language"),
    ({"timestamp_granularities": ["word"]}, openai.BadRequestError, "invalid_parameter", "timestamp_granularities[]"),
    ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, openai.BadRequestError, "invalid_parameter", "timestamp_granularities[]"),
    ({"file": ("clip.wav", b"")}, openai.BadRequestError, "empty_audio", "file"),
    ({"file": ("clip.wav", b"RIFFnonsense")}, openai.APIStatusError, "undecodable_audio", "file"),
])  # fmt: skip
def test_refusals_are_exceptions_of_the_client(client, arguments, error, code, param):
    with pytest.raises(error) as raised:
        ask(client, **arguments)
    assert (raised.value.code, raised.value.param) == (code, param)


def test_what_is_no_form_and_a_form_without_a_model():
    client = TestClient(create_api(FakeRecognizer()))
    assert_problem(client.post("/v1/audio/transcriptions", content=tone()), 415, "not_a_form")
    assert_problem(client.post("/v1/audio/transcriptions", files={"file": tone()}), 400, "missing_parameter", "model")
    assert_problem(client.post("/v1/audio/transcriptions", data={"model": "m"}, files={"x": b"1"}), 400, "missing_file", "file")
    schema = client.get("/openapi.json").json()["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]
    assert {"file", "model", "response_format", "timestamp_granularities[]"} <= set(schema["multipart/form-data"]["schema"]["properties"])
