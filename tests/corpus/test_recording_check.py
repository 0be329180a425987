"""What is wrong with a list of recordings is told at once, row by row."""

from recording_folder import CONFIG, LEXICON, faults_of

from drugasr.corpus.recordings import plan_recordings


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


def test_recordings_of_nobody_are_one_speaker(folder):
    folder.add("a.wav")
    folder.add("b.wav")
    demand = "path,drug,speaker,split\na.wav,aspirin,,{}\nb.wav,warfarin,unknown,{}\n"
    (shard,) = plan_recordings(folder.manifest(demand.format("train", "")), LEXICON, CONFIG)
    assert (shard.split, shard.num_clips) == ("train", 2)
    assert "the speaker 'unknown' is for test" in faults_of(folder.manifest(demand.format("train", "test")))[1]
