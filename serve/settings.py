"""What a replica serves: the `user_config` of its deployment, which Serve changes while it runs."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from drugasr import storage
from drugasr.acoustic.shipped import located
from drugasr.decoding.review import ReviewRule
from drugasr.errors import ConfigError, ModelError, StorageError
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.reading import read_lexicon

MODEL_FILES = ("config.json", "drugasr.json", "model.safetensors", "vocab.json")


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    model: str
    """Folder or URI."""
    lexicon: str
    """Tier, path or URI."""
    salts: str = "keep"
    """keep or strip, as in the training."""
    review: dict[str, float] = field(default_factory=dict)
    """Thresholds of `drugasr.decoding.review.ReviewRule` other than its own."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ServedModel":
        """The inverse of `to_dict`. Raises ConfigError."""
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"user_config: {error}: there are model, lexicon, salts and review") from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def rule(self) -> ReviewRule:
        """Raises ConfigError for a threshold that is unknown or no share of 1."""
        for name, value in self.review.items():
            if name not in ReviewRule.__dataclass_fields__:
                raise ConfigError(f"review.{name} is unknown: there are {', '.join(ReviewRule.__dataclass_fields__)}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise ConfigError(f"review.{name} must be a number from 0 to 1, not {value!r}")
        return ReviewRule(**self.review)

    def read_lexicon(self) -> Lexicon:
        """Raises LexiconError."""
        return read_lexicon(self.lexicon, salts=self.salts)

    def checked(self) -> "ServedModel":
        """With absolute paths, once all of it is seen to be usable from here. Raises ConfigError, ModelError or LexiconError.

        A path must be there on every node that runs a replica; a URI need only be readable from it.
        """
        self.rule()
        self.read_lexicon()
        lexicon = os.path.abspath(self.lexicon) if os.path.exists(self.lexicon) else self.lexicon
        return ServedModel(**self.to_dict() | {"model": check_model(self.model), "lexicon": lexicon})


def check_model(model: str) -> str:
    """`model`, made absolute if it is a path, once it is seen to be a model folder. Raises ModelError."""
    location = located(model)
    location = location if "://" in location else os.path.abspath(os.path.expanduser(location))
    try:
        present = storage.list_files(location)
        missing = [name for name in MODEL_FILES if name not in present]
        if missing:
            what = f"lacks {', '.join(missing)}" if present else "is not there, or holds no file"
            raise ModelError(f"{model} is not a model folder: it {what}; give the folder that the training wrote")
        for name in MODEL_FILES:
            if name.endswith(".json"):
                storage.read_json(storage.join(location, name))
    except (StorageError, OSError) as error:
        raise ModelError(f"cannot read the model {model}: {error}") from error
    return location
