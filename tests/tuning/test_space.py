import dataclasses
import math
import statistics
from collections import Counter

import pytest

from drugasr import presets
from drugasr.errors import ConfigError
from drugasr.tuning.searcher import trials_to_come
from drugasr.tuning.space import sample_points, with_params, without_params


def test_every_layer_count_comes_equally_often_and_every_part_of_the_range_once(tiny):
    tuning = dataclasses.replace(tiny.tuning, num_trials=12, frozen_layers=(0, 1, 2, 3), min_learning_rate=1e-4, max_learning_rate=1e-2)
    points = sample_points(tuning)
    counts = [point["frozen_layers"] for point in points]
    assert sorted(counts) == sorted([0, 1, 2, 3] * 3)
    parts = [math.floor(12 * (math.log10(point["learning_rate"]) + 4) / 2) for point in points]
    assert sorted(parts) == list(range(12))


@pytest.mark.parametrize("searcher", ["hypercube", "grid"])
def test_what_freezes_most_comes_first_for_it_costs_least(tiny, searcher):
    points = sample_points(dataclasses.replace(tiny.tuning, num_trials=9, searcher=searcher, frozen_layers=(2, 0, 5)))
    assert [point["frozen_layers"] for point in points] == [5, 5, 5, 2, 2, 2, 0, 0, 0]


def test_the_seed_decides(tiny):
    assert sample_points(tiny.tuning) == sample_points(tiny.tuning)
    assert sample_points(tiny.tuning) != sample_points(dataclasses.replace(tiny.tuning, seed=1))


def test_the_grid_holds_every_combination_once(tiny):
    changes = {"searcher": "grid", "frozen_layers": (0, 2), "choices": {"weight_decay": (0.0, 0.1)}, "min_learning_rate": 1e-4, "max_learning_rate": 1e-2}
    points = sample_points(dataclasses.replace(tiny.tuning, num_trials=9, **changes))
    rates = [10**-3.5, 10**-2.5]  # the middles of two equal parts of the logarithm
    expected = {(layers, rate, decay) for layers in (0, 2) for rate in rates for decay in (0.0, 0.1)}
    assert {(p["frozen_layers"], p["learning_rate"], p["weight_decay"]) for p in points} == {(a, float(f"{b:.3g}"), c) for a, b, c in expected}
    assert len(points) == 8
    with pytest.raises(ValueError, match="a grid of 4 combinations, with one learning rate each, needs num_trials of 4 at least, not 3"):
        dataclasses.replace(tiny.tuning, num_trials=3, **changes)


def test_random_draws_fill_the_space(tiny):
    tuning = dataclasses.replace(tiny.tuning, searcher="random", num_trials=400, frozen_layers=(0, 1, 2, 3), min_learning_rate=1e-4, max_learning_rate=1e-2)
    points = sample_points(tuning)
    assert all(70 < count < 130 for count in Counter(point["frozen_layers"] for point in points).values())
    assert statistics.median(point["learning_rate"] for point in points) == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("searcher", ["hypercube", "random"])
def test_choices_are_searched_too_and_reach_the_training(tiny, searcher):
    choices = {"mask_time_prob": (0.0, 0.1), "augmentation": ("none", "speaker")}
    tuning = dataclasses.replace(tiny.tuning, num_trials=40, searcher=searcher, choices=choices)
    points = sample_points(tuning)
    assert {(p["mask_time_prob"], p["augmentation"]) for p in points} == {(m, a) for m in (0.0, 0.1) for a in ("none", "speaker")}
    if searcher == "hypercube":
        assert Counter(p["augmentation"] for p in points) == {"none": 20, "speaker": 20}
    config = with_params(dataclasses.replace(tiny, tuning=tuning), {"frozen_layers": 3, "learning_rate": 0.01, "mask_time_prob": 0.1, "augmentation": "speaker"})
    assert (config.model.frozen_layers, config.training.learning_rate) == (3, 0.01)
    assert (config.training.mask_time_prob, config.training.augmentation) == (0.1, "speaker")
    assert without_params(config) == without_params(dataclasses.replace(tiny, tuning=tuning))


@pytest.mark.parametrize(("field", "values"), [("weight_decay", (0.0, "much")), ("augmentation", ("none", "loud")), ("num_epochs", (1, 2)), ("dropout", ())])
def test_a_choice_that_the_training_cannot_have_is_refused(field, values):
    with pytest.raises(ConfigError, match=field):
        presets.load("mini", assignments=[f"tuning.choices={{{field}={list(values)}}}"])


def test_optuna_asks_for_as_many_points_of_the_same_space(tiny):
    choices = {"mask_time_prob": (0.0, 0.1)}
    param_space, searcher, num_samples = trials_to_come(dataclasses.replace(tiny.tuning, num_trials=7, searcher="optuna", choices=choices))
    assert num_samples == 7
    searcher.set_search_properties("score", "max", param_space)
    points = [searcher.suggest(f"trial-{i}")["point"] for i in range(30)]
    assert {p["frozen_layers"] for p in points} == set(tiny.tuning.frozen_layers)
    assert {p["mask_time_prob"] for p in points} == {0.0, 0.1}
    assert all(tiny.tuning.min_learning_rate <= p["learning_rate"] <= tiny.tuning.max_learning_rate for p in points)
