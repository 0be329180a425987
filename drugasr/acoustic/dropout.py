"""Dropout that costs little on CPUs, where torch draws each element from a Bernoulli distribution of its own.

At the size of a small model that is a third of a training step (`python -m benchmarks.training_step`). Here a random byte an
element is compared with a threshold, so the probability is rounded to a 256th.
"""

import torch

_VALUES = 256  # of a byte


class Dropout(torch.nn.Dropout):
    """torch's own elsewhere; draws from torch's generator, so that a seed gives the same mask."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        threshold = round(self.p * _VALUES)
        if not self.training or not threshold or hidden.device.type != "cpu":
            return super().forward(hidden)
        # From the lowest to the highest, or the uppermost bit of each eight bytes would always be 0.
        random = torch.empty((hidden.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        mask = torch.empty(hidden.shape, dtype=hidden.dtype)
        torch.ge(random[: hidden.numel()].view(hidden.shape), threshold, out=mask)
        return hidden * mask.mul_(_VALUES / (_VALUES - threshold))


def set_dropout(model: torch.nn.Module, p: float) -> None:
    """Hidden states and activations are dropped with probability `p`, attention weights never, as in fairseq's recipes for CTC."""
    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, torch.nn.Dropout):
                setattr(parent, name, Dropout(p))
        if isinstance(getattr(parent, "dropout", None), float):  # attention drops its weights by itself
            parent.dropout = 0.0
