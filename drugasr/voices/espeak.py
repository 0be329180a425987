"""eSpeak NG through its C library (GPL-3, from PyPI's espeakng-loader): formant voices, 8 English accents x 105 variants.

A voice is `language` or `language+variant`, such as `en-us+f3`. Other languages' voices (`fr`, `ar`, ...)
read English names with their own letter-to-sound rules, as a foreign accent. Each voice has one spelling, lest one
speaker stand in two splits under two: the language in lower case, the variant as its file is named.
"""

import _ctypes
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np

from drugasr.errors import VoiceError, VoiceFailure

_SYNCHRONOUS_RETRIEVAL = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come through the callback
_CHARS_UTF8 = 1
_RATE, _PITCH = 1, 3  # espeakRATE (words a minute), espeakPITCH (0 to 100)
_NORMAL_WORDS_PER_MIN = 175
_NORMAL_PITCH = 50
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakEngine:
    def __init__(self) -> None:
        import espeakng_loader

        self._data = Path(espeakng_loader.get_data_path())
        self._library_path = espeakng_loader.get_library_path()
        self._chunks: list[np.ndarray] = []
        self._callback = _Callback(self._collect)  # kept alive: the library holds only a pointer
        self._lock = threading.Lock()  # the library is one global synthesiser

    def version(self, voice: str) -> str:
        return f"espeakng-loader {metadata.version('espeakng-loader')}"

    def check(self, voice: str) -> None:
        language, plus, variant = voice.partition("+")
        _check_spelling("language", language, {path.name.lower() for path in (self._data / "lang").rglob("*") if path.is_file()})
        if plus and not variant:
            raise VoiceError(f"the voice {voice!r} names no variant after its +: write {language}")
        if variant:
            _check_spelling("variant", variant, {path.name for path in (self._data / "voices" / "!v").iterdir()})

    def accent(self, voice: str) -> str:
        return voice.partition("+")[0]

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        data = text.encode()
        with self._lock, self._loaded() as library:
            rate_hz = library.espeak_Initialize(_SYNCHRONOUS_RETRIEVAL, 0, str(self._data.parent).encode(), 0)
            if rate_hz <= 0:
                raise VoiceError(f"eSpeak NG cannot start with the data in {self._data}: reinstall espeakng-loader")
            library.espeak_SetSynthCallback(self._callback)
            library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise VoiceFailure(f"eSpeak NG refuses the voice {voice!r}")
            library.espeak_SetParameter(_RATE, round(_NORMAL_WORDS_PER_MIN * rate), 0)
            library.espeak_SetParameter(_PITCH, min(99, round(_NORMAL_PITCH * pitch)), 0)
            self._chunks.clear()
            status = library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
            library.espeak_Terminate()
        if status != 0 or not self._chunks:
            raise VoiceFailure(f"eSpeak NG gave no audio (status {status})")
        return np.concatenate(self._chunks).astype(np.float32) / 32768, rate_hz

    @contextmanager
    def _loaded(self) -> Iterator[ctypes.CDLL]:
        """A fresh copy of the library's static state, for 0.25 ms.

        What eSpeak says depends on what it said before (echo buffer, phase of the voice), through calls of
        espeak_Terminate too. Unloading the library is what makes a clip depend on its own arguments alone.
        """
        library = ctypes.CDLL(self._library_path)
        # Without argument types, ctypes would cut the pointers to 32 bits.
        library.espeak_Synth.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        try:
            yield library
        finally:
            _ctypes.dlclose(library._handle)

    def _collect(self, samples, num_samples: int, events) -> int:
        if samples and num_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        return 0


def _check_spelling(kind: str, name: str, known: set[str]) -> None:
    """eSpeak itself ignores the case of languages. Raises VoiceError."""
    if name not in known:
        meant = sorted(other for other in known if other.lower() == name.lower())
        raise VoiceError(f"eSpeak NG has no {kind} {name!r}: {'write' if meant else 'choose from'} {', '.join(meant or sorted(known))}")
