"""The plan becomes a corpus, in parallel on Ray Data: one task a shard, nothing made twice, a manifest last."""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import ray

from drugasr import storage
from drugasr.cluster import check_capacity, quieten_ray_data
from drugasr.config import ClusterConfig, CorpusConfig
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import Shard, is_unseen, plan_shards
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import ShardReport, failures_location, report_of_file, write_shard
from drugasr.errors import CorpusError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import Progress, say
from drugasr.voices.voice import check_voices, engine

_MAX_TASKS = 20_000
_MAX_RETRIES = 5  # Ray Data's own is for ever: a text that crashes an engine would never end


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    manifest: Manifest
    num_made: int
    """Clips made now; the others were there already."""


def synthesise(lexicon: Lexicon, config: CorpusConfig, cluster: ClusterConfig, corpus_uri: str) -> Synthesis:
    """Builds or completes the corpus at `corpus_uri`.

    Clips that are there already are kept, failed ones are tried again, and files that the plan no longer holds
    are removed once the manifest is written. Raises VoiceError before any work when a voice cannot be used,
    and CorpusError when more clips fail than the settings allow.
    """
    voices = [*config.train_voices, *config.validation_voices, *config.test_voices]
    check_voices(voices)
    check_capacity("one synthesis task", {"CPU": cluster.cpus_per_task})
    engine_versions = {name: engine(name).version for name in sorted({voice.partition(":")[0] for voice in voices})}
    unseen = tuple(drug.id for drug in lexicon.drugs if is_unseen(drug, config))
    if len(unseen) == len(lexicon):
        raise CorpusError(f"all {len(lexicon)} names were held out of training: lower corpus.unseen_fraction or give more names")

    shards = list(plan_shards(lexicon, config, engine_versions))
    present = {split: storage.list_files(storage.join(corpus_uri, split), ".parquet") for split in SPLITS}
    done = [s for s in shards if s.file_name in present[s.split] and not _has_failures(corpus_uri, s)]
    done_names = {(s.split, s.file_name) for s in done}
    missing = [s for s in shards if (s.split, s.file_name) not in done_names]
    say(f"synthesis: {sum(s.num_clips for s in shards):,} clips planned, {len(missing)} of {len(shards)} files to write")
    reports = [report_of_file(corpus_uri, s.split, s.file_name) for s in done]
    reports += _write_missing(missing, present, cluster, corpus_uri)

    files: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    speech_s: dict[str, float] = defaultdict(float)
    for report in sorted(reports, key=lambda report: report.file_name):
        files[report.split][report.file_name] = report.num_clips
        speech_s[report.split] += report.speech_s
    manifest = Manifest(
        lexicon=lexicon.name,
        unseen_drug_ids=unseen,
        files=files,
        num_failures=sum(report.num_failures for report in reports),
        speech_s=dict(speech_s),
        settings={"corpus": dataclasses.asdict(config), "engines": engine_versions, "lexicon_fingerprint": lexicon.fingerprint},
    )
    _check_failures(manifest, config, corpus_uri)
    manifest.write(corpus_uri)
    for split in SPLITS:
        for stale in set(present[split]) - set(files[split]):
            storage.delete_file(storage.join(corpus_uri, split, stale))
    num_made = sum(report.num_made for report in reports)
    expected = {failures_location(corpus_uri, s.split, s.file_name) for s in shards}
    for name in storage.list_files(storage.join(corpus_uri, "failures"), ".parquet"):
        if (failures_uri := storage.join(corpus_uri, "failures", name)) not in expected:
            storage.delete_file(failures_uri)
    say(f"synthesis: {manifest.total_clips:,} clips, {num_made:,} of them made now")
    return Synthesis(manifest=manifest, num_made=num_made)


def _write_missing(
    shards: list[Shard], present: dict[str, list[str]], cluster: ClusterConfig, corpus_uri: str
) -> list[ShardReport]:
    if not shards:
        return []
    # Rows carry a number alone: what every task needs is put into the object store once.
    plan_ref = ray.put((shards, present))

    def write(row: dict[str, Any]) -> dict[str, Any]:
        shards, present = ray.get(plan_ref)
        shard = shards[row["shard"]]
        return dataclasses.asdict(write_shard(corpus_uri, shard, present[shard.split]))

    quieten_ray_data()
    rows = [{"shard": number} for number in range(len(shards))]
    tasks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MAX_TASKS))
    progress = Progress("synthesis", sum(shard.num_clips for shard in shards))
    reports = []
    for row in tasks.map(write, num_cpus=cluster.cpus_per_task, max_retries=_MAX_RETRIES).iter_rows():
        reports.append(ShardReport(**row))
        progress.advance(row["num_clips"] + row["num_failures"])
    return reports


def _has_failures(corpus_uri: str, shard: Shard) -> bool:
    return storage.exists(failures_location(corpus_uri, shard.split, shard.file_name))


def _check_failures(manifest: Manifest, config: CorpusConfig, corpus_uri: str) -> None:
    planned = manifest.total_clips + manifest.num_failures
    if manifest.num_failures > config.max_failure_fraction * planned or not manifest.num_clips("train"):
        raise CorpusError(
            f"{manifest.num_failures:,} of {planned:,} clips could not be made, more than corpus.max_failure_fraction = "
            f"{config.max_failure_fraction}: the reasons are in {storage.join(corpus_uri, 'failures')}; "
            "the good clips are kept, so run it again once the cause is gone"
        )
