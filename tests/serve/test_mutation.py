"""Broken requests, of which `python -m benchmarks.mutation` sends ten thousand to the whole service."""

import asyncio
from collections import Counter

import psutil
import pytest
from test_api import FakeRecognizer

from benchmarks.mutated_bodies import mutants
from benchmarks.mutation import encoded_clips, send_all
from serve.api import create_api

_GROWN_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def outcome(listening):
    clips = encoded_clips()
    with listening(create_api(FakeRecognizer())) as url:
        asyncio.run(send_all(url, mutants(clips, 60, seed=2)))
        before = psutil.Process().memory_info().rss
        found = asyncio.run(send_all(url, mutants(clips, 300, seed=1)))
        grown = psutil.Process().memory_info().rss - before
    assert grown < _GROWN_BYTES
    return found


def test_a_broken_request_is_no_failure_of_the_server(outcome):
    assert outcome.failures == []


def test_they_are_refused_for_what_is_wrong_with_them(outcome):
    """Were none heard, or all, they would test nothing."""
    statuses = Counter()
    for (_, status), count in outcome.statuses.items():
        statuses[status] += count
    assert min(statuses[200], statuses[400], statuses[415], statuses[422]) > 0
    # What is an HTTP request with a body is answered, whatever the body.
    assert not [(kind, status) for kind, status in outcome.statuses if status == 0 and kind in ("truncated", "bits flipped", "bomb", "random bytes")]


def test_a_seed_draws_the_same_ones():
    clips = [b"RIFF" + bytes(200)]
    assert list(mutants(clips, 30, seed=3)) == list(mutants(clips, 30, seed=3)) != list(mutants(clips, 30, seed=4))
