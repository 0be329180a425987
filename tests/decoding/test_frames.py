import numpy as np
import pytest
from made_frames import VOCABULARY, random_frames

from drugasr.decoding.frames import correct_prior, log_mean_posterior, mask_dead


def test_the_mean_posterior_weighs_every_frame_alike():
    clips = [mask_dead(random_frames(num_frames, 3, seed=num_frames), VOCABULARY) for num_frames in (3, 40)]
    log_mean_V = log_mean_posterior(clips)
    expected_V = (np.exp(clips[0]).sum(axis=0) + np.exp(clips[1]).sum(axis=0)) / 43
    alive = expected_V > 0
    np.testing.assert_allclose(np.exp(log_mean_V)[alive], expected_V[alive], rtol=1e-5)
    assert (log_mean_V[~alive] == 0).all() and (~alive).sum() == len(VOCABULARY.dead_ids)


def test_the_prior_is_divided_out_to_its_weight():
    logp_TV = mask_dead(random_frames(20, 2), VOCABULARY)
    prior_V = log_mean_posterior([logp_TV])
    p_TV = np.exp(logp_TV.astype(float)) / np.exp(prior_V) ** 0.5
    corrected_TV = correct_prior(logp_TV, prior_V)
    np.testing.assert_allclose(np.exp(corrected_TV), p_TV / p_TV.sum(axis=1, keepdims=True), rtol=1e-4)
    assert corrected_TV.dtype == np.float32 and np.isneginf(corrected_TV[:, VOCABULARY.dead_ids]).all()
    np.testing.assert_allclose(correct_prior(logp_TV, prior_V, weight=0.0), logp_TV, rtol=1e-5)


def test_a_flat_prior_changes_nothing():
    logp_TV = mask_dead(random_frames(5, 2), VOCABULARY)
    np.testing.assert_allclose(correct_prior(logp_TV, np.full(len(VOCABULARY), -3.0)), logp_TV, rtol=1e-5)
    assert np.exp(logp_TV).sum(axis=1) == pytest.approx(1, abs=1e-5)
