"""The frozen prefix's output, computed once and kept: a file for each file of the corpus, float16, read from disk as needed.

`<cache>/<prefix>/<clips>.arrow`, where <prefix> names the prefix's weights and <clips> the clips in the file, in order. What has
the name is what belongs there: files are never wrong, only there or not, and may be deleted at any time.

Shapes: T frames, C features, S samples.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pyarrow import fs

from drugasr import audio, storage
from drugasr.acoustic.folder import start_model
from drugasr.acoustic.precision import uses_bf16
from drugasr.acoustic.prefix_cost import prefix_names
from drugasr.acoustic.split import Split, cut
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.errors import StorageError, TrainingError
from drugasr.fingerprint import fingerprint
from drugasr.training.clips import is_chosen

_SCHEMA = pa.schema([("id", pa.string()), ("states", pa.large_binary()), ("num_frames", pa.int32())])
_NUM_ROWS_AT_ONCE = 64
_BATCH_CLIPS = 16


@dataclass(frozen=True, kw_only=True)
class CacheFile:
    """A file that the cache should hold."""

    split: str
    corpus_file: str
    ids: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{fingerprint(self.ids)}.arrow"


def plan_files(corpus_uri: str, clip_fraction: float) -> Iterator[CacheFile]:
    """The clips that a training with this `training.clip_fraction` reads, by file of the corpus."""
    manifest = Manifest.read(corpus_uri)
    for split, fraction in (("train", clip_fraction), ("validation", 1.0)):
        for corpus_file in manifest.files[split]:
            table = read_file(corpus_uri, split, corpus_file, ["id", "drug_id"])
            ids = tuple(i for i, drug_id in zip(*table.to_pydict().values(), strict=True) if drug_id is not None and is_chosen(i, fraction))
            if ids:
                yield CacheFile(split=split, corpus_file=corpus_file, ids=ids)


def open_states(prefix_uri: str, corpus_uri: str, clip_fraction: float) -> "CachedStates":
    """The whole cache of a training, in folder `prefix_uri`. Raises StorageError when a file is not there."""
    return CachedStates([storage.join(prefix_uri, file.name) for file in plan_files(corpus_uri, clip_fraction)])


class PrefixBuilder:
    """Computes the files of some depths, each from the deepest depth that the cache has of it already."""

    def __init__(self, base: str, seed: int, depths: Sequence[int], corpus_uri: str, cache_uri: str, precision: str = "fp32") -> None:
        """`precision` is `training.precision`: what it wants is in the name of the folder, what the hardware has is not."""
        model, processor, _ = start_model(base, seed)
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        splits = [cut(model, processor, depth) for depth in depths]
        cuts = [split.depth for split in splits]
        self._splits = dict(sorted(zip(cuts, splits, strict=True)))
        in_bf16 = uses_bf16(model, processor, precision)
        for split in splits:
            split.uses_bf16 = in_bf16
        names = prefix_names(model, processor, max(cuts), precision)
        self._folders = [storage.join(cache_uri, name) for name in names]
        self._device, self._corpus_uri = model.device, corpus_uri
        self.folders = [self._folders[depth] for depth in cuts]
        """Where the files of each of `depths` are."""

    def build(self, file: CacheFile) -> int:
        """Writes the file for each depth, under a temporary name and then its own; returns the clips computed: 0 if all was there.

        Raises CorpusError, AudioError, StorageError, and TrainingError for states beyond float16.
        """
        num_computed = 0
        for depth, split in self._splits.items():
            uri = storage.join(self._folders[depth], file.name)
            if storage.exists(uri):
                continue
            states = self._states(file, split)
            if not all(np.isfinite(state_TC).all() for state_TC in states):
                raise TrainingError(f"the states behind {depth} layers do not fit float16: set training.cache_prefix to off")
            _write(uri, file.ids, states)
            num_computed += len(file.ids)
        return num_computed

    def _states(self, file: CacheFile, split: Split) -> list[np.ndarray]:
        """States [T, C], float16, of the file's clips."""
        for depth in reversed(range(split.depth)):
            uri = storage.join(self._folders[depth], file.name)
            if storage.exists(uri):
                shallower = CachedStates([uri])
                inputs = [torch.from_numpy(shallower[clip_id].astype(np.float32)).to(self._device) for clip_id in file.ids]
                return self._in_batches(partial(split.extend, start=depth), inputs)
        table = read_file(self._corpus_uri, file.split, file.corpus_file, ["id", "audio"])
        flacs = dict(zip(table["id"].to_pylist(), table["audio"].to_pylist(), strict=True))
        return self._in_batches(split.prefix, [audio.decode(flacs[clip_id]["bytes"]) for clip_id in file.ids])

    def _in_batches(self, compute: Callable, inputs: list) -> list[np.ndarray]:
        """Clips of about equal length together, `_BATCH_CLIPS` at once."""
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]))
        answers: list[np.ndarray] = [None] * len(inputs)
        for start in range(0, len(order), _BATCH_CLIPS):
            chosen = order[start : start + _BATCH_CLIPS]
            for i, state_TC in zip(chosen, compute([inputs[i] for i in chosen]), strict=True):
                answers[i] = state_TC.float().cpu().numpy().astype(np.float16)
        return answers


def _write(uri: str, ids: Sequence[str], states: Sequence[np.ndarray]) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA) as writer:
        for start in range(0, len(ids), _NUM_ROWS_AT_ONCE):
            part = states[start : start + _NUM_ROWS_AT_ONCE]
            columns = [ids[start : start + _NUM_ROWS_AT_ONCE], [state_TC.tobytes() for state_TC in part], [len(state_TC) for state_TC in part]]
            writer.write(pa.record_batch([pa.array(column, type) for column, type in zip(columns, _SCHEMA.types, strict=True)], schema=_SCHEMA))
    storage.write_bytes(uri, sink.getvalue())


class CachedStates:
    """States [T, C], float16, of clips by their ids; local files are mapped into memory, others copied once."""

    def __init__(self, uris: Sequence[str]) -> None:
        self._tables: list[pa.Table] = []
        self._place: dict[str, tuple[int, int]] = {}
        self._copies = tempfile.TemporaryDirectory(prefix="drugasr-prefix-")
        for number, uri in enumerate(uris):
            try:
                table = pa.ipc.open_file(pa.memory_map(str(self._local(uri)))).read_all()
            except (OSError, pa.ArrowInvalid) as error:
                raise StorageError(f"cannot read the cached prefix {uri}: {error}; delete it, and it is made again") from error
            self._tables.append(table)
            self._place |= {clip_id: (number, row) for row, clip_id in enumerate(table["id"].to_pylist())}

    def __getitem__(self, clip_id: str) -> np.ndarray:
        number, row = self._place[clip_id]
        table = self._tables[number]
        return np.frombuffer(table["states"][row].as_buffer(), np.float16).reshape(table["num_frames"][row].as_py(), -1)

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._place

    def _local(self, uri: str) -> Path:
        filesystem, path = storage.locate(uri)
        if isinstance(filesystem, fs.LocalFileSystem):
            return Path(path)
        copy = Path(self._copies.name) / Path(path).name
        copy.write_bytes(storage.read_bytes(uri))
        return copy
