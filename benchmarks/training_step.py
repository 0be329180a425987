"""Training steps of the model that the package ships, on one thread: what two tricks for CPUs are worth.

    python -m benchmarks.training_step

- the project's dropout beside torch's
- batches padded to a multiple of 0.16 s beside batches of every length, for whose shapes oneDNN compiles kernels anew
"""

import random
import sys
from collections.abc import Callable, Iterator

import torch
from transformers import HubertForCTC

from benchmarks.harness import compare_time, show
from drugasr.acoustic.dropout import set_dropout
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ

_BATCH_S, _CLIP_S, _LETTERS, _P = 18.0, 1.5, 8, 0.1
_QUANTUM_S = 0.16  # of drugasr.training.inputs
_NUM_STEPS, _RUNS = 12, 5
_NUM_WARM_STEPS = 60  # by then a training has met most of the multiples


def main() -> int:
    torch.set_num_threads(1)
    ours, plain = _model(), _model()
    for parent in list(plain.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, torch.nn.Dropout):
                setattr(parent, name, torch.nn.Dropout(_P))
    alike = [_CLIP_S] * _NUM_STEPS
    padded, every = _lengths(_QUANTUM_S), _lengths(1 / SAMPLE_RATE_HZ)
    _steps(ours, padded, _NUM_WARM_STEPS)()
    show(
        [
            compare_time(f"{_NUM_STEPS} steps of equal clips, bf16, beside torch's dropout", _steps(ours, iter(alike * 99)), _steps(plain, iter(alike * 99)), runs=_RUNS),
            compare_time(f"{_NUM_STEPS} steps of different clips, bf16, beside no padding to a multiple", _steps(ours, padded), _steps(ours, every), runs=_RUNS),
        ]
    )
    return 0


def _model() -> HubertForCTC:
    model = build_small(Vocabulary(LIBRISPEECH), seed=0, size="medium").train()
    set_dropout(model, _P)
    return model


def _lengths(quantum_s: float) -> Iterator[float]:
    """Lengths of batches of drug names, in s, each a multiple of the quantum; without end."""
    generator = random.Random(0)
    while True:
        length_s = min(3.0, max(0.6, generator.gauss(_CLIP_S, 0.35)))
        yield -(-length_s // quantum_s) * quantum_s


def _steps(model: HubertForCTC, lengths: Iterator[float], num_steps: int = _NUM_STEPS) -> Callable[[], None]:
    def steps() -> None:
        for _, length_s in zip(range(num_steps), lengths):
            num_clips = int(_BATCH_S / length_s)
            with torch.autocast("cpu", torch.bfloat16):
                logits_BTV = model(torch.randn(num_clips, round(length_s * SAMPLE_RATE_HZ))).logits
            logp_TBV = logits_BTV.float().log_softmax(-1).transpose(0, 1)
            frames, letters = (torch.full((num_clips,), n) for n in (len(logp_TBV), _LETTERS))
            torch.nn.functional.ctc_loss(logp_TBV, torch.randint(5, 30, (num_clips, _LETTERS)), frames, letters, zero_infinity=True).backward()

    return steps


if __name__ == "__main__":
    sys.exit(main())
