import dataclasses
import math

from drugasr.tuning.space import sample_points


def test_every_layer_count_comes_equally_often_and_every_part_of_the_range_once(tiny):
    tuning = dataclasses.replace(tiny.tuning, num_trials=12, frozen_layers=(0, 1, 2, 3), min_learning_rate=1e-4, max_learning_rate=1e-2)
    points = sample_points(tuning)
    counts = [point["frozen_layers"] for point in points]
    assert sorted(counts) == sorted([0, 1, 2, 3] * 3)
    parts = [math.floor(12 * (math.log10(point["learning_rate"]) + 4) / 2) for point in points]
    assert sorted(parts) == list(range(12))


def test_the_seed_decides(tiny):
    assert sample_points(tiny.tuning) == sample_points(tiny.tuning)
    assert sample_points(tiny.tuning) != sample_points(dataclasses.replace(tiny.tuning, seed=1))
