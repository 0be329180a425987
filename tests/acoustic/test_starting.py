"""What a training starts from: each family from a config alone, from a checkpoint as the hub has it, or from the hub's cache."""

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, XLSR_TOKENIZER, XLSR_VOCABULARY, tiny_model, write_config, write_vocabulary
from transformers import Wav2Vec2FeatureExtractor

from drugasr.acoustic.folder import load_model, save_model, start_model
from drugasr.acoustic.processor import make_processor
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.errors import ModelError


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def save_checkpoint(folder, model, *, old_names=False, encoder_only=False):
    """As people publish them: no facts of ours; before 2023 in PyTorch's format, with other names for the normed weights."""
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    (model.base_model if encoder_only else model).save_pretrained(folder)
    if old_names:
        (folder / "model.safetensors").unlink()
        names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        weights = model.state_dict()
        for new, old in names.items():
            weights = {name.replace(new, old): tensor for name, tensor in weights.items()}
        torch.save(weights, folder / "pytorch_model.bin")
    return folder


def same_weights(model, other) -> bool:
    mine, others = model.state_dict(), other.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(tensor, others[name]) for name, tensor in mine.items())


def test_a_config_alone_starts_from_random_weights_of_the_seed_and_says_so(tmp_path, family, capsys):
    folder = str(write_config(tmp_path, family))
    model, processor, vocabulary = start_model(folder, seed=1)
    assert f"{folder} has a config.json and no weights" in capsys.readouterr().err
    assert len(vocabulary) == model.lm_head.out_features == model.config.vocab_size
    assert vocabulary.encode("st john's") == [vocabulary.ids[letter] for letter in "st john's"]
    assert model.config.pad_token_id == vocabulary.blank
    assert processor.feature_extractor.return_attention_mask
    assert same_weights(model, start_model(folder, seed=1)[0])
    assert not same_weights(model, start_model(folder, seed=2)[0])
    with pytest.raises(ModelError, match=folder):
        load_model(folder)


@pytest.mark.parametrize("old_names", [False, True])
def test_a_trained_model_is_taken_as_it_is(tmp_path, family, old_names, capsys):
    trained = tiny_model(family)
    write_vocabulary(save_checkpoint(tmp_path, trained, old_names=old_names), {token: i for i, token in enumerate(LIBRISPEECH)})
    assert same_weights(load_model(str(tmp_path))[0], trained)
    assert same_weights(start_model(str(tmp_path), seed=1)[0], trained)
    assert "random" not in capsys.readouterr().err


def test_an_encoder_gets_a_fresh_head_for_the_vocabulary_of_its_folder(tmp_path, family):
    """As facebook/wav2vec2-base: a vocabulary, but no head."""
    pretrained = tiny_model(family)
    write_vocabulary(save_checkpoint(tmp_path, pretrained, encoder_only=True), XLSR_VOCABULARY, XLSR_TOKENIZER)
    model, _, vocabulary = start_model(str(tmp_path), seed=1)
    assert same_weights(model.base_model, pretrained.base_model)
    assert vocabulary.tokens[: len(XLSR_VOCABULARY)] == tuple(XLSR_VOCABULARY)
    assert model.lm_head.out_features == len(vocabulary)
    with pytest.raises(ModelError, match=r"lack lm_head\.bias and 1 more; train it first"):
        load_model(str(tmp_path))


def test_a_head_keeps_its_rows_and_gets_fresh_ones_for_missing_letters(tmp_path):
    trained = tiny_model("xlsr")
    ids = {token: i for i, token in enumerate(LIBRISPEECH)}
    write_vocabulary(save_checkpoint(tmp_path, trained), ids)
    model, _, vocabulary = start_model(str(tmp_path), seed=1, texts=["crème", "brûlée"])
    assert vocabulary.tokens == (*LIBRISPEECH, "è", "é", "û")
    waves_BS = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8_000)).astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(waves_BS).logits[..., :32], trained(waves_BS).logits, rtol=0, atol=1e-6)


def test_texts_that_the_default_vocabulary_cannot_spell_make_their_own(tmp_path):
    texts = ["آسپرین", "دو قرص"]
    folder = str(write_config(tmp_path / "base", "hubert-base"))
    for base in ("small", folder):
        model, processor, vocabulary = start_model(base, seed=1, texts=texts)
        assert [vocabulary.decode(vocabulary.encode(text)) for text in texts] == texts
        assert model.lm_head.out_features == len(vocabulary) == 2 + len(set("".join(texts)) - {" "})
    save_model(tmp_path / "trained", model, processor, {})
    loaded, processor, found = load_model(str(tmp_path / "trained"))
    assert (found, same_weights(loaded, model)) == (vocabulary, True)
    assert processor.tokenizer.decode(vocabulary.encode("دو قرص"), group_tokens=False) == "دو قرص"


def test_weights_of_another_size_are_no_start(tmp_path):
    save_checkpoint(tmp_path, tiny_model("hubert-large"))
    write_config(tmp_path, "hubert-large", num_hidden_layers=4)
    with pytest.raises(ModelError, match="not those of its config.json: they lack"):
        start_model(str(tmp_path), seed=1)


def test_a_vocabulary_without_a_space_must_be_trained_first(tmp_path):
    write_vocabulary(save_checkpoint(tmp_path, tiny_model("hubert-large", vocab_size=2)), {"<pad>": 0, "a": 1})
    with pytest.raises(ModelError, match="writes no space"):
        load_model(str(tmp_path))
    assert " " in start_model(str(tmp_path), seed=1)[2].ids


@pytest.mark.parametrize("old_names", [False, True])
def test_a_hub_name_is_read_from_the_cache_when_the_hub_is_away(tmp_path, monkeypatch, old_names):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    snapshot = tmp_path / "models--someone--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--tiny" / "refs").mkdir()
    (tmp_path / "models--someone--tiny" / "refs" / "main").write_text("abc")
    trained = tiny_model("hubert-large")
    write_vocabulary(save_checkpoint(snapshot, trained, old_names=old_names), {token: i for i, token in enumerate(LIBRISPEECH)})
    model, _, vocabulary = load_model("someone/tiny")
    assert (vocabulary, same_weights(model, trained)) == (Vocabulary(LIBRISPEECH), True)


def test_the_extractor_of_a_checkpoint_is_kept(tmp_path):
    """The checkpoint says how its waves are prepared."""
    save_checkpoint(tmp_path, tiny_model("hubert-base"))
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False).save_pretrained(tmp_path)
    extractor = start_model(str(tmp_path), seed=1)[1].feature_extractor
    assert (extractor.do_normalize, extractor.return_attention_mask) == (False, False)
    assert make_processor(Vocabulary(LIBRISPEECH)).feature_extractor.do_normalize
