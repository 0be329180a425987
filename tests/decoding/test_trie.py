import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_frames import VOCABULARY

from drugasr.decoding.trie import build_trie
from drugasr.errors import ModelError

NAMES = st.lists(st.text("ab ", min_size=1, max_size=6) | st.text(string.ascii_letters + "' ", min_size=1, max_size=12), min_size=1, max_size=30)


@given(NAMES, st.sampled_from([1, 3, 10, 1000]))
def test_the_way_from_each_end_to_its_root_spells_the_name(names, nodes_per_block):
    trie = build_trie(names, VOCABULARY, nodes_per_block)
    assert len(trie) == len(names) and sorted(trie.name_N) == list(range(len(names)))
    block_N = np.searchsorted(trie.name_start_K, np.arange(len(names)), side="right") - 1
    for name, end, block in zip(trie.name_N, trie.end_N, block_N):
        root, node, spelt = trie.start_K[block], int(end), []
        while node:
            spelt.append(trie.symbol_M[root + node])
            assert trie.parent_M[root + node] < node  # parents come first
            node = int(trie.parent_M[root + node])
        label = VOCABULARY.encode(names[name])
        assert spelt[::-1] == label
        assert trie.min_frames_M[root + end] == len(label) + sum(a == b for a, b in zip(label, label[1:]))


@given(NAMES)
def test_doubled_nodes_are_those_with_their_parents_letter(names):
    trie = build_trie(names, VOCABULARY, 1000)
    for block in range(trie.num_blocks):
        nodes = slice(trie.start_K[block], trie.start_K[block + 1])
        symbols, parents = trie.symbol_M[nodes], trie.parent_M[nodes]
        expected = [m for m in range(1, len(symbols)) if parents[m] > 0 and symbols[m] == symbols[parents[m]]]
        assert trie.doubled_D[trie.doubled_start_K[block] : trie.doubled_start_K[block + 1]].tolist() == expected


def test_names_of_a_block_share_the_nodes_of_their_starts():
    assert len(build_trie(["ab", "abc", "abd", "ab", "b"], VOCABULARY).symbol_M) == 1 + 5
    # Cut after each name, every block spells its own.
    assert len(build_trie(["ab", "abc"], VOCABULARY, nodes_per_block=1).symbol_M) == 3 + 4


@pytest.mark.parametrize(("name", "message"), [("b12", "cannot write '1'"), ("xö", "cannot write 'ö'"), ("", "without letters")])
def test_a_name_that_the_model_cannot_write(name, message):
    with pytest.raises(ModelError, match=message):
        build_trie(["aspirin", name], VOCABULARY)
