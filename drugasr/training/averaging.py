"""The mean of the best epochs' weights: often better than each (Izmailov et al. 2018; the checkpoint averaging of fairseq)."""

import torch

Weights = dict[str, torch.Tensor]


class BestEpochs:
    """The trained weights of the `num_kept` best epochs so far, in main memory."""

    def __init__(self, num_kept: int, kept: list[tuple[float, Weights]] | None = None) -> None:
        self._num_kept = num_kept
        self.kept = kept or []
        """Score and weights, best first."""

    def offer(self, score: float, model: torch.nn.Module) -> None:
        if self._num_kept < 2:
            return
        weights = {name: parameter.detach().cpu().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.kept = sorted([*self.kept, (score, weights)], key=lambda entry: -entry[0])[: self._num_kept]

    def mean(self) -> Weights:
        """Of what is kept, weight by weight."""
        return {name: torch.stack([weights[name] for _, weights in self.kept]).mean(dim=0) for name in self.kept[0][1]}
