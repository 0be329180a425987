"""What every family of recognisers offers: waves go in, a hypothesis of each clip comes out.

Shapes: S samples, T frames, V symbols.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from drugasr.decoding.answer import Recognition
from drugasr.recognition import may_hold_speech

NUM_BEST = 5
"""Names that are ranked."""


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    text: str
    """In the alphabet of spoken forms; empty where nothing was heard."""
    recognition: Recognition | None = None
    """The names of the list by CTC likelihood; None of a recogniser that writes text alone."""
    log_probs: tuple[np.ndarray, ...] = ()
    """logp_TV (natural logs, float32) of each member of an ensemble; none where there are none, or no speech."""


class SpeechRecogniser(Protocol):

    def hear(self, waves: Sequence[np.ndarray]) -> list[Hypothesis]:
        """A hypothesis a clip, in order; `waves` are [S], float32, mono, 16 kHz, of any length, empty too."""


def write_spoken(waves: Sequence[np.ndarray], write: Callable[[list[np.ndarray]], list[str]]) -> list[Hypothesis]:
    """Hypotheses of a recogniser of text alone: `write` gets the clips that may hold speech; the others are silent."""
    spoken = [wave_S for wave_S in waves if may_hold_speech(wave_S)]
    texts = iter(write(spoken) if spoken else [])
    return [Hypothesis(text=next(texts) if may_hold_speech(wave_S) else "") for wave_S in waves]
