"""Whisper, any checkpoint: an encoder-decoder over 30 s of mel bands. It writes text alone, with digits and signs.

Shapes: S samples.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.evaluation.recognisers.recogniser import Hypothesis, write_spoken
from drugasr.evaluation.recognisers.spelling import as_spoken

MAX_TOKENS = 64


class WhisperRecogniser:
    def __init__(self, folder: str) -> None:
        """Raises what transformers raises for a folder that is none of Whisper's."""
        self._processor = WhisperProcessor.from_pretrained(folder)
        self._model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self._model.to("cuda" if torch.cuda.is_available() else "cpu")
        # The English checkpoints know no other language, and refuse to be told.
        self._task = {"language": "en", "task": "transcribe"} if getattr(self._model.generation_config, "is_multilingual", False) else {}

    def hear(self, waves: Sequence[np.ndarray]) -> list[Hypothesis]:
        return write_spoken(waves, self._write)

    @torch.inference_mode()
    def _write(self, waves: list[np.ndarray]) -> list[str]:
        inputs = self._processor(waves, sampling_rate=SAMPLE_RATE_HZ, return_attention_mask=True, return_tensors="pt").to(self._model.device)
        tokens = self._model.generate(inputs.input_features, attention_mask=inputs.attention_mask, max_new_tokens=MAX_TOKENS, **self._task)
        return [as_spoken(text) for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]
