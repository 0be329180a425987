"""Nothing is asked twice, and a ban or a lost connection ends the asking until the next run."""

import threading

import pytest
from google_server import SORRY, Answer, speech, tone_mp3
from google_user import NORMAL, NoLimit, fails, kept

from drugasr.errors import VoiceFailure
from drugasr.voices.google import GoogleEngine
from drugasr.voices.pace import LocalPace


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
