"""What the service is asked, what is made of its answers, and what follows each of its failures."""

import json
import time

import numpy as np
import pytest
from google_server import SORRY, Answer, in_frames, in_one_piece, speech, tone_hz, tone_mp3, tone_s
from google_user import NORMAL, fails, hears, kept

from drugasr.errors import VoiceFailure
from drugasr.voices import google
from drugasr.voices.google import GoogleEngine


@pytest.mark.parametrize("text", ["metformin", "Müller's naïve “Œstradiol” 5 µg & <b>", "パラセタモール", "😀 pill"])
def test_it_asks_for_the_text_as_it_is_and_hears_the_answer(server, make, text):
    wave_S, rate_hz = make().synthesise(text, **NORMAL | {"voice": "fr"})
    assert server.asked == [(text, "fr")]
    assert wave_S.dtype == np.float32
    assert 0.45 < np.abs(wave_S).max() < 0.55
    assert hears(wave_S, rate_hz) == (pytest.approx(tone_hz(text), abs=2), pytest.approx(tone_s(text), abs=0.01))


def test_an_answer_without_lengths_is_read_too(server, make):
    server.script = [in_one_piece(tone_mp3("x"))]
    assert hears(*make().synthesise("warfarin", **NORMAL))[0] == pytest.approx(tone_hz("x"), abs=2)


def test_a_long_text_is_asked_in_parts_and_joined(server, make):
    text = "one hydrochlorothiazide and valsartan, two lisinopril and metoprolol, then three of candesartan, four of amlodipine"
    wave_S, rate_hz = make().synthesise(text, **NORMAL)
    parts = [part for part, _ in server.asked]
    assert len(parts) > 1
    assert max(map(len, parts)) <= 100
    assert "".join(parts).replace(" ", "").replace(",", "") == text.replace(" ", "").replace(",", "")
    assert len(wave_S) / rate_hz == pytest.approx(sum(map(tone_s, parts)), abs=0.05)


TRANSIENT = {
    "429": Answer(status=429, body=SORRY.encode()),
    "sent to the page for the banned": Answer(status=302, headers={"Location": "/sorry/index?continue=x"}),
    "500": Answer(status=500, body=b"oops"),
    "503": Answer(status=503),
    "an HTML page": Answer(headers={"Content-Type": "text/html"}, body=SORRY.encode()),
    "nothing": Answer(),
    "garbage": Answer(body=bytes(range(256)) * 8),
    "broken JSON": Answer(body=speech(tone_mp3("metformin")).body[:900]),
    "JSON of another shape": in_frames('"[]"'),
    "no base64": in_frames(json.dumps('["//NEx!"]')),
    "an empty MP3": speech(b""),
    "no MP3": speech(bytes(range(256)) * 8),
    "an MP3 cut in a frame": speech(tone_mp3("metformin")[:-50]),
    "an MP3 cut in half": speech(tone_mp3("metformin")[: len(tone_mp3("metformin")) // 2]),
    "an answer cut on its way": Answer(body=speech(tone_mp3("metformin")).body[:900], promised=9_000),
    "an answer without end": Answer(body=bytes(5_000_000)),
    "no answer in time": Answer(seconds=5.0, body=speech(tone_mp3("too late")).body),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_failure_that_may_pass_is_tried_again_and_never_kept(server, make, naps, tmp_path, name):
    server.script = [TRANSIENT[name]]
    made = make(timeout_s=1.0 if name == "no answer in time" else 10.0)
    wave_S, rate_hz = made.synthesise("metformin", **NORMAL)
    assert hears(wave_S, rate_hz)[0] == pytest.approx(tone_hz("metformin"), abs=2)
    assert server.asked == [("metformin", "en")] * 2
    assert len(naps) == 1
    assert made.limiter.heard.count("wait") == 2
    assert list(kept(tmp_path).values()) == [tone_mp3("metformin")]


def test_all_tries_in_vain_leave_nothing_behind(server, make, naps, tmp_path):
    server.script = list(TRANSIENT.values())[:6]
    with pytest.raises(VoiceFailure, match="no speech in 6 tries.*not of the speech protocol: 0 bytes") as caught:
        make().synthesise("metformin", **NORMAL)
    assert (caught.value.tries, len(server.asked), len(naps)) == (6, 6, 5)
    assert kept(tmp_path) == {}


def test_an_unreachable_service_fails_the_text(make):
    made = make(endpoint="http://127.0.0.1:9", max_tries=2)
    with pytest.raises(VoiceFailure, match="ConnectionError") as caught:
        made.synthesise("metformin", **NORMAL)
    assert caught.value.tries == 2
    assert made.limiter.heard == ["wait", "wait", ("refused", 0.0)]


@pytest.mark.parametrize("bad", ["500", "503", "an HTML page", "an MP3 cut in a frame"])
def test_a_text_lost_by_its_own_fault_is_not_asked_again_for_its_copies(server, make, bad):
    made = make(max_tries=2)
    server.script = [TRANSIENT[bad]] * 2
    first = fails(made)
    made.synthesise("warfarin", **NORMAL)
    again = fails(made, rate=1.1, seed=7)
    assert (first.tries, again.tries, str(again)) == (2, 0, str(first))
    assert len(server.asked) == 3
    made.synthesise("metformin", **NORMAL | {"voice": "fr"})
    make().synthesise("metformin", **NORMAL)  # another process


@pytest.mark.parametrize("bad", ["429", "sent to the page for the banned", "no answer in time"])
def test_a_text_lost_by_no_fault_of_its_own_is_asked_again(server, make, bad):
    made = make(max_tries=1, timeout_s=1.0)
    server.script = [TRANSIENT[bad]]
    assert fails(made).tries == 1
    made.synthesise("metformin", **NORMAL)


def test_lost_texts_are_forgotten_before_they_fill_the_memory(server, make, monkeypatch):
    monkeypatch.setattr(google, "_MOST_LOST", 2)
    made = make(max_tries=1)
    server.script = [Answer(status=500)] * 3
    assert [fails(made, text).tries for text in ("a1", "a2", "a3", "a3", "a2")] == [1, 1, 1, 0, 0]
    made.synthesise("a1", **NORMAL)


def test_an_answer_that_drips_is_given_up(server, make):
    server.script = [Answer(body=speech(tone_mp3("metformin")).body, drip_s=0.1)] * 2
    made = make(max_tries=1, timeout_s=0.4)
    start_s = time.monotonic()
    assert "too slow" in str(fails(made))
    assert time.monotonic() - start_s < 3
    assert made.limiter.heard == ["wait", ("refused", 0.0)]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_of_this_request_is_final(server, make, naps, status):
    server.script = [Answer(status=status)]
    with pytest.raises(VoiceFailure, match=f"refuses this request: HTTP {status}") as caught:
        make().synthesise("metformin", **NORMAL)
    assert (caught.value.tries, len(server.asked), naps) == (1, 1, [])


def test_a_text_with_no_speech_is_not_asked_again(server, make, tmp_path):
    server.script = [in_frames("null")]
    with pytest.raises(VoiceFailure, match="no speech for this text"):
        make().synthesise("metformin", **NORMAL)
    assert len(server.asked) == 1
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_a_text_with_nothing_to_say_is_not_asked_at_all(server, make, text):
    with pytest.raises(VoiceFailure, match="nothing to say") as caught:
        make().synthesise(text, **NORMAL)
    assert (caught.value.tries, server.asked) == (0, [])


def test_back_off_grows_and_its_jitter_comes_from_the_seed(server, make, naps):
    def backed_off(seed: int) -> list[float]:
        naps.clear()
        server.script = [Answer(status=500)] * 9
        with pytest.raises(VoiceFailure):
            make(max_tries=9).synthesise("metformin", **NORMAL | {"seed": seed})
        return list(naps)

    drawn = np.array([backed_off(seed) for seed in range(20)])
    assert backed_off(0) == drawn[0].tolist()
    bounds = [1, 2, 4, 8, 16, 32, 60, 60]
    assert (drawn <= bounds).all()
    assert (0.25 * np.array(bounds) < drawn.mean(axis=0)).all()
    assert (drawn.mean(axis=0) < 0.75 * np.array(bounds)).all()


def test_the_limiter_hears_of_refusals_and_answers(server, make):
    server.script = [Answer(status=429, headers={"Retry-After": "17"}), Answer(status=500), Answer(status=503)]
    made = make()
    made.synthesise("metformin", **NORMAL)
    assert made.limiter.heard == ["wait", ("refused", 17.0), "wait", "wait", ("refused", 0.0), "wait", "answered"]


@pytest.mark.parametrize(("rate", "pitch"), [(0.85, 1.0), (1.2, 1.0), (1.0, 0.8), (1.0, 1.25), (2.0, 1.5), (0.5, 0.7)])
def test_rate_and_pitch_are_applied_to_what_was_answered(server, make, rate, pitch):
    text = "hydrochlorothiazide"
    wave_S, rate_hz = make().synthesise(text, **NORMAL | {"rate": rate, "pitch": pitch})
    assert hears(wave_S, rate_hz) == (pytest.approx(tone_hz(text) * pitch, rel=0.02), pytest.approx(tone_s(text) / rate, abs=0.02))
    assert wave_S.dtype == np.float32 and np.abs(wave_S).max() <= 1
    assert make().synthesise(text, **NORMAL | {"rate": rate, "pitch": pitch})[0].tobytes() == wave_S.tobytes()


@pytest.mark.network
def test_the_real_service_speaks():
    wave_S, rate_hz = GoogleEngine(max_tries=2).synthesise("metformin", **NORMAL)
    assert 0.3 < len(wave_S) / rate_hz < 3
    assert np.abs(wave_S).max() > 0.05
