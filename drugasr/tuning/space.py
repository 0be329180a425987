"""The space that a search tries: frozen layers, learning rate, and what else the configuration opens.

A point is a plain dict: `frozen_layers`, `learning_rate` and a value for each field of `tuning.choices`.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from drugasr.config import Config, TuningConfig

Point = dict[str, float | str]


def sample_points(tuning: TuningConfig) -> list[Point]:
    """The points of a searcher that needs no results: a Latin hypercube, independent draws, or a grid.

    In the hypercube each frozen-layer count comes equally often (give or take one), so does each choice, and the range of the
    learning rate is cut into as many log-equal parts as there are trials, with one draw in each. In the hypercube and the grid
    the cheapest points, which freeze most, come first: ASHA goes on with the dear ones only where they are better.
    """
    generator = np.random.default_rng(tuning.seed)
    match tuning.searcher:
        case "grid":
            num_rates = tuning.num_trials // tuning.num_combinations
            positions = [(i + 0.5) / num_rates for i in range(num_rates)]
            combinations = itertools.product(_deepest_first(tuning), positions, *tuning.choices.values())
            return [_point(tuning, *combination) for combination in combinations]
        case "random":
            columns = [generator.choice(len(values), tuning.num_trials) for values in (tuning.frozen_layers, *tuning.choices.values())]
            positions = generator.uniform(size=tuning.num_trials)
        case _:
            counts = np.sort(np.arange(tuning.num_trials) % len(tuning.frozen_layers))
            positions = (generator.permutation(tuning.num_trials) + generator.uniform(size=tuning.num_trials)) / tuning.num_trials
            columns = [counts, *(generator.permutation(np.arange(tuning.num_trials) % len(values)) for values in tuning.choices.values())]
    frozen, *others = columns
    return [
        _point(tuning, _deepest_first(tuning)[count], position, *(values[i] for values, i in zip(tuning.choices.values(), choice, strict=True)))
        for count, position, *choice in zip(frozen, positions, *others, strict=True)
    ]


def with_params(config: Config, params: Point) -> Config:
    """`config` with the values that a search chose."""
    training = {name: value for name, value in params.items() if name != "frozen_layers"}
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, frozen_layers=params["frozen_layers"]),
        training=dataclasses.replace(config.training, **training),
    )


def without_params(config: Config) -> Config:
    """`config` with the same value in every field that a search sets."""
    return with_params(config, _point(config.tuning, 0, 0.5, *(values[0] for values in config.tuning.choices.values())))


def describe(params: Point) -> str:
    others = "".join(f", {name} {value}" for name, value in params.items() if name not in ("frozen_layers", "learning_rate"))
    return f"{params['frozen_layers']} frozen layers, learning rate {params['learning_rate']:.2g}{others}"


def _deepest_first(tuning: TuningConfig) -> list[int]:
    return sorted(tuning.frozen_layers, reverse=True)


def _point(tuning: TuningConfig, count: int, position: float, *choice: Any) -> Point:
    """`position`, from 0 to 1, lies on the logarithm of the learning rate."""
    low, high = np.log(tuning.min_learning_rate), np.log(tuning.max_learning_rate)
    rate = float(f"{np.exp(low + position * (high - low)):.3g}")
    return {"frozen_layers": int(count), "learning_rate": rate, **dict(zip(tuning.choices, choice, strict=True))}
