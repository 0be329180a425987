"""Waveforms -> log-probabilities: a CTC model made ready to listen.

Shapes: B clips, S samples, T frames, V vocabulary.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, Wav2Vec2Processor

from drugasr.acoustic.folder import load_model
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ

_PADDING_TOLERANCE = 1e-4


class AcousticModel:
    def __init__(self, model: PreTrainedModel, processor: Wav2Vec2Processor, vocabulary: Vocabulary, name: str) -> None:
        self.model, self.processor, self.vocabulary, self.name = model, processor, vocabulary, name

    @classmethod
    def from_dir(cls, folder: str) -> "AcousticModel":
        """A model folder, its URI, or a hub name, in evaluation mode. Raises ModelError."""
        model, processor, vocabulary = load_model(folder)
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model, processor, vocabulary, name=folder.rstrip("/").rsplit("/", 1)[-1])

    @property
    def frame_s(self) -> float:
        return frame_s(self.model)

    @cached_property
    def can_pad(self) -> bool:
        return can_pad(self.model, self.processor)

    @torch.inference_mode()
    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Natural-log probabilities [T, V], float32, of each clip [S] (float32, 16 kHz)."""
        if not waves:
            return []
        logits_BTV = logits_of(self.model, self.processor, waves, pad=len(waves) > 1 and self.can_pad)
        logp_BTV = log_softmax(logits_BTV)
        return [logp_BTV[i, :num_frames] for i, num_frames in enumerate(num_frames_of(self.model, waves))]


@torch.inference_mode()
def can_pad(model: PreTrainedModel, processor: Wav2Vec2Processor) -> bool:
    """Whether clips sound the same (logits to 1e-4) alone and padded into one batch: tried on two bursts of noise.

    Not so where group norm runs over time (wav2vec2-base), where positional convolutions are stacked (data2vec), or
    where the feature extractor gives no attention mask.
    """
    generator = np.random.default_rng(0)
    waves = [generator.standard_normal(int(seconds * SAMPLE_RATE_HZ)).astype(np.float32) for seconds in (0.5, 0.9)]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    # The question is how the model is built: TF32 would add rounding errors of this size on some GPUs.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        together_BTV, alone_BTV = (logits_of(model, processor, waves, pad=pad) for pad in (True, False))
    for module, mode in modes.items():
        module.training = mode
    tolerance = _PADDING_TOLERANCE * max(1.0, alone_BTV.abs().max().item())
    frames = [slice(num_frames) for num_frames in num_frames_of(model, waves)]
    return all((together_BTV[i, kept] - alone_BTV[i, kept]).abs().max() <= tolerance for i, kept in enumerate(frames))


def logits_of(model: torch.nn.Module, processor: Wav2Vec2Processor, waves: Sequence[np.ndarray], *, pad: bool) -> torch.Tensor:
    """Logits [B, T, V] of the clips: in one padded batch, or clip by clip where `pad` is false (`can_pad` tells).

    `model` may be a data-parallel replica. What lies behind a clip's last frame is not to be read.
    """
    device = next(model.parameters()).device
    batches = [waves] if pad else [[wave_S] for wave_S in waves]
    logits = [model(**prepare_inputs(processor, batch).to(device)).logits for batch in batches]
    return logits[0] if len(logits) == 1 else pad_sequence([logits_1TV[0] for logits_1TV in logits], batch_first=True)


def log_softmax(logits_BTV: torch.Tensor) -> np.ndarray:
    """Natural-log probabilities [B, T, V], float32."""
    return torch.log_softmax(logits_BTV.float(), dim=-1).cpu().numpy()


def prepare_inputs(processor: Wav2Vec2Processor, waves: Sequence[np.ndarray], multiple: int | None = None):
    """`input_values` [B, S] and, where the model uses one, `attention_mask` [B, S]; S is a `multiple` of samples, if one is given."""
    return processor.feature_extractor(list(waves), sampling_rate=SAMPLE_RATE_HZ, padding=True, pad_to_multiple_of=multiple, return_tensors="pt")


def frame_s(model: PreTrainedModel) -> float:
    """Seconds from one frame to the next."""
    return math.prod(model.config.conv_stride) / SAMPLE_RATE_HZ


def num_frames_of(model: PreTrainedModel, waves: Sequence[np.ndarray]) -> list[int]:
    lengths_B = torch.tensor([len(wave_S) for wave_S in waves])
    return model._get_feat_extract_output_lengths(lengths_B).tolist()
