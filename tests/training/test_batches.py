import math

import numpy as np
import pytest

from drugasr.training.batches import padding_fraction, plan_steps, share_of
from drugasr.training.workers import Workers


def realistic_s(count: int = 2000, seed: int = 0) -> np.ndarray:
    """Lengths of spoken drug names: log-normal around 0.9 s, from 0.3 to 4 s."""
    return np.clip(np.random.default_rng(seed).lognormal(np.log(0.9), 0.35, count), 0.3, 4.0)


@pytest.mark.parametrize("epoch", range(3))
@pytest.mark.parametrize("batch_s", [0.5, 3.0, 20.0, 10_000.0])
def test_every_clip_once_in_steps_that_fit(batch_s, epoch):
    durations_s = realistic_s(300)
    steps = plan_steps(durations_s, batch_s, seed=1, epoch=epoch)
    assert sorted(index for step in steps for index in step) == list(range(300))
    for step in steps:
        assert step
        assert len(step) == 1 or max(durations_s[i] for i in step) * len(step) <= batch_s
    assert len(steps) >= np.minimum(durations_s, batch_s).sum() / batch_s


def test_a_clip_longer_than_a_batch_makes_a_step_alone():
    steps = plan_steps(np.array([1.0, 50.0, 1.1, 0.9]), 4.0, seed=0, epoch=0)
    assert sorted(map(sorted, steps)) == [[0, 2, 3], [1]]


@pytest.mark.parametrize("seed", range(3))
def test_padding_stays_under_a_tenth(seed):
    durations_s = realistic_s(seed=seed)
    steps = plan_steps(durations_s, 20.0, seed=seed, epoch=0)
    padded = sum(max(durations_s[i] for i in step) * len(step) for step in steps)
    by_hand = 1 - durations_s.sum() / padded
    assert padding_fraction(durations_s, steps) == pytest.approx(by_hand)
    assert by_hand <= 0.10
    # In the order of the corpus it would be several times that.
    in_order = [list(range(start, min(start + 20, 2000))) for start in range(0, 2000, 20)]
    assert padding_fraction(durations_s, in_order) > 0.3
    # Batches are full, too.
    assert len(steps) < 1.15 * durations_s.sum() / 20.0


def test_the_plan_depends_on_seed_and_epoch_alone():
    durations_s = realistic_s(300)
    plans = {(seed, epoch): plan_steps(durations_s, 10.0, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)}
    np.random.seed(0)
    assert all(plan_steps(durations_s, 10.0, seed=seed, epoch=epoch) == plan for (seed, epoch), plan in plans.items())
    assert len({str(plan) for plan in plans.values()}) == 4
    # Company changes from epoch to epoch, not only the order of the steps.
    assert len({frozenset(step) for step in plans[0, 0]} & {frozenset(step) for step in plans[0, 1]}) < len(plans[0, 0]) / 2


def test_lengths_come_in_no_order():
    durations_s = realistic_s()
    lengths = [durations_s[step].mean() for step in plan_steps(durations_s, 20.0, seed=0, epoch=0)]
    assert abs(np.corrcoef(np.arange(len(lengths)), lengths)[0, 1]) < 0.35


def shares_of(step, num_workers, durations_s, most_s=math.inf):
    return [share_of(step, Workers(rank=rank, size=num_workers), durations_s, most_s) for rank in range(num_workers)]


@pytest.mark.parametrize("most_s", [math.inf, 2.0, 0.0])
@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
def test_the_ranks_share_every_step_and_none_waits(num_workers, most_s):
    durations_s, losses = realistic_s(200), np.random.default_rng(0).uniform(0, 5, 200)
    for step in plan_steps(durations_s, 5.0, seed=0, epoch=0):
        shares = shares_of(step, num_workers, durations_s, most_s)
        assert all(share and all(clips and len(clips) == len(weights) for clips, weights in share) for share in shares)  # all join the all-reduce
        pairs = [pair for share in shares for clips, weights in share for pair in zip(clips, weights, strict=True)]
        assert sum(weight for _, weight in pairs) == pytest.approx(1)
        assert sorted(clip for clip, weight in pairs if weight > 0) == sorted(step)
        # The mean over the clips, whoever has them.
        assert sum(losses[clip] * weight for clip, weight in pairs) == pytest.approx(losses[step].mean())
        sizes = [sum(weight > 0 for _, weights in share for weight in weights) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        for clips, _ in (batch for share in shares for batch in share):
            assert len(clips) == 1 or max(durations_s[clips]) * len(clips) <= most_s


def test_a_rank_without_a_clip_takes_one_for_nothing():
    durations_s = np.ones(10)
    first, second, third, fourth = shares_of([7, 8], 4, durations_s)
    assert first == [([7], [0.5])]
    assert second == [([8], [0.5])]
    for ((clip,), weights), in (third, fourth):
        assert clip in (7, 8)
        assert weights == [0.0]
