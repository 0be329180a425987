"""The deployments on a real Serve, with a recogniser that answers from the length of the clip."""

import asyncio
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import psutil
import pytest
import requests
from length_recogniser import LengthRecognizer, config_of

from drugasr import audio
from drugasr.errors import ConfigError, ModelError
from serve.deployment import MAX_ONGOING, MAX_QUEUED, RecognizerReplica
from serve.settings import ServedModel

SERVED = ServedModel(model="/models/tiny", lexicon="one")
OTHER = ServedModel(model="/models/other", lexicon="two")


def deploy(**configs):
    """As `serve deploy` does it."""
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config_of(**configs)), _blocking=True)


@pytest.fixture(scope="module")
def url(local_ray):
    from ray import serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    deploy(served=SERVED)
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def wait_for(condition, seconds=60):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.1)


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


def test_model_and_list_are_swapped_under_load_and_no_request_is_lost(url):
    answers, stop = [], threading.Event()

    def ask_on():
        while not stop.is_set():
            answers.append(post(url, 1.0))

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_on) for _ in range(4)]
        try:
            deploy(served=SERVED, swapped=OTHER)
            wait_for(lambda: answers[-1].json()["model"] == "other")
            deploy(served=SERVED, swapped=ServedModel(model="/models/missing", lexicon="two"))
            wait_for(lambda: "refused" in requests.get(f"{url}/health", timeout=10).json())
            deploy(served=SERVED)
            wait_for(lambda: answers[-1].json()["model"] == "tiny")
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert {answer.status_code for answer in answers} == {200}
    # Never the model of one and the list of the other.
    assert {(answer.json()["model"], answer.json()["lexicon"]) for answer in answers} == {("tiny", "one"), ("other", "two")}
    assert requests.get(f"{url}/health", timeout=10).json() == {"status": "ok", "model": "tiny", "lexicon": "one"}
    assert requests.get(f"{url}/v1/lexicon", timeout=10).json()["lexicon"] == "one"


def recogniser_pids():
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if ":ServeReplica:drugasr-test:recognizer" in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def test_a_replica_that_is_killed_loses_no_request(url):
    deploy(served=SERVED)
    answers, stop = [], threading.Event()

    def ask_on():
        while not stop.is_set():
            answers.append(post(url, 0.9))

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_on) for _ in range(4)]
        try:
            wait_for(lambda: len(answers) > 4)
            (killed,) = recogniser_pids()
            os.kill(killed, signal.SIGKILL)
            before = len(answers)
            wait_for(lambda: len(answers) > before + 8)
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert {answer.status_code for answer in answers} == {200}
    assert killed not in recogniser_pids()


def replica_of(user_config):
    async def configured():
        replica = RecognizerReplica.func_or_class(LengthRecognizer)
        await replica.reconfigure(user_config)
        return replica

    return configured()


def test_a_replica_that_has_nothing_to_serve_does_not_start():
    with pytest.raises(ModelError, match="is not there"):
        asyncio.run(replica_of({"model": "/models/missing", "lexicon": "one"}))
    with pytest.raises(ConfigError, match="there are model, lexicon"):
        asyncio.run(replica_of({"model": "/models/tiny"}))


def test_replica_whose_model_keeps_failing_asks_to_be_replaced():
    breaks, works = np.zeros(11_200, np.float32), np.zeros(16_000, np.float32)

    async def fail_often():
        replica = await replica_of(SERVED.to_dict())
        await replica.check_health()
        for wave_S in (breaks, breaks, works, breaks, breaks):
            replica._outcomes([wave_S])
        await replica.check_health()  # whose clip of noise is answered, too
        for _ in range(3):
            replica._outcomes([breaks])
        with pytest.raises(RuntimeError, match="3 clips"):
            await replica.check_health()

    asyncio.run(fail_often())
