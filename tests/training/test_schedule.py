import pytest

from drugasr.config import TrainingConfig
from drugasr.training.schedule import lr_factor


def factors(num_steps, **settings):
    config = TrainingConfig(num_epochs=1, learning_rate=1.0, **settings)
    return [lr_factor(step, num_steps, config) for step in range(num_steps)]


def test_the_three_stages_of_ten_steps():
    # Two steps up, four at the peak, four down to a sixteenth: a half each.
    assert factors(10, warmup_fraction=0.2, hold_fraction=0.4, final_lr_fraction=1 / 16) == pytest.approx(
        [0.5, 1, 1, 1, 1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
    )


def test_the_defaults_of_a_long_training():
    values = factors(1000, warmup_fraction=0.1, hold_fraction=0.4, final_lr_fraction=0.05)
    assert values[0] == pytest.approx(0.01)
    assert values[49] == pytest.approx(0.5)
    assert values[99:500] == [1.0] * 401
    assert values[749] == pytest.approx(0.05**0.5)  # half-way down on a log scale
    assert values[-1] == pytest.approx(0.05)
    assert all(a < b for a, b in zip(values[:99], values[1:100], strict=True))
    assert all(a > b for a, b in zip(values[500:-1], values[501:], strict=True))


@pytest.mark.parametrize("num_steps", [1, 2, 3, 7])
@pytest.mark.parametrize(("warmup", "hold"), [(0, 0), (0.1, 0.4), (1, 0), (0, 1), (0.5, 0.5)])
def test_any_length_and_any_shares_stay_within_bounds(num_steps, warmup, hold):
    values = factors(num_steps, warmup_fraction=warmup, hold_fraction=hold, final_lr_fraction=0.1)
    assert all(0 < value <= 1 for value in values)
    assert max(values) == 1


def test_a_step_past_the_end_keeps_the_last_rate():
    config = TrainingConfig(num_epochs=1, learning_rate=1.0, final_lr_fraction=0.05)
    assert lr_factor(150, 100, config) == pytest.approx(0.05)
