"""CMU Flite (a BSD-like licence, from Debian's libflite1): small voices with the pronunciations of CMU's own dictionary and rules.

`awb` (a Scot), `rms` and `slt` (Americans, a man and a woman) are built from recordings of a speaker; `kal16` joins diphones.
An optional engine: it needs the system's library, on every node that speaks with it.
"""

import ctypes

import numpy as np

from drugasr.errors import VoiceError, VoiceFailure
from drugasr.fingerprint import fingerprint

_ACCENTS = {"awb": "en-gb-scotland", "kal16": "en-us", "rms": "en-us", "slt": "en-us"}
_PROBE = "the quick brown fox"


class _Wave(ctypes.Structure):
    """cst_wave of cst_wave.h."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate_hz", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    """The beginning of cst_voice of cst_voice.h."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class FliteEngine:
    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._library = _load("libflite.so.1")
        self._library.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.POINTER(_Voice))
        self._library.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
        self._library.feat_set_float.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float)
        self._library.delete_wave.argtypes = (ctypes.POINTER(_Wave),)
        self._library.flite_init()
        self._voices: dict[str, ctypes.POINTER(_Voice)] = {}

    def version(self, voice: str) -> str:
        """A hash of what the voice says: the library does not tell its version."""
        wave_S, rate_hz = self.synthesise(_PROBE, voice=voice, rate=1.0, pitch=1.0, seed=0)
        return f"flite {fingerprint(rate_hz, wave_S.tobytes().hex())}"

    def check(self, voice: str) -> None:
        if voice not in _ACCENTS:
            raise VoiceError(f"Flite has no voice {voice!r}: choose from {', '.join(_ACCENTS)}")
        self._voice(voice)

    def accent(self, voice: str) -> str:
        return _ACCENTS[voice]

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        speaker = self._voice(voice)
        # Pitch as in Kokoro: slower by `pitch`, for a faster clock; the formants move too, as in a smaller speaker.
        self._library.feat_set_float(speaker.contents.features, b"duration_stretch", pitch / rate)
        self._libc.srand(ctypes.c_uint(seed & 0xFFFFFFFF))  # the breath in a voice is noise of rand()
        wave = self._library.flite_text_to_wave(text.encode(), speaker)
        if not wave:
            raise VoiceFailure("Flite gave no audio")
        try:
            if not wave.contents.num_samples:
                raise VoiceFailure("Flite gave no audio: the text has no phonemes")
            samples_S = np.ctypeslib.as_array(wave.contents.samples, (wave.contents.num_samples,)).astype(np.float32)
            return samples_S / 32768, round(wave.contents.rate_hz * pitch)
        finally:
            self._library.delete_wave(wave)

    def _voice(self, voice: str) -> "ctypes.POINTER(_Voice)":
        if voice not in self._voices:
            register = getattr(_load(f"libflite_cmu_us_{voice}.so.1"), f"register_cmu_us_{voice}")
            register.argtypes, register.restype = (ctypes.c_char_p,), ctypes.POINTER(_Voice)
            self._voices[voice] = register(None)
        return self._voices[voice]


def _load(library: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)  # voices look for the symbols of the first
    except OSError as error:
        raise VoiceError(f"the voice engine 'flite' has no library here ({error}): `apt-get install libflite1`, on every node of the cluster") from error
