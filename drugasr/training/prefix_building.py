"""The cached prefix, made by the whole cluster: actors on Ray Data, on GPUs where the training has them."""

from collections.abc import Sequence
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from drugasr import storage
from drugasr.cluster import check_capacity, prepare_ray_data, total_resources
from drugasr.config import Config
from drugasr.progress import Progress, say

_FOLDER = "prefix"
_MIN_SPEED_UP = 1.1


def build_prefixes(config: Config, corpus_uri: str, root_uri: str, depths: Sequence[int], num_passes: int) -> dict[int, str]:
    """Folders of the cached prefix for each of `depths` (frozen layers), in `<root>/prefix`; what is there is not made again.

    Empty where `training.cache_prefix` is off, or auto and `num_passes` over the clips are too few for it to pay.
    Raises CapacityError, ModelError, CorpusError or TrainingError.
    """
    from drugasr.acoustic.folder import model_config  # transformers: only who trains needs it
    from drugasr.acoustic.prefix_cost import PrefixCost
    from drugasr.acoustic.small import SIZES
    from drugasr.training.prefix_cache import plan_files

    training, cluster = config.training, config.cluster
    is_possible = config.model.base not in SIZES and training.augmentation == "none" and (config.model.freeze_convolution or min(depths) > 0)
    if not is_possible or training.cache_prefix == "off":
        return {}
    cost, deepest = PrefixCost.of(model_config(config.model.base)), max(depths)
    say(f"prefix: {cost.describe(deepest, num_passes)}")
    if training.cache_prefix == "auto" and cost.speed_up(deepest, num_passes) < _MIN_SPEED_UP:
        return {}
    needed = {"CPU": cluster.cpus_per_task} | ({"GPU": min(1.0, cluster.gpus_per_worker)} if cluster.gpus_per_worker else {})
    check_capacity("one task that computes the prefix", needed)
    files = list(plan_files(corpus_uri, training.clip_fraction))
    rows = [{"split": file.split, "corpus_file": file.corpus_file, "ids": list(file.ids)} for file in files]
    total = total_resources()
    num_actors = max(1, min(len(rows), *(int(total[name] // amount) for name, amount in needed.items())))
    prepare_ray_data()
    built = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Builder,
        fn_constructor_args=(config.model.base, training.seed, tuple(depths), corpus_uri, storage.join(root_uri, _FOLDER), training.precision),
        compute=ActorPoolStrategy(min_size=1, max_size=num_actors),
        num_cpus=needed["CPU"],
        num_gpus=needed.get("GPU"),
    )
    progress, num_computed, folders = Progress("prefix", sum(len(file.ids) for file in files)), 0, ()
    for row in built.iter_rows():
        progress.advance(int(row["num_clips"]))
        num_computed, folders = num_computed + int(row["num_computed"]), row["folders"]
    say(f"prefix: {num_computed:,} times the states of a clip were computed, the others were there")
    return dict(zip(depths, map(str, folders), strict=True))


class _Builder:
    """An actor that loads the model once."""

    def __init__(self, base: str, seed: int, depths: Sequence[int], corpus_uri: str, cache_uri: str, precision: str) -> None:
        from drugasr.training.prefix_cache import PrefixBuilder  # torch; Ray has set its threads to the actor's CPUs

        self._builder = PrefixBuilder(base, seed, depths, corpus_uri, cache_uri, precision)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from drugasr.training.prefix_cache import CacheFile

        file = CacheFile(split=row["split"], corpus_file=row["corpus_file"], ids=tuple(row["ids"]))
        return {"num_clips": len(file.ids), "num_computed": self._builder.build(file), "folders": self._builder.folders}
