import numpy as np
import pytest
import torch

from drugasr.acoustic.model import AcousticModel
from drugasr.acoustic.processor import make_processor
from drugasr.acoustic.small import SIZES, build_small


@pytest.fixture
def waves():
    generator = np.random.default_rng(0)
    return [(level * generator.standard_normal(length)).astype(np.float32) for length, level in ((16_000, 0.1), (5_000, 0.9), (27_321, 0.01))]


def acoustic(model, vocabulary):
    return AcousticModel(model, make_processor(vocabulary), vocabulary, name="tiny")


def by_hand(model, wave_S):
    """The clip alone, normalised here, through transformers."""
    inputs_BS = torch.from_numpy((wave_S - wave_S.mean()) / np.sqrt(wave_S.var() + 1e-7))[None]
    with torch.no_grad():
        return torch.log_softmax(model(inputs_BS).logits[0].double(), dim=-1).numpy()


@pytest.mark.parametrize("kind", [*SIZES, "tiny_hubert", "tiny_wav2vec2"])
def test_a_clip_sounds_the_same_alone_and_in_a_batch(request, vocabulary, waves, kind):
    model = build_small(vocabulary, 0, kind).eval() if kind in SIZES else request.getfixturevalue(kind)()
    together = acoustic(model, vocabulary).log_probs(waves)
    for wave_S, logp_TV in zip(waves, together, strict=True):
        assert logp_TV.dtype == np.float32
        np.testing.assert_allclose(logp_TV, by_hand(model, wave_S), atol=1e-4)
        np.testing.assert_allclose(np.exp(logp_TV).sum(axis=1), 1, atol=1e-4)


def test_group_norm_models_are_never_padded(tiny_wav2vec2, vocabulary, waves):
    model, shapes = tiny_wav2vec2(), []
    model.register_forward_pre_hook(lambda module, args, kwargs: shapes.append(tuple(kwargs["input_values"].shape)), with_kwargs=True)
    listener = acoustic(model, vocabulary)
    assert not listener.can_pad
    shapes.clear()  # of the check
    listener.log_probs(waves)
    assert shapes == [(1, len(wave_S)) for wave_S in waves]


def test_layer_norm_models_are_padded_into_one_batch(tiny_hubert, vocabulary, waves):
    model, shapes = tiny_hubert(), []
    model.register_forward_pre_hook(lambda module, args, kwargs: shapes.append(tuple(kwargs["input_values"].shape)), with_kwargs=True)
    listener = acoustic(model, vocabulary)
    assert listener.can_pad
    shapes.clear()
    listener.log_probs(waves)
    assert shapes == [(3, 27_321)]


def test_no_clips_no_answers(tiny_hubert, tiny_wav2vec2, vocabulary):
    assert acoustic(tiny_hubert(), vocabulary).log_probs([]) == []
    assert acoustic(tiny_wav2vec2(), vocabulary).log_probs([]) == []


def test_equal_clips_give_equal_answers_and_no_graph(tiny_hubert, vocabulary, waves):
    listener = acoustic(tiny_hubert(), vocabulary)
    first, second = listener.log_probs([waves[0]]), listener.log_probs([waves[0]])
    np.testing.assert_array_equal(first[0], second[0])
    assert all(parameter.grad is None for parameter in listener.model.parameters())
