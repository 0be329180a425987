import json

import pytest

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary, read_vocabulary
from drugasr.errors import ModelError

# vocab.json of facebook/hubert-large-ls960-ft, as published.
HUB = {
    "<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "E": 5, "T": 6, "A": 7, "O": 8, "N": 9, "I": 10, "H": 11, "S": 12, "R": 13,
    "D": 14, "L": 15, "U": 16, "M": 17, "W": 18, "C": 19, "F": 20, "G": 21, "Y": 22, "P": 23, "B": 24, "V": 25, "K": 26, "'": 27,
    "X": 28, "J": 29, "Q": 30, "Z": 31,
}  # fmt: skip


def write(folder, ids):
    (folder / "vocab.json").write_text(json.dumps(ids))
    return folder


def test_ours_is_that_of_the_hub(tmp_path):
    assert read_vocabulary(str(write(tmp_path, HUB))) == Vocabulary(LIBRISPEECH)


def test_text_becomes_ids_and_back_whatever_its_case():
    vocabulary = Vocabulary(LIBRISPEECH)
    assert vocabulary.encode("St john's") == [HUB[token] for token in ("S", "T", "|", "J", "O", "H", "N", "'", "S")]
    assert vocabulary.decode(vocabulary.encode("St john's")) == "st john's"
    every = "abcdefghijklmnopqrstuvwxyz' "
    assert vocabulary.decode(vocabulary.encode(every)) == every
    assert len(set(vocabulary.encode(every))) == 28


def test_lower_case_models_and_other_orders(tmp_path):
    ids = {"a": 0, "b": 1, "|": 2, "<unk>": 3, "<pad>": 4}
    vocabulary = read_vocabulary(str(write(tmp_path, dict(reversed(ids.items())))))
    assert (vocabulary.blank, vocabulary.encode("AB a")) == (4, [0, 1, 2, 0])
    assert vocabulary.dead_ids == (3,)


def test_what_can_never_be_written_is_dead():
    assert Vocabulary(LIBRISPEECH).dead_ids == (HUB["<s>"], HUB["</s>"], HUB["<unk>"])


@pytest.mark.parametrize("text", ["naïve", "5 mg", "a-b", "a|b"])
def test_a_character_outside_the_alphabet_is_named(text):
    with pytest.raises(ModelError, match="cannot write '[ï5|-]'"):
        Vocabulary(LIBRISPEECH).encode(text)


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ({"a": 0, "|": 1}, "<pad>"),
        ({"<pad>": 0, "a": 1}, r"'\|'"),
        ({"<pad>": 0, "|": 1, "a": 3}, "0 to 2"),
        ({"<pad>": 0, "|": 1, "a": 1}, "each once"),
    ],
)
def test_a_vocabulary_that_ctc_cannot_use(tmp_path, ids, reason):
    with pytest.raises(ModelError, match=reason):
        read_vocabulary(str(write(tmp_path, ids)))


def test_a_folder_without_a_vocabulary(tmp_path):
    with pytest.raises(ModelError, match=r"vocab\.json"):
        read_vocabulary(str(tmp_path))
