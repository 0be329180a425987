"""The CTC forward recursion over a lexicon's trie, compiled by numba, or in numpy.

In the linear domain. Every node holds N, the probability of all paths that are in its own letter, and
S = N + B, of all paths at the node, where B is those in the blank after it:

    N' = (N + S[parent]) p[letter]      S' = N' + S p[blank]

For a doubled letter the inflow is B[parent] alone. S - N would cancel; S of the frame before times p[blank]
of the frame before is B, exactly, and both are still at hand.

A name may be followed by something: with W(t), the probability of the frames after t as what follows, the sum over t
of S(t) W(t) is that of the name and what follows, over all alignments and all moments at which the name may end.

Shapes: T frames, V symbols, and those of `trie`. Logarithms here are to base 2, as the scaling is.
"""

import functools
import logging
from collections.abc import Callable

import numpy as np

_log = logging.getLogger(__name__)

# Every `SCALE_EVERY_FRAMES` frames the largest S of a block is brought to 2**TARGET_EXPONENT, far from overflow (S at
# most triples in a frame). Values under 2**SMALLEST_EXPONENT may be lost between two of these frames; at a node whose S is
# above `FLOOR` all the same, they did not count. While that holds for every node that can be reached, errors are the
# usual rounding. Where it fails, paths through what was lost at frame t are no likelier than it times all paths of the
# frames after t, the product of their sums of p; a name that is not 2**MARGIN_BITS above that is given up: some 1,000
# nats behind the free path, in speech.
SCALE_EVERY_FRAMES = 16
TARGET_EXPONENT = 800
SMALLEST_EXPONENT = -1022
FLOOR = 2.0**-900
MARGIN_BITS = 60
# The sum over the moments at which a name may end is kept this much larger: it is at most about 1, and mostly far less.
FOLLOWED_EXPONENT = 900

Forward = Callable[..., None]


@functools.cache
def compiled_forward() -> Forward:
    """The compiled recursion; numpy's where numba is missing."""
    return compiled(forward_loops, forward_numpy)


def compiled(loops: Callable, fallback: Callable) -> Callable:
    """`loops` compiled by numba, once a machine where it can keep the result; else `fallback`."""
    try:
        import numba  # here, because it takes half a second to import
    except ImportError:
        _log.warning("numba is not installed: scoring names takes several times as long")
        return fallback
    # error_model: as numpy divides; contract: a product and its sum in one instruction, rounded once.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(loops)
    except RuntimeError:  # no folder to keep the compiled code in, as in a read-only container
        return numba.njit(**options)(loops)


def forward_loops(
    p_TV: np.ndarray,
    log2_growth_T: np.ndarray,
    log2_root_T: np.ndarray,
    log2_rest_T: np.ndarray,
    symbol_M: np.ndarray,
    parent_M: np.ndarray,
    min_frames_M: np.ndarray,
    start_K: np.ndarray,
    doubled_D: np.ndarray,
    doubled_start_K: np.ndarray,
    end_N: np.ndarray,
    name_start_K: np.ndarray,
    blank: int,
    first_block: int,
    last_block: int,
    log2_alone_N: np.ndarray,
    log2_followed_N: np.ndarray,
) -> None:
    """Fills in, for the names of blocks `first_block` to before `last_block`, the log-likelihoods of the name alone and,
    unless `log2_rest_T` (log2 W) is empty, of the name and what follows. -inf: impossible, or given up.

    `log2_growth_T[t]` is log2 of the product of the sums of p from frame t on.
    `log2_root_T` [T + 1] is log2 S of the roots before the first frame and after each one: see `silence`.
    """
    num_frames = len(p_TV)
    p_V = np.empty(p_TV.shape[1])
    for k in range(first_block, last_block):
        symbol_m = symbol_M[start_K[k] : start_K[k + 1]]
        parent_m = parent_M[start_K[k] : start_K[k + 1]]
        min_frames_m = min_frames_M[start_K[k] : start_K[k + 1]]
        doubled_d = doubled_D[doubled_start_K[k] : doubled_start_K[k + 1]]
        end_n = end_N[name_start_K[k] : name_start_K[k + 1]]
        size = len(symbol_m)
        n_m = np.zeros(size)
        s_m = np.zeros(size)
        previous_s_m = np.zeros(size)
        doubled_n_d = np.zeros(len(doubled_d))
        followed_n = np.zeros(len(end_n))
        s_m[0] = 2.0 ** log2_root_T[0]
        previous_p_blank = 0.0
        exponent = 0
        log2_lost = -np.inf
        is_exact = True
        for t in range(num_frames):
            p_V[:] = p_TV[t]
            if t % SCALE_EVERY_FRAMES == 0:
                largest = 0.0
                for m in range(size):
                    largest = max(largest, s_m[m])
                    is_exact &= s_m[m] >= FLOOR or min_frames_m[m] > t
                if largest > 0.0:
                    # Every new value has one factor of p: scaling p scales them all, and a power of two is exact.
                    shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
                    exponent += shift
                    p_V *= 2.0**shift
                log2_lost = max(log2_lost, log2_growth_T[t] - exponent)
            p_blank = p_V[blank]
            for d in range(len(doubled_d)):
                m = doubled_d[d]
                doubled_n_d[d] = p_V[symbol_m[m]] * (n_m[m] + previous_p_blank * previous_s_m[parent_m[m]])
            s_m, previous_s_m = previous_s_m, s_m
            for m in range(size):
                n = p_V[symbol_m[m]] * (n_m[m] + previous_s_m[parent_m[m]])
                n_m[m] = n
                s_m[m] = n + p_blank * previous_s_m[m]
            n_m[0] = 0.0  # a root has no letter
            s_m[0] = 2.0 ** (log2_root_T[t + 1] + exponent)
            for d in range(len(doubled_d)):
                m = doubled_d[d]
                n_m[m] = doubled_n_d[d]
                s_m[m] = doubled_n_d[d] + p_blank * previous_s_m[m]
            previous_p_blank = p_blank
            if t < len(log2_rest_T) and log2_rest_T[t] > -np.inf:
                rest = 2.0 ** min(log2_rest_T[t] - exponent + FOLLOWED_EXPONENT, 1000.0)
                for i in range(len(end_n)):
                    followed_n[i] += s_m[end_n[i]] * rest
        for i in range(len(end_n)):
            is_exact &= s_m[end_n[i]] >= FLOOR or min_frames_m[end_n[i]] > num_frames
        log2_least = -np.inf if is_exact else log2_lost + SMALLEST_EXPONENT + MARGIN_BITS
        log2_least_followed = max(log2_least, SMALLEST_EXPONENT - FOLLOWED_EXPONENT + MARGIN_BITS)
        first_name = name_start_K[k]
        for i in range(len(end_n)):
            log2_alone = np.log2(s_m[end_n[i]]) - exponent
            log2_followed = np.log2(followed_n[i]) - FOLLOWED_EXPONENT
            log2_alone_N[first_name + i] = log2_alone if log2_alone >= log2_least else -np.inf
            log2_followed_N[first_name + i] = log2_followed if np.inf > log2_followed >= log2_least_followed else -np.inf


def forward_numpy(
    p_TV: np.ndarray,
    log2_growth_T: np.ndarray,
    log2_root_T: np.ndarray,
    log2_rest_T: np.ndarray,
    symbol_M: np.ndarray,
    parent_M: np.ndarray,
    min_frames_M: np.ndarray,
    start_K: np.ndarray,
    doubled_D: np.ndarray,
    doubled_start_K: np.ndarray,
    end_N: np.ndarray,
    name_start_K: np.ndarray,
    blank: int,
    first_block: int,
    last_block: int,
    log2_alone_N: np.ndarray,
    log2_followed_N: np.ndarray,
) -> None:
    """The same as `forward_loops`, with numpy alone: all blocks at a time, under one scale."""
    blocks, names = slice(start_K[first_block], start_K[last_block]), slice(name_start_K[first_block], name_start_K[last_block])
    symbol_M, min_frames_M, sizes_K = symbol_M[blocks], min_frames_M[blocks], np.diff(start_K)[first_block:last_block]
    root_K = start_K[first_block:last_block] - start_K[first_block]
    parent_M = parent_M[blocks] + np.repeat(root_K, sizes_K)
    doubled_D = doubled_D[doubled_start_K[first_block] : doubled_start_K[last_block]] + np.repeat(
        root_K, np.diff(doubled_start_K)[first_block:last_block]
    )
    end_N = end_N[names] + np.repeat(root_K, np.diff(name_start_K)[first_block:last_block])
    n_M, s_M, previous_s_M = np.zeros((3, len(symbol_M)))
    followed_N = np.zeros(len(end_N))
    s_M[root_K] = 2.0 ** log2_root_T[0]
    previous_p_blank = 0.0
    exponent, log2_lost, is_exact = 0, -np.inf, True
    for t, p_V in enumerate(p_TV):
        if t % SCALE_EVERY_FRAMES == 0:
            largest = s_M.max()
            is_exact &= bool(((s_M >= FLOOR) | (min_frames_M > t)).all())
            if largest > 0.0:
                shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
                exponent += shift
                p_V = p_V * 2.0**shift
            log2_lost = max(log2_lost, log2_growth_T[t] - exponent)
        inflow_M = s_M[parent_M]
        inflow_M[root_K] = 0.0  # no letter leads to a root
        inflow_M[doubled_D] = previous_p_blank * previous_s_M[parent_M[doubled_D]]
        n_M = p_V[symbol_M] * (n_M + inflow_M)
        s_M, previous_s_M = n_M + p_V[blank] * s_M, s_M
        s_M[root_K] = 2.0 ** (log2_root_T[t + 1] + exponent)
        previous_p_blank = p_V[blank]
        if t < len(log2_rest_T) and log2_rest_T[t] > -np.inf:
            followed_N += s_M[end_N] * 2.0 ** min(log2_rest_T[t] - exponent + FOLLOWED_EXPONENT, 1000.0)
    is_exact &= bool(((s_M[end_N] >= FLOOR) | (min_frames_M[end_N] > len(p_TV))).all())
    log2_least = -np.inf if is_exact else log2_lost + SMALLEST_EXPONENT + MARGIN_BITS
    log2_least_followed = max(log2_least, SMALLEST_EXPONENT - FOLLOWED_EXPONENT + MARGIN_BITS)
    with np.errstate(divide="ignore"):
        alone_N, followed_N = np.log2(s_M[end_N]) - exponent, np.log2(followed_N) - FOLLOWED_EXPONENT
    log2_alone_N[names] = np.where(alone_N >= log2_least, alone_N, -np.inf)
    log2_followed_N[names] = np.where((followed_N >= log2_least_followed) & (followed_N < np.inf), followed_N, -np.inf)
