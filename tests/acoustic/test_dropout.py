import pytest
import torch
from tiny_families import FAMILIES, tiny_model

from drugasr.acoustic.dropout import Dropout, set_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_it_drops_the_share_and_keeps_the_mean(dtype, p):
    torch.manual_seed(0)
    dropped = Dropout(p).train()(torch.ones(997, 1001, dtype=dtype)).float()
    share = (dropped == 0).float().mean().item()
    assert share == pytest.approx(p, abs=1 / 256)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    # Each byte of a random number decides alike.
    assert (dropped.flatten()[: 8 * 120_000].view(-1, 8) == 0).float().mean(0).tolist() == pytest.approx([share] * 8, abs=0.005)


def test_the_gradient_flows_where_it_was_kept_and_a_seed_gives_the_same_mask():
    hidden = torch.randn(7, 33, requires_grad=True)
    torch.manual_seed(3)
    dropped = Dropout(0.3).train()(hidden)
    dropped.sum().backward()
    kept = dropped != 0
    assert 0 < kept.sum() < hidden.numel()
    torch.testing.assert_close(hidden.grad, torch.where(kept, 256 / (256 - 77), 0.0))
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.3).train()(hidden), dropped)


def test_in_evaluation_or_with_nothing_to_drop_it_changes_nothing():
    hidden = torch.randn(5, 9)
    assert torch.equal(Dropout(0.5).eval()(hidden), hidden)
    assert torch.equal(Dropout(0.0).train()(hidden), hidden)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_of_a_model_but_its_attention_drops(family):
    model = tiny_model(family)
    set_dropout(model, 0.25)
    found = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert found and all(isinstance(module, Dropout) and module.p == 0.25 for module in found)
    assert {layer.attention.dropout for layer in model.base_model.encoder.layers} == {0.0}
