import re
from dataclasses import replace

import pytest
from test_api import ANSWER

from drugasr.decoding.answer import Dose, Word
from drugasr.decoding.review import NO_SPEECH
from serve import formats

HEARD = replace(
    ANSWER,
    text="insulen glarjeen",
    drug="insulin glargine",
    words=(Word(word="insulen", start=0.3, end=0.75, confidence=0.9), Word(word="glarjeen", start=0.8, end=1.5, confidence=0.9)),
    duration_s=1.9,
)


def test_the_text_is_the_drug_and_its_dose_as_the_list_writes_it():
    assert formats.text_of(HEARD) == "insulin glargine"
    assert formats.text_of(replace(HEARD, dose=Dose(value=2.5, unit="mg"))) == "insulin glargine 2.5 mg"
    assert formats.text_of(replace(HEARD, drug=None)) == "insulen glarjeen"


def test_words_have_the_times_of_what_was_heard():
    assert formats.words_of(HEARD) == [{"word": "insulin", "start": 0.3, "end": 0.75}, {"word": "glargine", "start": 0.8, "end": 1.5}]


@pytest.mark.parametrize("heard", [HEARD.words[:1], HEARD.words + HEARD.words[1:], ()])
def test_other_words_than_were_heard_share_the_time(heard):
    recognition = replace(HEARD, words=heard, dose=Dose(value=10.0, unit="mg"))
    words = formats.words_of(recognition)
    assert [word["word"] for word in words] == ["insulin", "glargine", "10", "mg"]
    assert (words[0]["start"], words[-1]["end"]) == ((heard[0].start, heard[-1].end) if heard else (0.0, 1.9))
    assert all(a["end"] == b["start"] and a["start"] < a["end"] for a, b in zip(words, words[1:]))


def test_a_caption_stands_as_long_as_the_name_is_said():
    assert formats.as_srt(HEARD) == "1\n00:00:00,300 --> 00:00:01,500\ninsulin glargine\n\n"
    assert formats.as_vtt(HEARD) == "WEBVTT\n\n00:00:00.300 --> 00:00:01.500\ninsulin glargine\n\n"
    long = replace(HEARD, words=(), duration_s=3725.0451)
    assert "00:00:00,000 --> 01:02:05,045" in formats.as_srt(long)


def test_where_nothing_was_said_there_is_nothing_to_show():
    silence = replace(HEARD, text="", drug=None, words=(), alternatives=(), review_reasons=(NO_SPEECH,))
    assert formats.as_json(silence)["text"] == "" and formats.words_of(silence) == []
    assert (formats.as_srt(silence), formats.as_vtt(silence)) == ("", "WEBVTT\n\n")
    assert formats.as_verbose_json(silence, 0.0, frozenset({"segment", "word"}))["segments"] == []


def test_verbose_json_has_what_was_asked_for():
    verbose = formats.as_verbose_json(HEARD, 0.3, frozenset({"segment"}))
    (segment,) = verbose["segments"]
    assert "words" not in verbose and (segment["temperature"], segment["text"]) == (0.3, "insulin glargine")
    assert segment["avg_logprob"] < 0 <= segment["no_speech_prob"]
    assert "segments" not in formats.as_verbose_json(HEARD, 0.0, frozenset({"word"}))
    assert (verbose["drug"], verbose["needs_review"]) == ("insulin glargine", True)
    assert re.fullmatch(r"\d+\.\d+", str(verbose["usage"]["seconds"]))
