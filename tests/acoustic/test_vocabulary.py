import json

import pytest
from tiny_families import XLSR_TOKENIZER, XLSR_VOCABULARY, write_vocabulary

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary, read_vocabulary, vocabulary_of
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
        ({"de": {"<pad>": 0, "a": 1}, "fr": {"<pad>": 0, "b": 1}}, "for each of 2 languages"),  # as of MMS
        ({"<pad>": 0, "|": 1, "a": 3}, "0 to 2"),
        ({"<pad>": 0, "|": 1, "a": 1}, "each once"),
    ],
)
def test_a_vocabulary_that_ctc_cannot_use(tmp_path, ids, reason):
    with pytest.raises(ModelError, match=reason):
        read_vocabulary(str(write(tmp_path, ids)))


def test_a_multilingual_vocabulary_with_names_of_its_own(tmp_path):
    vocabulary = read_vocabulary(str(write_vocabulary(tmp_path, XLSR_VOCABULARY, XLSR_TOKENIZER)))
    assert vocabulary.blank == XLSR_VOCABULARY["[PAD]"]
    assert vocabulary.encode("Öl für") == [XLSR_VOCABULARY[token] for token in ("ö", "l", "|", "f", "ü", "r")]
    assert vocabulary.dead_ids == (XLSR_VOCABULARY["[UNK]"],)


@pytest.mark.parametrize("pad", ["_", {"content": "_", "lstrip": False}])
def test_the_tokenizer_names_blank_and_delimiter(tmp_path, pad):
    ids = {"_": 0, "a": 1, " ": 2}
    vocabulary = read_vocabulary(str(write_vocabulary(tmp_path, ids, {"pad_token": pad, "word_delimiter_token": " "})))
    assert (vocabulary.blank, vocabulary.encode("a a"), vocabulary.decode([1, 2, 1])) == (0, [1, 2, 1], "a a")


def test_of_both_cases_the_lower_is_written(tmp_path):
    vocabulary = read_vocabulary(str(write(tmp_path, {"<pad>": 0, "|": 1, "a": 2, "A": 3, "B": 4})))
    assert (vocabulary.encode("aB"), vocabulary.dead_ids) == ([2, 4], (3,))


def test_symbols_that_the_tokenizer_added(tmp_path):
    """The model has a logit for each of them, but vocab.json has not."""
    write(tmp_path, {"a": 0, "|": 1})
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<s>": 3, "<pad>": 2, "</s>": 4}))
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 4}))
    vocabulary = read_vocabulary(str(tmp_path))
    assert (vocabulary.tokens, vocabulary.blank) == (("a", "|", "<pad>", "<s>"), 2)


def test_a_vocabulary_of_another_model_is_refused(tmp_path):
    write(tmp_path, {"<pad>": 0, "a": 1, "|": 2})
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 2}))
    with pytest.raises(ModelError, match="3 symbols, but the model writes 2"):
        read_vocabulary(str(tmp_path))
    assert len(read_vocabulary(str(tmp_path), fresh_head=True)) == 3


def test_missing_letters_and_the_space_are_added_behind_the_others(tmp_path):
    vocabulary = read_vocabulary(str(write(tmp_path, {"<pad>": 0, "A": 1})))
    assert " " not in vocabulary.ids
    more = vocabulary.with_letters("Ba é|")
    assert more.tokens == ("<pad>", "A", "|", "b", "é")
    assert more.encode("a bé") == [1, 2, 3, 4]
    with pytest.raises(ModelError, match=r"cannot write '\|'"):
        more.encode("a|b")


def test_a_vocabulary_of_the_texts():
    assert vocabulary_of(["st john's wort", "Aspirin"]) == Vocabulary(LIBRISPEECH)
    persian = vocabulary_of(["آسپرین", "دو قرص"])
    assert set(persian.tokens) == {"<pad>", "|", *"آسپریندوقص"}
    assert persian.decode(persian.encode("دو قرص")) == "دو قرص"
    assert persian == vocabulary_of(["دو قرص", "آسپرین"])


def test_a_folder_without_a_vocabulary(tmp_path):
    with pytest.raises(ModelError, match=r"vocab\.json"):
        read_vocabulary(str(tmp_path))
