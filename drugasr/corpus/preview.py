"""A page to listen to a corpus before training: one HTML file with players and spectrograms that opens offline.

Shapes: S samples, F frequencies, T frames.
"""

import base64
import io
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.image
import matplotlib.mlab
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.ticker import MaxNLocator

from drugasr import audio, storage
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.schema import SPLITS
from drugasr.errors import AudioError, ConfigError, CorpusError

MAX_CLIPS = 500
"""More would be too heavy for a browser: a clip takes about 55 kB of the page."""
_WINDOW, _OVERLAP = 256, 128  # 16 ms every 8 ms: formants stand apart, and so do plosives
_RANGE_DB, _NUM_COLOURS = 70.0, 32  # steps that no eye sees, and half the bytes


def check_num_clips(num_clips: int) -> None:
    """Raises ConfigError for a number of clips that no page can hold."""
    if not 1 <= num_clips <= MAX_CLIPS:
        raise ConfigError(f"a preview holds 1 to {MAX_CLIPS} clips, not {num_clips}")


def write_preview(corpus_uri: str, num_clips: int, out_uri: str, seed: int) -> None:
    """Writes the page of `num_clips` random clips, or of all where the corpus has fewer, to `out_uri`.

    Every clip of every split is equally likely. Raises ConfigError for a bad number of clips, CorpusError when there
    is no finished corpus or a file of it cannot be read.
    """
    check_num_clips(num_clips)
    manifest = Manifest.read(corpus_uri)
    clips = [clip for place in _draw(manifest, num_clips, seed) for clip in _clips(corpus_uri, *place)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.get_template("preview.html.j2").render(
        manifest=manifest,
        speech_h=sum(map(manifest.total_speech_s, SPLITS)) / 3600,
        clips=clips,
        seed=seed,
        voices=[row for split in SPLITS if manifest.files[split] for row in _voices(corpus_uri, split, list(manifest.files[split]))],
        splits=SPLITS,
        engines=sorted({clip["engine"] for clip in clips}),
    )
    storage.write_bytes(out_uri, html.encode())


def _draw(manifest: Manifest, num_clips: int, seed: int) -> Iterator[tuple[str, str, list[int]]]:
    """(split, file name, rows in it) of the clips, by the manifest's counts alone."""
    chosen = set(random.Random(seed).sample(range(manifest.total_clips), min(num_clips, manifest.total_clips)))
    numbers = itertools.count()
    for split in SPLITS:
        for file_name, num_rows in sorted(manifest.files[split].items()):
            if rows := [row for row in range(num_rows) if next(numbers) in chosen]:
                yield split, file_name, rows


def _clips(corpus_uri: str, split: str, file_name: str, rows: list[int]) -> Iterator[dict[str, Any]]:
    """The rows as the page shows them. Reads the row groups that they stand in, and no other."""
    filesystem, path = storage.locate(storage.join(corpus_uri, split, file_name))
    try:
        with pq.ParquetFile(path, filesystem=filesystem) as file:
            starts = np.cumsum([0] + [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
            group_of = np.searchsorted(starts, rows, side="right") - 1
            for group in np.unique(group_of):
                inner = [row - starts[group] for row, home in zip(rows, group_of, strict=True) if home == group]
                for row in file.read_row_group(group).take(inner).to_pylist():
                    yield row | {"split": split} | _shown(row)
    except (OSError, pa.ArrowException, AudioError) as error:
        raise CorpusError(f"cannot show {file_name} of the {split} split of {corpus_uri}: {error}; run jobs.synthesize again") from error


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """What the page adds to a row: data URIs, ticks and words."""
    data = row["audio"]["bytes"]
    wave_S = audio.decode(data)
    seconds = audio.duration_s(wave_S)
    ticks_s = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(0, seconds)
    return {
        "player": _data_uri("audio/flac" if data.startswith(b"fLaC") else "audio/wav", data),
        "image": _data_uri("image/png", _spectrogram_png(wave_S)),
        "seconds": seconds,
        "ticks_s": [tick for tick in ticks_s if 0 <= tick <= seconds],
        "drawn": {name: _readable(values) for name, values in json.loads(row["augmentation"] or "{}").items()},
    }


def _spectrogram_png(wave_S: np.ndarray) -> bytes:
    """0 to 8 kHz from bottom to top, as loud as the brightness: `_RANGE_DB` from black to the loudest."""
    magnitude_FT, _, _ = matplotlib.mlab.specgram(wave_S, NFFT=_WINDOW, noverlap=_OVERLAP, Fs=audio.SAMPLE_RATE_HZ, mode="magnitude")
    level_FT = 20 * np.log10(magnitude_FT + 1e-9)
    png, loudest, colours = io.BytesIO(), level_FT.max(), matplotlib.colormaps["magma"].resampled(_NUM_COLOURS)
    matplotlib.image.imsave(png, level_FT, vmin=loudest - _RANGE_DB, vmax=loudest, cmap=colours, origin="lower", format="png")
    return png.getvalue()


def _data_uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _readable(value: object) -> str:
    """Parameters as a person writes them: `rate 1.08, gains db -2.1 0.4`."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_readable(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_readable, value))
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _voices(corpus_uri: str, split: str, file_names: list[str]) -> list[dict[str, Any]]:
    """Clips and seconds of every voice of a split; reads no audio."""
    filesystem, folder = storage.locate(storage.join(corpus_uri, split))
    try:
        files = pyarrow.dataset.dataset([f"{folder}/{name}" for name in file_names], filesystem=filesystem, format="parquet")
        table = files.to_table(["engine", "voice", "duration_s"])
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"cannot read the {split} split of {corpus_uri}: {error}; run jobs.synthesize again") from error
    sums = table.group_by(["engine", "voice"]).aggregate([("duration_s", "count"), ("duration_s", "sum")]).sort_by("voice")
    return [{"split": split, "num_clips": row["duration_s_count"], "speech_s": row["duration_s_sum"], **row} for row in sums.to_pylist()]
