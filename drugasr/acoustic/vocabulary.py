"""The symbols that a CTC model emits, and how text becomes symbol ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from drugasr import storage
from drugasr.errors import ModelError

# The vocabulary of facebook/hubert-large-ls960-ft (and of every wav2vec2 fine-tuned on LibriSpeech):
# our own models share it, so that labels and decoders are the same for small and large.
LIBRISPEECH = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
SPOKEN_ALPHABET = "abcdefghijklmnopqrstuvwxyz' "
"""What spoken forms are written in (`drugasr.lexicon.spoken`)."""


@dataclass(frozen=True)
class Vocabulary:
    tokens: tuple[str, ...]
    """Token of each logit; a one-character token is a letter."""
    blank: int = 0
    """Id of the CTC blank."""
    word_delimiter: str = "|"
    """Token that stands for the space between words."""

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Lower-case letter or space -> id, whatever the case of the model's own letters; of both cases, the lower."""
        upper_first = sorted(enumerate(self.tokens), key=lambda symbol: symbol[1] == symbol[1].lower())
        letters = {token.lower(): i for i, token in upper_first if len(token) == 1 and i != self.blank}
        letters.pop(self.word_delimiter, None)
        if self.word_delimiter in self.tokens:
            letters[" "] = self.tokens.index(self.word_delimiter)
        return letters

    @cached_property
    def dead_ids(self) -> tuple[int, ...]:
        """Tokens that are neither the blank nor writable (<s>, <unk>, ...): masked before decoding."""
        alive = {self.blank, *self.ids.values()}
        return tuple(i for i in range(len(self.tokens)) if i not in alive)

    def with_letters(self, text: str) -> "Vocabulary":
        """This one, with symbols for what it cannot write of `text` behind those that it has."""
        lacking = sorted(set(text.lower()) - self.ids.keys() - {self.word_delimiter})
        return replace(self, tokens=(*self.tokens, *(self.word_delimiter if letter == " " else letter for letter in lacking)))

    def encode(self, text: str) -> list[int]:
        """Ids of `text`. Raises ModelError for a character that the model cannot write."""
        try:
            return [self.ids[character] for character in text.lower()]
        except KeyError as error:
            raise ModelError(f"the model cannot write {error.args[0]!r} of {text!r}; it knows {''.join(sorted(self.ids))!r}") from error

    def decode(self, ids: list[int]) -> str:
        """Text of `ids` (no blanks, no repeats to merge), in lower case."""
        return "".join(" " if self.tokens[i] == self.word_delimiter else self.tokens[i].lower() for i in ids)


def vocabulary_of(texts: Iterable[str]) -> Vocabulary:
    """For a head that is to write `texts`: LibriSpeech's where it can, else the letters that occur, sorted."""
    letters = set().union(*(text.lower() for text in texts))
    if letters <= Vocabulary(LIBRISPEECH).ids.keys():
        return Vocabulary(LIBRISPEECH)
    return Vocabulary(("<pad>", "|", *sorted(letters - {" ", "|"})))


def read_vocabulary(folder: str, *, fresh_head: bool = False) -> Vocabulary:
    """The vocabulary of a Hugging Face CTC model folder, or of its URI. Raises ModelError.

    The symbols are those of vocab.json and, as far as the model writes them (`vocab_size` of config.json), those of
    added_tokens.json; not for a `fresh_head`, whose size the config does not know. The tokenizer's files say what the
    blank and the word delimiter are called. A vocabulary with no delimiter has no id for the space.
    """
    uri = storage.join(folder, "vocab.json")
    if not storage.exists(uri):
        raise ModelError(f"{folder} holds no vocab.json: it is not the folder of a CTC model")
    ids: dict[str, int] = storage.read_json(uri)
    if any(isinstance(value, dict) for value in ids.values()):
        raise ModelError(f"{uri} holds a vocabulary for each of {len(ids)} languages: leave in it the one that the model is to write")
    tokens = tuple(sorted(ids, key=ids.__getitem__))
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ModelError(f"{uri}: the ids must be 0 to {len(tokens) - 1}, each once")
    num_symbols = len(tokens) if fresh_head else _read(folder, "config.json").get("vocab_size", len(tokens))
    if num_symbols < len(tokens):
        raise ModelError(f"{uri} has {len(tokens)} symbols, but the model writes {num_symbols} (vocab_size of its config.json): it is another model's")
    added = {i: token for token, i in _read(folder, "added_tokens.json").items()}
    tokens += tuple(added.get(i, f"<unused {i}>") for i in range(len(tokens), num_symbols))
    blank = _first_known(tokens, *_declared(folder, "pad_token"), "<pad>", "[PAD]")
    if blank is None:
        raise ModelError(f"{uri} lacks '<pad>' (the CTC blank); if it has another name, put that into tokenizer_config.json as pad_token")
    delimiter = _first_known(tokens, *_declared(folder, "word_delimiter_token"), "|", " ") or "|"
    return Vocabulary(tokens, blank=tokens.index(blank), word_delimiter=delimiter)


def _declared(folder: str, role: str) -> list[str | None]:
    """What the tokenizer's files call a token; the older ones give it with its settings."""
    found = [_read(folder, name).get(role) for name in ("tokenizer_config.json", "special_tokens_map.json")]
    return [token["content"] if isinstance(token, dict) else token for token in found]


def _first_known(tokens: tuple[str, ...], *names: str | None) -> str | None:
    return next((name for name in names if name in tokens), None)


def _read(folder: str, name: str) -> dict[str, Any]:
    uri = storage.join(folder, name)
    return storage.read_json(uri) if storage.exists(uri) else {}
