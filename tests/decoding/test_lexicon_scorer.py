import numpy as np
import pytest
from made_frames import VOCABULARY, oracle, random_frames, speech_frames

from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.lexicon.drug import Drug, Lexicon

LEXICON = Lexicon(
    "pain",
    (
        Drug(id="1", name="Paracetamol", spoken="paracetamol", aliases=("acetaminophen", "apap")),
        Drug(id="2", name="Aspirin", spoken="aspirin"),
        Drug(id="3", name="Warfarin", spoken="warfarin", aliases=("coumadin",)),
    ),
)


@pytest.mark.parametrize("logp_TV", [random_frames(40, 2), speech_frames("apap"), random_frames(3, 1)])
def test_forms_of_a_drug_add_up(logp_TV):
    scores = LexiconScorer(LEXICON, VOCABULARY, dose_probability=0.0).scores(logp_TV)
    expected = [np.logaddexp.reduce(oracle(logp_TV, drug.spoken_forms)) for drug in LEXICON.drugs]
    np.testing.assert_allclose(scores.log_likelihood_N, expected, rtol=0, atol=1e-9)


def test_the_best_form_is_the_one_that_was_said():
    scorer = LexiconScorer(LEXICON, VOCABULARY, dose_probability=0.2)
    for form, drug in (("acetaminophen", 0), ("coumadin", 2), ("warfarin", 2), ("aspirin", 1)):
        scores = scorer.scores(speech_frames(form))
        assert scores.log_likelihood_N.argmax() == drug
        assert scorer.best_form(scores, drug) == form


def test_a_dose_costs_a_name_that_stands_alone_no_more_than_its_prior():
    logp_TV = speech_frames("warfarin")
    with_doses, without = (LexiconScorer(LEXICON, VOCABULARY, dose_probability=p).scores(logp_TV).log_likelihood_N for p in (0.2, 0.0))
    np.testing.assert_allclose(with_doses[2], without[2] + np.log(0.8), atol=1e-6)


def test_a_dose_lifts_the_name_that_stands_before_it():
    logp_TV = speech_frames("warfarin five milligrams", sureness=3.0)
    with_doses, without = (LexiconScorer(LEXICON, VOCABULARY, dose_probability=p).scores(logp_TV).log_likelihood_N for p in (0.2, 0.0))
    assert with_doses[2] > without[2] + 20
    scorer = LexiconScorer(LEXICON, VOCABULARY, dose_probability=0.2)
    said = scorer.said_dose(logp_TV, scorer.scores(logp_TV), 2)
    assert said.dose.written == "5 mg"


def test_a_batch_equals_its_clips():
    scorer = LexiconScorer(LEXICON, VOCABULARY, dose_probability=0.2, num_threads=3)
    logps = [random_frames(20 + i, 3, seed=i) for i in range(7)]
    for scores, logp_TV in zip(scorer.batch(logps), logps, strict=True):
        np.testing.assert_array_equal(scores.log_likelihood_N, scorer.scores(logp_TV, num_threads=1).log_likelihood_N)
    assert scorer.batch([]) == []
