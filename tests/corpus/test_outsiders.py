"""Names that are not in the list: who they are, that training never hears them, and what the corpus says of them."""

import dataclasses

import pyarrow.parquet as pq
import pytest

from drugasr import storage
from drugasr.corpus.outsiders import choose_outsiders
from drugasr.corpus.plan import plan_shards
from drugasr.corpus.shard_writer import write_shard
from drugasr.lexicon.dose import marketed_doses
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.reading import read_lexicon

FULL = {drug.spoken for drug in read_lexicon("full").drugs}


@pytest.fixture
def choose(with_settings):
    """Split -> the spoken forms of its outsiders."""

    def run(lexicon, num_outsiders=50, **settings):
        found = choose_outsiders(lexicon, with_settings(num_outsiders=num_outsiders, **settings))
        return {split: [drug.spoken for drug in drugs] for split, drugs in found.items()}

    return run


def said(lexicon):
    return [form for drug in lexicon.drugs for form in (drug.spoken, *drug.aliases)]


def shares_a_word(form, forms):
    """As slowly and plainly as can be."""
    mine, theirs = ([word for name in names for word in [*name.split(), "".join(name.split())]] for names in ([form], forms))
    return any(word == other for word in mine for other in theirs)


@pytest.mark.parametrize("tier", ["quick50", "top500"])
def test_outsiders_are_names_that_share_no_word_with_the_list(choose, tier):
    lexicon = read_lexicon(tier)
    found = choose(lexicon)
    assert {split: len(names) for split, names in found.items()} == {"validation": 50, "test": 50}
    forms = said(lexicon)
    for name in (*found["validation"], *found["test"]):
        assert name in FULL and not shares_a_word(name, forms)


def test_an_alias_keeps_its_words_out_too(choose, make_lexicon):
    lexicon = make_lexicon("metformin")
    aliases = tuple(choose(lexicon)["test"])
    known = Lexicon("known", (dataclasses.replace(lexicon.drugs[0], aliases=aliases),))
    assert not any(shares_a_word(name, aliases) for names in choose(known).values() for name in names)


def test_a_name_of_the_list_written_together_or_apart_is_no_outsider(choose, make_lexicon):
    everything = {name for names in choose(make_lexicon("metformin"), 10_000).values() for name in names}
    apart = next(name for name in sorted(everything) if " " in name)
    together = next(name for name in sorted(everything) if " " not in name and len(name) > 8)
    known = make_lexicon("".join(apart.split()), f"{together[:4]} {together[4:]}")
    found = {name for names in choose(known, 10_000).values() for name in names}
    assert not {apart, together} & found


def test_no_name_is_fitted_on_and_measured_on(choose, make_lexicon):
    found = choose(make_lexicon("metformin"), 10_000)
    assert not set(found["validation"]) & set(found["test"])
    # Neither is its sister: "insulin aspart" and "insulin lispro" go together.
    assert not {name.split()[0] for name in found["validation"]} & {name.split()[0] for name in found["test"]}
    assert 0.4 < len(found["test"]) / sum(map(len, found.values())) < 0.6


def test_one_more_name_in_the_list_replaces_only_what_shares_a_word_with_it(choose):
    names = read_lexicon("quick50").drugs
    before = choose(Lexicon("before", names))
    first = before["validation"][0]
    replaced = []
    for new in [*(drug.spoken for drug in read_lexicon("full").drugs[::1400]), "novelamab", first, "acid", *before["test"][:3]]:
        after = choose(Lexicon("after", (*names, Drug(id=new, name=new, spoken=new))))
        for split in ("validation", "test"):
            gone, come = set(before[split]) - set(after[split]), set(after[split]) - set(before[split])
            assert gone == {name for name in before[split] if shares_a_word(name, [new])}
            assert len(come) == len(gone)
            replaced.append(len(gone))
        if " " not in new and new != "acid":
            assert sum(replaced[-2:]) <= 1
    assert 0 < sum(replaced) < 20


def test_more_outsiders_keep_those_that_were_there_and_a_seed_draws_others(choose, make_lexicon):
    lexicon = make_lexicon("metformin")
    few, many, others = choose(lexicon, 20), choose(lexicon, 40), choose(lexicon, 40, seed=1)
    for split in ("validation", "test"):
        assert many[split][:20] == few[split]
        assert len(set(many[split]) & set(others[split])) < 10


def test_the_order_of_the_list_does_not_count(choose):
    drugs = read_lexicon("quick50").drugs
    assert choose(Lexicon("a", drugs)) == choose(Lexicon("b", tuple(reversed(drugs))))


def test_the_full_list_has_no_outsiders_and_says_so(choose, capsys):
    assert choose(read_lexicon("full")) == {"validation": [], "test": []}
    assert "0 for validation, 0 for test, not 50" in capsys.readouterr().err


def test_none_are_asked_for(choose, make_lexicon, capsys):
    assert choose(make_lexicon("metformin"), 0) == {}
    assert capsys.readouterr().err == ""


def shards(lexicon, config, versions):
    found = {}
    for shard in plan_shards(lexicon, config, versions):
        found.setdefault(shard.split, []).append(shard)
    return found


def test_validation_and_test_say_their_outsiders_plainly_and_training_stays_as_it_was(choose, make_lexicon, with_settings, versions):
    settings = {"rates": (1.0, 1.2), "augmentation": "light", "num_augmented": 2, "num_doses": 3, "clips_per_shard": 20, "unseen_fraction": 0.2}
    lexicon = make_lexicon("metformin", "warfarin", "digoxin", "heparin")
    without, config = with_settings(**settings), with_settings(**settings, num_outsiders=30)
    old, new = shards(lexicon, without, versions), shards(lexicon, config, versions)
    assert [shard.file_name for shard in new["train"]] == [shard.file_name for shard in old["train"]]
    assert all(utterance.drug.id for shard in new["train"] for utterance in shard.utterances())
    outsiders = choose(lexicon, 30)
    assert any(marketed_doses(Drug(id="1", name=name, spoken=name)) for name in outsiders["test"])  # and yet they are said without
    for split, voices in (("validation", ["tone:c"]), ("test", ["tone:d", "tone:e"])):
        assert all(shard.num_clips == len(list(shard.utterances())) for shard in new[split])
        assert max(shard.num_clips for shard in new[split]) <= 60  # outsiders count when names are dealt to files
        utterances = [u for shard in new[split] for u in shard.utterances()]
        foreign = [u for u in utterances if not u.drug.id]
        assert sorted((u.text, u.voice, u.rate) for u in foreign) == sorted((n, v, r) for n in outsiders[split] for v in voices for r in (1.0, 1.2))
        assert all(u.dose is None and not u.augmentation and u.copy == 0 for u in foreign)
        before = {u.id for shard in old[split] for u in shard.utterances()}
        assert {u.id for u in utterances if u.drug.id} == before
        assert len({u.id for u in utterances}) == len(utterances)


@pytest.fixture
def write(tmp_path, with_settings, versions, maker):
    """Writes every shard as the synthesis does; returns all rows by split, the number that was made, and the failures."""

    def run(lexicon, **settings):
        rows, made = {}, 0
        for shard in plan_shards(lexicon, with_settings(**settings), versions):
            report = write_shard(str(tmp_path), shard, storage.list_files(f"{tmp_path}/{shard.split}", ".parquet"), maker)
            rows.setdefault(shard.split, []).extend(pq.read_table(f"{tmp_path}/{shard.split}/{report.file_name}").to_pylist())
            made += report.num_made
        return rows, made

    return run


def test_the_corpus_gives_an_outsider_its_name_and_no_id(write, make_lexicon, choose, tones, tmp_path):
    lexicon = make_lexicon("metformin", "warfarin")
    outsiders = choose(lexicon, 4)
    tones.poisoned = {outsiders["test"][0]}
    rows, _ = write(lexicon, num_outsiders=4)
    full = {drug.spoken: drug.name for drug in read_lexicon("full").drugs}
    assert [row for row in rows["train"] if row["drug_id"] is None] == []
    for split, names in (("validation", outsiders["validation"]), ("test", outsiders["test"][1:])):
        foreign = [row for row in rows[split] if row["drug_id"] is None]
        assert {(row["text"], row["drug"]) for row in foreign} == {(name, full[name]) for name in names}
        assert {row["text"] for row in rows[split] if row["drug_id"] is not None} == {"metformin", "warfarin"}
        assert all(row["dose"] is None and row["augmentation"] == "" and row["audio"]["bytes"] for row in foreign)
    failures = pq.read_table(tmp_path / "failures").to_pylist()
    assert {(row["text"], row["drug_id"]) for row in failures} == {(outsiders["test"][0], None)}


def test_an_outsider_that_joins_the_list_keeps_its_clips_and_gets_its_id(write, make_lexicon, choose):
    name = choose(make_lexicon("metformin"), 3)["test"][0]
    write(make_lexicon("metformin"), num_outsiders=3)
    rows, made = write(make_lexicon("metformin", name), num_outsiders=3)
    ids = {row["drug_id"] for row in rows["test"] if row["text"] == name}
    assert ids == {f"id-{name}"}
    # Two training clips and the validation clip of the name, and the two test clips of who takes its place.
    assert made == 2 + 1 + 2
