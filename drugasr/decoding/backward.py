"""The CTC backward recursion over a trie of what may follow a name, compiled by numba, or in numpy.

With R(t) the probability of the frames after t, node by node, from being in the blank after it (B) or in its letter (N):

    B(t) = end f(t) + p[blank] B(t+1) + sum over children c of p[c] N_c(t+1)
    N(t) = the same, less a child with the same letter, + p[letter] N(t+1)

where `end` is the weight of what ends at the node and f(t) the probability of what comes after that. The root's sum
over children is W(t) of `forward`: a first letter stands in frame t + 1.

Shapes: T frames, V symbols, M nodes of one block. Logarithms are to base 2.
"""

import functools
from collections.abc import Callable

import numpy as np

from drugasr.decoding.forward import SCALE_EVERY_FRAMES, TARGET_EXPONENT, compiled


@functools.cache
def compiled_backward() -> Callable[..., np.ndarray]:
    """The compiled recursion; numpy's where numba is missing."""
    return compiled(backward_loops, backward_numpy)


def backward_loops(
    p_TV: np.ndarray, log2_end_T: np.ndarray, symbol_M: np.ndarray, parent_M: np.ndarray, end_M: np.ndarray, blank: int
) -> np.ndarray:
    """log2 W(t) [T], for the frames after each frame. `log2_end_T` is log2 f(t)."""
    num_frames, size = len(p_TV), len(symbol_M)
    n_M, b_M, out_M, same_M = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    log2_rest_T = np.full(num_frames, -np.inf)
    exponent = 0
    for t in range(num_frames - 1, -1, -1):
        if t < num_frames - 1:
            p_V = p_TV[t + 1]
            for m in range(size):
                out_M[m] = 0.0
                same_M[m] = 0.0
            for m in range(1, size):
                inflow = p_V[symbol_M[m]] * n_M[m]
                if symbol_M[m] == symbol_M[parent_M[m]]:
                    same_M[parent_M[m]] += inflow
                else:
                    out_M[parent_M[m]] += inflow
            log2_rest_T[t] = np.log2(out_M[0]) - exponent
            p_blank = p_V[blank]
            for m in range(1, size):
                other = p_blank * b_M[m] + out_M[m]
                b_M[m] = other + same_M[m]
                n_M[m] = other + p_V[symbol_M[m]] * n_M[m]
        if log2_end_T[t] > -np.inf:
            end = 2.0 ** min(log2_end_T[t] + exponent, 1000.0)
            for m in range(1, size):
                b_M[m] += end_M[m] * end
                n_M[m] += end_M[m] * end
        if t % SCALE_EVERY_FRAMES == 0:
            largest = 0.0
            for m in range(size):
                largest = max(largest, n_M[m], b_M[m])
            if largest > 0.0:
                shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
                exponent += shift
                for m in range(size):
                    n_M[m] *= 2.0**shift
                    b_M[m] *= 2.0**shift
    return log2_rest_T


def backward_numpy(
    p_TV: np.ndarray, log2_end_T: np.ndarray, symbol_M: np.ndarray, parent_M: np.ndarray, end_M: np.ndarray, blank: int
) -> np.ndarray:
    """The same as `backward_loops`, with numpy alone."""
    num_frames, size = len(p_TV), len(symbol_M)
    is_doubled_M = symbol_M == symbol_M[parent_M]
    is_doubled_M[0] = False
    n_M, b_M = np.zeros((2, size))
    log2_rest_T = np.full(num_frames, -np.inf)
    exponent = 0
    for t in range(num_frames - 1, -1, -1):
        if t < num_frames - 1:
            p_V = p_TV[t + 1]
            inflow_M = p_V[symbol_M] * n_M
            inflow_M[0] = 0.0
            out_M = np.bincount(parent_M, np.where(is_doubled_M, 0.0, inflow_M), size)
            with np.errstate(divide="ignore"):
                log2_rest_T[t] = np.log2(out_M[0]) - exponent
            other_M = p_V[blank] * b_M + out_M
            b_M = other_M + np.bincount(parent_M, np.where(is_doubled_M, inflow_M, 0.0), size)
            n_M = other_M + inflow_M
        if log2_end_T[t] > -np.inf:
            end = 2.0 ** min(log2_end_T[t] + exponent, 1000.0)
            b_M = b_M + end_M * end
            n_M = n_M + end_M * end
        b_M[0] = n_M[0] = 0.0
        if t % SCALE_EVERY_FRAMES == 0 and (largest := max(n_M.max(), b_M.max())) > 0.0:
            shift = min(TARGET_EXPONENT - int(np.floor(np.log2(largest))), 1000)
            exponent += shift
            n_M, b_M = n_M * 2.0**shift, b_M * 2.0**shift
    return log2_rest_T
