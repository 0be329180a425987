import pytest
from fastapi.testclient import TestClient
from test_api import FakeRecognizer, assert_problem, tone

from drugasr.errors import ConfigError
from serve.api import create_api
from serve.tokens import read_tokens

TOKENS = ("0123456789abcdef-one", "0123456789abcdef-two")


@pytest.fixture
def client(tmp_path):
    (tmp_path / "tokens").write_text("# the pharmacy's\n" + "\n\n".join(TOKENS) + "\n")
    return TestClient(create_api(FakeRecognizer(), tokens=read_tokens(str(tmp_path / "tokens"))))


@pytest.mark.parametrize("token", TOKENS)
def test_who_shows_a_token_is_answered(client, token):
    assert client.post("/v1/recognize", content=tone(), headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/v1/models", headers={"authorization": f"bearer {token} "}).status_code == 200


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", f"Basic {TOKENS[0]}", "Bearer 0123456789abcdef", f"Bearer {TOKENS[0]}x", "Bearer \xff\xfe"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/lexicon", "/v1/nothing"])
def test_who_shows_none_is_not(client, path, value):
    response = client.get(path, headers={} if value is None else {"Authorization": value.encode("latin-1")})
    assert_problem(response, 401, "invalid_api_key")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/v1/recognize", content=b"\0" * 100).status_code == 401


def test_page_and_health_are_open(client):
    assert client.get("/health").status_code == client.get("/").status_code == 200


@pytest.mark.parametrize(("text", "message"), [("\n# none\n", "holds no token"), ("short\n", "token 1 in .* is too short"), ("0123456789 abcdef\n", "holds a space")])
def test_a_file_that_guards_nothing_is_refused(tmp_path, text, message):
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_tokens(str(tmp_path / "tokens"))


def test_the_tokens_themselves_are_not_kept(tmp_path):
    (tmp_path / "tokens").write_text(TOKENS[0])
    (digest,) = read_tokens(str(tmp_path / "tokens"))
    assert len(digest) == 64 and TOKENS[0] not in digest
