import dataclasses
import math

import numpy as np
import pytest

from drugasr.tuning.importance import importances
from drugasr.tuning.trial import Trial


def trials(top1_of, count=40):
    generator = np.random.default_rng(0)
    made = []
    for i in range(count):
        params = {"frozen_layers": int(generator.integers(5)), "learning_rate": float(10 ** generator.uniform(-4, -2)), "augmentation": ("none", "speaker")[i % 2]}
        made.append(Trial(trial_id=str(i), params=params, status="finished", epochs=({"epoch": 1, "top1": top1_of(params)},)))
    return made


@pytest.mark.parametrize(
    ("decisive", "top1_of"),
    [
        ("learning_rate", lambda params: 1 - abs(math.log10(params["learning_rate"]) + 3) / 2),
        ("frozen_layers", lambda params: 0.9 - 0.1 * params["frozen_layers"]),
        ("augmentation", lambda params: 0.8 if params["augmentation"] == "none" else 0.6),
    ],
)
def test_what_alone_decides_is_all_that_mattered(decisive, top1_of):
    shares = importances(trials(top1_of))
    assert next(iter(shares)) == decisive and shares[decisive] > 0.9
    assert sum(shares.values()) == pytest.approx(1)
    assert shares.keys() == {"frozen_layers", "learning_rate", "augmentation"}


def test_where_nothing_can_be_told_nothing_is_said():
    assert importances(trials(lambda params: 0.5)) == {}
    assert importances(trials(lambda params: params["learning_rate"], count=3)) == {}
    failed = [dataclasses.replace(trial, status="failed") for trial in trials(lambda params: params["learning_rate"])]
    assert importances(failed) == {}


def test_a_value_that_was_the_same_everywhere_is_left_out():
    same = [dataclasses.replace(trial, params=trial.params | {"frozen_layers": 2}) for trial in trials(lambda params: params["learning_rate"])]
    assert importances(same).keys() == {"learning_rate", "augmentation"}
