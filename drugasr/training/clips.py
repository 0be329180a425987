"""The clips that a training reads: labels in memory as ids, audio as the corpus's own FLAC, decoded when used.

Shapes: S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from drugasr import audio
from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.config import TrainingConfig
from drugasr.corpus.reading import read_split
from drugasr.errors import TrainingError
from drugasr.fingerprint import fraction_of
from drugasr.progress import say

# SpecAugment masks 10 frames of 20 ms, and raises on a shorter clip.
MIN_CLIP_S = 0.25


@dataclass(frozen=True)
class Clips:
    ids: Sequence[str]
    flacs: pa.ChunkedArray
    labels: Sequence[list[int]]
    """Symbol ids of each clip's text."""
    texts: Sequence[str]
    drug_ids: Sequence[str]
    durations_s: np.ndarray
    min_s: np.ndarray
    """The shortest that each clip may be for its text."""

    def __len__(self) -> int:
        return len(self.labels)

    def wave(self, index: int) -> np.ndarray:
        """Samples [S], float32 at 16 kHz."""
        return audio.decode(self.flacs[index].as_py())


def read_clips(corpus_uri: str, split: str, vocabulary: Vocabulary, config: TrainingConfig, *, frame_s: float, fraction: float = 1.0) -> Clips:
    """The usable clips of a split, or of a `fraction` of it chosen by id; what is left out is counted and said.

    Clips of names outside the list (`drug_id` null) are not for training: they stay out without a word.
    CTC needs a frame for each symbol and one more between two equal ones. Raises TrainingError when none is left.
    """
    table = read_split(corpus_uri, split, ["id", "audio", "text", "drug_id", "duration_s"])
    ids, texts, durations_s = table["id"].to_pylist(), table["text"].to_pylist(), table["duration_s"].to_numpy()
    labels = [vocabulary.encode(text) for text in texts]
    min_s = np.array([max(MIN_CLIP_S, (min_frames(label) + 2) * frame_s) for label in labels])
    listed = table["drug_id"].is_valid().to_numpy()
    chosen = listed & np.array([fraction >= 1 or fraction_of("clip", i) < fraction for i in ids], bool)
    usable = (durations_s >= min_s) & (durations_s <= config.max_clip_s)
    if (num_unusable := int((chosen & ~usable).sum())) > 0:
        say(f"training: {num_unusable} clips of {split} left out: too short for their text, or longer than {config.max_clip_s} s")
    keep = np.flatnonzero(chosen & usable)
    if not len(keep):
        raise TrainingError(
            f"no usable clip in the {split} split of {corpus_uri}: {len(table)} clips, {num_unusable} too short or too long, "
            f"{np.count_nonzero(~listed)} of names outside the list"
        )
    return Clips(
        ids=[ids[i] for i in keep],
        flacs=pa.chunked_array([chunk.field("bytes") for chunk in table["audio"].take(keep).chunks]),
        labels=[labels[i] for i in keep],
        texts=[texts[i] for i in keep],
        drug_ids=[table["drug_id"][int(i)].as_py() for i in keep],
        durations_s=durations_s[keep],
        min_s=min_s[keep],
    )


def min_frames(label: Sequence[int]) -> int:
    """Frames that CTC needs at least for `label`."""
    return len(label) + sum(a == b for a, b in zip(label, label[1:], strict=False))
