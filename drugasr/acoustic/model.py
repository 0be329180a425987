"""Waveforms -> log-probabilities: a CTC model made ready to listen.

Shapes: B clips, S samples, T frames, V vocabulary.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, Wav2Vec2Processor

from drugasr.acoustic.folder import load_model
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ


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

    @property
    def can_pad(self) -> bool:
        """Models with group norm over time hear the padding of a batch; the others mask it."""
        return self.model.config.feat_extract_norm == "layer"

    def log_probs(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Natural-log probabilities [T, V], float32, of each clip [S] (float32, 16 kHz)."""
        batches = [list(waves)] if self.can_pad else [[wave_S] for wave_S in waves]
        return [logp_TV for batch in batches if batch for logp_TV in self._batch(batch)]

    @torch.inference_mode()
    def _batch(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        inputs = prepare_inputs(self.processor, waves).to(self.model.device)
        logp_BTV = log_softmax(self.model(**inputs).logits)
        return [logp_BTV[i, :num_frames] for i, num_frames in enumerate(num_frames_of(self.model, waves))]


def log_softmax(logits_BTV: torch.Tensor) -> np.ndarray:
    """Natural-log probabilities [B, T, V], float32."""
    return torch.log_softmax(logits_BTV.float(), dim=-1).cpu().numpy()


def prepare_inputs(processor: Wav2Vec2Processor, waves: Sequence[np.ndarray]):
    """`input_values` [B, S] and, where the model uses one, `attention_mask` [B, S]."""
    return processor.feature_extractor(list(waves), sampling_rate=SAMPLE_RATE_HZ, padding=True, return_tensors="pt")


def frame_s(model: PreTrainedModel) -> float:
    """Seconds from one frame to the next."""
    return math.prod(model.config.conv_stride) / SAMPLE_RATE_HZ


def num_frames_of(model: PreTrainedModel, waves: Sequence[np.ndarray]) -> list[int]:
    lengths_B = torch.tensor([len(wave_S) for wave_S in waves])
    return model._get_feat_extract_output_lengths(lengths_B).tolist()
