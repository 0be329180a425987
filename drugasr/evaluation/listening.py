"""What a model hears in clips of a corpus: log-probabilities, by actors on Ray Data.

Shapes: T frames, V symbols.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray.data import ActorPoolStrategy

from drugasr import audio
from drugasr.cluster import check_capacity, prepare_ray_data, total_resources
from drugasr.config import ClusterConfig
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.fingerprint import fraction_of
from drugasr.progress import Progress

_BATCH_CLIPS = 16


@dataclass(frozen=True, kw_only=True)
class HeardClip:
    id: str
    drug_id: str | None
    """None: no name of the list was said."""
    logp_TV: np.ndarray
    """float16, natural logs."""


def listen(model_uri: str, corpus_uri: str, split: str, max_clips: int, cluster: ClusterConfig) -> Iterator[HeardClip]:
    """About `max_clips` clips of a split, chosen by their ids. Raises CorpusError, ModelError or CapacityError."""
    files = Manifest.read(corpus_uri).files[split]
    fraction = min(1.0, max_clips / max(1, sum(files.values())))
    check_capacity("one evaluation task", {"CPU": cluster.cpus_per_task})
    prepare_ray_data()
    rows = [{"corpus_uri": corpus_uri, "split": split, "file_name": name, "fraction": fraction} for name in files]
    num_actors = max(1, min(len(rows), int(total_resources()["CPU"] // cluster.cpus_per_task)))
    progress = Progress("calibration", int(fraction * sum(files.values())))
    heard = ray.data.from_items(rows, override_num_blocks=max(1, len(rows))).flat_map(
        _Listener, fn_constructor_args=(model_uri,), compute=ActorPoolStrategy(min_size=1, max_size=num_actors), num_cpus=cluster.cpus_per_task
    )
    for row in heard.iter_rows():
        progress.advance(1)
        logp_TV = np.frombuffer(row["logp"], np.float16).reshape(row["num_frames"], -1)
        yield HeardClip(id=row["id"], drug_id=row["drug_id"] or None, logp_TV=logp_TV)


class _Listener:
    """An actor that loads the model once."""

    def __init__(self, model_uri: str) -> None:
        from drugasr.acoustic.model import AcousticModel  # torch; Ray has set its threads to the actor's CPUs

        self._model = AcousticModel.from_dir(model_uri)

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        table = read_file(row["corpus_uri"], row["split"], row["file_name"], ["id", "drug_id", "audio"])
        clips = [clip for clip in table.to_pylist() if fraction_of("listen", clip["id"]) < row["fraction"]]
        heard = []
        for start in range(0, len(clips), _BATCH_CLIPS):
            batch = clips[start : start + _BATCH_CLIPS]
            for clip, logp_TV in zip(batch, self._model.log_probs([audio.decode(clip["audio"]["bytes"]) for clip in batch]), strict=True):
                # As text: a null in the first block would settle the column's type for the others.
                drug_id = clip["drug_id"] or ""
                heard.append({"id": clip["id"], "drug_id": drug_id, "logp": logp_TV.astype(np.float16).tobytes(), "num_frames": len(logp_TV)})
        return heard
