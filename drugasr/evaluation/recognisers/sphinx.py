"""PocketSphinx 5 (BSD) with a closed grammar: any name of a list, once. It brings its own US English acoustic model.

Shapes: S samples.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drugasr.audio import SAMPLE_RATE_HZ
from drugasr.errors import InputError
from drugasr.evaluation.recognisers.arpabet import to_arpabet
from drugasr.evaluation.recognisers.pronunciation import pronounce

Pronunciation = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How the peer is set up; whatever `options` leave out is as pocketsphinx and its model have it."""

    name: str
    accents: tuple[str, ...] = ("en-us",)
    """Accents of eSpeak, each of which gives every name a pronunciation."""
    own_dictionary: bool = False
    """Whether the words that pocketsphinx' dictionary knows have its pronunciations too."""
    margin_s: float = 0.0
    """Silence before and after the clip; the clips of a corpus are cut close to the speech."""
    removes_noise: bool = True
    options: Mapping[str, float | bool] = field(default_factory=dict)


# Digital silence has no logarithm: a bit of noise on the samples; the seed makes it the same in every run.
_DITHER = {"dither": True, "seed": 1}
# A clip begins and ends with silence; one word needs no second pass over a lattice.
_SILENCE = _DITHER | {"silprob": 0.1, "bestpath": False}
_GAUSSIANS = _SILENCE | {"topn": 8}
_WIDE = _GAUSSIANS | {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}
_CLEAN = {"margin_s": 0.1, "removes_noise": False}
SETUPS = (
    Setup(name="as it comes"),
    Setup(name="margins of 0.1 s", margin_s=0.1, options=_DITHER),
    Setup(name="margins, likely silence", margin_s=0.1, options=_SILENCE),
    Setup(name="margins, likely silence, 8 Gaussians", margin_s=0.1, options=_GAUSSIANS),
    Setup(name="margins, likely silence, 8 Gaussians, wide beams", margin_s=0.1, options=_WIDE),
    Setup(name="no removal of noise, margins, likely silence, 8 Gaussians", **_CLEAN, options=_GAUSSIANS),
    Setup(name="no removal of noise, ..., wide beams", **_CLEAN, options=_WIDE),
    Setup(name="no removal of noise, ..., wide beams, language weight 1", **_CLEAN, options=_WIDE | {"lw": 1.0}),
    Setup(name="no removal of noise, ..., wide beams, its own dictionary too", **_CLEAN, own_dictionary=True, options=_WIDE),
    Setup(name="no removal of noise, ..., wide beams, three accents", **_CLEAN, accents=("en-us", "en", "en-gb-scotland"), options=_WIDE),
)
"""From nothing changed to what was found to help; `benchmarks.closed_grammar` measures them and takes the best."""


class ClosedGrammar:
    """Recognises one of `names` (as they are said), or nothing."""

    def __init__(self, names: Sequence[str], setup: Setup) -> None:
        """Raises InputError when pocketsphinx is not installed."""
        check_installed()
        import pocketsphinx

        self._names, self._margin = list(names), round(setup.margin_s * SAMPLE_RATE_HZ)
        # A name of two words is one word here: the grammar then knows whole names, and no word stands for itself.
        words = [f"name{i}" for i in range(len(self._names))]
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "names.dict"
            dictionary.write_text("".join(_dictionary_lines(words, pronunciations_of(self._names, setup))))
            files = {"dict": str(dictionary), "lm": None, "loglevel": "FATAL"}
            if not setup.removes_noise:
                files["featparams"] = str(_keep_noise(Path(pocketsphinx.get_model_path("en-us/en-us")) / "feat.params", Path(folder)))
            self._decoder = pocketsphinx.Decoder(**files, **setup.options)
            self._decoder.add_jsgf_string("names", f"#JSGF V1.0;\ngrammar names;\npublic <name> = {' | '.join(words)};\n")
            self._decoder.activate_search("names")

    def recognise(self, wave_S: np.ndarray) -> str | None:
        """The name, or None where no path through the grammar survived; `wave_S` is float32 at 16 kHz."""
        padded_S = np.pad(np.clip(wave_S, -1, 1), self._margin)
        self._decoder.start_utt()
        # The whole clip at once: its mean cepstrum is then its own, not that of the clips before.
        self._decoder.process_raw((32767 * padded_S).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return self._names[int(hypothesis.hypstr.removeprefix("name"))] if hypothesis and hypothesis.hypstr else None


def check_installed() -> None:
    """Raises InputError when pocketsphinx is not installed."""
    try:
        import pocketsphinx  # noqa: F401
    except ImportError as error:
        raise InputError(f"pocketsphinx is not installed ({error}): pip install 'drugasr[peers]'") from error


def pronunciations_of(names: Sequence[str], setup: Setup) -> list[list[Pronunciation]]:
    """The different pronunciations of each name, eSpeak's first. Raises InputError for a sound without a phoneme."""
    found: list[dict[Pronunciation, None]] = [{} for _ in names]
    for accent in setup.accents:
        for known, ipa in zip(found, pronounce(names, accent), strict=True):
            known[to_arpabet(ipa)] = None
    if setup.own_dictionary:
        own = _own_dictionary()
        for name, known in zip(names, found, strict=True):
            if all(word in own for word in name.split()):
                known[tuple(phoneme for word in name.split() for phoneme in own[word])] = None
    return [list(known) for known in found]


def _own_dictionary() -> dict[str, Pronunciation]:
    """The first pronunciation of each word."""
    import pocketsphinx

    lines = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    entries = (line.split() for line in lines)
    return {word: tuple(phonemes) for word, *phonemes in entries}


def _dictionary_lines(words: Sequence[str], pronunciations: Sequence[Sequence[Pronunciation]]) -> list[str]:
    """`name7 L IH S ...`, further pronunciations as `name7(2) ...`."""
    return [
        f"{word}{f'({number})' if number > 1 else ''} {' '.join(phonemes)}\n"
        for word, ways in zip(words, pronunciations, strict=True)
        for number, phonemes in enumerate(ways, start=1)
    ]


def _keep_noise(feature_params: Path, folder: Path) -> Path:
    """The model's feature parameters, but for the removal of noise: they go before an option of the same name."""
    text = feature_params.read_text()
    if "-remove_noise yes" not in text:
        raise AssertionError(f"{feature_params} does not remove noise: there is nothing to turn off")
    path = folder / "feat.params"
    path.write_text(text.replace("-remove_noise yes", "-remove_noise no"))
    return path
