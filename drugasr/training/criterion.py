"""The CTC loss of each clip.

Shapes: B clips, T frames, V vocabulary, L labels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def ctc_losses(logits_BTV: torch.Tensor, num_frames: Sequence[int], labels: Sequence[Sequence[int]], blank: int) -> torch.Tensor:
    """Negative log-likelihood a symbol of each clip [B], in nats: what `ctc_loss_reduction="mean"` averages.

    A clip with no alignment counts 0, as with `ctc_zero_infinity`.
    """
    logp_TBV = torch.log_softmax(logits_BTV.float(), dim=-1).transpose(0, 1)
    lengths_B = torch.tensor([len(label) for label in labels])
    flat_L = torch.tensor([symbol for label in labels for symbol in label], device=logits_BTV.device)
    losses_B = F.ctc_loss(logp_TBV, flat_L, torch.tensor(num_frames), lengths_B, blank=blank, reduction="none", zero_infinity=True)
    return losses_B / lengths_B.clamp(min=1).to(losses_B.device)
