"""How eSpeak pronounces words, in IPA, without speaking them."""

import _ctypes
import ctypes
from collections.abc import Iterable
from pathlib import Path

import espeakng_loader

from drugasr.errors import VoiceError
from drugasr.evaluation.recognisers.arpabet import SEPARATOR

_SYNCHRONOUS_RETRIEVAL = 2  # AUDIO_OUTPUT_SYNCHRONOUS: no sound device is opened
_CHARS_UTF8 = 1
_IPA = 0x02 | ord(SEPARATOR) << 8  # bits 8 to 23: what stands between two sounds


def pronounce(texts: Iterable[str], accent: str) -> list[str]:
    """IPA of each text in an accent of eSpeak (`en-us`): sounds apart by `SEPARATOR`, words by spaces. Raises VoiceError."""
    data = Path(espeakng_loader.get_data_path())
    # Unloaded at the end, as EspeakEngine does, which would otherwise find an engine that remembers.
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    try:
        if library.espeak_Initialize(_SYNCHRONOUS_RETRIEVAL, 0, str(data.parent).encode(), 0) <= 0:
            raise VoiceError(f"eSpeak NG cannot start with the data in {data}: reinstall espeakng-loader")
        if library.espeak_SetVoiceByName(accent.encode()) != 0:
            raise VoiceError(f"eSpeak NG has no accent {accent!r}")
        return [_phonemes_of(text, library) for text in texts]
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def _phonemes_of(text: str, library: ctypes.CDLL) -> str:
    """The library takes a clause at a time and moves the pointer behind it, at the end to NULL."""
    rest = ctypes.c_char_p(text.encode())
    clauses = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _IPA).decode())
    return " ".join(clauses)
