"""Recognisers on the test voices, in parallel on Ray Data; files that are done are not done again."""

import re
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy

from drugasr import storage
from drugasr.cluster import check_capacity, prepare_ray_data, total_resources
from drugasr.config import ClusterConfig
from drugasr.corpus.manifest import Manifest
from drugasr.evaluation.comparison import Comparison, Measured, compare_predictions
from drugasr.evaluation.prediction import PREDICTION_SCHEMA, Predictor
from drugasr.evaluation.recognisers.spec import RecogniserSpec, spec_of
from drugasr.evaluation.report import write_report
from drugasr.evaluation.table import format_comparison, format_table
from drugasr.fingerprint import fingerprint
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import Progress, say

# Raise it when the code changes what a row of predictions holds.
_VERSION = 1
_BULKY = ("log_probs", "num_frames")


def evaluate(model_uri: str, corpus_uri: str, lexicon: Lexicon, cluster: ClusterConfig, out_uri: str, *, keep_log_probs: bool = False) -> Measured:
    """The metrics of one model: `compare` with nothing beside it."""
    spec = spec_of(model_uri)
    return compare([spec], corpus_uri, lexicon, cluster, out_uri, keep_log_probs=keep_log_probs)["recognisers"][spec.name]


def compare(
    specs: Sequence[RecogniserSpec], corpus_uri: str, lexicon: Lexicon, cluster: ClusterConfig, out_uri: str, *,
    snrs_db: Sequence[float] = (), keep_log_probs: bool = False,
) -> Comparison:  # fmt: skip
    """Metrics of the recognisers on the corpus's test split, ranked over `lexicon`; each clip is heard again with noise at each of `snrs_db`.

    Writes `<out>/predictions.parquet/` (a file a recogniser and corpus file), `<out>/report.html` and, last, `<out>/metrics.json`;
    with that, a later call for the same recognisers returns at once. Predictions of others that are there already stay.
    Raises CorpusError, ModelError, InputError or CapacityError; a model that cannot be had is told before any work.
    """
    from drugasr.evaluation.recognisers.loading import check, version_of  # torch

    manifest = Manifest.read(corpus_uri)
    for spec in specs:
        check(spec)
    made_of = [_VERSION, manifest.data_hash, lexicon.fingerprint, list(snrs_db), keep_log_probs]
    keys = {spec.name: f"{_slug(spec.name)}-{fingerprint(spec.name, version_of(spec), *made_of)}" for spec in specs}
    metrics_uri, predictions_uri = storage.join(out_uri, "metrics.json"), storage.join(out_uri, "predictions.parquet")
    if not storage.exists(metrics_uri) or storage.read_json(metrics_uri).get("keys") != keys:
        options = {"snrs_db": snrs_db, "keep_log_probs": keep_log_probs}
        _predict_missing(specs, keys, corpus_uri, manifest, lexicon, cluster, predictions_uri, options)
        predictions = {name: read_predictions(predictions_uri, key, manifest) for name, key in keys.items()}
        comparison = compare_predictions(predictions)
        facts = {"recognisers": {spec.name: [*spec.models, *filter(None, spec.languages)] for spec in specs}, "added noise, dB": list(snrs_db)}
        write_report(comparison, predictions, corpus_uri, lexicon, facts, out_uri)
        _sweep(predictions_uri, keys)
        storage.write_json(metrics_uri, comparison | {"keys": keys})
    comparison = storage.read_json(metrics_uri)
    # As they were asked for: the file has them in the order of the alphabet.
    measured = comparison["recognisers"] = {spec.name: comparison["recognisers"][spec.name] for spec in specs}
    say(format_table(next(iter(measured.values()))) if len(measured) == 1 else format_comparison(comparison))
    return comparison


def read_predictions(predictions_uri: str, key: str, manifest: Manifest) -> list[dict[str, Any]]:
    """The rows of one recogniser, without its log-probabilities."""
    filesystem, path = storage.locate(predictions_uri)
    columns = [name for name in PREDICTION_SCHEMA.names if name not in _BULKY]
    files = (f"{path}/{key}-{name}" for name in manifest.files["test"])
    return [row for file in files for row in pq.read_table(file, filesystem=filesystem, columns=columns, partitioning=None).to_pylist()]


class _Worker:
    """An actor that holds one recogniser at a time: files come recogniser by recogniser."""

    def __init__(self, specs: Sequence[RecogniserSpec], lexicon: Lexicon, corpus_uri: str, unseen_drug_ids: set[str], options: dict[str, Any]) -> None:
        self._specs, self._lexicon, self._corpus_uri, self._unseen, self._options = specs, lexicon, corpus_uri, unseen_drug_ids, options
        self._number, self._predictor = -1, None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["recogniser"] != self._number:
            from drugasr.evaluation.recognisers.loading import load  # torch; Ray has set its threads to the actor's CPUs

            spec = self._specs[row["recogniser"]]
            self._predictor = None  # first: two large models may not fit beside each other
            self._predictor = Predictor(spec.name, load(spec, self._lexicon), self._lexicon, **self._options)
            self._number = row["recogniser"]
        return {"clips": self._predictor.predict_file(self._corpus_uri, row["file_name"], self._unseen, row["out_uri"])}


def _predict_missing(
    specs: Sequence[RecogniserSpec], keys: dict[str, str], corpus_uri: str, manifest: Manifest, lexicon: Lexicon, cluster: ClusterConfig,
    predictions_uri: str, options: dict[str, Any],
) -> None:  # fmt: skip
    done = set(storage.list_files(predictions_uri, ".parquet"))
    rows = [
        {"recogniser": i, "file_name": name, "out_uri": storage.join(predictions_uri, file)}
        for i, spec in enumerate(specs)
        for name in manifest.files["test"]
        if (file := f"{keys[spec.name]}-{name}") not in done
    ]
    if not rows:
        return
    check_capacity("one evaluation task", {"CPU": cluster.cpus_per_task})
    prepare_ray_data()
    num_gpus = int(total_resources()["GPU"])
    num_actors = num_gpus or int(total_resources()["CPU"] // cluster.cpus_per_task)
    progress = Progress("evaluation", (1 + len(options["snrs_db"])) * sum(manifest.files["test"][row["file_name"]] for row in rows))
    predictions = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_args=(specs, lexicon, corpus_uri, set(manifest.unseen_drug_ids), options),
        compute=ActorPoolStrategy(min_size=1, max_size=max(1, min(len(rows), num_actors))),
        num_cpus=cluster.cpus_per_task,
        num_gpus=1 if num_gpus else 0,
    )
    for row in predictions.iter_rows():
        progress.advance(int(row["clips"]))


def _sweep(predictions_uri: str, keys: dict[str, str]) -> None:
    """Removes what recognisers of these names predicted as other models, or from other clips, and what a killed process left half written."""
    ours = tuple(f"{key}-" for key in keys.values())
    slugs = "|".join(re.escape(key.rpartition("-")[0]) for key in keys.values())
    older = re.compile(rf"(({slugs})-[0-9a-f]{{16}}-)?part-.*")  # without a name: from before there were several recognisers
    for name in storage.list_files(predictions_uri, hidden=True):
        if name.startswith(".") or not name.startswith(ours) and older.fullmatch(name):
            storage.delete_file(storage.join(predictions_uri, name))


def _slug(name: str) -> str:
    """As the first part of a file's name, which ends at its hyphen."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("._") or "recogniser"
