"""Who chooses the next trial, as Ray Tune wants it."""

import warnings
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from drugasr.config import TuningConfig
from drugasr.tuning.space import sample_points

METRIC, TIME = "score", "epoch"


def trials_to_come(tuning: TuningConfig) -> tuple[dict[str, Any], Searcher | None, int]:
    """`param_space`, `search_alg` and `num_samples` of a search; a trial's parameters are `{"point": ...}`."""
    if tuning.searcher != "optuna":
        return {"point": tune.grid_search(sample_points(tuning))}, None, 1
    # Imported here: it takes a second, and only this searcher needs it.
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    point = {
        "frozen_layers": tune.choice(list(tuning.frozen_layers)),
        "learning_rate": tune.loguniform(tuning.min_learning_rate, tuning.max_learning_rate),
        **{name: tune.choice(list(values)) for name, values in tuning.choices.items()},
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=tuning.seed,
            n_startup_trials=max(2, tuning.num_trials // 4),
            multivariate=True,  # the best learning rate depends on what is frozen
            constant_liar=True,  # trials at the same time keep away from one another
        )
    return {"point": point}, OptunaSearch(metric=METRIC, mode="max", sampler=sampler), tuning.num_trials


def stopper(tuning: TuningConfig) -> tune.schedulers.ASHAScheduler:
    """ASHA: at each rung of epochs, one trial in `reduction_factor` goes on (Li et al., arXiv:1810.05934)."""
    return tune.schedulers.ASHAScheduler(
        time_attr=TIME,
        metric=METRIC,
        mode="max",
        max_t=tuning.num_epochs,
        grace_period=min(tuning.grace_epochs, tuning.num_epochs),
        reduction_factor=tuning.reduction_factor,
    )
