"""The recipe `clinic`: a name said in a ward or over the telephone, in the order in which sound travels.

Shapes: S samples.
"""

import numpy as np
from audiomentations import ClippingDistortion, Gain, PitchShift, TimeStretch

from drugasr.corpus.background import add_noises
from drugasr.corpus.transforms import Codec, Degraded, Room, Silence, Telephone, apply_transforms


def clinic(wave_S: np.ndarray, noise_folder: str) -> Degraded:
    """The voice, the room, the noise in it, the microphone, the line; draws from the two global generators."""
    speech_S, voice = apply_transforms(
        [
            TimeStretch(min_rate=0.85, max_rate=1.2, leave_length_unchanged=False, p=0.4),
            PitchShift(min_semitones=-2.5, max_semitones=2.5, p=0.4),
        ],
        wave_S,
    )
    # The silence stands before the room and the noise, so that the echoes ring into it and the noise covers it.
    room_S, room = apply_transforms([Silence(max_s=0.7, p=0.6), Room(t60_s=(0.15, 0.7), direct_db=(0.0, 15.0), p=0.5)], speech_S)
    noisy_S, noise, snr_db = add_noises(room_S, len(speech_S) / len(room_S), noise_folder)
    recorded_S, microphone = apply_transforms(
        [ClippingDistortion(min_percentile_threshold=2, max_percentile_threshold=10, p=0.15), Gain(min_gain_db=-18, max_gain_db=4, p=0.8)],
        noisy_S,
    )
    # Nothing that was recorded is beyond full scale: a voice that is too loud is cut off there.
    sent_S, line = apply_transforms([Telephone(p=0.3), Codec(p=0.1)], np.clip(recorded_S, -1, 1))
    return sent_S, voice | room | noise | microphone | line, snr_db
