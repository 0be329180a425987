"""PocketSphinx with a grammar of the list: it writes one of the names, or nothing. The setup is the best of those that were tried.

Shapes: S samples.
"""

from collections.abc import Sequence

import numpy as np

from drugasr.evaluation.recognisers.recogniser import Hypothesis, write_spoken
from drugasr.evaluation.recognisers.sphinx import SETUPS, ClosedGrammar, Setup
from drugasr.lexicon.drug import Lexicon

SETUP = SETUPS[-1]


class ClosedGrammarRecogniser:
    def __init__(self, lexicon: Lexicon, setup: Setup = SETUP) -> None:
        """Raises InputError when pocketsphinx is not installed, or a name has a sound that it lacks."""
        self._grammar = ClosedGrammar([form for drug in lexicon.drugs for form in drug.spoken_forms], setup)

    def hear(self, waves: Sequence[np.ndarray]) -> list[Hypothesis]:
        return write_spoken(waves, lambda spoken: [self._grammar.recognise(wave_S) or "" for wave_S in spoken])
