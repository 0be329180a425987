"""Tiny random CTC models of both families: layer norm with attention masks, and group norm without."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from tiny_families import tiny_model
from transformers import PreTrainedModel

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Two threads on busy cores are several times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(LIBRISPEECH)


@pytest.fixture
def tiny_hubert() -> Callable[..., PreTrainedModel]:
    """Pre-norm and layer-norm convolutions, as hubert-large and the small model."""
    return partial(tiny_model, "hubert-large")


@pytest.fixture
def tiny_wav2vec2() -> Callable[..., PreTrainedModel]:
    """Post-norm and group-norm convolutions, as wav2vec2-base and hubert-base."""
    return partial(tiny_model, "wav2vec2-base")
