"""Which clips make which optimiser step: planned once for all workers, so that every rank takes equal steps.

The plan depends on the clips and the seed alone. A step's clips are dealt to the ranks one by one, so that one
worker and many see the same global batches, and the same loss.
"""

from collections.abc import Sequence

import numpy as np

from drugasr.fingerprint import seed_of
from drugasr.training.workers import Workers

Share = list[tuple[list[int], list[float]]]
"""Batches of clips, and the weight of each clip in the mean over the step; the weights of all ranks add up to 1."""

# Clips of up to this relative difference in length may change places from epoch to epoch.
_LENGTH_JITTER = 0.1


def plan_steps(durations_s: np.ndarray, batch_s: float, *, seed: int, epoch: int) -> list[list[int]]:
    """Steps of an epoch, each the indices of its clips: length buckets of at most `batch_s` with their padding.

    Every clip stands in exactly one step; a clip longer than `batch_s` makes a step alone.
    """
    generator = np.random.default_rng(seed_of("steps", seed, epoch))
    order = np.argsort(durations_s * generator.uniform(1, 1 + _LENGTH_JITTER, len(durations_s)), kind="stable")
    steps: list[list[int]] = [[]]
    longest_s = 0.0
    for index in order.tolist():
        longest_s = max(longest_s, durations_s[index])
        if steps[-1] and longest_s * (len(steps[-1]) + 1) > batch_s:
            steps.append([])
            longest_s = durations_s[index]
        steps[-1].append(index)
    return [steps[i] for i in generator.permutation(len(steps))]


def share_of(step: Sequence[int], workers: Workers, durations_s: np.ndarray, most_s: float) -> Share:
    """What one worker does of a step, in batches of at most `most_s` seconds with their padding, or of one clip.

    A rank that a short step leaves without a clip takes the first one with weight 0: it must join the all-reduce.
    """
    mine, weight = list(step[workers.rank :: workers.size]), 1 / len(step)
    if not mine:
        return [([step[0]], [0.0])]
    batches: Share = []
    longest_s = 0.0
    for clip in mine:
        longest_s = max(longest_s, durations_s[clip])
        if not batches or longest_s * (len(batches[-1][0]) + 1) > most_s:
            batches.append(([], []))
            longest_s = durations_s[clip]
        batches[-1][0].append(clip)
        batches[-1][1].append(weight)
    return batches


def padding_fraction(durations_s: np.ndarray, steps: Sequence[Sequence[int]]) -> float:
    """Share of the batches' seconds that is padding."""
    padded_s = sum(max(durations_s[i] for i in step) * len(step) for step in steps)
    return float(1 - sum(durations_s) / padded_s)
