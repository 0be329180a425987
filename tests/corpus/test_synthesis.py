import dataclasses

import pyarrow as pa
import pytest

from drugasr.corpus.manifest import Manifest
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


def test_the_number_of_tasks_does_not_change_a_byte(tiny, lexicon, tmp_path):
    one = synthesise(lexicon, tiny.corpus, dataclasses.replace(tiny.cluster, cpus_per_task=4.0), str(tmp_path / "one"))
    four = synthesise(lexicon, tiny.corpus, dataclasses.replace(tiny.cluster, cpus_per_task=1.0), str(tmp_path / "four"))
    assert clips(str(tmp_path / "one")) == clips(str(tmp_path / "four"))
    assert one.manifest == four.manifest


def test_a_second_run_makes_nothing_and_a_new_name_only_its_own(tiny, lexicon, tmp_path):
    corpus_uri = str(tmp_path)
    first = synthesise(lexicon, tiny.corpus, tiny.cluster, corpus_uri)
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
