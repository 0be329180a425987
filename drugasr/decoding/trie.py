"""A lexicon as prefix trees in flat arrays: names that start alike share the work of their start.

Shapes: M nodes, N names, K blocks, D nodes whose letter doubles their parent's, L letters of the longest name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.errors import ModelError

# A block is a tree of its own, with a root of its own, over neighbours in the alphabet: it stays in the first-level
# cache through all frames, is scaled by itself, and another thread may take the next one. Two blocks share a start
# or two, so that cutting costs a node in a hundred.
_NODES_PER_BLOCK = 1000


@dataclass(frozen=True, kw_only=True)
class LexiconTrie:
    """Blocks lie one behind the other. A block's first node is its root, which has no letter; parents come first."""

    symbol_M: np.ndarray
    """uint16: id of the node's symbol in the vocabulary; a root has the blank's."""
    parent_M: np.ndarray
    """uint32: the node's parent, counted from the block's root; a root is its own."""
    min_frames_M: np.ndarray
    """uint32: frames that the shortest alignment up to the node takes: its letters, and a blank in each double."""
    start_K: np.ndarray
    """int64 [K + 1]: first node of each block."""
    doubled_D: np.ndarray
    """uint32: nodes with the symbol of their parent, counted from the block's root; CTC wants a blank between."""
    doubled_start_K: np.ndarray
    """int64 [K + 1]: first of each block's `doubled_D`."""
    name_N: np.ndarray
    """int64: the names in the order of the blocks."""
    end_N: np.ndarray
    """uint32: node at which each of `name_N` ends, counted from the block's root."""
    name_start_K: np.ndarray
    """int64 [K + 1]: first of each block's `name_N`."""
    blank: int

    def __len__(self) -> int:
        """Number of names."""
        return len(self.name_N)

    @property
    def num_blocks(self) -> int:
        return len(self.start_K) - 1


def build_trie(spoken: Sequence[str], vocabulary: Vocabulary, nodes_per_block: int = _NODES_PER_BLOCK) -> LexiconTrie:
    """The trie of names in their spoken forms, linear in their letters. Raises ModelError for one that the model cannot write."""
    symbol_NL, length_N = _encode(spoken, vocabulary)
    name_N = np.lexsort(symbol_NL.T[::-1])  # in alphabetical order, if symbols were letters
    symbol_NL, length_N = symbol_NL[name_N], length_N[name_N]
    is_letter_NL = np.arange(symbol_NL.shape[1]) < length_N[:, None]
    # A name brings new nodes from the first letter on in which it differs from the name before.
    is_old_NL = np.zeros_like(is_letter_NL)
    is_old_NL[1:] = np.logical_and.accumulate(symbol_NL[1:] == symbol_NL[:-1], axis=1)
    block_N = np.cumsum((is_letter_NL & ~is_old_NL).sum(axis=1)) // nodes_per_block
    is_first_N = np.diff(block_N, prepend=-1) > 0
    is_new_NL = is_letter_NL & (~is_old_NL | is_first_N[:, None])
    block_N = np.cumsum(is_first_N) - 1
    num_blocks = int(is_first_N.sum())

    row_M, column_M = np.nonzero(is_new_NL)
    # Breadth first in each block: parents come first, and lie side by side as their children do.
    breadth_first = np.lexsort((row_M, column_M, block_N[row_M]))
    row_M, column_M = row_M[breadth_first], column_M[breadth_first]
    block_M = block_N[row_M]
    start_K = np.concatenate([[0], np.cumsum(1 + np.bincount(block_M, minlength=num_blocks))])
    node_M = np.arange(len(row_M)) + 1 + block_M
    node_NL = np.zeros(symbol_NL.shape, np.int64)
    node_NL[row_M, column_M] = node_M
    # A letter that is not new has the node of the last name above that brought it.
    brought_by_NL = np.maximum.accumulate(np.where(is_new_NL, np.arange(len(spoken))[:, None], 0), axis=0)
    node_NL = np.take_along_axis(node_NL, brought_by_NL, axis=0)

    symbol_A = np.full(start_K[-1], vocabulary.blank, np.uint16)
    parent_A = np.repeat(start_K[:-1], np.diff(start_K))
    root_A = parent_A.copy()
    symbol_A[node_M] = symbol_NL[row_M, column_M]
    parent_A[node_M] = np.where(column_M > 0, node_NL[row_M, column_M - 1], start_K[block_M])
    doubled = np.flatnonzero((symbol_A == symbol_A[parent_A]) & (parent_A != root_A))
    is_double_NL = np.zeros_like(is_letter_NL)
    is_double_NL[:, 1:] = (symbol_NL[:, 1:] == symbol_NL[:, :-1]) & is_letter_NL[:, 1:]
    min_frames_A = np.zeros(start_K[-1], np.uint32)
    min_frames_A[node_M] = np.cumsum(1 + is_double_NL, axis=1)[row_M, column_M]
    end_N = node_NL[np.arange(len(spoken)), length_N - 1]
    return LexiconTrie(
        symbol_M=symbol_A,
        parent_M=(parent_A - root_A).astype(np.uint32),
        min_frames_M=min_frames_A,
        start_K=start_K,
        doubled_D=(doubled - root_A[doubled]).astype(np.uint32),
        doubled_start_K=np.searchsorted(doubled, start_K),
        name_N=name_N,
        end_N=(end_N - root_A[end_N]).astype(np.uint32),
        name_start_K=np.searchsorted(block_N, np.arange(num_blocks + 1)),
        blank=vocabulary.blank,
    )


def _encode(spoken: Sequence[str], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Symbol ids [N, L], -1 behind a name's end, and the names' lengths [N]."""
    if not all(spoken):
        raise ModelError("a name without letters cannot be recognised")
    letters = np.array(list(spoken), dtype=np.str_)
    codes_NL = letters.view(np.uint32).reshape(len(spoken), -1) if len(spoken) else np.zeros((0, 1), np.uint32)
    symbol_of = np.full(codes_NL.max(initial=0) + 1, -2, np.int32)
    symbol_of[0] = -1
    for letter, symbol in vocabulary.ids.items():
        for code in {ord(letter), ord(letter.upper())}:
            if code < len(symbol_of):
                symbol_of[code] = symbol
    symbol_NL = symbol_of[codes_NL]
    if (symbol_NL == -2).any():
        vocabulary.encode(spoken[int((symbol_NL == -2).any(axis=1).argmax())])  # says which letter, of which name
    return symbol_NL, (symbol_NL >= 0).sum(axis=1)
