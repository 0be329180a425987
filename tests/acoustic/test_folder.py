import json
import time

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from transformers import HubertModel

from drugasr import storage
from drugasr.acoustic.facts import read_facts
from drugasr.acoustic.folder import check_base, load_model, save_model, start_model
from drugasr.acoustic.model import AcousticModel
from drugasr.acoustic.processor import make_processor
from drugasr.decoding.greedy import decode_greedily
from drugasr.errors import ModelError


@pytest.fixture
def folder(tmp_path, tiny_hubert, vocabulary):
    """A saved random model whose head is biased to write letters."""
    model = tiny_hubert()
    with torch.no_grad():
        model.lm_head.weight *= 20
        model.lm_head.bias[[vocabulary.blank, *vocabulary.dead_ids]] -= 50
    path = tmp_path / "model"
    save_model(path, model, make_processor(vocabulary), {"metrics": {"cer": 0.25, "top1": 0.5, "loss": 3.0}, "lexicon": "quick50"})
    return path


@pytest.fixture
def wave_S():
    return (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that refuses every connection, as behind a hospital's firewall."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")


def test_a_saved_model_loads_with_the_same_logits(folder, tiny_hubert, vocabulary, wave_S):
    model = tiny_hubert()
    with torch.no_grad():
        model.lm_head.weight *= 20
        model.lm_head.bias[[vocabulary.blank, *vocabulary.dead_ids]] -= 50
    for uri in (str(folder), f"file://{folder}"):
        loaded, processor, found = load_model(uri)
        assert found == vocabulary
        assert loaded.config.ctc_zero_infinity
        assert loaded.config.layerdrop == 0
        inputs = processor(wave_S, sampling_rate=16_000, return_tensors="pt")
        assert abs(inputs.input_values.mean()) < 1e-5
        assert inputs.input_values.std() == pytest.approx(1, abs=1e-3)
        with torch.no_grad():
            torch.testing.assert_close(loaded.eval()(**inputs).logits, model(**inputs).logits, rtol=0, atol=1e-5)


def test_the_pipeline_of_transformers_reads_the_folder_and_hears_the_same(folder, wave_S):
    heard = transformers.pipeline("automatic-speech-recognition", model=str(folder), device="cpu")({"raw": wave_S, "sampling_rate": 16_000})["text"]
    acoustic = AcousticModel.from_dir(str(folder))
    text = decode_greedily(acoustic.log_probs([wave_S])[0], acoustic.vocabulary, acoustic.frame_s).text
    assert len(text) > 3
    assert " ".join(heard.lower().split()) == " ".join(text.split())
    assert acoustic.name == "model"


def test_the_facts_and_the_card(folder):
    facts = read_facts(str(folder))
    assert facts["lexicon"] == "quick50"
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["versions"]["transformers"] == transformers.__version__
    data = huggingface_hub.ModelCard.load(folder / "README.md").data
    assert data.pipeline_tag == "automatic-speech-recognition"
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {"cer": 0.25, "top1": 0.5}


def test_the_same_seed_starts_the_same_small_model():
    first, again, other = (start_model("small", seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.fixture
def pretrained_only(tmp_path, tiny_hubert):
    """What facebook/hubert-base-ls960 is: an encoder and a feature extractor, no head and no vocabulary."""
    path = tmp_path / "pretrained"
    encoder: HubertModel = tiny_hubert().hubert
    encoder.config.architectures = ["HubertModel"]
    encoder.save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(path)
    return path, encoder


def test_a_pretrained_encoder_gets_a_fresh_head(pretrained_only, vocabulary, wave_S):
    path, encoder = pretrained_only
    model, processor, found = start_model(str(path), seed=3)
    assert found == vocabulary
    assert model.lm_head.out_features == len(vocabulary)
    torch.testing.assert_close(model.base_model.state_dict(), dict(encoder.state_dict()))
    assert processor.feature_extractor.return_attention_mask is False  # as the checkpoint says
    torch.manual_seed(99)
    assert torch.equal(start_model(str(path), seed=3)[0].lm_head.weight, model.lm_head.weight)
    assert not torch.equal(start_model(str(path), seed=4)[0].lm_head.weight, model.lm_head.weight)


def test_an_encoder_with_no_head_is_not_for_recognition(pretrained_only):
    with pytest.raises(ModelError, match="train it first"):
        load_model(str(pretrained_only[0]))


@pytest.mark.parametrize("name", ["facebook/no-such-hubert-of-drugasr", "no-such-hubert-of-drugasr"])
def test_a_hub_name_without_a_hub_fails_soon_and_says_what_to_do(no_hub, name):
    start_s = time.monotonic()
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert time.monotonic() - start_s < 30
    for part in (repr(name), f"hf download {name}", "model.base=FOLDER", "--preset mini"):
        assert part in str(caught.value)


def test_a_path_that_is_not_there_is_named(no_hub):
    with pytest.raises(ModelError, match="no such folder"):
        load_model("/no/such/folder")
    with pytest.raises(ModelError, match=r"file:///no/such/folder"):
        load_model("file:///no/such/folder")


def test_what_needs_no_hub_is_not_looked_up(no_hub, folder):
    check_base("small")
    check_base(str(folder))


def spoil(folder, how):
    weights = folder / "model.safetensors"
    match how:
        case "empty":
            for path in folder.iterdir():
                path.unlink()
        case "no weights":
            weights.unlink()
        case "half the weights":
            weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
        case "rubbish for weights":
            weights.write_bytes(b"rubbish" * 100)
        case "no config":
            (folder / "config.json").unlink()
        case "config is not JSON":
            (folder / "config.json").write_text("{")
        case "another kind of model":
            (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
        case "unknown kind of model":
            (folder / "config.json").write_text(json.dumps({"model_type": "no_such_thing"}))
        case "other sizes":
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 96}))


@pytest.mark.parametrize(
    "how",
    [
        "empty", "no weights", "half the weights", "rubbish for weights", "no config", "config is not JSON", "another kind of model",
        "unknown kind of model", "other sizes",
    ],
)  # fmt: skip
def test_a_folder_that_is_no_model_is_a_model_error(no_hub, folder, how):
    spoil(folder, how)
    with pytest.raises(ModelError, match=str(folder)):
        load_model(str(folder))


def test_a_folder_without_the_facts_is_not_finished(folder):
    storage.delete_file(str(folder / "drugasr.json"))
    with pytest.raises(ModelError, match=r"not a finished drugasr model.*drugasr\.json"):
        read_facts(str(folder))
