import json

import numpy as np
import pytest

from drugasr.decoding.calibration import OUTSIDER_SHARE, UNCALIBRATED, Calibration, fit_calibration, log_odds, mean_calibration
from drugasr.errors import ModelError


def made_clips(num: int, seed: int = 0):
    """Fit, log-odds, right, outsider of clips whose true probabilities are logistic in both."""
    draws = np.random.default_rng(seed)
    is_outsider_N = draws.random(num) < OUTSIDER_SHARE
    fit_N = np.where(is_outsider_N, draws.normal(-2.5, 1.0, num), draws.normal(-0.5, 1.0, num))
    log_odds_N = draws.normal(2.0, 3.0, num)
    right = 1 / (1 + np.exp(-(0.5 + 0.8 * fit_N + 0.6 * log_odds_N)))
    return fit_N, log_odds_N, (draws.random(num) < right) & ~is_outsider_N, is_outsider_N


def test_it_finds_the_probabilities_that_the_clips_were_drawn_from():
    calibration = fit_calibration(*made_clips(40_000))
    np.testing.assert_allclose(calibration.right, (0.5, 0.8, 0.6), atol=0.1)
    # Two normals of equal width, nine to one: their log-odds are a line in the fit, by Bayes.
    np.testing.assert_allclose(calibration.in_list, (np.log(9) + 3.0, 2.0, 0.0), atol=0.15)


def test_what_it_says_happens_on_clips_that_it_never_saw():
    calibration = fit_calibration(*made_clips(5_000))
    fit_N, log_odds_N, is_right_N, is_outsider_N = made_clips(20_000, seed=1)
    said_N = np.array([calibration.in_list_probability(f, o) * calibration.right_probability(f, o) for f, o in zip(fit_N, log_odds_N)])
    for low in np.arange(0, 1, 0.1):
        chosen = (said_N >= low) & (said_N < low + 0.1)
        assert abs(said_N[chosen].mean() - is_right_N[chosen].mean()) < 0.05


def test_the_number_of_outsiders_does_not_change_how_often_they_are_expected():
    fit_N, log_odds_N, is_right_N, is_outsider_N = made_clips(20_000)
    many = np.concatenate([np.arange(len(fit_N)), *[np.flatnonzero(is_outsider_N)] * 9])
    few, more = (fit_calibration(fit_N[i], log_odds_N[i], is_right_N[i], is_outsider_N[i]) for i in (np.arange(len(fit_N)), many))
    np.testing.assert_allclose(few.in_list, more.in_list, atol=0.1)
    assert (few.num_outsiders * 10, few.num_clips) == (more.num_outsiders, more.num_clips)


def test_none_of_these_begins_where_enough_of_the_list_is_still_answered():
    clips = made_clips(5_000)
    for accept in (0.5, 0.9, 0.95):
        calibration = fit_calibration(*clips, accept=accept)
        answered = [calibration.in_list_probability(f, o) >= calibration.min_in_list for f, o, outsider in zip(clips[0], clips[1], clips[3]) if not outsider]
        assert np.mean(answered) == pytest.approx(accept, abs=0.001)


def test_clips_that_part_perfectly_give_finite_numbers():
    fit_N, log_odds_N = np.array([-0.1, -0.2, -9.0, -8.0]), np.array([9.0, 8.0, 0.1, 0.2])
    calibration = fit_calibration(fit_N, log_odds_N, np.array([True, True, False, False]), np.array([False, False, True, True]))
    assert np.isfinite([*calibration.in_list, *calibration.right]).all()
    assert calibration.in_list_probability(-0.1, 9.0) > 0.9 > 0.1 > calibration.in_list_probability(-9.0, 0.1)


def test_neither_fit_nor_odds_ever_count_against_a_name():
    draws = np.random.default_rng(0)
    noise = fit_calibration(draws.normal(size=200), draws.normal(size=200), draws.random(200) < 0.5, draws.random(200) < 0.5)
    for _, fit, odds in (noise.in_list, noise.right):
        assert fit >= 0 and odds >= 0


def test_without_outsiders_the_hand_set_rule_stays():
    fit_N, log_odds_N, is_right_N, is_outsider_N = made_clips(500)
    calibration = fit_calibration(fit_N, log_odds_N, is_right_N, np.zeros(500, bool))
    assert (calibration.in_list, calibration.num_outsiders) == (UNCALIBRATED.in_list, 0)
    with pytest.raises(ModelError, match="nothing to calibrate on"):
        fit_calibration(fit_N, log_odds_N, is_right_N, np.ones(500, bool))


def test_log_odds_stay_within_bounds():
    assert log_odds(0.75, 0.25) == pytest.approx(np.log(3))
    assert (log_odds(1.0, 0.0), log_odds(1.0, 1e-300), log_odds(0.0, 1.0), log_odds(1e-300, 1.0)) == (20, 20, -20, -20)


def test_json_round_trip_and_a_folder_of_another_version():
    calibration = fit_calibration(*made_clips(300))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    with pytest.raises(ModelError, match="jobs.calibrate"):
        Calibration.from_json({"slope": 1.0})


def test_the_mean_of_an_ensemble_is_the_mean_of_the_log_odds():
    one, other = Calibration(in_list=(1, 2, 3), right=(0, 0, 1)), Calibration(in_list=(3, 2, 1), right=(0, 0, 2), min_in_list=0.9)
    mean = mean_calibration([one, other], [0.25, 0.75])
    assert (mean.in_list, mean.right, mean.min_in_list) == ((2.5, 2.0, 1.5), (0.0, 0.0, 1.75), pytest.approx(0.8))
