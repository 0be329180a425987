"""How well a model hears the validation clips, shared out over the workers.

Shapes: T frames, V vocabulary.
"""

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from transformers import PreTrainedModel

from drugasr.acoustic.model import log_softmax
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.decoding.frames import mask_dead
from drugasr.decoding.greedy import decode_greedily
from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.decoding.ranking import rank
from drugasr.lexicon.drug import Lexicon
from drugasr.training.batches import plan_steps
from drugasr.training.clips import Clips
from drugasr.training.criterion import ctc_losses
from drugasr.training.inputs import Inputs
from drugasr.training.workers import Workers

_NUM_BEST = 5


class Validator:
    """Validates after each epoch, on the same clips and the same list of names."""

    def __init__(self, clips: Clips, inputs: Inputs, lexicon: Lexicon, vocabulary: Vocabulary, batch_s: float) -> None:
        self._clips, self._inputs, self._vocabulary = clips, inputs, vocabulary
        self._batches = plan_steps(clips.durations_s, batch_s, seed=0, epoch=0) if inputs.can_pad else [[i] for i in range(len(clips))]
        self._drug_ids = [drug.id for drug in lexicon.drugs]
        names = {form for drug in lexicon.drugs for form in drug.spoken_forms}
        # Doses cost their time only where some are said.
        self._scorer = LexiconScorer(lexicon, vocabulary, dose_probability=0.0 if names.issuperset(clips.texts) else 0.5)

    def metrics(self, model: PreTrainedModel, workers: Workers) -> dict[str, float]:
        """Loss (nats a symbol), CER, WER, top-1, top-5 and the share of blank frames, over all workers' clips."""
        model.eval()
        sums = np.zeros(10)
        mine = self._batches[workers.rank :: workers.size]
        for batch, (arguments, num_frames) in zip(mine, self._inputs.of_epoch(0, mine), strict=True):
            with torch.inference_mode():
                logits_BTV = self._inputs.trained_part(**arguments)
            for index, logp_TV, length in zip(batch, log_softmax(logits_BTV), num_frames, strict=True):
                sums += self._measure(index, logp_TV[:length])
        num_clips, loss, char_edits, chars, word_edits, words, top1, top5, blanks, frames = workers.sum(sums.tolist())
        return {
            "loss": loss / num_clips,
            "cer": char_edits / chars,
            "wer": word_edits / words,
            "top1": top1 / num_clips,
            "top5": top5 / num_clips,
            "blank_fraction": blanks / frames,
        }

    def _measure(self, index: int, logp_TV: np.ndarray) -> list[float]:
        clips, vocabulary = self._clips, self._vocabulary
        loss = ctc_losses(torch.from_numpy(logp_TV)[None], [len(logp_TV)], [clips.labels[index]], vocabulary.blank)
        logp_TV = mask_dead(logp_TV, vocabulary)
        text, said = decode_greedily(logp_TV, vocabulary, 1.0).text, clips.texts[index]
        best = rank(self._scorer.scores(logp_TV).log_likelihood_N, _NUM_BEST).index_K
        best_ids = [self._drug_ids[i] for i in best]
        return [
            1,
            loss.item(),
            Levenshtein.distance(said, text),
            len(said),
            Levenshtein.distance(said.split(), text.split()),
            len(said.split()),
            best_ids[:1] == [clips.drug_ids[index]],
            clips.drug_ids[index] in best_ids,
            (logp_TV.argmax(axis=1) == vocabulary.blank).sum(),
            len(logp_TV),
        ]
