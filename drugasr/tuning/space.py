"""The points that a search tries: a Latin hypercube over frozen layers and learning rate."""

import dataclasses

import numpy as np

from drugasr.config import Config, TuningConfig


def sample_points(tuning: TuningConfig) -> list[dict[str, float]]:
    """`num_trials` points. Each frozen-layer count comes equally often (give or take one), and the range of the
    learning rate is cut into as many log-equal parts as there are trials, with one draw in each."""
    generator = np.random.default_rng(tuning.seed)
    counts = [tuning.frozen_layers[i % len(tuning.frozen_layers)] for i in range(tuning.num_trials)]
    positions = (generator.permutation(tuning.num_trials) + generator.uniform(size=tuning.num_trials)) / tuning.num_trials
    low, high = np.log(tuning.min_learning_rate), np.log(tuning.max_learning_rate)
    rates = np.exp(low + positions * (high - low))
    return [
        {"frozen_layers": int(count), "learning_rate": float(f"{rate:.3g}")}
        for count, rate in zip(counts, rates, strict=True)
    ]


def with_params(config: Config, params: dict[str, float]) -> Config:
    """`config` with the values that a search chose."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, frozen_layers=params["frozen_layers"]),
        training=dataclasses.replace(config.training, learning_rate=params["learning_rate"]),
    )
