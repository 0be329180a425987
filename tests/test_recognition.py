import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.decision import DecisionRule
from drugasr.errors import ModelError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.recognition import Recognizer, Word

VOCABULARY = Vocabulary(LIBRISPEECH)
NAMES = ("Aspirin", "Prednisone", "Prednisolone", "Metoprolol", "Warfarin", "Insulin aspart", "Zolpidem")
LEXICON = Lexicon("seven", tuple(Drug(id=name, name=name, spoken=name.lower()) for name in NAMES))


class FakeModel:
    """Hears what the first sample of a wave points at; `sureness` is the log-odds of the right symbol."""

    name = "fake"
    vocabulary = VOCABULARY
    frame_s = 0.02

    def __init__(self, *texts: str, sureness: float = 8.0):
        self.texts = texts
        self.sureness = sureness

    def log_probs(self, waves):
        return [self._frames(self.texts[int(wave_S[0]) - 1]) for wave_S in waves]

    def _frames(self, text: str) -> np.ndarray:
        ids = [i for letter in VOCABULARY.encode(text) for i in (VOCABULARY.blank, letter, VOCABULARY.blank)]
        logits_TV = np.zeros((len(ids), len(VOCABULARY)))
        logits_TV[np.arange(len(ids)), ids] = self.sureness
        logits_TV[:, VOCABULARY.dead_ids] = 2 * self.sureness  # what a model must not be allowed to say
        return (logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True))).astype(np.float32)


def wave(text_number: int = 1, num_samples: int = 16_000) -> np.ndarray:
    return np.full(num_samples, text_number, np.float32)


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
    assert answer.words == (
        Word(word="insulin", start=0.02, end=0.4),
        Word(word="aspart", start=pytest.approx(0.5), end=pytest.approx(0.82)),
    )
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


def test_listed_sound_alikes_among_the_best_call_for_review():
    answer = hear("prednisone")
    assert answer.drug == "Prednisone"
    assert "sound-alike" in answer.review_reasons and answer.needs_review
    first = answer.alternatives[0]
    assert (first.tall_man, first.sounds_like) == ("predniSONE", ("prednisolone",))
    assert answer.alternatives[1].drug == "Prednisolone"


def test_sound_alikes_count_however_few_alternatives_are_asked_for():
    recognizer = Recognizer(FakeModel("prednisone"), LEXICON, num_alternatives=1)
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


def test_the_rule_is_a_parameter():
    strict = DecisionRule(min_fit=10.0)
    answer = Recognizer(FakeModel("warfarin"), LEXICON, rule=strict).recognize([wave()])[0]
    assert answer.drug is None and answer.review_reasons == ("not in the list",)


def test_a_list_of_one_name():
    lexicon = Lexicon("one", LEXICON.drugs[:1])
    answers = Recognizer(FakeModel("aspirin", "good morning"), lexicon).recognize([wave(1), wave(2)])
    assert [answer.drug for answer in answers] == ["Aspirin", None]


def test_json_contract():
    recognizer = Recognizer(FakeModel("prednisone", "good morning", "a"), LEXICON)
    for answer in recognizer.recognize([wave(1), wave(2), wave(3), np.zeros(9, np.float32)]):
        plain = json.loads(json.dumps(asdict(answer), allow_nan=False))
        assert " ".join(plain) == (
            "text drug dose confidence needs_review review_reasons alternatives words duration_s model lexicon"
        )
        for alternative in plain["alternatives"]:
            assert list(alternative) == ["drug", "tall_man", "confidence", "log_likelihood", "sounds_like"]
        for word in plain["words"]:
            assert list(word) == ["word", "start", "end"]


def test_a_name_that_the_model_cannot_write():
    with pytest.raises(ModelError, match="cannot write 'ö'"):
        Recognizer(FakeModel(), Lexicon("bad", (Drug(id="x", name="x", spoken="xö"),)))


def test_reading_answers_needs_neither_torch_nor_numba():
    code = "import sys, drugasr.recognition; print([m for m in ('torch', 'transformers', 'numba', 'ray') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
