"""The CTC forward recursion over a lexicon's trie, compiled by numba, or in numpy.

In the linear domain. Every node holds N, the probability of all paths that are in its own letter, and
S = N + B, of all paths at the node, where B is those in the blank after it:

    N' = (N + S[parent]) p[letter]      S' = N' + S p[blank]

For a doubled letter the inflow is B[parent] alone. S - N would cancel; S of the frame before times p[blank]
of the frame before is B, exactly, and both are still at hand.

Shapes: T frames, V symbols, M nodes, D doubled nodes (see `trie`).
"""

import functools
import logging
from collections.abc import Callable

import numpy as np

_log = logging.getLogger(__name__)

# Every `SCALE_EVERY_FRAMES` frames the largest S is brought to 2**TARGET_EXPONENT: far from overflow (S at most
# triples in a frame), and some 1,200 nats above `FLOOR`, under which a float64 nears the end of its range.
# While every S that can be positive is above the floor, nothing has been lost: errors are the usual rounding.
SCALE_EVERY_FRAMES = 16
TARGET_EXPONENT = 800
FLOOR = 2.0**-900


@functools.cache
def compiled_forward() -> Callable[..., tuple[np.ndarray, int, bool]]:
    """The compiled recursion; numpy's where numba is missing."""
    try:
        import numba  # here, because it takes half a second to import
    except ImportError:
        _log.warning("numba is not installed: scoring names takes several times as long")
        return forward_numpy
    try:
        return numba.njit(cache=True, nogil=True)(forward_loops)
    except RuntimeError:  # no folder to keep the compiled code in, as in a read-only container
        return numba.njit(nogil=True)(forward_loops)


def forward_loops(
    p_TV: np.ndarray,
    symbol_M: np.ndarray,
    parent_M: np.ndarray,
    doubled_D: np.ndarray,
    min_frames_M: np.ndarray,
    blank: int,
) -> tuple[np.ndarray, int, bool]:
    """S of every node after the last frame times 2**exponent, that exponent, and whether nothing was lost."""
    n_M = np.zeros(len(symbol_M))
    s_M = np.zeros(len(symbol_M))
    previous_s_M = np.zeros(len(symbol_M))
    doubled_n_D = np.zeros(len(doubled_D))
    s_M[0] = 1.0
    previous_p_blank = 0.0
    exponent = 0
    is_exact = True
    p_V = np.empty(p_TV.shape[1])
    for t in range(len(p_TV)):
        p_V[:] = p_TV[t]
        if t % SCALE_EVERY_FRAMES == 0:
            largest = 0.0
            for m in range(len(s_M)):
                largest = max(largest, s_M[m])
                is_exact &= s_M[m] >= FLOOR or min_frames_M[m] > t
            if largest == 0.0:
                break
            # Every new value has one factor of p: scaling p scales them all, and a power of two is exact.
            shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
            exponent += shift
            p_V *= 2.0**shift
        p_blank = p_V[blank]
        for d in range(len(doubled_D)):
            m = doubled_D[d]
            doubled_n_D[d] = p_V[symbol_M[m]] * (n_M[m] + previous_p_blank * previous_s_M[parent_M[m]])
        s_M, previous_s_M = previous_s_M, s_M
        s_M[0] = p_blank * previous_s_M[0]
        for m in range(1, len(symbol_M)):
            n = p_V[symbol_M[m]] * (n_M[m] + previous_s_M[parent_M[m]])
            n_M[m] = n
            s_M[m] = n + p_blank * previous_s_M[m]
        for d in range(len(doubled_D)):
            m = doubled_D[d]
            n_M[m] = doubled_n_D[d]
            s_M[m] = doubled_n_D[d] + p_blank * previous_s_M[m]
        previous_p_blank = p_blank
    return s_M, exponent, is_exact


def forward_numpy(
    p_TV: np.ndarray,
    symbol_M: np.ndarray,
    parent_M: np.ndarray,
    doubled_D: np.ndarray,
    min_frames_M: np.ndarray,
    blank: int,
) -> tuple[np.ndarray, int, bool]:
    """The same as `forward_loops`, with numpy alone."""
    n_M, s_M, previous_s_M = np.zeros((3, len(symbol_M)))
    s_M[0] = 1.0
    previous_p_blank = 0.0
    exponent = 0
    is_exact = True
    for t, p_V in enumerate(p_TV):
        if t % SCALE_EVERY_FRAMES == 0:
            largest = s_M.max()
            if largest == 0.0:
                break
            is_exact &= bool(((s_M >= FLOOR) | (min_frames_M > t)).all())
            shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
            exponent += shift
            p_V = p_V * 2.0**shift
        inflow_M = s_M[parent_M]
        inflow_M[0] = 0.0  # no letter leads to the root
        inflow_M[doubled_D] = previous_p_blank * previous_s_M[parent_M[doubled_D]]
        n_M = p_V[symbol_M] * (n_M + inflow_M)
        s_M, previous_s_M = n_M + p_V[blank] * s_M, s_M
        previous_p_blank = p_V[blank]
    return s_M, exponent, is_exact
