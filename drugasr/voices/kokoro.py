"""Kokoro-82M (Apache-2.0, through PyPI's kokoro-onnx): the most human of the offline voices, at about a second of a core a name.

A voice is one of the voices file, such as `af_heart` (a American, b British; f woman, m man), or several joined by `*`:
`af_heart*bm_george` speaks in the mean of their styles, with the accent of the first.
"""

import hashlib
import logging
import shutil
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile

import espeakng_loader
import numpy as np
from kokoro_onnx import EspeakConfig, Kokoro

from drugasr.errors import VoiceError, VoiceFailure
from drugasr.voices.seeded_noise import SeededSession

_ACCENTS = {"a": "en-us", "b": "en-gb"}  # by the first letter of a voice; the other letters are other languages
_MIN_SPEED, _MAX_SPEED = 0.5, 2.0  # what kokoro-onnx takes
_WHERE = "download it from https://github.com/thewh1teagle/kokoro-onnx/releases to the same path on every node of the cluster"


class KokoroEngine:
    def __init__(self, *, model: str = "", voices: str = "") -> None:
        """Paths of the model (kokoro-v1.0.onnx or .int8.onnx) and of the voices (voices-v1.0.bin), on every node of the cluster."""
        self._model_path = _existing(model, "model", "kokoro-v1.0.int8.onnx")
        self._voices_path = _existing(voices, "voices", "voices-v1.0.bin")
        try:
            self._styles = np.load(self._voices_path)
            self._names = sorted(name for name in self._styles.files if name[:1] in _ACCENTS)
        except (ValueError, EOFError, BadZipFile, AttributeError) as error:
            raise VoiceError(f"{self._voices_path} is no file of Kokoro voices ({error}): {_WHERE}") from error
        self._model_hash = ""
        self._kokoro: Kokoro | None = None
        logging.getLogger("kokoro_onnx").setLevel(logging.WARNING)  # at DEBUG, which LOG_LEVEL may ask for, it logs the phonemes

    def version(self, voice: str) -> str:
        if not self._model_hash:
            self._model_hash = hashlib.sha256(self._model_path.read_bytes()).hexdigest()
        content = hashlib.sha256(self._model_hash.encode() + self._style(voice).tobytes()).hexdigest()[:16]
        packages = (f"{name} {metadata.version(name)}" for name in ("kokoro-onnx", "espeakng-loader", "onnxruntime"))
        return ", ".join([*packages, content])

    def check(self, voice: str) -> None:
        if unknown := [name for name in voice.split("*") if name not in self._names]:
            raise VoiceError(f"{self._voices_path} has no English voice {unknown[0]!r}: choose from {', '.join(self._names)}")

    def accent(self, voice: str) -> str:
        return _ACCENTS[voice[0]]

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        # Kokoro has no pitch: it speaks slower by `pitch`, and the samples are said to be for a faster clock. The formants
        # move too, as in a smaller or larger speaker.
        speed = rate / pitch
        if not _MIN_SPEED <= speed <= _MAX_SPEED:
            raise VoiceFailure(f"Kokoro cannot speak at rate {rate} and pitch {pitch}: rate / pitch must be {_MIN_SPEED} to {_MAX_SPEED}")
        self._kokoro = self._kokoro or self._load()
        self._kokoro.sess.reseed(seed)
        phonemes = self._kokoro.tokenizer.phonemize(text, self.accent(voice))
        if not phonemes:
            raise VoiceFailure("Kokoro gave no audio: the text has no phonemes")
        wave_S, rate_hz = self._kokoro.create(phonemes, self._style(voice), speed, is_phonemes=True, trim=False)
        return np.clip(wave_S, -1, 1).astype(np.float32), round(rate_hz * pitch)

    def _style(self, voice: str) -> np.ndarray:
        """Style vectors [510, 1, 256], one for each number of phonemes. Raises VoiceError."""
        self.check(voice)
        return np.mean([self._styles[name] for name in voice.split("*")], axis=0, dtype=np.float32)

    def _load(self) -> Kokoro:
        # phonemizer never closes the eSpeak NG library that it opens; were that the one that EspeakEngine loads afresh for
        # each clip, it would stay loaded and remember. So it gets a copy, which once loaded need not lie on the disk.
        with TemporaryDirectory() as folder:
            library = shutil.copy(espeakng_loader.get_library_path(), folder)
            espeak = EspeakConfig(lib_path=library, data_path=espeakng_loader.get_data_path())
            kokoro = Kokoro.from_session(SeededSession(self._model_path), str(self._voices_path), espeak)
            for accent in _ACCENTS.values():
                kokoro.tokenizer.phonemize("a", accent)
        return kokoro


def _existing(path: str, option: str, example: str) -> Path:
    if not path:
        raise VoiceError(f"Kokoro needs corpus.engines.kokoro.{option}, the path of a file such as {example}: {_WHERE}")
    found = Path(path).expanduser()
    if not found.is_file():
        raise VoiceError(f"there is no file {found} here (corpus.engines.kokoro.{option}): {_WHERE}")
    return found
