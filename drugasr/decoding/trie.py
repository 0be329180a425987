"""A lexicon as a prefix tree in flat arrays: names that start alike share the work of their start.

Shapes: M nodes, N names, D nodes whose letter doubles their parent's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drugasr.acoustic.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class LexiconTrie:
    """Node 0 is the root, which has no letter; the others stand breadth first, so that parents come first."""

    symbol_M: np.ndarray
    """int32: id of the node's symbol in the vocabulary; the root has the blank's."""
    parent_M: np.ndarray
    """int32: index of the node's parent; the root is its own."""
    doubled_D: np.ndarray
    """int32: nodes with the symbol of their parent; CTC wants a blank between the two."""
    min_frames_M: np.ndarray
    """int32: frames that the shortest alignment up to the node takes: its letters, and a blank in each double."""
    end_N: np.ndarray
    """int32: node at which each name ends."""
    blank: int

    def __len__(self) -> int:
        """Number of names."""
        return len(self.end_N)


def build_trie(spoken: Sequence[str], vocabulary: Vocabulary) -> LexiconTrie:
    """The trie of names in their spoken forms. Raises ModelError for one that the model cannot write."""
    sequences = [vocabulary.encode(name) for name in spoken]
    symbols, parents, min_frames = [vocabulary.blank], [0], [0]
    node_of: dict[tuple[int, int], int] = {}
    ends = [0] * len(sequences)
    # One letter of every name at a time, names in alphabetical order: siblings and cousins lie side by
    # side in memory, and so do their parents.
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    depth = 0
    while order:
        order = [name for name in order if len(sequences[name]) > depth]
        for name in order:
            parent, symbol = ends[name], sequences[name][depth]
            if (parent, symbol) not in node_of:
                node_of[parent, symbol] = len(symbols)
                min_frames.append(min_frames[parent] + (2 if symbol == symbols[parent] else 1))
                parents.append(parent)
                symbols.append(symbol)
            ends[name] = node_of[parent, symbol]
        depth += 1
    symbol_M = np.array(symbols, np.int32)
    parent_M = np.array(parents, np.int32)
    return LexiconTrie(
        symbol_M=symbol_M,
        parent_M=parent_M,
        doubled_D=1 + np.flatnonzero(symbol_M[1:] == symbol_M[parent_M[1:]]).astype(np.int32),
        min_frames_M=np.array(min_frames, np.int32),
        end_N=np.array(ends, np.int32),
        blank=vocabulary.blank,
    )
