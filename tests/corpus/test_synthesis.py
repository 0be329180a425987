import dataclasses
import importlib
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import soundfile
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from drugasr.corpus.manifest import Manifest
from drugasr.corpus.plan import is_unseen
from drugasr.corpus.reading import read_split
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.synthesis import synthesise
from drugasr.errors import CorpusError, VoiceError
from drugasr.lexicon.drug import Drug, Lexicon

pytestmark = pytest.mark.usefixtures("local_ray")


def clips(corpus_uri) -> dict[str, bytes]:
    tables = [read_split(corpus_uri, split, ["id", "audio"]) for split in SPLITS]
    rows = pa.concat_tables(tables).to_pylist()
    audio = {row["id"]: row["audio"]["bytes"] for row in rows}
    assert len(audio) == len(rows)
    return audio


@pytest.fixture(scope="module")
def tiny(tiny):
    """A task a CPU: of more processes than CPUs, Ray ends some between one test and the next."""
    return dataclasses.replace(tiny, cluster=dataclasses.replace(tiny.cluster, cpus_per_task=1.0, cpus_per_remote_task=1.0))


@pytest.fixture(scope="module")
def spoken(local_ray, tiny, lexicon, tmp_path_factory):
    """Six names, spoken by four tasks at a time: the folder, and what `synthesise` said of it. Nobody writes there."""
    folder = tmp_path_factory.mktemp("spoken")
    return folder, synthesise(lexicon, tiny.corpus, tiny.cluster, str(folder))


def test_the_number_of_tasks_does_not_change_a_byte(spoken, tiny, lexicon, tmp_path):
    folder, four = spoken
    one = synthesise(lexicon, tiny.corpus, dataclasses.replace(tiny.cluster, cpus_per_task=4.0), str(tmp_path))
    assert clips(str(tmp_path)) == clips(str(folder))
    assert one.manifest == four.manifest


def test_a_second_run_makes_nothing_and_a_new_name_only_its_own(spoken, tiny, lexicon, tmp_path):
    corpus_uri = str(tmp_path)
    folder, first = spoken
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = clips(corpus_uri)
    assert first.num_made == len(before)
    assert synthesise(lexicon, tiny.corpus, tiny.cluster, corpus_uri).num_made == 0

    larger = Lexicon("seven", (*lexicon.drugs, Drug(id="zocor", name="zocor", spoken="zocor")))
    added = synthesise(larger, tiny.corpus, tiny.cluster, corpus_uri)
    after = clips(corpus_uri)
    assert added.num_made == len(after) - len(before) == len([i for i in after if i not in before])
    assert {i: after[i] for i in before} == before

    synthesise(lexicon, tiny.corpus, tiny.cluster, corpus_uri)
    assert clips(corpus_uri) == before
    on_disk = {split: {path.name for path in (tmp_path / split).iterdir()} for split in SPLITS}
    assert on_disk == {split: set(names) for split, names in Manifest.read(corpus_uri).files.items()}


def names(count: int) -> Lexicon:
    ends = ("ba", "lo", "ri", "mide", "nol", "pine")
    spoken = [f"{a}{b}{c}" for c in ("", *ends, "zole", "xa", "tan") for b in ends for a in ("ami", "beto", "cari", "dolo", "feni", "gabu", *"klmnoprstuv")]
    return Lexicon("names", tuple(Drug(id=name, name=name, spoken=name) for name in spoken[:count]))


@pytest.fixture(scope="module")
def tones(tiny):
    """Settings whose voices are tones, with options for their engine."""

    def make(clips_per_shard=64, **options):
        return dataclasses.replace(
            tiny.corpus, train_voices=("tone:a", "tone:b"), validation_voices=("tone:c",), test_voices=("tone:d",),
            augmentation="none", clips_per_shard=clips_per_shard, unseen_fraction=0.1, max_failure_fraction=0.2, engines={"tone": options},
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def whole(local_ray, tones, tiny, tmp_path_factory):
    """36 names that nothing disturbed: their clips, and the manifest for files of 8."""
    folder = str(tmp_path_factory.mktemp("whole"))
    manifest = synthesise(names(36), tones(clips_per_shard=8), tiny.cluster, folder).manifest
    return clips(folder), manifest


def test_a_poisoned_name_costs_exactly_its_own_rows(tones, tiny, tmp_path):
    lexicon = names(300)
    whole = synthesise(lexicon, tones(), tiny.cluster, str(tmp_path / "whole")).manifest
    raised, silent = lexicon.drugs[3].spoken, lexicon.drugs[220].spoken
    config = tones(raises_at=raised, silent_at=silent)
    done = synthesise(lexicon, config, tiny.cluster, str(tmp_path / "poisoned")).manifest
    poisoned = ids_of(str(tmp_path / "whole"), {raised, silent})
    expected = {i: data for i, data in clips(str(tmp_path / "whole")).items() if i not in poisoned}
    assert clips(str(tmp_path / "poisoned")) == expected
    assert done.num_failures == whole.total_clips - len(expected) > 0
    failures = pq.read_table(tmp_path / "poisoned" / "failures").to_pylist()
    assert {(row["text"], row["error"].split(":")[0]) for row in failures} == {(raised, "the engine raised RuntimeError"), (silent, "silent")}


def ids_of(corpus_uri, texts):
    table = pa.concat_tables(read_split(corpus_uri, split, ["id", "text"]) for split in SPLITS)
    return {row["id"] for row in table.to_pylist() if row["text"] in texts}


def test_one_more_name_than_500_costs_its_own_clips_alone(tones, tiny, tmp_path):
    synthesise(names(500), tones(), tiny.cluster, str(tmp_path))
    more = synthesise(names(501), tones(), tiny.cluster, str(tmp_path))
    assert 0 < more.num_made == len(ids_of(str(tmp_path), {names(501).drugs[-1].spoken})) <= 6


def test_a_text_that_always_kills_its_worker_is_found_and_left_out(tones, tiny, tmp_path):
    lexicon = names(20)
    # Two splits say an unseen name: every clip of it costs several processes.
    deadly = next(drug.spoken for drug in lexicon.drugs if is_unseen(drug, tones()))
    done = synthesise(lexicon, tones(dies_at=deadly), tiny.cluster, str(tmp_path)).manifest
    failures = pq.read_table(tmp_path / "failures").to_pylist()
    assert {(row["text"], row["split"]) for row in failures} == {(deadly, "validation"), (deadly, "test")}
    assert all("the engine crashed" in row["error"] for row in failures)
    assert done.num_failures == len(failures)
    assert not ids_of(str(tmp_path), {deadly})
    assert [name for name in half_files(tmp_path) if not name.startswith("failures/")] == []


def test_a_retry_that_was_stopped_before_its_manifest_is_counted_by_the_next_run(tones, tiny, tmp_path):
    lexicon = names(36)
    synthesise(lexicon, tones(raises_at=lexicon.drugs[3].spoken), tiny.cluster, str(tmp_path))
    old = (tmp_path / "manifest.json").read_bytes()
    healed = synthesise(lexicon, tones(), tiny.cluster, str(tmp_path)).manifest
    (tmp_path / "manifest.json").write_bytes(old)  # as if it had been killed just before
    again = synthesise(lexicon, tones(), tiny.cluster, str(tmp_path))
    assert (again.manifest, again.num_made) == (healed, 0)


def test_what_a_killed_process_was_writing_goes_and_what_is_not_ours_stays(tones, tiny, tmp_path):
    lexicon = names(20)
    done = synthesise(lexicon, tones(), tiny.cluster, str(tmp_path)).manifest
    name = next(iter(done.files["train"]))
    for half in (f".{name}.{'0' * 32}", f".{name}.trying", f"..{name}.trying.{'0' * 32}"):
        (tmp_path / "train" / half).write_bytes(b"half")
    (tmp_path / "train" / "mine.parquet").write_bytes(b"mine")
    synthesise(lexicon, tones(), tiny.cluster, str(tmp_path))
    assert half_files(tmp_path) == ["train/mine.parquet"]


def test_a_killed_worker_costs_nothing(whole, tones, tiny, tmp_path):
    lexicon = names(36)
    config = tones(dies_at=lexicon.drugs[7].spoken, died=str(tmp_path / "died"))
    synthesise(lexicon, config, tiny.cluster, str(tmp_path / "killed"))
    assert (tmp_path / "died").exists()
    assert clips(str(tmp_path / "killed")) == whole[0]
    assert half_files(tmp_path / "killed") == []


def half_files(folder):
    """What stands in a corpus beside the files of its manifest."""
    expected = {f"{split}/{name}" for split, files in Manifest.read(str(folder)).files.items() for name in files}
    expected |= {"manifest.json", "README.md"}
    return sorted({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - expected)


KILLED_DRIVER = """
import sys, pickle, ray
from drugasr.corpus.synthesis import synthesise
ray.init(address=sys.argv[1], logging_level="error")
synthesise(*pickle.load(open(sys.argv[2], "rb")))
"""


def test_a_killed_driver_loses_nothing_and_the_next_run_goes_on(local_ray, whole, tones, tiny, tmp_path):
    lexicon, corpus = names(36), tmp_path / "killed"
    cluster = dataclasses.replace(tiny.cluster, cpus_per_task=2.0)
    (tmp_path / "arguments").write_bytes(pickle.dumps((lexicon, tones(clips_per_shard=8, delay_s=0.1), cluster, str(corpus))))
    command = [sys.executable, "-c", KILLED_DRIVER, local_ray.address, str(tmp_path / "arguments")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        wait_for(lambda: len(list(corpus.glob("*/part-*.parquet"))) >= 2, while_true=lambda: driver.poll() is None)
        driver.kill()
    finished = sum(pq.read_metadata(path).num_rows for path in corpus.glob("*/part-*.parquet"))
    assert not (corpus / "manifest.json").exists()

    resumed = synthesise(lexicon, tones(clips_per_shard=8), tiny.cluster, str(corpus))
    undisturbed, manifest = whole
    assert resumed.num_made <= manifest.total_clips - finished < manifest.total_clips
    assert clips(str(corpus)) == undisturbed
    assert resumed.manifest.files == manifest.files
    assert half_files(corpus) == []


@pytest.fixture
def node(local_ray):
    """A second node, of two CPUs."""
    node = local_ray.add_node(num_cpus=2)
    yield node
    if node in local_ray.worker_nodes:
        local_ray.remove_node(node)


def test_a_lost_node_costs_nothing(local_ray, node, whole, tones, tiny, tmp_path):
    corpus, asked = tmp_path / "lost", tmp_path / "asked"
    asked.mkdir()
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    # A worker there that is up: else those of the head might do all before it begins.
    there = ray.remote(num_cpus=2, scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False))
    ray.get(there(lambda: bool(importlib.import_module("drugasr.corpus.synthesis"))).remote())

    def speaks_there() -> bool:
        return bool({path.name for path in asked.iterdir()} & {str(worker.pid) for worker in raylet.children(recursive=True)})

    def lose() -> None:
        wait_for(lambda: speaks_there() and len(list(corpus.glob("*/part-*.parquet"))) >= 2)
        local_ray.remove_node(node, allow_graceful=False)
        assert not (corpus / "manifest.json").exists()

    with ThreadPoolExecutor(1) as thread:
        losing = thread.submit(lose)
        cluster = dataclasses.replace(tiny.cluster, cpus_per_task=2.0)
        synthesise(names(36), tones(clips_per_shard=8, delay_s=0.05, asked=str(asked)), cluster, str(corpus))
        losing.result()
    assert clips(str(corpus)) == whole[0]
    assert half_files(corpus) == []


def test_a_service_is_asked_at_the_pace_of_the_whole_cluster(tiny, tmp_path):
    (tmp_path / "asked").mkdir()
    voices = {f"{split}_voices": (f"faraway:{split}",) for split in SPLITS}
    config = dataclasses.replace(
        tiny.corpus, **voices, augmentation="none", unseen_fraction=0.0, clips_per_shard=4,
        engines={"faraway": {"delay_s": 0.1, "requests_per_s": 20.0, "asked": str(tmp_path / "asked")}},
    )  # fmt: skip
    assert synthesise(names(24), config, tiny.cluster, str(tmp_path / "corpus")).num_made == 3 * 24
    times_s = sorted(float(line) for path in (tmp_path / "asked").iterdir() for line in path.read_text().split())
    assert len(list((tmp_path / "asked").iterdir())) > 1
    assert len(times_s) == 3 * 24
    assert (len(times_s) - 1) / (times_s[-1] - times_s[0]) <= 20 * 1.05


def test_recordings_join_the_corpus_and_are_not_read_twice(tones, tiny, lexicon, tmp_path):
    said = {"ann/metformin.wav": 440, "ann/digoxin (2).flac": 450, "bob/lasix.ogg": 460, "bob/warfarin.wav": 440}  # bob's second is ann's first
    for name, hz in said.items():
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(8000) / 16_000
        soundfile.write(tmp_path / "recordings" / name, 0.5 * np.sin(2 * np.pi * hz * time_s), 16_000)
    config = dataclasses.replace(tones(), unseen_fraction=0.0, recordings=str(tmp_path / "recordings"))
    first = synthesise(lexicon, config, tiny.cluster, str(tmp_path / "corpus"))
    table = pa.concat_tables(read_split(str(tmp_path / "corpus"), split, ["source", "text", "voice"]) for split in SPLITS)
    rows = [row for row in table.to_pylist() if row["source"] == "recording"]
    assert {(row["text"], row["voice"]) for row in rows} == {
        ("metformin", "recording:ann"), ("digoxin", "recording:ann"), ("lasix", "recording:bob")
    }  # fmt: skip
    assert first.manifest.num_failures == 1
    again = synthesise(lexicon, config, tiny.cluster, str(tmp_path / "corpus"))
    assert (again.num_made, again.manifest) == (0, first.manifest)
    without = synthesise(lexicon, dataclasses.replace(config, recordings=""), tiny.cluster, str(tmp_path / "corpus"))
    assert (without.num_made, without.manifest.num_failures) == (0, 0)
    assert half_files(tmp_path / "corpus") == []


def wait_for(condition, while_true=lambda: True, seconds=120):
    end_s = time.monotonic() + seconds
    while not condition():
        assert while_true() and time.monotonic() < end_s
        time.sleep(0.02)


def test_an_unknown_voice_is_refused_before_any_work(tiny, lexicon, tmp_path):
    config = dataclasses.replace(tiny.corpus, test_voices=("espeak:xx",))
    with pytest.raises(VoiceError, match="espeak:xx: eSpeak NG has no language 'xx'"):
        synthesise(lexicon, config, tiny.cluster, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_too_many_failures_leave_no_manifest_but_the_good_clips(tiny, tmp_path):
    """A name of one letter that eSpeak says too fast for the gate: every one of its clips fails."""
    lexicon = Lexicon("bad", (Drug(id="a", name="'", spoken="'"), Drug(id="b", name="metformin", spoken="metformin")))
    config = dataclasses.replace(tiny.corpus, unseen_fraction=0.0)
    with pytest.raises(CorpusError, match="could not be made, more than corpus.max_failure_fraction"):
        synthesise(lexicon, config, tiny.cluster, str(tmp_path))
    assert not (tmp_path / "manifest.json").exists()
    assert list((tmp_path / "failures").iterdir())
    with pytest.raises(CorpusError, match="no finished corpus"):
        Manifest.read(str(tmp_path))
