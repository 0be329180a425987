"""A finished corpus as tables, by the names of the schema alone."""

import pyarrow as pa
import pyarrow.parquet as pq

from drugasr import storage
from drugasr.corpus.manifest import Manifest
from drugasr.errors import CorpusError


def read_split(corpus_uri: str, split: str, columns: list[str] | None = None) -> pa.Table:
    """Every row of a split, in the order of the manifest. Raises CorpusError."""
    names = Manifest.read(corpus_uri).files[split]
    if not names:
        raise CorpusError(f"the {split} split of {corpus_uri} is empty: its manifest lists no file")
    return pa.concat_tables(read_file(corpus_uri, split, name, columns) for name in names)


def read_file(corpus_uri: str, split: str, file_name: str, columns: list[str] | None = None) -> pa.Table:
    """The rows of one file of a split. Raises CorpusError."""
    filesystem, path = storage.locate(storage.join(corpus_uri, split, file_name))
    try:
        return pq.read_table(path, columns=columns, filesystem=filesystem, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise CorpusError(f"cannot read {file_name} of the {split} split of {corpus_uri}: {error}; run jobs.synthesize again") from error
