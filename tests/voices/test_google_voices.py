from importlib.metadata import version

import pytest

from drugasr.errors import VoiceError
from drugasr.voices import voice as registry
from drugasr.voices.google import GoogleEngine


def test_voices_are_checked_without_the_network():
    made = GoogleEngine()
    for voice in ("en", "en@co.uk", "en@com.au", "fr", "ar", "af", "tr", "it", "zh-CN", "fr@ca"):
        made.check(voice)
    for voice in ("", "xx", "EN", "zh-cn", "@co.uk", "espeak"):
        with pytest.raises(VoiceError, match="does not speak.* af,.* zh-TW"):
            made.check(voice)
    for voice in ("en@", "en@com", "en@evil.example/x", "en@CO.UK", "en@co.uk@co.uk", "en@.uk"):
        with pytest.raises(VoiceError, match="co.uk, com.au or co.in"):
            made.check(voice)
    assert [made.accent(voice) for voice in ("fr", "en@co.uk")] == ["fr", "en-co.uk"]
    assert made.version("en") == made.version("fr") == f"google-translate 1, python-stretch {version('python-stretch')}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("requests_per_s", 0), ("requests_per_s", "1"), ("requests_per_s", float("inf")), ("requests_per_s", True),
        ("timeout_s", -1.0), ("timeout_s", float("nan")), ("max_tries", 0), ("max_tries", 2.5),
        ("endpoint", "gateway.example"), ("endpoint", 7), ("cache_uri", True),
    ],
)  # fmt: skip
def test_bad_options_are_refused(option, value):
    with pytest.raises(VoiceError, match=f"corpus.engines.google.{option} is "):
        GoogleEngine(**{option: value})


def test_the_registry_finds_it_with_its_options():
    made = registry.engine("google", {"requests_per_s": 0.5, "cache_uri": "s3://bucket/answers"})
    assert isinstance(made, registry.RemoteEngine)
    assert (made.requests_per_s, made.cache_uri) == (0.5, "s3://bucket/answers")
    assert not isinstance(registry.engine("espeak"), registry.RemoteEngine)
    with pytest.raises(VoiceError, match="it knows: requests_per_s, cache_uri, endpoint, timeout_s, max_tries"):
        registry.engine("google", {"verify_tls": False})
