import json
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from google_server import SORRY, Answer, GoogleServer, in_frames, in_one_piece, speech, tone_hz, tone_mp3, tone_s

from drugasr.errors import VoiceFailure
from drugasr.voices import google
from drugasr.voices.google import GoogleEngine
from drugasr.voices.pace import LocalPace

NORMAL = {"voice": "en", "rate": 1.0, "pitch": 1.0, "seed": 1}


class NoLimit:
    """Lets everybody pass, and writes down what it hears."""

    def __init__(self):
        self.heard = []

    def wait(self):
        self.heard.append("wait")

    def alone(self, key, for_s):
        return nullcontext()

    def refused(self, retry_after_s):
        self.heard.append(("refused", retry_after_s))

    def answered(self):
        self.heard.append("answered")


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


def fails(made: GoogleEngine, text: str = "metformin", **changed) -> VoiceFailure:
    with pytest.raises(VoiceFailure) as caught:
        made.synthesise(text, **NORMAL | changed)
    return caught.value


def kept(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("*")}


def hears(wave_S: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """The strongest frequency in Hz and the length in s."""
    loud_S = wave_S * np.hanning(len(wave_S))
    spectrum = np.abs(np.fft.rfft(loud_S, 1 << 18))
    return spectrum.argmax() * rate_hz / (1 << 18), len(wave_S) / rate_hz


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


def test_poisoned_texts_never_get_the_service_given_up_but_a_lost_connection_does(server, make):
    now_s = [0.0]

    def pass_time(nap_s: float) -> None:
        now_s[0] += nap_s

    made = make(max_tries=2)
    made.limiter = LocalPace("google", 1.0, clock_s=lambda: now_s[0], sleep=pass_time)
    server.script = [Answer(status=500)] * 40
    assert [fails(made, f"name{number}").tries for number in range(20)] == [2] * 20
    made.synthesise("warfarin", **NORMAL)
    offline = make(endpoint="http://127.0.0.1:9", max_tries=2)
    offline.limiter = made.limiter
    assert [fails(offline, f"name{number}").tries for number in range(12)] == [2] * 8 + [0] * 4
    assert now_s[0] < 300


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


def test_nothing_is_asked_twice(server, make):
    texts = ("metformin", "warfarin")
    first = {text: make().synthesise(text, **NORMAL)[0].tobytes() for text in texts}
    again = make()
    for text in texts:
        assert again.synthesise(text, **NORMAL | {"seed": 9})[0].tobytes() == first[text]
        again.synthesise(text, **NORMAL | {"rate": 1.2, "pitch": 0.9})
    assert server.asked == [(text, "en") for text in texts]
    assert again.limiter.heard == []


def test_another_language_or_domain_is_another_question(server, make, tmp_path):
    for voice in ("en", "en@co.uk", "en@com.au", "fr", "it"):
        make().synthesise("metformin", **NORMAL | {"voice": voice})
    assert len(server.asked) == len(kept(tmp_path)) == 5


def test_a_gateways_answers_are_not_taken_for_googles(server, make):
    made = make()
    made.synthesise("metformin", **NORMAL)
    make(endpoint=server.endpoint + "/").synthesise("metformin", **NORMAL)
    assert len(server.asked) == 1
    fails(make(endpoint="http://127.0.0.1:9", max_tries=1))
    direct = make(endpoint="", max_tries=1)
    direct._session.trust_env, direct._session.proxies = False, {"https": "http://127.0.0.1:9"}
    fails(direct)


def test_workers_that_ask_the_same_at_once_ask_once(server, tmp_path):
    server.script = [Answer(body=speech(tone_mp3("metformin")).body, seconds=0.5)]
    limiter, heard = LocalPace("google", 1000.0), []

    def work() -> None:
        made = GoogleEngine(endpoint=server.endpoint, cache_uri=str(tmp_path / "cache"))
        made.limiter = limiter
        heard.append(made.synthesise("metformin", **NORMAL)[0].tobytes())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(heard), len(set(heard)), len(server.asked)) == (8, 1, 1)


def test_what_another_worker_asked_meanwhile_is_not_asked_again(server, make):
    made = make()

    class Slow(NoLimit):
        def wait(self):
            make().synthesise("metformin", **NORMAL)

    made.limiter = Slow()
    made.synthesise("metformin", **NORMAL)
    assert len(server.asked) == 1


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: SORRY.encode(), lambda mp3: mp3[:-50]], ids=["0 bytes", "a page", "cut"])
def test_a_damaged_file_in_the_cache_is_asked_again_and_replaced(server, make, tmp_path, damage):
    good = make().synthesise("metformin", **NORMAL)[0].tobytes()
    [path] = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert make().synthesise("metformin", **NORMAL)[0].tobytes() == good
    assert len(server.asked) == 2
    assert kept(tmp_path) == {path.name: whole}


def test_without_a_cache_every_text_is_asked(server, make):
    made = make(cache_uri="")
    made.synthesise("metformin", **NORMAL)
    made.synthesise("metformin", **NORMAL)
    assert len(server.asked) == 2


def test_a_ban_ends_the_run_soon_and_the_next_one_goes_on(server, make, tmp_path):
    now_s = [0.0]

    def pass_time(nap_s: float) -> None:
        now_s[0] += nap_s

    made = make()
    made.limiter = LocalPace("google", 1.0, clock_s=lambda: now_s[0], sleep=pass_time)
    names = [f"name{number}" for number in range(40)]
    for name in names[:5]:
        made.synthesise(name, **NORMAL)
    server.script = [Answer(status=429)] * 1000
    failures = []
    for name in names:
        try:
            made.synthesise(name, **NORMAL)
        except VoiceFailure as failure:
            failures.append((name, failure.tries, str(failure)))
    assert [name for name, _, _ in failures] == names[5:]
    num_asked_in_vain = len(server.asked) - 5
    assert num_asked_in_vain == sum(tries for _, tries, _ in failures) < 10
    assert all("run the job again" in message for _, _, message in failures[1:])
    assert now_s[0] < 300

    server.script, server.asked[:] = [], []
    resumed = make()
    for name in names:
        resumed.synthesise(name, **NORMAL)
    assert server.asked == [(name, "en") for name in names[5:]]
    assert len(kept(tmp_path)) == 40


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
