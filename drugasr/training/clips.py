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
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file, read_split
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


def read_clips(corpus_uri: str, split: str, vocabulary: Vocabulary, config: TrainingConfig, *, frame_s: float, fraction: float = 1.0, has_audio: bool = True) -> Clips:
    """The usable clips of a split, or of a `fraction` of it chosen by id; what is left out is counted and said.

    Without `has_audio` there are no waves to be had.

    Clips of names outside the list (`drug_id` null) are not for training: they stay out without a word.
    CTC needs a frame for each symbol and one more between two equal ones. Raises TrainingError when none is left.
    """
    table = read_split(corpus_uri, split, ["id", "text", "drug_id", "duration_s"])
    ids, texts, durations_s = table["id"].to_pylist(), table["text"].to_pylist(), table["duration_s"].to_numpy()
    labels = [vocabulary.encode(text) for text in texts]
    min_s = np.array([max(MIN_CLIP_S, (min_frames(label) + 2) * frame_s) for label in labels])
    listed = table["drug_id"].is_valid().to_numpy()
    chosen = listed & np.array([is_chosen(i, fraction) for i in ids], bool)
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
        flacs=_read_flacs(corpus_uri, split, {ids[i] for i in keep}) if has_audio else pa.chunked_array([], pa.binary()),
        labels=[labels[i] for i in keep],
        texts=[texts[i] for i in keep],
        drug_ids=[table["drug_id"][int(i)].as_py() for i in keep],
        durations_s=durations_s[keep],
        min_s=min_s[keep],
    )


def is_chosen(clip_id: str, fraction: float) -> bool:
    """Whether a clip is in the `training.clip_fraction` of all clips; a larger fraction holds the smaller."""
    return fraction >= 1 or fraction_of("clip", clip_id) < fraction


def _read_flacs(corpus_uri: str, split: str, wanted: set[str]) -> pa.ChunkedArray:
    """File by file, for the audio of a corpus twice over may be more than the memory."""
    chunks = []
    for name in Manifest.read(corpus_uri).files[split]:
        table = read_file(corpus_uri, split, name, ["id", "audio"])
        table = table.filter(pa.array([clip_id in wanted for clip_id in table["id"].to_pylist()], pa.bool_()))
        chunks += [chunk.field("bytes") for chunk in table["audio"].chunks]
    return pa.chunked_array(chunks)


def min_frames(label: Sequence[int]) -> int:
    """Frames that CTC needs at least for `label`."""
    return len(label) + sum(a == b for a, b in zip(label, label[1:], strict=False))
