import hashlib
import subprocess
import sys
from dataclasses import dataclass

import pytest

from drugasr.fingerprint import fingerprint, fraction_of, seed_of


@dataclass(frozen=True)
class Point:
    x: int
    y: float


def sha(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_it_is_the_sha256_of_canonical_json():
    assert fingerprint("a", 1, 0.5, None) == sha('["a",1,0.5,null]')[:16]
    assert fingerprint({"b": 1, "a": [True]}) == sha('[{"a":[true],"b":1}]')[:16]
    assert fingerprint(Point(1, 2.0)) == sha('[{"x":1,"y":2.0}]')[:16]
    assert seed_of("a") == int(sha('["a"]')[:8], 16)
    assert fraction_of("a") == int(sha('["a"]')[:13], 16) / 2**52


def test_order_in_a_dict_does_not_count_and_everything_else_does():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    different = [("a", "b"), ("ab",), ("b", "a"), ("a", ["b"]), ("a", 1), ("a", "1"), ("a", 1.0), ("a", None), ({"a": "b"},)]
    assert len({fingerprint(*parts) for parts in different}) == len(different)


def test_it_is_the_same_in_another_process():
    code = "from drugasr.fingerprint import *; print(fingerprint('é', {'z': 1, 'a': 2}), seed_of('é', 3), fraction_of(3))"
    said = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    ]
    assert said == [f"{fingerprint('é', {'z': 1, 'a': 2})} {seed_of('é', 3)} {fraction_of(3)}\n"] * 2


def test_fractions_and_seeds_are_spread_evenly():
    fractions = [fraction_of("x", i) for i in range(2000)]
    assert 0 <= min(fractions) < 0.01
    assert 0.99 < max(fractions) < 1
    for tenth in range(10):
        assert 140 < sum(tenth <= 10 * f < tenth + 1 for f in fractions) < 260  # 200 expected, deviation 13
    seeds = {seed_of("x", i) for i in range(2000)}
    assert len(seeds) >= 1999
    assert 0.9 * 2**32 < max(seeds) < 2**32


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), Point])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(TypeError, match="cannot name a"):
        fingerprint(value)
