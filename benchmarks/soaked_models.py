"""Two models that answer otherwise, and one that is broken: the shipped one, the same less sure, and the same cut off."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from drugasr.acoustic.shipped import SHIPPED, located

_WEIGHTS = "model.safetensors"
_HEAD = "lm_head.weight"


def write_models(folder: Path) -> tuple[Path, Path, Path]:
    first, second, broken = folder / "first", folder / "second", folder / "broken"
    for copy in (first, second, broken):
        shutil.copytree(located(SHIPPED), copy)
    weights = load_file(second / _WEIGHTS)
    weights[_HEAD] = weights[_HEAD] * 0.8
    save_file(weights, second / _WEIGHTS, metadata={"format": "pt"})
    (broken / _WEIGHTS).write_bytes((first / _WEIGHTS).read_bytes()[:100_000])
    return first, second, broken
