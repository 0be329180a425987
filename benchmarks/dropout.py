"""A training step of the model that the package ships, with the project's dropout beside torch's.

    python -m benchmarks.dropout
"""

import sys

import torch

from benchmarks.harness import compare_time, show
from drugasr.acoustic.dropout import set_dropout
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

_CLIPS, _CLIP_S, _LETTERS, _RUNS = 24, 1.5, 10, 10
_P = 0.1


def main() -> int:
    torch.set_num_threads(1)
    steps = []
    for is_ours in (True, False):
        model = build_small(Vocabulary(LIBRISPEECH), seed=0, size="medium").train()
        set_dropout(model, _P)
        if not is_ours:  # attention's stays off in both
            for parent in list(model.modules()):
                for name, module in list(parent.named_children()):
                    if isinstance(module, torch.nn.Dropout):
                        setattr(parent, name, torch.nn.Dropout(_P))
        steps.append(_step(model))
    show([compare_time(f"training step of {_CLIPS} clips, bf16, 1 thread, beside torch's dropout", *steps, runs=_RUNS)])
    return 0


def _step(model: torch.nn.Module):
    waves_BS = torch.randn(_CLIPS, round(_CLIP_S * 16_000))
    labels_BL = torch.randint(5, 30, (_CLIPS, _LETTERS))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            model(waves_BS, labels=labels_BL).loss.backward()

    return step


if __name__ == "__main__":
    sys.exit(main())
