"""Whether a model trains in bfloat16: where the hardware has it, and the model's logits survive it.

Shapes: B = 1 clip, S samples, T frames, V vocabulary.
"""

import numpy as np
import torch
from transformers import PreTrainedModel, Wav2Vec2Processor

from drugasr.acoustic.model import prepare_inputs
from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.progress import say

_MAX_RELATIVE_ERROR = 0.15


def uses_bf16(model: PreTrainedModel, processor: Wav2Vec2Processor, wanted: str) -> bool:
    """For `wanted` of "auto", "fp32" or "bf16", on the device that the model is on.

    oneDNN's bf16 convolution with 2 to 15 channels a group is garbage on CPUs with AMX (torch 2.13), and says nothing: so a
    second of noise is compared with float32 first.
    """
    device = model.device.type
    if wanted == "fp32" or (wanted == "auto" and not _has_bf16(device)):
        return False
    error = bf16_error(model, processor)
    if error > _MAX_RELATIVE_ERROR:
        say(f"training: bf16 logits are off by {error:.0%} on this machine: float32 is used instead")
    return error <= _MAX_RELATIVE_ERROR


def bf16_error(model: PreTrainedModel, processor: Wav2Vec2Processor) -> float:
    """Root-mean-square difference of bf16 and float32 logits on a second of noise, relative to the spread of these."""
    wave_S = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    inputs = prepare_inputs(processor, [wave_S]).to(model.device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        exact_BTV = model(**inputs).logits.float()
        with torch.autocast(model.device.type, torch.bfloat16):
            rough_BTV = model(**inputs).logits.float()
    model.train(was_training)
    return float((rough_BTV - exact_BTV).square().mean().sqrt() / exact_BTV.std())


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
