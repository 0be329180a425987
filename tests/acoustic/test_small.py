import numpy as np
import pytest
import torch

from drugasr.acoustic.model import frame_s, num_frames_of
from drugasr.acoustic.small import SIZES, build_small, equalise_front_end
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

VOCABULARY = Vocabulary(LIBRISPEECH)


@pytest.fixture(scope="module", params=SIZES)
def size(request):
    return request.param


@pytest.fixture(scope="module")
def model(size):
    return build_small(VOCABULARY, 1, size).eval()


@pytest.fixture
def waves_BS():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 24_000)).astype(np.float32))


def test_its_size(model, size):
    assert model.num_parameters() == pytest.approx({"small": 2.08e6, "medium": 5.1e6}[size], rel=0.01)


def test_a_frame_is_20_ms(model, waves_BS):
    assert frame_s(model) == pytest.approx(0.02)
    num_frames = model(waves_BS).logits.shape[1]
    assert num_frames * 0.02 == pytest.approx(1.5, abs=0.05)
    assert num_frames_of(model, list(waves_BS.numpy())) == [num_frames, num_frames]
    assert num_frames_of(model, [np.zeros(8_000), np.zeros(8_320)]) == [23, 24]  # (48 - 3) / 2 + 1, (50 - 3) / 2 + 1


def test_the_positional_convolution_keeps_away_from_the_amx_trap(model):
    """TRAINING.md, trap 1: 2 to 15 channels a group give garbage in bf16, in silence."""
    config = model.config
    assert config.hidden_size % config.num_conv_pos_embedding_groups == 0
    assert config.hidden_size // config.num_conv_pos_embedding_groups >= 16


def test_bf16_logits_are_those_of_fp32_within_the_error_of_bf16(model, waves_BS):
    with torch.no_grad():
        exact_BTV = model(waves_BS).logits
        with torch.autocast("cpu", torch.bfloat16):
            rounded_BTV = model(waves_BS).logits.float()
    difference = (rounded_BTV - exact_BTV).norm() / exact_BTV.norm()
    assert 0 < difference < 0.03  # bf16 keeps 8 bits: .004 a rounding; the trap gives more than 1


def test_bf16_of_the_positional_convolution_alone(model):
    hidden_BTH = torch.randn(2, 100, model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    embed = model.hubert.encoder.pos_conv_embed
    with torch.no_grad():
        exact = embed(hidden_BTH)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = embed(hidden_BTH).float()
    assert (rounded - exact).norm() / exact.norm() < 0.02


def test_the_seed_alone_decides_the_weights(model, size):
    torch.manual_seed(99)
    same, other = (build_small(VOCABULARY, seed, size) for seed in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), same.state_dict().values(), strict=True))
    assert not torch.equal(model.lm_head.weight, other.lm_head.weight)


def test_ddp_and_short_clips_are_safe(model):
    """TRAINING.md, traps 3 and 4."""
    assert model.config.layerdrop == 0
    assert model.config.pad_token_id == VOCABULARY.blank
    assert model.config.vocab_size == 32


def test_equalising_scales_the_first_convolution_alone():
    model = build_small(VOCABULARY, seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    time_s = np.arange(32_000) / 16_000
    waves = [(np.sin(2 * np.pi * 300 * time_s) + 0.01 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)]
    equalise_front_end(model, waves)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"hubert.feature_extractor.conv_layers.0.conv.weight"}
    (name,) = changed
    scale_C = model.state_dict()[name].norm(dim=(1, 2)) / before[name].norm(dim=(1, 2))
    centre_C = np.abs(np.fft.rfft(before[name][:, 0].numpy(), 8192, axis=1)).argmax(axis=1) * 16_000 / 8192
    assert scale_C[np.abs(centre_C - 300) < 60].max() < 0.1 * scale_C[centre_C > 3000].min()  # loud bands are turned down
    # The level of the recording does not count.
    louder = build_small(VOCABULARY, seed=1)
    equalise_front_end(louder, [wave_S * 7 for wave_S in waves])
    torch.testing.assert_close(louder.state_dict()[name], model.state_dict()[name], rtol=1e-3, atol=1e-6)
