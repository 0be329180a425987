"""Recordings in the corpus: their rows, their splits, their files, and what will not do."""

import dataclasses
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recording_folder import CONFIG, LEXICON, NAMES, speech

from drugasr.corpus.plan import is_unseen
from drugasr.corpus.recordings import deal_split, plan_recordings, write_recordings
from drugasr.corpus.schema import SPLITS
from drugasr.errors import StorageError
from drugasr.lexicon.drug import Drug, Lexicon

# Three speakers whom the hash sends to three splits.
SPEAKER = {split: next(f"speaker {n}" for n in range(100) if deal_split(f"speaker {n}") == split) for split in SPLITS}


def test_a_folder_becomes_rows(folder, recorded):
    folder.add("Aspirin.wav")
    folder.add(f"{SPEAKER['train'].title()}/folic_acid_0.5mg(2).flac", speech(500, rate_hz=44_100), 44_100)
    folder.add(f"{SPEAKER['validation']}/session 1/warfarin2.mp3")
    (folder.path / "notes.txt").write_text("no audio")
    (folder.path / "._Aspirin.wav").write_bytes(b"what macOS leaves behind")
    rows, failures = recorded.build(folder.path)
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


def test_no_source_is_no_recordings():
    assert plan_recordings("", LEXICON, CONFIG) == []


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


def test_training_leaves_unseen_names_out_and_says_how_many(folder, recorded, capsys):
    config = dataclasses.replace(CONFIG, unseen_fraction=0.5)
    config = next(c for seed in range(100) if sum(is_unseen(d, c := dataclasses.replace(config, seed=seed)) for d in LEXICON.drugs) == 2)
    unseen = {drug.name for drug in LEXICON.drugs if is_unseen(drug, config)}
    for split in SPLITS:
        for name in NAMES:
            folder.add(f"{SPEAKER[split]}/{name}.wav")
    rows, _ = recorded.build(folder.path, config)
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
def test_what_will_not_do_is_a_failure_with_its_reason(folder, recorded, wave, reason):
    folder.add("Warfarin.wav", wave, subtype="FLOAT")
    folder.add("aspirin.wav")
    rows, failures = recorded.build(folder.path)
    assert [row["drug"] for row in rows["test"]] == ["Aspirin"]
    (failure,) = failures["test"]
    assert failure["error"].startswith("Warfarin.wav: ")
    assert reason in failure["error"]
    expected = {"text": "warfarin", "drug_id": "id-Warfarin", "engine": "recording", "voice": "recording:unknown", "split": "test", "tries": 1}
    assert {name: failure[name] for name in expected} == expected


def test_what_is_no_audio_is_a_failure(folder, recorded):
    (folder.path / "aspirin.m4a").write_bytes(b"an HTML page, perhaps")
    rows, failures = recorded.build(folder.path)
    assert not rows["test"]
    assert "aspirin.m4a: cannot decode the clip (21 bytes)" in failures["test"][0]["error"]


def test_the_same_file_is_kept_once_in_whatever_split(folder, recorded):
    for place in (f"{SPEAKER['train']}/aspirin.wav", f"{SPEAKER['test']}/aspirin.wav", f"{SPEAKER['test']}/warfarin.wav"):
        folder.add(place, speech(333))
    order = sorted([SPEAKER["train"], SPEAKER["test"]])
    rows, failures = recorded.build(folder.path)
    assert [row["voice"] for split in SPLITS for row in rows[split]] == [f"recording:{order[0]}"]
    errors = [failure["error"] for split in SPLITS for failure in failures[split]]
    assert len(errors) == 2
    assert all(error.endswith(f": duplicate of {order[0]}/aspirin.wav") for error in errors)


def test_a_file_that_training_leaves_out_makes_no_duplicate(folder, recorded):
    config = dataclasses.replace(CONFIG, unseen_fraction=0.5)
    config = next(c for seed in range(100) if is_unseen(LEXICON.drugs[0], c := dataclasses.replace(config, seed=seed)))
    for name in "ab":
        folder.add(f"{name}.wav", speech(333))
    source = folder.manifest("path,drug,speaker,split\na.wav,aspirin,ann,train\nb.wav,aspirin,bob,test\n")
    rows, failures = recorded.build(source, config)
    assert not any(failures.values())
    assert [row["voice"] for row in rows["test"]] == ["recording:bob"]


def test_the_same_samples_in_another_container_are_found_in_a_shard(folder, recorded):
    samples, _ = soundfile.read(folder.add("aspirin.flac", speech(333)), dtype="int16")
    folder.add("aspirin2.wav", samples)
    rows, failures = recorded.build(folder.path)
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


def test_importing_twice_gives_the_same_bytes_and_clears_old_failures(folder, recorded):
    folder.add("aspirin.wav")
    (shard,) = plan_recordings(str(folder.path), LEXICON, CONFIG)
    first = write_recordings(recorded.uri, shard)
    path = Path(recorded.uri) / "test" / shard.file_name
    data = path.read_bytes()
    stale = Path(recorded.uri) / "failures" / f"test-{shard.file_name}"
    stale.parent.mkdir()
    stale.touch()
    assert write_recordings(recorded.uri, shard) == first
    assert path.read_bytes() == data
    assert not stale.exists()


def test_a_recording_that_a_worker_cannot_reach_stops_the_import(folder, recorded):
    path = folder.add("aspirin.wav")
    (shard,) = plan_recordings(str(folder.path), LEXICON, CONFIG)
    path.unlink()
    with pytest.raises(StorageError, match=r"aspirin\.wav"):
        write_recordings(recorded.uri, shard)
    assert not Path(recorded.uri).exists()


def test_the_order_of_the_manifest_does_not_matter(folder):
    names = [f"{number}.wav" for number in range(12)]
    for name in names:
        folder.add(name)
    lines = [f"{name},aspirin,speaker {number % 5}" for number, name in enumerate(names)]
    plans = [plan_recordings(folder.manifest("\n".join(["path,drug,speaker", *some])), LEXICON, CONFIG) for some in (lines, lines[::-1])]
    assert plans[0] == plans[1]
