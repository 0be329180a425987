"""The ranks of one data-parallel training, or one process alone: the same code for both."""

from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, kw_only=True)
class Workers:
    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def alone(cls, *, num_threads: int, use_gpu: bool) -> "Workers":
        """This process, which computes with so many threads, or on the GPU that it sees."""
        torch.set_num_threads(num_threads)
        return cls(device=torch.device("cuda" if use_gpu else "cpu"))

    def sum(self, values: list[float]) -> list[float]:
        """Each value added up over the ranks."""
        if self.size == 1:
            return values
        totals = torch.tensor(values, dtype=torch.float64 if self.device.type == "cpu" else torch.float32, device=self.device)
        dist.all_reduce(totals)
        return totals.tolist()

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model whose gradients are averaged over the ranks."""
        model = model.to(self.device)
        if self.size == 1:
            return model
        device_ids = [self.device] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(model, device_ids=device_ids)
