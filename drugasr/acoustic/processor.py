"""What stands before and behind a CTC model: its feature extractor and its tokenizer."""

import json
import tempfile
from pathlib import Path

from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.audio import SAMPLE_RATE_HZ


def make_processor(vocabulary: Vocabulary, extractor: Wav2Vec2FeatureExtractor | None = None) -> Wav2Vec2Processor:
    """With the feature extractor of a model of our own (zero mean, unit variance, attention mask), if none is given."""
    extractor = extractor or Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=SAMPLE_RATE_HZ, do_normalize=True, return_attention_mask=True
    )
    return Wav2Vec2Processor(feature_extractor=extractor, tokenizer=_make_tokenizer(vocabulary))


def _make_tokenizer(vocabulary: Vocabulary) -> Wav2Vec2CTCTokenizer:
    def known(*names: str) -> str | None:
        return next((name for name in names if name in vocabulary.tokens), None)

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "vocab.json"
        path.write_text(json.dumps({token: i for i, token in enumerate(vocabulary.tokens)}))
        return Wav2Vec2CTCTokenizer(
            str(path),
            pad_token=vocabulary.tokens[vocabulary.blank],
            word_delimiter_token=vocabulary.word_delimiter,
            # A name that the vocabulary lacks would become a symbol that the model cannot write.
            bos_token=known("<s>"),
            eos_token=known("</s>"),
            unk_token=known("<unk>", "[UNK]"),
            do_lower_case=False,
        )
