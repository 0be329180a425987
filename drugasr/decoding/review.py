"""When a person should look at an answer, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drugasr.decoding.dose_grammar import SaidDose
from drugasr.decoding.ranking import Ranking
from drugasr.lexicon.dose import Dose, marketed_doses
from drugasr.lexicon.drug import Drug
from drugasr.lexicon.soundalikes import SoundAlikes

NO_SPEECH = "no speech"
NOT_IN_LIST = "not in the list"
LOW_CONFIDENCE = "low confidence"
NEAR_RUNNER_UP = "runner-up too near"
SOUND_ALIKE = "sound-alike"
HIGH_ALERT = "high-alert drug"
UNSURE_DOSE = "dose not certain"
UNMARKETED_STRENGTH = "strength not marketed for this drug"
CLIPPED = "audio is clipped"

_CLIPPED_AT = 0.999  # of full scale
_MAX_CLIPPED_FRACTION = 0.01


@dataclass(frozen=True, kw_only=True)
class ReviewRule:
    min_confidence: float = 0.8
    """Probability under which an answer needs review."""
    max_runner_up_ratio: float = 0.1
    """A runner-up whose posterior is more than this share of the winner's is too near."""
    max_sound_alike_ratio: float = 0.001
    """The same for a listed sound-alike of the winner: it need not be the runner-up, and less is enough."""

    def reasons(
        self, drugs: Sequence[Drug], ranking: Ranking, confidence: float, said: SaidDose | None, sound_alikes: SoundAlikes, wave_S: np.ndarray
    ) -> tuple[str, ...]:
        """Why a person should look at the answer `drugs[ranking.index_K[0]]`; empty when nobody need."""
        best = [drugs[index] for index in ranking.index_K]
        ratio_K = ranking.posterior_K / ranking.posterior_K[0]
        partners = {partner for form in best[0].spoken_forms for partner in sound_alikes.of(form)}
        is_true = {
            LOW_CONFIDENCE: confidence < self.min_confidence,
            NEAR_RUNNER_UP: len(best) > 1 and ratio_K[1] > self.max_runner_up_ratio,
            SOUND_ALIKE: any(
                ratio > self.max_sound_alike_ratio and partners.intersection(drug.spoken_forms) for drug, ratio in zip(best[1:], ratio_K[1:])
            ),
            HIGH_ALERT: best[0].high_alert,
            UNSURE_DOSE: said is not None and said.probability < self.min_confidence,
            UNMARKETED_STRENGTH: said is not None and not is_marketed(best[0], said.dose),
            CLIPPED: is_clipped(wave_S),
        }
        return tuple(reason for reason, applies in is_true.items() if applies)


def is_marketed(drug: Drug, dose: Dose) -> bool:
    """Whether the drug is sold in that strength. True, too, where nothing is known of it, and for volumes."""
    known = marketed_doses(drug)
    return not known or dose in known or dose.unit == "ML"


def is_clipped(wave_S: np.ndarray) -> bool:
    """Whether more than one sample in a hundred stands at full scale."""
    return bool(np.mean(np.abs(wave_S) >= _CLIPPED_AT) > _MAX_CLIPPED_FRACTION)
