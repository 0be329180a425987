"""Calibration of a trained model on the validation voices, into its folder.

Shapes: N clips, T frames, V symbols.
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from drugasr.acoustic.facts import add_facts, read_facts
from drugasr.acoustic.vocabulary import Vocabulary, read_vocabulary
from drugasr.config import ClusterConfig
from drugasr.corpus.manifest import Manifest
from drugasr.decoding.calibration import UNCALIBRATED, Calibration, fit_calibration
from drugasr.decoding.evidence import Evidence, Heard, prepare_frames, weigh
from drugasr.decoding.frames import log_mean_posterior, mask_dead
from drugasr.decoding.lexicon_scorer import LexiconScorer
from drugasr.errors import ModelError
from drugasr.evaluation.listening import HeardClip, listen
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import say
from drugasr.recognition import DOSE_PROBABILITY

# Two regressions with three coefficients each need no more.
MAX_CLIPS = 3000
# Raise it when the code changes what is fitted.
_VERSION = 1


def calibrate(model_uri: str, corpus_uri: str, lexicon: Lexicon, cluster: ClusterConfig) -> Calibration:
    """Fits symbol prior and calibration on at most about 3,000 validation clips, and stores them in the model folder.

    A model that has been calibrated on the same corpus and list stays as it is. Raises ModelError or CorpusError.
    """
    made_of = fingerprint(_VERSION, Manifest.read(corpus_uri).data_hash, lexicon.fingerprint)
    if (facts := read_facts(model_uri)).get("calibrated_on") == made_of:
        return Calibration.from_json(facts["calibration"])
    clips = list(listen(model_uri, corpus_uri, "validation", MAX_CLIPS, cluster))
    calibration = fit_on(clips, read_vocabulary(model_uri), lexicon)
    add_facts(model_uri, {"calibration": calibration.to_json(), "calibrated_on": made_of})
    say(f"calibration: {calibration.num_clips:,} clips of names in the list, {calibration.num_outsiders:,} of others")
    return calibration


def fit_on(clips: Sequence[HeardClip], vocabulary: Vocabulary, lexicon: Lexicon) -> Calibration:
    """The calibration of some clips. Raises ModelError when none says a name of the list."""
    if not clips:
        raise ModelError("the validation split holds no clip: there is nothing to calibrate on")
    log_prior_V = log_mean_posterior([mask_dead(clip.logp_TV.astype(np.float32), vocabulary) for clip in clips])
    start = dataclasses.replace(UNCALIBRATED, log_symbol_prior=tuple(log_prior_V.tolist()))
    scorer = LexiconScorer(lexicon, vocabulary, DOSE_PROBABILITY, num_threads=os.cpu_count() or 1)
    logps = [prepare_frames(clip.logp_TV.astype(np.float32), vocabulary, start) for clip in clips]
    found = [_evidence(logp_TV, scorer) for logp_TV in logps]
    ids = [drug.id for drug in lexicon.drugs]
    known = set(ids)
    rows = [
        (evidence.fit, evidence.log_odds, ids[evidence.ranking.index_K[0]] == clip.drug_id, clip.drug_id not in known)
        for clip, evidence in zip(clips, found, strict=True)
        if len(evidence.ranking)
    ]
    fit_N, log_odds_N, is_right_N, is_outsider_N = (np.array(column) for column in zip(*rows)) if rows else [np.empty(0)] * 4
    fitted = fit_calibration(fit_N, log_odds_N, is_right_N.astype(bool), is_outsider_N.astype(bool))
    return dataclasses.replace(fitted, log_symbol_prior=start.log_symbol_prior, lexicon=lexicon.fingerprint)


def _evidence(logp_TV: np.ndarray, scorer: LexiconScorer) -> Evidence:
    return weigh([Heard(logp_TV=logp_TV, scores=scorer.scores(logp_TV))], [1.0], scorer, num_best=1)
