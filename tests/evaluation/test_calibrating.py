import dataclasses

import numpy as np
import pytest

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.errors import ModelError
from drugasr.evaluation.calibrating import fit_on
from drugasr.evaluation.listening import HeardClip
from drugasr.lexicon.drug import Drug, Lexicon

VOCABULARY = Vocabulary(LIBRISPEECH)
NAMES = ("aspirin", "warfarin", "metoprolol", "zolpidem", "digoxin", "lasix")
LEXICON = Lexicon("six", tuple(Drug(id=name, name=name, spoken=name) for name in NAMES))


def heard(text: str, drug_id: str | None, seed: int) -> HeardClip:
    """A clip in which a middling model hears `text`, with dead tokens that shout."""
    ids = [i for letter in VOCABULARY.encode(text) for i in (VOCABULARY.blank, letter, VOCABULARY.blank)]
    logits_TV = np.random.default_rng(seed).normal(scale=1.5, size=(len(ids), len(VOCABULARY)))
    logits_TV[np.arange(len(ids)), ids] += 4.0
    logits_TV[:, VOCABULARY.dead_ids] = 9.0
    logp_TV = logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True))
    return HeardClip(id=f"{text} {seed}", drug_id=drug_id, logp_TV=logp_TV.astype(np.float16))


def clips() -> list[HeardClip]:
    listed = [heard(name, name, seed) for seed in range(8) for name in NAMES]
    return listed + [heard(name, None, seed) for seed in range(8) for name in ("omeprazole", "good morning", "insulin")]


def test_names_of_the_list_part_from_others():
    calibration = fit_on(clips(), VOCABULARY, LEXICON)
    assert (calibration.num_clips, calibration.num_outsiders, calibration.lexicon) == (48, 24, LEXICON.fingerprint)
    assert calibration.in_list_probability(-0.2, 15.0) > 0.9 > 0.1 > calibration.in_list_probability(-6.0, 1.0)
    assert calibration.right_probability(-0.2, 15.0) > 0.9


def test_a_name_that_this_list_does_not_have_is_an_outsider():
    fewer = Lexicon("five", LEXICON.drugs[:-1])
    calibration = fit_on(clips(), VOCABULARY, fewer)
    assert (calibration.num_clips, calibration.num_outsiders) == (40, 32)


def test_the_symbol_prior_is_of_what_can_be_written():
    log_prior_V = np.array(fit_on(clips(), VOCABULARY, LEXICON).log_symbol_prior)
    alive = np.setdiff1d(np.arange(len(VOCABULARY)), VOCABULARY.dead_ids)
    assert np.exp(log_prior_V[alive]).sum() == pytest.approx(1, abs=1e-3)
    assert (log_prior_V[list(VOCABULARY.dead_ids)] == 0).all()
    assert log_prior_V.argmin() not in VOCABULARY.dead_ids


def test_the_order_of_the_clips_does_not_matter():
    ordered, turned = (fit_on(given, VOCABULARY, LEXICON) for given in (clips(), clips()[::-1]))
    np.testing.assert_allclose(ordered.in_list, turned.in_list, rtol=1e-3)
    assert dataclasses.replace(ordered, in_list=(), right=(), log_symbol_prior=(), min_in_list=0) == dataclasses.replace(
        turned, in_list=(), right=(), log_symbol_prior=(), min_in_list=0
    )


def test_nothing_to_calibrate_on():
    with pytest.raises(ModelError, match="no clip"):
        fit_on([], VOCABULARY, LEXICON)
    with pytest.raises(ModelError, match="no clip says a name of the list"):
        fit_on([heard("insulin", None, 0)], VOCABULARY, LEXICON)
