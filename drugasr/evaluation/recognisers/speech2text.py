"""Facebook's S2T (`facebook/s2t-large-librispeech-asr`): an encoder-decoder over filter banks. It writes text alone.

Shapes: S samples.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import Speech2TextForConditionalGeneration, Speech2TextProcessor

from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.errors import ModelError
from drugasr.evaluation.recognisers.recogniser import Hypothesis, write_spoken
from drugasr.evaluation.recognisers.spelling import as_spoken

MAX_TOKENS = 64
"""Twice what the longest names with their doses take; a model that loses its way stops there."""


class Speech2TextRecogniser:
    def __init__(self, folder: str) -> None:
        """Raises ModelError without sentencepiece, and what transformers raises for a folder that is none of these."""
        try:
            self._processor = Speech2TextProcessor.from_pretrained(folder)
        except ImportError as error:
            raise ModelError(f"{folder}: its tokenizer needs sentencepiece: pip install 'drugasr[peers]'") from error
        self._model = Speech2TextForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self._model.to("cuda" if torch.cuda.is_available() else "cpu")

    def hear(self, waves: Sequence[np.ndarray]) -> list[Hypothesis]:
        return write_spoken(waves, self._write)

    @torch.inference_mode()
    def _write(self, waves: list[np.ndarray]) -> list[str]:
        inputs = self._processor(waves, sampling_rate=SAMPLE_RATE_HZ, padding=True, return_tensors="pt").to(self._model.device)
        tokens = self._model.generate(inputs.input_features, attention_mask=inputs.attention_mask, max_new_tokens=MAX_TOKENS)
        return [as_spoken(text) for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]
