import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugasr.decoding.ranking import rank


def test_best_first_with_posteriors_over_the_whole_lexicon():
    ranking = rank(np.log([0.1, 0.4, 0.2, 0.1]), num_best=2)
    assert ranking.index_K.tolist() == [1, 2]
    np.testing.assert_allclose(ranking.log_likelihood_K, np.log([0.4, 0.2]))
    np.testing.assert_allclose(ranking.posterior_K, [0.5, 0.25])


def test_ties_keep_the_order_of_the_lexicon():
    assert rank(np.array([-3.0, -1.0, -3.0, -1.0, -3.0]), num_best=4).index_K.tolist() == [1, 3, 0, 2]


def test_impossible_names_are_never_ranked():
    ranking = rank(np.array([-np.inf, -5.0, np.nan, -np.inf]), num_best=3)
    assert ranking.index_K.tolist() == [1]
    assert ranking.posterior_K.tolist() == [1.0]
    assert len(rank(np.full(4, -np.inf), num_best=3)) == 0


def test_prior_changes_the_order_and_not_the_log_likelihoods():
    ranking = rank(np.log([0.5, 0.5, 0.5]), 3, log_prior_N=np.array([0.0, np.log(3), -np.inf]))
    assert ranking.index_K.tolist() == [1, 0]
    np.testing.assert_allclose(ranking.posterior_K, [0.75, 0.25])
    np.testing.assert_allclose(ranking.log_likelihood_K, np.log([0.5, 0.5]))


def test_very_small_likelihoods_do_not_underflow():
    np.testing.assert_allclose(rank(np.array([-5000.0, -5000.0]), 2).posterior_K, [0.5, 0.5])


@given(st.lists(st.floats(-1e4, 0), min_size=1, max_size=30))
def test_posteriors_are_a_distribution_in_falling_order(log_likelihoods):
    ranking = rank(np.array(log_likelihoods), num_best=len(log_likelihoods))
    assert ranking.posterior_K.sum() == pytest.approx(1)
    assert (np.diff(ranking.posterior_K) <= 0).all()
