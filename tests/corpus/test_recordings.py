import dataclasses
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from drugasr import storage
from drugasr.config import CorpusConfig
from drugasr.corpus.plan import is_unseen
from drugasr.corpus.recording_list import parse_stem
from drugasr.corpus.recordings import deal_split, plan_recordings, write_recordings
from drugasr.corpus.schema import CORPUS_SCHEMA, FAILURE_SCHEMA, SPLITS
from drugasr.errors import RecordingError, StorageError
from drugasr.lexicon.drug import Drug, Lexicon

NAMES = ("Aspirin", "Folic Acid", "Co-trimoxazole", "Warfarin")
LEXICON = Lexicon("test", tuple(Drug(id=f"id-{name}", name=name, spoken=name.lower().replace("-", " ")) for name in NAMES))
CONFIG = CorpusConfig(train_voices=("tone:a",), validation_voices=("tone:b",), test_voices=("tone:c",), unseen_fraction=0.0)
# Three speakers whom the hash sends to three splits.
SPEAKER = {split: next(f"speaker {n}" for n in range(100) if deal_split(f"speaker {n}") == split) for split in SPLITS}


def speech(hz: float = 300, *, seconds: float = 0.5, level: float = 0.5, rate_hz: int = 16_000, silence_s: float = 0.5) -> np.ndarray:
    """A tone with silence on both sides."""
    tone = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.pad(tone, round(silence_s * rate_hz))


class Folder:
    """A folder of recordings; every file that is not told otherwise sounds different."""

    def __init__(self, path: Path):
        self.path, self._num = path, 0
        path.mkdir()

    def add(self, name: str, wave: np.ndarray | None = None, rate_hz: int = 16_000, **options) -> Path:
        self._num += 1
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech(200 + 10 * self._num) if wave is None else wave, rate_hz, **options)
        return path

    def manifest(self, text: str, name: str = "list.csv") -> str:
        (self.path / name).write_text(text, "utf-8")
        return str(self.path / name)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "in")


@pytest.fixture
def corpus(tmp_path):
    """Imports the way the synthesis does: source -> rows and failures by split."""

    class Corpus:
        uri = str(tmp_path / "out")

        def build(self, source, config=CONFIG):
            rows, failures = defaultdict(list), defaultdict(list)
            for shard in plan_recordings(str(source), LEXICON, config):
                report = write_recordings(self.uri, shard)
                made = pq.read_table(f"{self.uri}/{shard.split}/{shard.file_name}")
                assert made.schema.equals(CORPUS_SCHEMA, check_metadata=True)
                failed_uri = f"{self.uri}/failures/{shard.split}-{shard.file_name}"
                failed = pq.read_table(failed_uri) if storage.exists(failed_uri) else FAILURE_SCHEMA.empty_table()
                assert (report.num_clips, report.num_failures, report.num_made) == (len(made), len(failed), len(made))
                assert shard.num_clips == len(made) + len(failed)
                assert report.speech_s == pytest.approx(sum(made["duration_s"].to_pylist()), abs=0.01)
                rows[shard.split] += made.to_pylist()
                failures[shard.split] += failed.to_pylist()
            return rows, failures

    return Corpus()


def faults_of(source, config=CONFIG) -> list[str]:
    with pytest.raises(RecordingError) as caught:
        plan_recordings(str(source), LEXICON, config)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("stem", "name", "dose"),
    [
        ("aspirin", "aspirin", ""),
        ("aspirin2", "aspirin", ""),
        ("aspirin123", "aspirin", ""),
        ("Aspirin 2", "Aspirin", ""),
        ("aspirin-2", "aspirin", ""),
        ("aspirin_2", "aspirin", ""),
        ("aspirin(2)", "aspirin", ""),
        ("aspirin (2)", "aspirin", ""),
        ("co-trimoxazole-2", "co-trimoxazole", ""),
        ("folic_acid", "folic acid", ""),
        ("folic_acid_3", "folic acid", ""),
        ("folic_acid_5mg", "folic acid", "5mg"),
        ("folic acid_5 mg (2)", "folic acid", "5 mg"),
        ("aspirin_0.5mg(12)", "aspirin", "0.5mg"),
        ("aspirin_5%2", "aspirin", "5%"),
        ("aspirin_100mg_2", "aspirin", "100mg"),
        ("aspirin_500", "aspirin", "500"),  # a dose without its unit, which is refused
        ("aspirin_40(2)", "aspirin", "40"),
        ("aspirin_0.5", "aspirin", "0.5"),
    ],
)
def test_a_file_name_tells_name_and_dose(stem, name, dose):
    assert parse_stem(stem, {drug.spoken for drug in LEXICON.drugs}) == (name, dose)


def test_a_folder_becomes_rows(folder, corpus):
    folder.add("Aspirin.wav")
    folder.add(f"{SPEAKER['train'].title()}/folic_acid_0.5mg(2).flac", speech(500, rate_hz=44_100), 44_100)
    folder.add(f"{SPEAKER['validation']}/session 1/warfarin2.mp3")
    (folder.path / "notes.txt").write_text("no audio")
    (folder.path / "._Aspirin.wav").write_bytes(b"what macOS leaves behind")
    rows, failures = corpus.build(folder.path)
    assert not any(failures.values())
    ((train,), (validation,), (test,)) = (rows[split] for split in SPLITS)
    expected = {
        "text": "folic acid zero point five milligrams", "drug": "Folic Acid", "drug_id": "id-Folic Acid", "dose": "0.5 mg",
        "engine": "recording", "voice": f"recording:{SPEAKER['train']}", "accent": "", "rate": 1.0, "pitch": 1.0, "augmentation": "",
        "snr_db": None, "sampling_rate": 16_000, "seed": 0, "source": "recording",
    }  # fmt: skip
    assert {name: train[name] for name in expected} == expected
    assert (validation["drug"], validation["dose"], validation["voice"]) == ("Warfarin", None, f"recording:{SPEAKER['validation']}")
    assert (test["text"], test["voice"]) == ("aspirin", "recording:unknown")
    assert train["audio"]["path"] == f"{train['id']}.flac"
    samples, rate_hz = soundfile.read(io.BytesIO(train["audio"]["bytes"]))
    assert rate_hz == 16_000
    assert len(samples) / rate_hz == pytest.approx(train["duration_s"]) == pytest.approx(0.5 + 2 * 0.05, abs=0.01)
    assert np.abs(np.fft.rfft(samples)).argmax() / train["duration_s"] == pytest.approx(500, abs=5)


@pytest.mark.parametrize(("name", "separator"), [("list.csv", ","), ("list.csv", ";"), ("list.tsv", "\t")])
def test_a_manifest_becomes_rows(folder, corpus, name, separator):
    folder.add("a b.wav")
    folder.add("deep/b.wav")
    whole = folder.add("c.ogg")
    table = [
        ("\ufeffPath", "notes", "Drug", "speaker", "dose", "split"),
        ("a b.wav", "x", "ASPIRIN", "Ann", "100 mg", "validation"),
        ("", "", "", "", "", ""),
        ("deep/b.wav", "", "co trimoxazole", "Bob", "", "Train"),
        (str(whole), "", "Warfarin", "Ann", "1 unit", ""),
    ]
    source = folder.manifest("\n".join(separator.join(cells) for cells in table) + "\n", name)
    rows, failures = corpus.build(source)
    assert not any(failures.values())
    assert [row["text"] for row in rows["train"]] == ["co trimoxazole"]
    # Ann's other recording follows the split that is demanded for her.
    assert sorted((row["text"], row["dose"], row["voice"]) for row in rows["validation"]) == [
        ("aspirin one hundred milligrams", "100 mg", "recording:ann"),
        ("warfarin one unit", "1 units", "recording:ann"),
    ]


def test_locations_may_be_uris(folder, corpus):
    folder.add("Anna #1é/aspirin (1).wav")
    folder.add("Anna #1é/folic acid_5%.wav")
    rows, _ = corpus.build(f"file://{folder.path}")
    assert sorted(row["text"] for split in rows.values() for row in split) == ["aspirin", "folic acid five percent"]
    rows, _ = corpus.build("file://" + folder.manifest("path,drug\nAnna #1é/aspirin (1).wav,aspirin\n"))
    assert [row["text"] for row in rows["test"]] == ["aspirin"]


def test_no_source_is_no_recordings():
    assert plan_recordings("", LEXICON, CONFIG) == []


def test_every_bad_row_of_a_manifest_is_listed_at_once(folder):
    for name in "abcdefg":
        folder.add(f"{name}.wav")
    source = folder.manifest(
        "path,drug,speaker,dose,split\n"
        "a.wav,aspirin,ann,,train\n"
        "missing.wav,aspirin,ann,,\n"
        "b.wav,asprin,ann,,\n"
        "c.wav,xyzzy,ann,,\n"
        "d.wav,aspirin,ann,,holdout\n"
        "e.wav,aspirin,Ann ,,test\n"
        "f.wav,aspirin,bob,100,\n"
        ",aspirin,bob,,\n"
        "g.wav,aspirin,bob,2,5 mg,test\n"
        "g.wav,aspirin,,,\n"
    )
    head, *lines = faults_of(source)
    assert "8 faults in 10 recordings" in head
    expected = {
        3: "missing.wav", 4: "'asprin' (is it 'Aspirin'?)", 5: "'xyzzy': correct it", 6: "no split 'holdout': write train, validation, test",
        7: "the speaker 'ann' is for test, but on line 2 for train", 8: "'100' is no number with a unit", 9: "has no path",
        10: "more cells than the header",
    }  # fmt: skip
    assert [line.split(":")[0] for line in lines] == [f"  line {number}" for number in expected]
    for line, text in zip(lines, expected.values(), strict=True):
        assert text in line


def test_unknown_names_in_a_folder_are_listed_with_a_suggestion(folder):
    folder.add("ann/warfarine.wav")
    folder.add("ann/aspirin_500.wav")
    folder.add("aspirin.wav")
    _, first, second = faults_of(folder.path)
    assert first.startswith("  ann/aspirin_500.wav: the dose '500' is no number with a unit: write it like '2.5 mg'")
    assert second.startswith("  ann/warfarine.wav: no drug of the list is called 'warfarine' (is it 'Warfarin'?)")


def test_a_long_list_of_faults_is_cut(folder):
    source = folder.manifest("path,drug\n" + "nothing.wav,aspirin\n" * 80)
    lines = faults_of(source)
    assert len(lines) == 52
    assert lines[-1].strip() == "... and 30 more"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,drug\na.wav,aspirin\n", "must have `path` and `drug` once each, but has 'file', 'drug'"),
        ("path,path,drug\na.wav,b.wav,aspirin\n", "once each"),
        ("", "but has nothing"),
        ("path,drug\n", "lists no recording"),
        ('path,drug\n"a.wav,aspirin\n', "line 2: broken quotes"),
    ],
)
def test_a_table_that_is_none_is_refused(folder, text, complaint):
    assert complaint in "\n".join(faults_of(folder.manifest(text)))


def test_a_source_that_cannot_be_read_is_refused(folder):
    assert "cannot read the recordings" in faults_of(folder.path / "nowhere")[0]
    assert "cannot read the recordings" in faults_of(folder.path / "nowhere.csv")[0]
    assert "lists no recording" in faults_of(folder.path)[0]
    (folder.path / "latin.csv").write_bytes("path,drug\né.wav,aspirin\n".encode("latin-1"))
    assert "not UTF-8" in faults_of(folder.path / "latin.csv")[0]


def test_no_speaker_is_in_two_splits(folder):
    """Nor when case or the letters' form differ, or when some rows demand a split and others do not."""
    table = ["path,drug,speaker,split"]
    for number in range(60):
        folder.add(f"{number}.wav", speech(200 + number, seconds=0.2))
        name = f"Zoë {number // 3}"
        speaker = (name, name.upper(), "Zoe\u0308 " + name.split()[1])[number % 3]
        table.append(f"{number}.wav,aspirin,{speaker},{'train' if number in (5, 10) else ''}")
    shards = plan_recordings(folder.manifest("\n".join(table)), LEXICON, CONFIG)
    splits = defaultdict(set)
    for shard in shards:
        for recording in shard.recordings:
            assert recording.split == shard.split
            splits[recording.voice].add(shard.split)
    assert len(splits) == 20
    assert all(len(found) == 1 for found in splits.values())
    assert splits["recording:zoë 1"] == splits["recording:zoë 3"] == {"train"}
    assert {split for found in splits.values() for split in found} == set(SPLITS)


def test_speakers_are_dealt_in_known_shares_and_the_unknown_one_is_for_test():
    dealt = [deal_split(f"someone {number}") for number in range(2000)]
    for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
        assert dealt.count(split) / len(dealt) == pytest.approx(share, abs=0.04)
    assert deal_split("unknown") == "test"


def test_recordings_of_nobody_are_one_speaker(folder):
    folder.add("a.wav")
    folder.add("b.wav")
    demand = "path,drug,speaker,split\na.wav,aspirin,,{}\nb.wav,warfarin,unknown,{}\n"
    (shard,) = plan_recordings(folder.manifest(demand.format("train", "")), LEXICON, CONFIG)
    assert (shard.split, shard.num_clips) == ("train", 2)
    assert "the speaker 'unknown' is for test" in faults_of(folder.manifest(demand.format("train", "test")))[1]


def test_training_leaves_unseen_names_out_and_says_how_many(folder, corpus, capsys):
    config = dataclasses.replace(CONFIG, unseen_fraction=0.5)
    config = next(c for seed in range(100) if sum(is_unseen(d, c := dataclasses.replace(config, seed=seed)) for d in LEXICON.drugs) == 2)
    unseen = {drug.name for drug in LEXICON.drugs if is_unseen(drug, config)}
    for split in SPLITS:
        for name in NAMES:
            folder.add(f"{SPEAKER[split]}/{name}.wav")
    rows, _ = corpus.build(folder.path, config)
    assert {row["drug"] for row in rows["train"]} == set(NAMES) - unseen
    assert {row["drug"] for row in rows["test"]} == {row["drug"] for row in rows["validation"]} == set(NAMES)
    said = capsys.readouterr().err
    assert "12 files of 3 speakers: 2 for train, 4 for validation, 4 for test; 2 left out of training" in said
    assert not any(name.lower() in said.lower() for name in NAMES)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (speech(seconds=0.02), "0.12 s of speech; 0.15 to 20.0 s"),
        (speech(seconds=21), r"21.10 s of speech"),
        (speech(level=0.005), "silent: the peak is 0.0050"),
        (np.zeros(16_000), "silent"),
        (np.clip(speech(level=4.0), -1, 1), "clipped"),
        (np.where(np.arange(24_000) == 9000, np.nan, speech()[:24_000]), "not numbers"),
        (np.zeros(0), "0 samples"),
    ],
    ids=["short", "long", "quiet", "silent", "clipped", "NaN", "no samples"],
)
def test_what_will_not_do_is_a_failure_with_its_reason(folder, corpus, wave, reason):
    folder.add("Warfarin.wav", wave, subtype="FLOAT")
    folder.add("aspirin.wav")
    rows, failures = corpus.build(folder.path)
    assert [row["drug"] for row in rows["test"]] == ["Aspirin"]
    (failure,) = failures["test"]
    assert failure["error"].startswith("Warfarin.wav: ")
    assert reason in failure["error"]
    expected = {"text": "warfarin", "drug_id": "id-Warfarin", "engine": "recording", "voice": "recording:unknown", "split": "test", "tries": 1}
    assert {name: failure[name] for name in expected} == expected


def test_what_is_no_audio_is_a_failure(folder, corpus):
    (folder.path / "aspirin.m4a").write_bytes(b"an HTML page, perhaps")
    rows, failures = corpus.build(folder.path)
    assert not rows["test"]
    assert "aspirin.m4a: cannot decode the clip (21 bytes)" in failures["test"][0]["error"]


def test_the_same_file_is_kept_once_in_whatever_split(folder, corpus):
    for place in (f"{SPEAKER['train']}/aspirin.wav", f"{SPEAKER['test']}/aspirin.wav", f"{SPEAKER['test']}/warfarin.wav"):
        folder.add(place, speech(333))
    order = sorted([SPEAKER["train"], SPEAKER["test"]])
    rows, failures = corpus.build(folder.path)
    assert [row["voice"] for split in SPLITS for row in rows[split]] == [f"recording:{order[0]}"]
    errors = [failure["error"] for split in SPLITS for failure in failures[split]]
    assert len(errors) == 2
    assert all(error.endswith(f": duplicate of {order[0]}/aspirin.wav") for error in errors)


def test_a_file_that_training_leaves_out_makes_no_duplicate(folder, corpus):
    config = dataclasses.replace(CONFIG, unseen_fraction=0.5)
    config = next(c for seed in range(100) if is_unseen(LEXICON.drugs[0], c := dataclasses.replace(config, seed=seed)))
    for name in "ab":
        folder.add(f"{name}.wav", speech(333))
    source = folder.manifest("path,drug,speaker,split\na.wav,aspirin,ann,train\nb.wav,aspirin,bob,test\n")
    rows, failures = corpus.build(source, config)
    assert not any(failures.values())
    assert [row["voice"] for row in rows["test"]] == ["recording:bob"]


def test_the_same_samples_in_another_container_are_found_in_a_shard(folder, corpus):
    samples, _ = soundfile.read(folder.add("aspirin.flac", speech(333)), dtype="int16")
    folder.add("aspirin2.wav", samples)
    rows, failures = corpus.build(folder.path)
    assert len(rows["test"]) == 1
    assert failures["test"][0]["error"] == "aspirin2.wav: duplicate of aspirin.flac"


def test_one_more_file_changes_one_shard_and_moving_the_folder_none(folder, tmp_path):
    config = dataclasses.replace(CONFIG, clips_per_shard=8)
    for number in range(40):
        folder.add(f"aspirin{number}.wav", speech(200 + number, seconds=0.2))

    def names(path):
        shards = plan_recordings(str(path), LEXICON, config)
        assert {(s.split, s.engine, s.num_buckets) for s in shards} == {("test", "recording", 8)}
        return {shard.file_name for shard in shards}

    before = names(folder.path)
    assert all(name.startswith("part-recording-0000") and "-of-00008-" in name for name in before)
    assert names(folder.path.rename(tmp_path / "moved")) == before
    folder.path = tmp_path / "moved"
    folder.add("warfarin.wav")
    assert len(names(folder.path) - before) == 1
    assert len(before - names(folder.path)) <= 1


@pytest.mark.parametrize("change", ["audio", "speaker", "drug"])
def test_a_file_name_tells_what_is_in_the_file(folder, change):
    def file_name(lexicon=LEXICON):
        source = folder.manifest(f"path,drug,speaker,split\na.wav,aspirin,{speaker},test\n")
        (shard,) = plan_recordings(source, lexicon, CONFIG)
        return shard.file_name

    folder.add("a.wav", speech(300))
    speaker = "ann"
    before = file_name()
    assert file_name() == before
    if change == "audio":
        folder.add("a.wav", speech(301))
    if change == "speaker":
        speaker = "bob"
    renamed = Lexicon("renamed", (Drug(id="7", name="ASPIRIN", spoken="aspirin"),)) if change == "drug" else LEXICON
    assert file_name(renamed) != before


def test_importing_twice_gives_the_same_bytes_and_clears_old_failures(folder, corpus):
    folder.add("aspirin.wav")
    (shard,) = plan_recordings(str(folder.path), LEXICON, CONFIG)
    first = write_recordings(corpus.uri, shard)
    path = Path(corpus.uri) / "test" / shard.file_name
    data = path.read_bytes()
    stale = Path(corpus.uri) / "failures" / f"test-{shard.file_name}"
    stale.parent.mkdir()
    stale.touch()
    assert write_recordings(corpus.uri, shard) == first
    assert path.read_bytes() == data
    assert not stale.exists()


def test_a_recording_that_a_worker_cannot_reach_stops_the_import(folder, corpus):
    path = folder.add("aspirin.wav")
    (shard,) = plan_recordings(str(folder.path), LEXICON, CONFIG)
    path.unlink()
    with pytest.raises(StorageError, match=r"aspirin\.wav"):
        write_recordings(corpus.uri, shard)
    assert not Path(corpus.uri).exists()


def test_the_order_of_the_manifest_does_not_matter(folder):
    names = [f"{number}.wav" for number in range(12)]
    for name in names:
        folder.add(name)
    lines = [f"{name},aspirin,speaker {number % 5}" for number, name in enumerate(names)]
    plans = [plan_recordings(folder.manifest("\n".join(["path,drug,speaker", *some])), LEXICON, CONFIG) for some in (lines, lines[::-1])]
    assert plans[0] == plans[1]
