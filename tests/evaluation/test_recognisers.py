"""Every family from a folder that the tests make, on the same clips, with answers that were planted and metrics counted by hand."""

import json
import time

import huggingface_hub
import numpy as np
import pytest
from tiny_recognisers import CTC_FAMILIES, FOREIGN, LETTER, WORD

from drugasr import audio
from drugasr.errors import InputError, ModelError
from drugasr.evaluation.metrics import score
from drugasr.evaluation.prediction import Predictor, read_log_probs
from drugasr.evaluation.recognisers.loading import check, load, version_of
from drugasr.evaluation.recognisers.spec import parse_spec, parse_specs

NAMES = ("aspirin", "codeine", "digoxin", "heparin", "insulin", "losartan")
# `h` instead of each: six of the seven letters of heparin are missing, of the others all are wrong; 43 letters are said in all.
OF_A_LETTER = {"top1": 1 / 6, "top5": 5 / 6, "levenshtein_top1": 1 / 6, "exact": 1 / 6, "exact_text": 0.0, "cer": 42 / 43, "wer": 1.0, "sound_alike": 0.0}
# `aspirin` instead of each: 6 edits from codeine, 5 from digoxin and from insulin (`in` stays), 3 from heparin (`p.rin` stays), 6 from losartan.
OF_A_WORD = {"top1": None, "top5": None, "levenshtein_top1": 1 / 6, "exact": 1 / 6, "exact_text": 1 / 6, "cer": 25 / 43, "wer": 5 / 6, "sound_alike": 0.0}


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that refuses every connection, as behind a hospital's firewall."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")


def predict(text: str, lexicon, clips, **options) -> list[dict]:
    spec = parse_spec(text)
    return Predictor(spec.name, load(spec, lexicon), lexicon, **options).predict(clips, set())


def wave(text: str) -> np.ndarray:
    return (0.1 * np.random.default_rng(len(text)).standard_normal(8_000)).astype(np.float32)


@pytest.mark.parametrize(
    ("family", "written", "expected"),
    [*((family, LETTER, OF_A_LETTER) for family in (*CTC_FAMILIES, "ours", "xlsr@en")), *((family, WORD, OF_A_WORD) for family in ("s2t", "whisper"))],
)
def test_a_planted_answer_gives_the_metrics_that_were_counted_by_hand(planted, six_names, six_clips, family, written, expected):
    name, at, language = family.partition("@")
    rows = predict(planted[name] + at + language, six_names, six_clips)
    assert {row["transcript"] for row in rows} == {written} and sorted(row["text"] for row in rows) == sorted(NAMES)
    scores = score(rows)
    assert {key: scores[key] for key in expected} == {key: value if value is None else pytest.approx(value) for key, value in expected.items()}
    assert scores["num_clips"] == 6 and scores["rtf"] > 0


def test_the_language_mask_changes_the_answer(planted, six_names, six_clips):
    free, masked = (predict(planted["xlsr"] + mask, six_names, six_clips) for mask in ("", "@en"))
    assert {row["transcript"] for row in free} == {FOREIGN} and {row["transcript"] for row in masked} == {LETTER}
    assert score(free)["cer"] == 1.0 > score(masked)["cer"]
    # Nothing speaks for any of the names in a letter that none has; in the other, heparin is the nearest.
    assert {row["distances"][0] for row in free} == {1.0} and {row["ranked_levenshtein"][0] for row in masked} == {"id-heparin"}


def test_the_mask_lets_the_language_through_and_nothing_else(planted, six_names):
    def heard(text):
        return load(parse_spec(text), six_names).hear([wave("x")])[0].log_probs[0]

    free_TV, masked_TV = heard(planted["xlsr"]), heard(f"{planted['xlsr']}@en")
    from tiny_recognisers import MULTILINGUAL

    kept = [i for i, token in enumerate(MULTILINGUAL) if token in ("<pad>", "|") or token in "abcdefghijklmnopqrstuvwxyz'"]
    assert np.isneginf(np.delete(masked_TV, kept, axis=1)).all()
    share_T = np.exp(free_TV[:, kept]).sum(axis=1)
    np.testing.assert_allclose(np.exp(masked_TV[:, kept]), np.exp(free_TV[:, kept]) / share_T[:, None], rtol=1e-4)


def test_german_letters_are_let_through_for_german_alone():
    from drugasr.evaluation.recognisers.language_mask import letters_of

    assert "ä" in letters_of("de") and "ä" not in letters_of("en") and set("abcdefghijklmnopqrstuvwxyz") <= set(letters_of("pt"))
    with pytest.raises(InputError, match="'fa': choose one of en, de"):
        letters_of("fa")


def test_an_ensemble_ranks_by_the_mean_log_likelihood(planted, six_names, six_clips):
    one, other = (predict(planted[name], six_names, six_clips[:2]) for name in ("ours", "hubert-large"))
    both = predict(f"both={planted['ours']}+{planted['hubert-large']}", six_names, six_clips[:2], keep_log_probs=True)
    for a, b, mean in zip(one, other, both, strict=True):
        of_a, of_b, of_mean = (dict(zip(row["ranked"], row["log_likelihoods"], strict=True)) for row in (a, b, mean))
        assert mean["recogniser"] == "both" and of_mean["id-heparin"] == pytest.approx((of_a["id-heparin"] + of_b["id-heparin"]) / 2)
        assert [logp_TV.shape[1] for logp_TV in read_log_probs(mean)] == [32, 32]
    assert one[0]["log_probs"] is None


def test_pocketsphinx_writes_names_of_the_list(six_names, six_clips):
    rows = predict("pocketsphinx", six_names, six_clips)
    assert {row["transcript"] for row in rows} <= {*NAMES, ""}
    scores = score(rows)
    assert scores["levenshtein_top1"] >= 4 / 6 and scores["top1"] is None


def test_silence_and_snippets_are_heard_as_nothing(planted, six_names):
    quiet = [np.zeros(0, np.float32), np.zeros(16_000, np.float32), wave("x")[:100]]
    for text in (planted["ours"], planted["s2t"], planted["whisper"], "pocketsphinx"):
        recogniser = load(parse_spec(text), six_names)
        heard = recogniser.hear([quiet[0], wave("x"), *quiet[1:]])
        assert [bool(hypothesis.text) for hypothesis in (heard[0], *heard[2:])] == [False] * 3
        assert [hypothesis.log_probs for hypothesis in recogniser.hear(quiet)] == [()] * 3


@pytest.mark.parametrize(
    "name", ["facebook/hubert-large-ls960-ft", "facebook/s2t-large-librispeech-asr", "voidful/wav2vec2-xlsr-multilingual-56@en", "openai/whisper-base.en"]
)
def test_without_a_hub_the_model_and_both_ways_to_get_it_are_named(no_hub, six_names, name):
    start_s = time.monotonic()
    with pytest.raises(ModelError) as caught:
        load(parse_spec(name), six_names)
    model = name.partition("@")[0]
    assert all(part in str(caught.value) for part in (repr(model), "where the hub can be reached", f"hf download {model} --local-dir FOLDER"))
    assert time.monotonic() - start_s < 30


def test_what_cannot_be_used_is_refused_before_any_work(planted, tmp_path):
    with pytest.raises(ModelError, match="whisper.*no log-probabilities"):
        check(parse_spec(f"{planted['ours']}+{planted['whisper']}"))
    with pytest.raises(ModelError, match="no log-probabilities.*language masks"):
        check(parse_spec(f"{planted['s2t']}@en"))
    with pytest.raises(InputError, match="no language mask 'xx'"):
        check(parse_spec(f"{planted['xlsr']}@xx"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="of the kind 'bert'; here are hubert, wav2vec2.*whisper"):
        check(parse_spec(str(tmp_path)))


def test_a_mask_for_a_model_without_latin_letters_is_refused(tmp_path, six_names):
    from tiny_recognisers import write_ctc

    from drugasr.acoustic.vocabulary import Vocabulary

    folder = write_ctc(tmp_path, "xlsr", Vocabulary(("<pad>", "|", *"абвг")))
    with pytest.raises(ModelError, match="cannot write 'abcdefghijklmnopqrstuvwxyz'"):
        load(parse_spec(f"{folder}@en"), six_names)


def test_a_model_trained_anew_is_another_version(planted, tmp_path):
    from tiny_recognisers import write_ours

    before = version_of(parse_spec(write_ours(tmp_path / "model")))
    facts = tmp_path / "model" / "drugasr.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"data_hash": "other"}))
    assert version_of(parse_spec(str(tmp_path / "model"))) != before
    versions = [version_of(parse_spec(text)) for text in (planted["xlsr"], f"{planted['xlsr']}@en", planted["ours"], "shipped", "pocketsphinx")]
    assert len(set(versions)) == 5 and version_of(parse_spec("other name=shipped")) == versions[3]


def test_specs():
    spec = parse_spec("the two=/models/a@en+facebook/b")
    assert (spec.name, spec.models, spec.languages) == ("the two", ("/models/a", "facebook/b"), ("en", ""))
    assert parse_spec("/models/run 1/model/").name == "model" and parse_spec("voidful/x@en").name == "x@en" and parse_spec("a/b+c/d").name == "b + d"
    assert parse_spec("s3://key@host/model").models == ("s3://key@host/model",)
    with pytest.raises(InputError, match="two recognisers are called 'model'.*first=/one/model"):
        parse_specs(["/one/model", "/two/model"])
    for bad in ("", "a+", "name=+b", "pocketsphinx+shipped", "pocketsphinx@en"):
        with pytest.raises(InputError):
            parse_spec(bad)


def test_clips_are_heard_alike_alone_and_in_a_batch(planted, six_names, six_clips):
    waves = [audio.decode(clip["audio"]["bytes"]) for clip in six_clips]
    for family in ("s2t", "whisper", "ours"):
        recogniser = load(parse_spec(planted[family]), six_names)
        assert [hypothesis.text for hypothesis in recogniser.hear(waves)] == [recogniser.hear([wave_S])[0].text for wave_S in waves]
