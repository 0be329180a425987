"""The plan becomes a corpus, in parallel on Ray Data: one task a shard, nothing made twice, a manifest last."""

import dataclasses
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ray
from ray.util.annotations import RayDeprecationWarning

from drugasr import storage
from drugasr.cluster import check_capacity, prepare_ray_data, total_resources
from drugasr.config import ClusterConfig, CorpusConfig
from drugasr.corpus.augmentation import recipe_version
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import Shard, all_voices, choose_doses, is_unseen, plan_shards, versions_of_voices
from drugasr.corpus.rate_limit import cluster_limiter
from drugasr.corpus.recordings import RecordingShard, plan_recordings, write_recordings
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import ShardReport, failures_name, is_our_file, report_of_file, write_shard
from drugasr.errors import CorpusError
from drugasr.lexicon.drug import Lexicon
from drugasr.progress import Progress, say
from drugasr.voices.voice import Engine, Limiter, RemoteEngine, check_voices, engine, split_name

# Ray Data takes 0.15 s to follow a task with the next: a task writes several files, but enough tasks remain to even out.
_TASKS_PER_SLOT = 4
_MAX_FILES_PER_TASK = 16
_MAX_RETRIES = 20  # each text that crashes its engine takes up to three (`crash_guard`); Ray Data's own is for ever


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    manifest: Manifest
    num_made: int
    """Clips made now; the others were there already."""


def synthesise(lexicon: Lexicon, config: CorpusConfig, cluster: ClusterConfig, corpus_uri: str) -> Synthesis:
    """Builds or completes the corpus at `corpus_uri`.

    Clips that are there already are kept, failed ones are tried again, and files that the plan no longer holds
    are removed once the manifest is written. Raises VoiceError, RecordingError or ConfigError before any work when a
    voice, a recording or the noise cannot be used, and CorpusError when more clips fail than the settings allow.
    """
    check_voices(list(all_voices(config)), config.engines)
    check_capacity("one synthesis task", {"CPU": cluster.cpus_per_task})
    unseen = tuple(drug.id for drug in lexicon.drugs if is_unseen(drug, config))
    if len(unseen) == len(lexicon):
        raise CorpusError(f"all {len(lexicon)} names were held out of training: lower corpus.unseen_fraction or give more names")
    if config.num_doses and (num_unknown := sum(not choose_doses(drug, config) for drug in lexicon.drugs)):
        say(f"synthesis: {num_unknown} of {len(lexicon)} names have no strength in strengths.tsv: they are said without a dose")
    voice_versions = versions_of_voices(config)
    shards: list[Shard | RecordingShard] = [
        *plan_shards(lexicon, config, voice_versions, recipe_version(config.augmentation, config.noise_folder)),
        *plan_recordings(config.recordings, lexicon, config),
    ]
    work = _Work(corpus_uri, shards, _present(corpus_uri), _limiters(config))
    reports = list(_known_reports(work))
    say(f"synthesis: {sum(s.num_clips for s in shards):,} clips planned, {len(shards) - len(reports)} of {len(shards)} files to write or check")
    reports += _write_others(work, {(report.split, report.file_name) for report in reports}, cluster)

    reports.sort(key=lambda report: report.file_name)
    manifest = Manifest(
        lexicon=lexicon.name,
        unseen_drug_ids=unseen,
        files={split: {r.file_name: r.num_clips for r in reports if r.split == split} for split in SPLITS},
        num_failures=sum(report.num_failures for report in reports),
        speech_s={split: {r.file_name: r.speech_s for r in reports if r.split == split} for split in SPLITS},
        settings={"corpus": dataclasses.asdict(config), "voices": voice_versions, "lexicon_fingerprint": lexicon.fingerprint},
    )
    _check_failures(manifest, work, config)
    manifest.write(corpus_uri)
    _sweep(work, manifest)
    num_made = sum(report.num_made for report in reports)
    say(f"synthesis: {manifest.total_clips:,} clips, {num_made:,} of them made now")
    return Synthesis(manifest=manifest, num_made=num_made)


@dataclass(frozen=True)
class _Work:
    """What every task needs; put into the object store once."""

    corpus_uri: str
    shards: list[Shard | RecordingShard]
    present: dict[str, list[str]]
    """Split, or `failures` -> files that were there before."""
    limiters: dict[str, Limiter]
    """Engine -> the cluster's limiter, for those that ask a service."""

    def is_done(self, shard: Shard | RecordingShard) -> bool:
        """Whether its file is there, with nothing to try again; a recording that will not do never will."""
        failed = failures_name(shard.split, shard.file_name) in self.present["failures"]
        return shard.file_name in self.present[shard.split] and (not failed or isinstance(shard, RecordingShard))

    def write(self, number: int) -> ShardReport:
        shard = self.shards[number]
        file_uri = storage.join(self.corpus_uri, shard.split, shard.file_name)
        # Also when a task that was killed wrote it, and this one repeats that task.
        if self.is_done(shard) or shard.file_name not in self.present[shard.split] and storage.exists(file_uri):
            report = report_of_file(self.corpus_uri, shard.split, shard.file_name)
            return dataclasses.replace(report, num_failures=shard.num_clips - report.num_clips)
        if isinstance(shard, RecordingShard):
            return write_recordings(self.corpus_uri, shard)
        maker = ClipMaker(self._engines(shard), shard.config.noise_folder)
        return write_shard(self.corpus_uri, shard, self.present[shard.split], maker)

    def _engines(self, shard: Shard) -> dict[str, Engine]:
        engines = {name: engine(name, shard.config.engines.get(name)) for name in {split_name(voice)[0] for voice in shard.voice_versions}}
        for name in engines.keys() & self.limiters.keys():
            engines[name].limiter = self.limiters[name]
            chosen = shard.config.engines.get(name, {}).get("cache_uri")
            engines[name].cache_uri = chosen or storage.join(self.corpus_uri, "cache", name)
        return engines


def _present(corpus_uri: str) -> dict[str, list[str]]:
    return {folder: storage.list_files(storage.join(corpus_uri, folder), ".parquet") for folder in (*SPLITS, "failures")}


def _limiters(config: CorpusConfig) -> dict[str, Limiter]:
    engines = {name: engine(name, config.engines.get(name)) for name in {split_name(voice)[0] for voice in all_voices(config)}}
    return {name: cluster_limiter(name, found.requests_per_s) for name, found in engines.items() if isinstance(found, RemoteEngine)}


def _known_reports(work: _Work) -> Iterator[ShardReport]:
    """Of files that are done and that the manifest of an earlier run counts: nobody need look into them."""
    if not Manifest.exists(work.corpus_uri):
        return
    manifest = Manifest.read(work.corpus_uri)
    for shard in work.shards:
        num_clips = manifest.files[shard.split].get(shard.file_name)
        # Where clips had failed, a later run that was stopped may have made them.
        is_final = num_clips == shard.num_clips or isinstance(shard, RecordingShard)
        if num_clips is not None and is_final and work.is_done(shard):
            yield ShardReport(
                split=shard.split, file_name=shard.file_name, num_clips=num_clips, num_failures=shard.num_clips - num_clips,
                num_made=0, speech_s=manifest.speech_s[shard.split][shard.file_name],
            )  # fmt: skip


def _write_others(work: _Work, known: set[tuple[str, str]], cluster: ClusterConfig) -> Iterator[ShardReport]:
    """The reports of the other shards, as they are written; those that wait for a service come last, many at once."""
    numbers = [number for number, shard in enumerate(work.shards) if (shard.split, shard.file_name) not in known]
    progress = Progress("synthesis", sum(work.shards[number].num_clips for number in numbers))
    work_ref = ray.put(work)

    def write(row: dict[str, Any]) -> dict[str, Any]:
        return dataclasses.asdict(_fetch(work_ref).write(row["shard"]))

    prepare_ray_data()
    for remote, num_cpus in ((False, cluster.cpus_per_task), (True, cluster.cpus_per_remote_task)):
        mine = [number for number in numbers if (work.shards[number].engine in work.limiters) == remote]
        num_slots = max(1, int(total_resources()["CPU"] / num_cpus))
        num_tasks = min(len(mine), max(num_slots * _TASKS_PER_SLOT, len(mine) // _MAX_FILES_PER_TASK))
        # Dealt like cards, the large files first: neighbours are files of one engine, and engines differ in speed.
        mine.sort(key=lambda number: -work.shards[number].num_clips)
        rows = [{"shard": number} for task in range(num_tasks) for number in mine[task::num_tasks]]
        if rows:
            tasks = ray.data.from_items(rows, override_num_blocks=num_tasks)
            with warnings.catch_warnings(action="ignore", category=RayDeprecationWarning):  # max_retries has no other way in yet
                reports = tasks.map(write, num_cpus=num_cpus, max_retries=_MAX_RETRIES)
            for row in reports.iter_rows():
                yield ShardReport(**row)
                progress.advance(row["num_clips"] + row["num_failures"])


@lru_cache(maxsize=1)  # a worker writes many shards of one plan
def _fetch(work_ref: ray.ObjectRef) -> _Work:
    return ray.get(work_ref)


def _check_failures(manifest: Manifest, work: _Work, config: CorpusConfig) -> None:
    """Recordings do not count: they are what they are, and what is wrong with them is in `failures`."""
    planned = sum(shard.num_clips for shard in work.shards if isinstance(shard, Shard))
    made = sum(manifest.files[shard.split][shard.file_name] for shard in work.shards if isinstance(shard, Shard))
    if planned - made > config.max_failure_fraction * planned or not manifest.num_clips("train"):
        raise CorpusError(
            f"{planned - made:,} of {planned:,} clips could not be made, more than corpus.max_failure_fraction = "
            f"{config.max_failure_fraction}: the reasons are in {storage.join(work.corpus_uri, 'failures')}; "
            "the good clips are kept, so run it again once the cause is gone"
        )


def _sweep(work: _Work, manifest: Manifest) -> None:
    """Removes what earlier plans left, now that no manifest names it, and what a killed process left half written."""
    kept = {split: set(manifest.files[split]) for split in SPLITS}
    kept["failures"] = {failures_name(shard.split, shard.file_name) for shard in work.shards}
    for folder in (*SPLITS, "failures"):
        folder_uri = storage.join(work.corpus_uri, folder)
        for name in storage.list_files(folder_uri, hidden=True):
            if is_our_file(name) and name not in kept[folder]:
                storage.delete_file(storage.join(folder_uri, name))
