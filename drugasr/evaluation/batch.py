"""Evaluation of a model on the test voices, in parallel on Ray Data; files that are done are not done again."""

from typing import Any

import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy

from drugasr import storage
from drugasr.cluster import check_capacity, prepare_ray_data, total_resources
from drugasr.config import ClusterConfig
from drugasr.corpus.manifest import Manifest
from drugasr.evaluation.metrics import compute_metrics
from drugasr.evaluation.prediction import predict_file
from drugasr.evaluation.table import format_table
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import Progress, say


def evaluate(model_uri: str, corpus_uri: str, lexicon: Lexicon, cluster: ClusterConfig, out_uri: str) -> dict[str, Any]:
    """Metrics of the model on the corpus's test split, ranked over `lexicon`.

    Writes `<out>/predictions.parquet/` (a file a corpus file) and, last, `<out>/metrics.json`; with that, a later
    call returns at once. Raises CorpusError, ModelError or CapacityError.
    """
    metrics_uri = storage.join(out_uri, "metrics.json")
    if not storage.exists(metrics_uri):
        _predict_missing(model_uri, corpus_uri, lexicon, cluster, storage.join(out_uri, "predictions.parquet"))
        filesystem, path = storage.locate(storage.join(out_uri, "predictions.parquet"))
        metrics = compute_metrics(pq.read_table(path, filesystem=filesystem))
        storage.write_json(metrics_uri, metrics)
    metrics = storage.read_json(metrics_uri)
    say(format_table(metrics))
    return metrics


class _Predictor:
    """An actor that loads the model once."""

    def __init__(self, model_uri: str, lexicon: Lexicon) -> None:
        from drugasr.recognition import Recognizer  # torch; Ray has set its threads to the actor's CPUs

        self._lexicon = lexicon
        self._recogniser = Recognizer.from_dir(model_uri, lexicon=lexicon)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        unseen = set(row["unseen"])
        return {"clips": predict_file(self._recogniser, self._lexicon, row["corpus_uri"], row["file_name"], unseen, row["out_uri"])}


def _predict_missing(model_uri: str, corpus_uri: str, lexicon: Lexicon, cluster: ClusterConfig, predictions_uri: str) -> None:
    manifest = Manifest.read(corpus_uri)
    done = set(storage.list_files(predictions_uri, ".parquet"))
    missing = {name: clips for name, clips in manifest.files["test"].items() if name not in done}
    if not missing:
        return
    check_capacity("one evaluation task", {"CPU": cluster.cpus_per_task})
    prepare_ray_data()
    rows = [
        {"corpus_uri": corpus_uri, "file_name": name, "out_uri": storage.join(predictions_uri, name), "unseen": list(manifest.unseen_drug_ids)}
        for name in missing
    ]
    num_actors = max(1, min(len(missing), int(total_resources()["CPU"] // cluster.cpus_per_task)))
    progress = Progress("evaluation", sum(missing.values()))
    predictions = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Predictor,
        fn_constructor_args=(model_uri, lexicon),
        compute=ActorPoolStrategy(min_size=1, max_size=num_actors),
        num_cpus=cluster.cpus_per_task,
    )
    for row in predictions.iter_rows():
        progress.advance(int(row["clips"]))
