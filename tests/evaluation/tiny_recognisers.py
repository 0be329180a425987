"""Tiny model folders of every family that is compared: the real classes with random weights, and a planted answer to every clip.

A CTC model writes one letter, whatever it hears: its head is 0 but for a bias. An encoder-decoder writes one word: what its
last layer norm gives out does not depend on what comes in.
"""

import json
from pathlib import Path

import sentencepiece
import torch
from tiny_families import tiny_config
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoModelForCTC,
    GenerationConfig,
    Speech2TextConfig,
    Speech2TextFeatureExtractor,
    Speech2TextForConditionalGeneration,
    Speech2TextProcessor,
    Speech2TextTokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from drugasr.acoustic.folder import save_model
from drugasr.acoustic.processor import make_processor
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary

LETTER, FOREIGN, WORD = "h", "ж", "aspirin"
CTC_FAMILIES = ("hubert-large", "wav2vec2-large", "wav2vec2-base")
# Latin letters between those of other scripts, as in voidful/wav2vec2-xlsr-multilingual-56.
MULTILINGUAL = ("<pad>", "<s>", "</s>", "<unk>", "|", *"абвгдежзийк", *"abcdefghijklmnopqrstuvwxyz'", *"αβγδε", *"ابپت")
_SIZE = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}


def write_ctc(folder: Path, family: str, vocabulary: Vocabulary = Vocabulary(LIBRISPEECH), logits: dict[str, float] | None = None) -> str:
    """A folder as hubs have it, with no facts of ours; it writes the letter with the highest of `logits`. Without any, nobody knows."""
    torch.manual_seed(0)
    model = AutoModelForCTC.from_config(tiny_config(family, vocab_size=len(vocabulary)), attn_implementation="eager")
    if logits is not None:
        plant(model, vocabulary, logits)
    model.save_pretrained(folder)
    make_processor(vocabulary).save_pretrained(folder)
    return str(folder)


def write_ours(folder: Path, logits: dict[str, float] | None = None) -> str:
    """A folder of a training of ours: a fine-tuned HuBERT, with facts."""
    torch.manual_seed(1)
    vocabulary = Vocabulary(LIBRISPEECH)
    model = AutoModelForCTC.from_config(tiny_config("hubert-large", vocab_size=len(vocabulary)), attn_implementation="eager")
    if logits is not None:
        plant(model, vocabulary, logits)
    save_model(folder, model, make_processor(vocabulary), {"metrics": {}})
    return str(folder)


def plant(model: torch.nn.Module, vocabulary: Vocabulary, logits: dict[str, float]) -> None:
    """Every frame gives every letter the same logit, 0 where `logits` has none."""
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.zero_()
        for letter, logit in logits.items():
            model.lm_head.bias[vocabulary.ids[letter]] = logit


def write_speech2text(folder: Path, scratch: Path) -> str:
    """Its tokenizer is a sentencepiece model of a few words, made here."""
    scratch.mkdir()
    (scratch / "words.txt").write_text(f"{WORD} heparin insulin codeine\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(scratch / "words.txt"), model_prefix=str(scratch / "spm"), vocab_size=24, hard_vocab_limit=False, user_defined_symbols=[f"\u2581{WORD}"], minloglevel=2
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(scratch / "spm.model"))
    tokens = ["<s>", "<pad>", "</s>", "<unk>"]
    tokens += [piece for i in range(pieces.get_piece_size()) if (piece := pieces.id_to_piece(i)) not in tokens]
    (scratch / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    tokenizer = Speech2TextTokenizer(str(scratch / "vocab.json"), str(scratch / "spm.model"))
    extractor = Speech2TextFeatureExtractor(feature_size=16, num_mel_bins=16)
    torch.manual_seed(0)
    model = Speech2TextForConditionalGeneration(
        Speech2TextConfig(
            vocab_size=len(tokens), input_feat_per_channel=16, conv_channels=32, num_conv_layers=2, max_source_positions=1000, max_target_positions=80, **_SIZE
        )
    )
    word, end = tokens.index(f"\u2581{WORD}"), tokens.index("</s>")
    _plant_word(model.model.decoder.layer_norm, model.model.decoder.embed_tokens.weight, model.lm_head, word, end)
    model.generation_config = GenerationConfig(bos_token_id=0, pad_token_id=1, eos_token_id=end, decoder_start_token_id=end, begin_suppress_tokens=[end], max_length=80)
    model.save_pretrained(folder)
    Speech2TextProcessor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    return str(folder)


def write_whisper(folder: Path) -> str:
    """Multilingual; its tokenizer knows the bytes, and one word, which it writes as Whisper does: `` Aspirin.``"""
    word = f"\u0120{WORD.title()}."
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, word, *special]
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = WhisperTokenizer(vocab=ids, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=4)
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokens), num_mel_bins=16, max_source_positions=200, max_target_positions=80, pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|endoftext|>"], decoder_start_token_id=ids["<|startoftranscript|>"], **_SIZE,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    end = ids["<|endoftext|>"]
    _plant_word(model.model.decoder.layer_norm, model.model.decoder.embed_tokens.weight, model.proj_out, ids[word], end)
    model.generation_config = GenerationConfig(
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=ids["<|startoftranscript|>"], begin_suppress_tokens=[end],
        is_multilingual=True, lang_to_id={"<|en|>": ids["<|en|>"], "<|de|>": ids["<|de|>"]}, max_length=80,
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]}, no_timestamps_token_id=ids["<|notimestamps|>"],
    )  # fmt: skip
    model.save_pretrained(folder)
    WhisperProcessor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    return str(folder)


def _plant_word(norm: torch.nn.LayerNorm, embedding: torch.Tensor, head: torch.nn.Linear, word: int, end: int) -> None:
    """The end is the likeliest token, the word the second: where the end may not come first, the word does, and then the end."""
    assert head.weight is embedding or torch.equal(head.weight, embedding)
    with torch.no_grad():
        embedding.zero_()
        embedding[end, 0], embedding[word, 1] = 1.0, 1.0
        norm.weight.zero_()
        norm.bias.zero_()
        norm.bias[0], norm.bias[1] = 20.0, 10.0
