"""audiomentations' way of degrading a clip, and the steps of ours that it does not have.

Shapes: S samples, H samples of an impulse response.
"""

import io
import random
from collections.abc import Iterable

import numpy as np
import soundfile
import soxr
from audiomentations import BandPassFilter
from audiomentations.core.transforms_interface import BaseWaveformTransform
from scipy.signal import fftconvolve

from drugasr.audio import SAMPLE_RATE_HZ

Drawn = dict[str, dict]
"""The parameters of each transform that was applied, by its class; plain JSON."""
Degraded = tuple[np.ndarray, Drawn, float | None]
"""The wave [S], what was drawn for it, and its SNR in dB (None: no noise)."""

_TELEPHONE_RATE_HZ = 8000
_TELEPHONE_BAND_HZ = (300, 3400)
_TELEPHONE_CODECS = (("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "GSM610"), ("OGG", "VORBIS"))
_RECORDER_CODECS = (("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"))


def apply_transforms(transforms: Iterable[BaseWaveformTransform], wave_S: np.ndarray) -> tuple[np.ndarray, Drawn]:
    """`wave_S` through each transform that its own probability lets act, in their order."""
    drawn: Drawn = {}
    for transform in transforms:
        wave_S = transform(samples=wave_S, sample_rate=SAMPLE_RATE_HZ)
        if transform.parameters["should_apply"]:
            values = {name: _plain(value) for name, value in transform.parameters.items() if name != "should_apply"}
            drawn[type(transform).__name__] = values
    return wave_S, drawn


class Silence(BaseWaveformTransform):
    """Up to `max_s` of digital silence before and after: a recording starts and stops when it likes."""

    def __init__(self, max_s: float, p: float) -> None:
        super().__init__(p)
        self.max_s = max_s

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        self.parameters |= {"before_s": round(random.uniform(0, self.max_s), 3), "after_s": round(random.uniform(0, self.max_s), 3)}

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.pad(samples, [round(self.parameters[side] * sample_rate) for side in ("before_s", "after_s")])


class Room(BaseWaveformTransform):
    """Reverberation by Polack's model: after the direct sound, Gaussian noise that decays by 60 dB in `t60_s`.

    J.-D. Polack, "La transmission de l'énergie sonore dans les salles", thesis, Université du Maine, 1988.
    audiomentations' RoomSimulator (image sources, pyroomacoustics) takes 150 ms a clip, this 0.5 ms.
    """

    def __init__(self, t60_s: tuple[float, float], direct_db: tuple[float, float], p: float) -> None:
        super().__init__(p)
        self.t60_s, self.direct_db = t60_s, direct_db

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        self.parameters |= {
            "t60_s": random.uniform(*self.t60_s),
            "first_echo_s": random.uniform(0.002, 0.02),  # a detour of 0.7 to 7 m
            "direct_db": random.uniform(*self.direct_db),  # energy of the direct sound over that of the echoes
        }

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        time_H = np.arange(round(self.parameters["t60_s"] * sample_rate)) / sample_rate
        tail_H = np.random.standard_normal(len(time_H)) * 10 ** (-3 * time_H / self.parameters["t60_s"])
        tail_H[time_H < self.parameters["first_echo_s"]] = 0
        tail_H *= 10 ** (-self.parameters["direct_db"] / 20) / np.sqrt(np.sum(tail_H**2))
        tail_H[0] = 1
        return fftconvolve(samples, tail_H)[: len(samples)].astype(np.float32)


class Telephone(BaseWaveformTransform):
    """The band of a telephone, 300 to 3400 Hz, at 8 kHz, and a codec of telephony."""

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        self.parameters |= _draw_codec(_TELEPHONE_CODECS)

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        low_hz, high_hz = _TELEPHONE_BAND_HZ
        centre_hz, fraction = (low_hz + high_hz) / 2, 2 * (high_hz - low_hz) / (high_hz + low_hz)
        band = BandPassFilter(centre_hz, centre_hz, fraction, fraction, min_rolloff=24, max_rolloff=24, p=1.0)
        narrow_S = soxr.resample(band(samples, sample_rate), sample_rate, _TELEPHONE_RATE_HZ)
        wave_S = soxr.resample(_recode(narrow_S, _TELEPHONE_RATE_HZ, self.parameters), _TELEPHONE_RATE_HZ, sample_rate)
        return np.pad(wave_S, (0, max(0, len(samples) - len(wave_S))))[: len(samples)]


class Codec(BaseWaveformTransform):
    """What a recorder at a low bit rate keeps: MP3 or Vorbis at 16 kHz."""

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        super().randomize_parameters(samples, sample_rate)
        self.parameters |= _draw_codec(_RECORDER_CODECS)

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        return _recode(samples, sample_rate, self.parameters)


def _draw_codec(codecs: tuple[tuple[str, str], ...]) -> dict[str, str | float | None]:
    container, subtype = random.choice(codecs)
    level = None if container == "WAV" else random.uniform(0.5, 0.95)  # 0 is libsndfile's best, 1 its smallest
    return {"container": container, "subtype": subtype, "compression_level": level}


def _recode(wave_S: np.ndarray, rate_hz: int, codec: dict) -> np.ndarray:
    """`wave_S` after the codec, as many samples; what is beyond full scale is clipped."""
    buffer = io.BytesIO()
    container, subtype, level = codec["container"], codec["subtype"], codec["compression_level"]
    soundfile.write(buffer, np.clip(wave_S, -1, 1), rate_hz, format=container, subtype=subtype, compression_level=level)
    buffer.seek(0)
    return soundfile.read(buffer, frames=len(wave_S), dtype="float32", fill_value=0.0)[0]


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
