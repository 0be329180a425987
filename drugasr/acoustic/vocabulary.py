"""The symbols that a CTC model emits, and how text becomes symbol ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from drugasr import storage
from drugasr.errors import ModelError

# The vocabulary of facebook/hubert-large-ls960-ft (and of every wav2vec2 fine-tuned on LibriSpeech):
# our own models share it, so that labels and decoders are the same for small and large.
LIBRISPEECH = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")


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
        """Lower-case letter or space -> id, whatever the case of the model's own letters."""
        letters = {token.lower(): i for i, token in enumerate(self.tokens) if len(token) == 1 and i != self.blank}
        letters[" "] = letters.pop(self.word_delimiter)
        return letters

    @cached_property
    def dead_ids(self) -> tuple[int, ...]:
        """Tokens that are neither the blank nor writable (<s>, <unk>, ...): masked before decoding."""
        alive = {self.blank, *self.ids.values()}
        return tuple(i for i in range(len(self.tokens)) if i not in alive)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`. Raises ModelError for a character that the model cannot write."""
        try:
            return [self.ids[character] for character in text.lower()]
        except KeyError as error:
            raise ModelError(f"the model cannot write {error.args[0]!r} of {text!r}; it knows {''.join(sorted(self.ids))!r}") from error

    def decode(self, ids: list[int]) -> str:
        """Text of `ids` (no blanks, no repeats to merge), in lower case."""
        return "".join(" " if self.tokens[i] == self.word_delimiter else self.tokens[i].lower() for i in ids)


def read_vocabulary(folder: str) -> Vocabulary:
    """The vocabulary of a Hugging Face CTC model folder, or of its URI (vocab.json). Raises ModelError."""
    uri = storage.join(folder, "vocab.json")
    if not storage.exists(uri):
        raise ModelError(f"{folder} holds no vocab.json: it is not the folder of a CTC model")
    ids: dict[str, int] = storage.read_json(uri)
    tokens = tuple(sorted(ids, key=ids.__getitem__))
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ModelError(f"{uri}: the ids must be 0 to {len(tokens) - 1}, each once")
    if "|" not in ids or "<pad>" not in ids:
        raise ModelError(f"{uri} lacks '<pad>' (the CTC blank) or '|' (the word delimiter)")
    return Vocabulary(tokens, blank=ids["<pad>"])
