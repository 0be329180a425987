"""The deployments on a real Serve, with a recogniser that answers from the length of the clip."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from drugasr import audio
from drugasr.config import ServingConfig
from drugasr.lexicon.drug import Drug, Lexicon
from serve.app import assemble
from serve.deployment import MAX_ONGOING, MAX_QUEUED, RecognizerReplica

LEXICON = Lexicon("one", (Drug(id="metformin", name="metformin", spoken="metformin"),))


def make_load():
    """A `load` that Ray pickles by value: workers need not find this test module."""

    def load(folder, lexicon):
        import os
        import time

        from drugasr.errors import AudioError
        from drugasr.recognition import Alternative, Recognition

        class FakeRecognizer:
            """Transcript = clips in this batch; 0.5 s is refused, 0.7 s breaks, 0.8 s and 0.9 s are slow."""

            def recognize(self, waves, num_alternatives=None):
                lengths = [len(wave_S) for wave_S in waves]
                if 8_000 in lengths:
                    raise AudioError("the clip is too short")
                if 11_200 in lengths:
                    raise KeyError(lexicon.drugs[0].name)
                time.sleep(1.0 if 12_800 in lengths else 0.2 if 14_400 in lengths else 0.0)
                best = Alternative(drug=lexicon.drugs[0].name, tall_man="metFORMIN", confidence=0.9, log_likelihood=-1.0)
                return [self._answer(best, len(waves), length / 16_000) for length in lengths]

            def _answer(self, best, num_clips, duration_s):
                return Recognition(
                    text=str(num_clips),
                    drug=best.drug,
                    confidence=0.9,
                    needs_review=False,
                    review_reasons=(),
                    alternatives=(best,) * 5,
                    words=(),
                    duration_s=duration_s,
                    model=os.path.basename(folder),
                    lexicon=lexicon.name,
                )

        return FakeRecognizer()

    return load


@pytest.fixture(scope="module")
def url(local_ray):
    from ray import serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    application = assemble("/models/tiny", LEXICON, ServingConfig(cpus_per_replica=0.5), make_load())
    serve.run(application, name="drugasr-test", route_prefix="/")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def post(url, duration_s, **params):
    wave_S = np.zeros(round(duration_s * 16_000), np.float32)
    return requests.post(f"{url}/v1/recognize", data=audio.encode_wav(wave_S), params=params, timeout=60)


def test_recognizes(url):
    response = post(url, 1.0, num_alternatives=3)
    assert response.status_code == 200, response.text
    recognition = response.json()
    assert (recognition["drug"], recognition["model"], recognition["lexicon"]) == ("metformin", "tiny", "one")
    assert len(recognition["alternatives"]) == 3
    assert requests.get(f"{url}/health", timeout=10).json() == {"status": "ok", "model": "tiny", "lexicon": "one"}
    assert "<title>" in requests.get(url, timeout=10).text


def test_clips_share_a_batch_and_one_bad_clip_harms_no_other(url):
    # The slow clip holds the model while the others gather behind it.
    durations = [0.9, 1.0, 1.1, 0.5, 0.7, 1.2]
    with ThreadPoolExecutor(len(durations)) as pool:
        waiting = []
        for duration_s in durations:
            waiting.append(pool.submit(post, url, duration_s))
            time.sleep(0.02)
        responses = [future.result() for future in waiting]
    assert [response.status_code for response in responses] == [200, 200, 200, 400, 500, 200]
    assert responses[3].json()["error"]["code"] == "invalid_audio"
    assert "metformin" not in responses[4].text
    assert [response.json()["duration_s"] for response in responses if response.ok] == [0.9, 1.0, 1.1, 1.2]


def test_batches(url):
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: post(url, 0.9), range(8)))
    # One clip starts the model, and all that come while it works form the second batch.
    assert max(int(response.json()["text"]) for response in responses) >= 4


def test_overload_is_refused_at_once(url):
    num_clips = MAX_ONGOING + MAX_QUEUED + 60
    with ThreadPoolExecutor(num_clips) as pool:
        responses = list(pool.map(lambda _: post(url, 0.8), range(num_clips)))
    assert {response.status_code for response in responses} == {200, 503}
    for response in [response for response in responses if response.status_code == 503]:
        assert response.json()["error"]["code"] == "overloaded"
        assert int(response.headers["Retry-After"]) > 0


def test_large_body_through_the_proxy(url):
    response = requests.post(f"{url}/v1/recognize", data=b"\0" * (11 * 2**20), timeout=60)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


def test_replica_whose_model_keeps_failing_asks_to_be_replaced():
    replica = RecognizerReplica.func_or_class("/models/tiny", LEXICON, make_load())
    breaks, works = np.zeros(11_200, np.float32), np.zeros(16_000, np.float32)
    for wave_S in (breaks, breaks, works, breaks, breaks):
        replica._outcome(wave_S)
    replica.check_health()
    replica._outcome(breaks)
    with pytest.raises(RuntimeError, match="3 clips"):
        replica.check_health()
