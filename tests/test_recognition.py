import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.calibration import Calibration
from drugasr.decoding.review import ReviewRule
from drugasr.errors import InputError, ModelError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.recognition import Member, Recognizer

VOCABULARY = Vocabulary(LIBRISPEECH)
NAMES = ("Aspirin", "Prednisone", "Prednisolone", "Metoprolol", "Warfarin", "Insulin aspart", "Zolpidem")
LEXICON = Lexicon("seven", tuple(Drug(id=name, name=name, spoken=name.lower()) for name in NAMES))


class FakeModel:
    """Hears what the first sample of a wave, in tenths, points at; `sureness` is the log-odds of the right symbol."""

    name = "fake"
    vocabulary = VOCABULARY
    frame_s = 0.02

    def __init__(self, *texts: str, sureness: float = 8.0):
        self.texts = texts
        self.sureness = sureness

    def log_probs(self, waves):
        return [self._frames(self.texts[round(10 * float(wave_S[0])) - 1]) for wave_S in waves]

    def _frames(self, text: str) -> np.ndarray:
        ids = [i for letter in VOCABULARY.encode(text) for i in (VOCABULARY.blank, letter, VOCABULARY.blank)]
        logits_TV = np.zeros((len(ids), len(VOCABULARY)))
        logits_TV[np.arange(len(ids)), ids] = self.sureness
        logits_TV[:, VOCABULARY.dead_ids] = 2 * self.sureness  # what a model must not be allowed to say
        return (logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True))).astype(np.float32)


def wave(text_number: int = 1, num_samples: int = 16_000) -> np.ndarray:
    return np.full(num_samples, text_number / 10, np.float32)


def hear(text: str, **options):
    return Recognizer(FakeModel(text, **options), LEXICON).recognize([wave()])[0]


def test_a_name_of_the_list():
    answer = hear("warfarin")
    assert (answer.text, answer.drug, answer.dose) == ("warfarin", "Warfarin", None)
    assert (answer.model, answer.lexicon, answer.duration_s) == ("fake", "seven", 1.0)
    assert answer.confidence > 0.95
    assert answer.alternatives[0].drug == "Warfarin"
    assert answer.alternatives[0].confidence == answer.confidence
    assert sum(alternative.confidence for alternative in answer.alternatives) <= 1
    assert len(answer.alternatives) == 5
    log_likelihoods = [alternative.log_likelihood for alternative in answer.alternatives]
    assert log_likelihoods == sorted(log_likelihoods, reverse=True)


def test_words_have_times_within_the_clip():
    answer = hear("insulin aspart")
    assert answer.drug == "Insulin aspart"
    assert [(word.word, word.start, word.end) for word in answer.words] == [
        ("insulin", 0.02, 0.4),
        ("aspart", pytest.approx(0.5), pytest.approx(0.82)),
    ]
    answer = Recognizer(FakeModel("warfarin"), LEXICON).recognize([wave(num_samples=6_400)])[0]
    assert answer.words[-1].end == answer.duration_s == 0.4


def test_every_clip_of_a_batch_gets_its_own_answer_in_order():
    waves = [wave(1), np.zeros(16_000, np.float32), wave(2), np.empty(0, np.float32), wave(3)]
    for num_threads in (1, 3):
        recognizer = Recognizer(FakeModel("aspirin", "zolpidem", "metoprolol"), LEXICON, num_threads=num_threads)
        assert [answer.drug for answer in recognizer.recognize(waves)] == ["Aspirin", None, "Zolpidem", None, "Metoprolol"]
    assert recognizer.recognize([]) == []


@pytest.mark.parametrize("silent", [np.empty(0, np.float32), np.zeros(32_000, np.float32), wave(num_samples=1_599)])
def test_no_speech(silent):
    answer = Recognizer(FakeModel("aspirin"), LEXICON).recognize([silent])[0]
    assert (answer.drug, answer.text, answer.alternatives, answer.words) == (None, "", (), ())
    assert answer.needs_review and answer.review_reasons == ("no speech",)
    assert answer.duration_s == len(silent) / 16_000


def test_a_word_outside_the_list_is_refused_and_still_shows_the_nearest():
    answer = hear("good morning")
    assert answer.drug is None
    assert answer.text == "good morning"
    assert answer.needs_review and answer.review_reasons == ("not in the list",)
    assert answer.confidence > 0.9
    assert len(answer.alternatives) == 5
    assert all(alternative.confidence < 0.1 for alternative in answer.alternatives)


def test_frames_that_can_hold_no_name():
    answer = hear("a")
    assert (answer.drug, answer.alternatives, answer.review_reasons) == (None, (), ("not in the list",))
    assert answer.needs_review


def test_a_listed_sound_alike_within_reach_calls_for_review():
    answer = hear("prednisone", sureness=3.0)
    assert answer.drug == "Prednisone"
    assert "sound-alike" in answer.review_reasons and answer.needs_review
    first = answer.alternatives[0]
    assert (first.tall_man, first.sounds_like) == ("predniSONE", ("prednisolone",))
    assert answer.alternatives[1].drug == "Prednisolone"


def test_a_listed_sound_alike_out_of_reach_does_not():
    answer = hear("prednisone", sureness=12.0)
    assert (answer.drug, answer.review_reasons) == ("Prednisone", ())
    assert answer.alternatives[0].sounds_like == ("prednisolone",)


def test_sound_alikes_count_however_few_alternatives_are_asked_for():
    recognizer = Recognizer(FakeModel("prednisone", sureness=3.0), LEXICON, num_alternatives=1)
    answer = recognizer.recognize([wave()])[0]
    assert "sound-alike" in answer.review_reasons and len(answer.alternatives) == 1
    assert len(recognizer.recognize([wave()], num_alternatives=7)[0].alternatives) == 7


def test_a_sure_answer_needs_no_review():
    lexicon = Lexicon("two", tuple(drug for drug in LEXICON.drugs if not drug.spoken.startswith("predniso")))
    answer = Recognizer(FakeModel("warfarin"), lexicon).recognize([wave()])[0]
    assert (answer.needs_review, answer.review_reasons) == (False, ())


def test_a_near_runner_up_lowers_confidence_and_calls_for_review():
    lexicon = Lexicon("twins", tuple(Drug(id=name, name=name, spoken=name) for name in ("levothyroxina", "levothyroxino")))
    answer = Recognizer(FakeModel("levothyroxini"), lexicon).recognize([wave()])[0]
    assert answer.drug == "levothyroxina"
    assert answer.confidence == pytest.approx(0.5, abs=0.05)
    assert answer.review_reasons == ("low confidence", "runner-up too near")


def test_the_rule_and_the_calibration_are_parameters():
    strict = ReviewRule(min_confidence=1.0)
    answer = Recognizer(FakeModel("warfarin"), LEXICON, rule=strict).recognize([wave()])[0]
    assert answer.drug == "Warfarin" and answer.review_reasons == ("low confidence",)
    never = Calibration(in_list=(-50.0, 0.0, 0.0), right=(0.0, 0.0, 1.0))
    answer = Recognizer([Member(model=FakeModel("warfarin"), calibration=never)], LEXICON).recognize([wave()])[0]
    assert answer.drug is None and answer.review_reasons == ("not in the list",)


def test_confidence_is_what_the_calibration_makes_of_the_evidence():
    half = Calibration(in_list=(50.0, 0.0, 0.0), right=(0.0, 0.0, 0.0))
    answer = Recognizer([Member(model=FakeModel("warfarin"), calibration=half)], LEXICON).recognize([wave()])[0]
    assert (answer.drug, answer.confidence) == ("Warfarin", 0.5)
    assert all(other.confidence <= 0.5 for other in answer.alternatives)


def test_a_dose_behind_the_name():
    answer = hear("warfarin five milligrams")
    assert (answer.drug, answer.dose.value, answer.dose.unit, answer.needs_review) == ("Warfarin", 5.0, "mg", False)
    assert hear("warfarin").dose is None


def test_a_strength_that_nobody_sells_calls_for_review():
    answer = hear("warfarin five hundred milligrams")
    assert (answer.drug, answer.dose.value) == ("Warfarin", 500.0)
    assert answer.review_reasons == ("strength not marketed for this drug",)


def test_any_alias_is_the_drug():
    lexicon = Lexicon("pain", (Drug(id="1", name="Paracetamol", spoken="paracetamol", aliases=("acetaminophen",)), *LEXICON.drugs))
    answers = Recognizer(FakeModel("paracetamol", "acetaminophen", "aspirin"), lexicon).recognize([wave(1), wave(2), wave(3)])
    assert [answer.drug for answer in answers] == ["Paracetamol", "Paracetamol", "Aspirin"]


def test_a_high_alert_drug_is_always_reviewed():
    lexicon = Lexicon("alert", (Drug(id="1", name="Warfarin", spoken="warfarin", high_alert=True), LEXICON.drugs[0]))
    assert Recognizer(FakeModel("warfarin"), lexicon).recognize([wave()])[0].review_reasons == ("high-alert drug",)


def test_clipped_audio_calls_for_review():
    clipped = wave()
    clipped[1 : len(clipped) // 50] = -1.0
    answer = Recognizer(FakeModel("warfarin"), LEXICON).recognize([clipped])[0]
    assert answer.review_reasons == ("audio is clipped",)


def test_a_prior_moves_what_the_sound_leaves_open():
    lexicon = Lexicon("twins", tuple(Drug(id=name, name=name, spoken=name) for name in ("levothyroxina", "levothyroxino")))
    model = FakeModel("levothyroxini")
    answer = Recognizer(model, lexicon, prior={"levothyroxino": 99.0}).recognize([wave()])[0]
    assert answer.drug == "levothyroxino" and answer.alternatives[0].confidence > 0.9
    for wrong in ({"unknown": 2.0}, {"levothyroxino": 0.0}, {"levothyroxino": float("nan")}):
        with pytest.raises(InputError, match="prior"):
            Recognizer(model, lexicon, prior=wrong)


def test_an_ensemble_weighs_its_members():
    sure, unsure = FakeModel("warfarin"), FakeModel("zolpidem")
    for weights, drug in (((3.0, 1.0), "Warfarin"), ((1.0, 3.0), "Zolpidem")):
        members = [Member(model=model, weight=weight) for model, weight in zip((sure, unsure), weights)]
        answer = Recognizer(members, LEXICON).recognize([wave()])[0]
        assert answer.alternatives[0].drug == drug and answer.model == "fake + fake"
    alone = Recognizer(sure, LEXICON).recognize([wave()])[0]
    twice = Recognizer([Member(model=sure), Member(model=sure)], LEXICON).recognize([wave()])[0]
    assert twice.alternatives[0].confidence == pytest.approx(alone.alternatives[0].confidence)
    with pytest.raises(InputError, match="weight above 0"):
        Recognizer([Member(model=sure, weight=0.0)], LEXICON)


def test_another_list_without_another_model():
    recognizer = Recognizer(FakeModel("zolpidem"), LEXICON)
    recognizer.use_lexicon(Lexicon("new", (Drug(id="1", name="Zolpidon", spoken="zolpidon"), LEXICON.drugs[-1])))
    answer = recognizer.recognize([wave()])[0]
    assert (answer.drug, answer.lexicon, len(answer.alternatives)) == ("Zolpidem", "new", 2)


def test_a_list_of_one_name():
    lexicon = Lexicon("one", LEXICON.drugs[:1])
    answers = Recognizer(FakeModel("aspirin", "good morning"), lexicon).recognize([wave(1), wave(2)])
    assert [answer.drug for answer in answers] == ["Aspirin", None]


def test_json_contract():
    recognizer = Recognizer(FakeModel("prednisone", "good morning", "a"), LEXICON)
    for answer in recognizer.recognize([wave(1), wave(2), wave(3), np.zeros(9, np.float32)]):
        plain = json.loads(json.dumps(asdict(answer), allow_nan=False))
        assert " ".join(plain) == (
            "text drug dose confidence in_list needs_review review_reasons alternatives words duration_s model lexicon"
        )
        for alternative in plain["alternatives"]:
            assert list(alternative) == ["drug", "tall_man", "confidence", "log_likelihood", "sounds_like"]
        for word in plain["words"]:
            assert list(word) == ["word", "start", "end", "confidence"]


def test_a_name_that_the_model_cannot_write():
    with pytest.raises(ModelError, match="cannot write 'ö'"):
        Recognizer(FakeModel(), Lexicon("bad", (Drug(id="x", name="x", spoken="xö"),)))


def test_reading_answers_needs_neither_torch_nor_numba():
    code = "import sys, drugasr.recognition; print([m for m in ('torch', 'transformers', 'numba', 'ray') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
