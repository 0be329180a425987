"""Where the best trial's model goes wrong on the validation clips: the names that it takes for others, and its worst clips.

Shapes: T frames, V symbols.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drugasr import audio
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.fingerprint import fraction_of
from drugasr.lexicon.drug import Lexicon

_MAX_CLIPS = 1000
_NUM_WORST = 10
_BATCH_CLIPS = 16


@dataclass(frozen=True, kw_only=True)
class WorstClip:
    said: str
    heard: str
    voice: str
    margin: float
    """Nats by which the right name's likelihood exceeds that of the best other name; negative where another one won."""
    flac: bytes


@dataclass(frozen=True, kw_only=True)
class Mistakes:
    num_clips: int
    num_wrong: int
    pairs: tuple[tuple[str, str, int], ...]
    """What was said, what was heard instead, and how often, the commonest first."""
    worst: tuple[WorstClip, ...]
    """Lowest margin first, whether wrong or barely right."""


def find_mistakes(model_uri: str, corpus_uri: str, lexicon: Lexicon) -> Mistakes:
    """Of up to about 1,000 validation clips, drawn by their ids. Raises CorpusError or ModelError."""
    from drugasr.acoustic.model import AcousticModel  # torch
    from drugasr.decoding.frames import mask_dead
    from drugasr.decoding.lexicon_scorer import LexiconScorer

    model = AcousticModel.from_dir(model_uri)
    names = [drug.name for drug in lexicon.drugs]
    numbers = {drug.id: i for i, drug in enumerate(lexicon.drugs)}
    clips = [clip for clip in _clips(corpus_uri) if clip["drug_id"] in numbers]
    forms = {form for drug in lexicon.drugs for form in drug.spoken_forms}
    # As the trials are validated: doses only where some are said.
    scorer = LexiconScorer(lexicon, model.vocabulary, dose_probability=0.0 if forms.issuperset(clip["text"] for clip in clips) else 0.5)
    heard: list[WorstClip] = []
    for start in range(0, len(clips), _BATCH_CLIPS):
        batch = clips[start : start + _BATCH_CLIPS]
        for clip, logp_TV in zip(batch, model.log_probs([audio.decode(clip["audio"]["bytes"]) for clip in batch]), strict=True):
            loglik_N = scorer.scores(mask_dead(logp_TV, model.vocabulary)).log_likelihood_N.copy()
            said = numbers[clip["drug_id"]]
            right, loglik_N[said] = loglik_N[said], -math.inf
            other = int(loglik_N.argmax())
            margin = float(right - loglik_N[other]) if math.isfinite(right) else -math.inf
            heard.append(
                WorstClip(said=names[said], heard=names[said if margin > 0 else other], voice=clip["voice"], margin=margin, flac=clip["audio"]["bytes"])
            )
    wrong = Counter((clip.said, clip.heard) for clip in heard if clip.heard != clip.said)
    return Mistakes(
        num_clips=len(heard),
        num_wrong=wrong.total(),
        pairs=tuple((said, other, count) for (said, other), count in sorted(wrong.items(), key=lambda item: (-item[1], item[0]))),
        worst=tuple(sorted(heard, key=lambda clip: clip.margin)[:_NUM_WORST]),
    )


def _clips(corpus_uri: str) -> Iterator[dict[str, Any]]:
    files = Manifest.read(corpus_uri).files["validation"]
    share = _MAX_CLIPS / max(1, sum(files.values()))
    for file_name in files:
        for clip in read_file(corpus_uri, "validation", file_name, ["id", "drug_id", "text", "voice", "audio"]).to_pylist():
            if fraction_of("mistakes", clip["id"]) < share:
                yield clip
