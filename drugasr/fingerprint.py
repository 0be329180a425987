"""Names made from content: equal inputs give equal names, in any process, on any machine."""

import dataclasses
import hashlib
import json
from decimal import Decimal
from typing import Any


def fingerprint(*parts: Any, length: int = 16) -> str:
    """Hexadecimal name of `parts` (dataclasses, Decimals and anything that JSON can hold)."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def seed_of(*parts: Any) -> int:
    """A 32-bit seed drawn from `parts`; every random draw for a row starts from one of these."""
    return int(fingerprint(*parts, length=8), 16)


def fraction_of(*parts: Any) -> float:
    """A number in [0, 1) drawn from `parts`, for choices that must not move when others are added."""
    return int(fingerprint(*parts, length=13), 16) / 16**13


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"cannot name a {type(value).__name__}: only dataclasses and JSON values have a fingerprint")
