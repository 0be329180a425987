import json

import pyarrow.parquet as pq
import pytest

from drugasr import storage
from drugasr.corpus.clip import ClipMaker
from drugasr.corpus.plan import plan_shards
from drugasr.corpus.schema import SPLITS
from drugasr.corpus.shard_writer import report_of_file, write_shard
from drugasr.errors import StorageError
from drugasr.lexicon.drug import Drug, Lexicon

NAMES = ("aspirin", "codeine", "ibuprofen", "warfarin")


@pytest.fixture
def build(tmp_path, with_settings, make_lexicon, versions, maker):
    """Writes every shard of a list of names the way the synthesis does; returns the reports by split."""

    def run(*names, **settings):
        reports = {split: [] for split in SPLITS}
        for shard in plan_shards(make_lexicon(*names), with_settings(**settings), versions):
            older = storage.list_files(f"{tmp_path}/{shard.split}", ".parquet")
            reports[shard.split].append(write_shard(str(tmp_path), shard, older, maker))
        return reports

    return run


def rows_of(folder, report):
    return pq.read_table(f"{folder}/{report.split}/{report.file_name}").to_pylist()


def test_a_shard_holds_every_clip_and_its_report_counts_them(tmp_path, tones, build):
    (report,) = build(*NAMES)["test"]
    rows = rows_of(tmp_path, report)
    assert sorted((row["text"], row["voice"]) for row in rows) == [(name, voice) for name in NAMES for voice in ("tone:d", "tone:e")]
    assert (report.num_clips, report.num_failures, report.num_made) == (8, 0, 8)
    assert report.speech_s == pytest.approx(8 * 0.3, rel=0.05)
    assert not (tmp_path / "failures").exists()
    again = report_of_file(str(tmp_path), "test", report.file_name)
    assert (again.num_clips, again.num_made) == (8, 0)
    assert again.speech_s == report.speech_s


def test_writing_the_same_plan_twice_gives_the_same_bytes(tmp_path, tones, build):
    (report,) = build(*NAMES, augmentation="light")["train"]
    path = tmp_path / "train" / report.file_name
    first = path.read_bytes()
    path.unlink()
    build(*reversed(NAMES), augmentation="light")
    assert path.read_bytes() == first


def test_a_poisoned_name_costs_its_own_rows_alone(tmp_path, tones, build):
    tones.poisoned = {"codeine"}
    (report,) = build(*NAMES)["test"]
    assert (report.num_clips, report.num_failures, report.num_made) == (6, 2, 6)
    assert {row["text"] for row in rows_of(tmp_path, report)} == {"aspirin", "ibuprofen", "warfarin"}
    failures = pq.read_table(f"{tmp_path}/failures/test-{report.file_name}").to_pylist()
    assert [(f["text"], f["voice"], f["split"], f["engine"], f["drug_id"]) for f in failures] == [
        ("codeine", voice, "test", "tone", "id-codeine") for voice in ("tone:d", "tone:e")
    ]
    assert all("cannot say codeine" in failure["error"] for failure in failures)
    assert [failure["tries"] for failure in failures] == [1, 1]
    build(*NAMES)
    assert pq.read_table(f"{tmp_path}/failures/test-{report.file_name}")["tries"].to_pylist() == [2, 2]


def test_the_next_run_makes_what_failed_and_nothing_else(tmp_path, tones, build):
    tones.poisoned = {"codeine"}
    build(*NAMES)
    tones.poisoned, tones.said = set(), []
    (report,) = build(*NAMES)["test"]
    assert (report.num_clips, report.num_failures, report.num_made) == (8, 0, 2)
    assert set(tones.said) == {"codeine"}
    assert storage.list_files(f"{tmp_path}/failures") == []


def test_a_shard_of_failures_alone_is_empty_and_readable(tmp_path, tones, build):
    tones.poisoned = {"codeine"}
    (report,) = build("codeine")["train"]
    assert (report.num_clips, report.num_failures, report.speech_s) == (0, 2, 0)
    assert rows_of(tmp_path, report) == []
    assert report_of_file(str(tmp_path), "train", report.file_name).speech_s == 0


@pytest.mark.parametrize("clips_per_shard", [16, 4], ids=["same buckets", "more buckets"])
def test_one_more_name_keeps_the_bytes_of_the_others(tmp_path, tones, build, clips_per_shard):
    (before,) = build(*NAMES, clips_per_shard=8)["test"]
    old = {row["id"]: row for row in rows_of(tmp_path, before)}
    tones.level, tones.said = 0.3, []  # another voice, if anything were said again
    reports = build(*NAMES, "zolpidem", clips_per_shard=clips_per_shard)["test"]
    assert sum(report.num_made for report in reports) == 2
    assert sum(report.num_clips for report in reports) == 10
    assert set(tones.said) == {"zolpidem"}
    new = {row["id"]: row for report in reports for row in rows_of(tmp_path, report)}
    assert {row_id: new[row_id] for row_id in old} == old
    assert {row["text"] for row_id, row in new.items() if row_id not in old} == {"zolpidem"}
    assert all(report.file_name != before.file_name for report in reports)


def test_fewer_buckets_take_rows_over_from_several_files(tmp_path, tones, build):
    names = [*NAMES, "zolpidem", "metoprolol", "insulin"]
    assert len(build(*names, clips_per_shard=2)["test"]) > 2
    tones.said = []
    (report,) = build(*names, clips_per_shard=256)["test"]
    assert (report.num_clips, report.num_made, tones.said) == (14, 0, [])


def test_new_spelling_for_display_reaches_rows_that_are_kept(tmp_path, tones, build, corpus_config, versions, maker):
    build("aspirin")
    renamed = Lexicon("renamed", (Drug(id="42", name="ASPIRIN", spoken="aspirin"),))
    (shard,) = (shard for shard in plan_shards(renamed, corpus_config, versions) if shard.split == "test")
    report = write_shard(str(tmp_path), shard, storage.list_files(f"{tmp_path}/test"), maker)
    assert report.num_made == 0
    assert {(row["drug"], row["drug_id"]) for row in rows_of(tmp_path, report)} == {("ASPIRIN", "42")}


def test_foreign_files_in_the_folder_are_left_alone(tmp_path, tones, build):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "mine.parquet").write_bytes(b"not Parquet at all")
    (report,) = build("aspirin")["test"]
    assert report.num_made == 2
    assert (tmp_path / "test" / "mine.parquet").read_bytes() == b"not Parquet at all"


def test_a_crash_leaves_no_half_file(tmp_path, tones, build, monkeypatch):
    made = []

    def dying(self, utterance):
        made.append(utterance)
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(self, utterance)

    real = ClipMaker.make_row
    monkeypatch.setattr(ClipMaker, "make_row", dying)
    with pytest.raises(KeyboardInterrupt):
        build(*NAMES)
    assert [storage.list_files(f"{tmp_path}/{split}") for split in SPLITS] == [[], [], []]
    made.extend([None] * 10)
    assert sum(report.num_clips for report in build(*NAMES)["train"]) == 8


def test_a_full_disk_leaves_no_half_file(tmp_path, tones, build, monkeypatch):
    def full(uri, data):
        storage.locate(uri)[0].open_output_stream(f"{tmp_path}/.part").write(data[:100])
        raise StorageError("disk full")

    monkeypatch.setattr(storage, "write_bytes", full)
    with pytest.raises(StorageError):
        build(*NAMES)
    assert storage.list_files(f"{tmp_path}/train") == []


def test_hugging_face_finds_the_audio_column(tmp_path, tones, build):
    (report,) = build("aspirin")["test"]
    schema = pq.read_schema(f"{tmp_path}/test/{report.file_name}")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features.pop("audio") == {"_type": "Audio", "sampling_rate": 16_000}
    # The other columns as `datasets` names Arrow types.
    names = {"string": "string", "float": "float32", "int32": "int32", "int64": "int64"}
    assert features == {f.name: {"_type": "Value", "dtype": names[str(f.type)]} for f in schema if f.name != "audio"}
    assert [str(field.type) for field in schema.field("audio").type] == ["binary", "string"]
    assert schema.field("audio").type.field(0).name == "bytes"
    assert schema.field("audio").type.field(1).name == "path"
