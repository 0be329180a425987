import itertools
import math

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertForCTC

from drugasr.training.criterion import ctc_losses

LABELS = [[5, 6, 7], [8, 8], [9, 10, 11, 12]]


def logits_BTV(frames=12, vocabulary=16):
    return torch.randn(len(LABELS), frames, vocabulary, generator=torch.Generator().manual_seed(0))


def test_it_is_what_transformers_averages():
    """Hugging Face's own loss of a padded batch, with ctc_loss_reduction="mean"."""
    torch.manual_seed(0)
    config = HubertConfig(
        vocab_size=32, hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, conv_dim=(16,), conv_kernel=(320,),
        conv_stride=(320,), num_feat_extract_layers=1, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=3,
        feat_extract_norm="layer", do_stable_layer_norm=True, ctc_loss_reduction="mean", ctc_zero_infinity=True, pad_token_id=0,
    )  # fmt: skip
    model = HubertForCTC(config).eval()
    lengths = [8000, 5120, 6600]
    waves_BS, mask_BS = torch.randn(3, 8000), torch.zeros(3, 8000, dtype=torch.long)
    for i, length in enumerate(lengths):
        mask_BS[i, :length] = 1
    padded = torch.tensor([label + [-100] * (4 - len(label)) for label in LABELS])
    output = model(waves_BS, attention_mask=mask_BS, labels=padded)
    losses_B = ctc_losses(output.logits, [length // 320 for length in lengths], LABELS, blank=0)
    assert losses_B.shape == (3,)
    assert losses_B.mean().item() == pytest.approx(output.loss.item(), rel=1e-5)


def test_it_is_the_sum_over_all_alignments():
    """By enumeration: every path of 4 frames that collapses to the label."""
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(1))
    probs_TV = torch.softmax(logits[0].double(), dim=-1).numpy()
    for label in ([1], [1, 2], [1, 1], [2, 1, 2]):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            collapsed = [symbol for symbol, _ in itertools.groupby(path) if symbol != 0]
            if collapsed == label:
                total += float(np.prod([probs_TV[t, symbol] for t, symbol in enumerate(path)]))
        assert ctc_losses(logits, [4], [label], blank=0).item() == pytest.approx(-math.log(total) / len(label), rel=1e-5)


def test_frames_past_the_end_of_a_clip_do_not_count():
    logits = logits_BTV()
    spoilt = logits.clone()
    spoilt[1, 7:] = 50 * torch.randn(5, 16)
    torch.testing.assert_close(ctc_losses(spoilt, [12, 7, 12], LABELS, blank=0), ctc_losses(logits, [12, 7, 12], LABELS, blank=0))


def test_each_clip_has_its_own_loss_in_company_or_alone():
    logits = logits_BTV()
    together_B = ctc_losses(logits, [12, 7, 10], LABELS, blank=0)
    for i, frames in enumerate((12, 7, 10)):
        alone_B = ctc_losses(logits[i : i + 1, :frames], [frames], [LABELS[i]], blank=0)
        assert together_B[i].item() == pytest.approx(alone_B.item(), rel=1e-5)


def test_the_blank_can_stand_anywhere():
    logits = logits_BTV()
    moved = torch.cat([logits[:, :, 1:], logits[:, :, :1]], dim=2)
    torch.testing.assert_close(
        ctc_losses(moved, [12] * 3, [[symbol - 1 for symbol in label] for label in LABELS], blank=15), ctc_losses(logits, [12] * 3, LABELS, blank=0)
    )


def test_a_clip_that_is_too_short_counts_nothing_and_spoils_nothing():
    logits = logits_BTV().requires_grad_()
    losses_B = ctc_losses(logits, [12, 2, 12], LABELS, blank=0)  # "8 8" needs three frames
    assert losses_B[1].item() == 0
    losses_B.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()
    assert logits.grad[0].any()


def test_half_precision_logits_are_summed_in_full():
    logits = logits_BTV().bfloat16()
    losses_B = ctc_losses(logits, [12] * 3, LABELS, blank=0)
    assert losses_B.dtype == torch.float32
    torch.testing.assert_close(losses_B, ctc_losses(logits.float(), [12] * 3, LABELS, blank=0))
