import dataclasses
import itertools
import random
from collections import Counter
from decimal import Decimal

import pytest

from drugasr.corpus.plan import choose_doses, is_unseen, plan_shards
from drugasr.lexicon import dose
from drugasr.lexicon.dose import make_dose
from drugasr.lexicon.drug import Drug, Lexicon

NAMES = [f"{a}{b}{c}" for a, b, c in itertools.product(("ami", "beto", "cari", "do"), ("ba", "lo", "ri"), ("mide", "nol", "pine", "xime", "zole"))]
SPLITS = ("train", "validation", "test")


@pytest.fixture
def config(with_settings):
    return with_settings(rates=(0.9, 1.1), augmentation="light", num_augmented=2, unseen_fraction=0.2, clips_per_shard=50, seed=3)


def utterances(lexicon, config, versions):
    return [(shard, utterance) for shard in plan_shards(lexicon, config, versions) for utterance in shard.utterances()]


def files(lexicon, config, versions):
    """Split -> the file names of its shards."""
    shards = list(plan_shards(lexicon, config, versions))
    return {split: {shard.file_name for shard in shards if shard.split == split} for split in SPLITS}


def test_every_name_is_said_by_every_voice_in_every_way_once(make_lexicon, config, versions):
    lexicon = make_lexicon(*NAMES)
    said = Counter(
        (shard.split, u.drug.spoken, u.voice, u.rate, u.pitch, u.augmentation, u.copy) for shard, u in utterances(lexicon, config, versions)
    )
    unseen = {drug.spoken for drug in lexicon.drugs if is_unseen(drug, config)}
    expected = set()
    for name, rate in itertools.product(NAMES, (0.9, 1.1)):
        for split, voices in (("validation", ["tone:c"]), ("test", ["tone:d", "tone:e"])):
            expected |= {(split, name, voice, rate, 1.0, "", 0) for voice in voices}
        if name not in unseen:
            for voice in ("tone:a", "tone:b"):
                expected |= {("train", name, voice, rate, 1.0, *copy) for copy in (("", 0), ("light", 1), ("light", 2))}
    assert said == Counter(expected)


def test_no_voice_stands_in_two_splits_and_no_unseen_name_in_training(make_lexicon, config, versions):
    lexicon = make_lexicon(*NAMES)
    splits_of_voice, splits_of_name = {}, {}
    for shard, utterance in utterances(lexicon, config, versions):
        splits_of_voice.setdefault(utterance.voice, set()).add(shard.split)
        splits_of_name.setdefault(utterance.drug.spoken, set()).add(shard.split)
    assert all(len(splits) == 1 for splits in splits_of_voice.values())
    unseen = {name for name, splits in splits_of_name.items() if splits == {"validation", "test"}}
    assert unseen == {drug.spoken for drug in lexicon.drugs if is_unseen(drug, config)}
    assert all(splits_of_name[name] == set(SPLITS) for name in NAMES if name not in unseen)
    assert 0.08 * len(NAMES) < len(unseen) < 0.35 * len(NAMES)


def test_the_share_of_unseen_names(make_lexicon, with_settings):
    drugs = make_lexicon(*(f"name{i}" for i in range(3000))).drugs
    by_seed = [{drug.id for drug in drugs if is_unseen(drug, with_settings(unseen_fraction=0.1, seed=seed))} for seed in (0, 1)]
    assert all(0.08 < len(unseen) / len(drugs) < 0.12 for unseen in by_seed)
    assert len(by_seed[0] & by_seed[1]) < 0.3 * len(by_seed[0])
    assert not any(is_unseen(drug, with_settings(unseen_fraction=0.0)) for drug in drugs)


def test_ids_are_unique_and_name_what_determines_the_audio(make_lexicon, config, versions):
    lexicon = make_lexicon(*NAMES)
    ids = [utterance.id for _, utterance in utterances(lexicon, config, versions)]
    assert len(set(ids)) == len(ids)
    seeds = [utterance.seed for _, utterance in utterances(lexicon, config, versions)]
    assert len(set(seeds)) > 0.999 * len(seeds)

    _, utterance = utterances(lexicon, config, versions)[0]
    others = {
        "alias": "another name", "dose": make_dose(Decimal(5), "MG"), "dose_voice": "tone:a", "dose_voice_version": "tone 2", "recipe_version": "n",
        "voice": "tone:z", "voice_version": "tone 2", "rate": 1.5, "pitch": 1.5, "augmentation": "light", "copy": 9, "corpus_seed": 9,
        "drug": dataclasses.replace(utterance.drug, spoken="something else"),
    }  # fmt: skip
    changed = {dataclasses.replace(utterance, **{name: value}).id for name, value in others.items()}
    assert len(changed | {utterance.id}) == len(others) + 1
    # How the list writes and numbers a name changes no sound.
    renamed = dataclasses.replace(utterance.drug, name="NAME", id="42", kind="brand", generic="x")
    assert dataclasses.replace(utterance, drug=renamed).id == utterance.id


def test_one_more_name_changes_one_file_a_split_and_nothing_else(make_lexicon, with_settings, versions):
    config = with_settings(clips_per_shard=20, unseen_fraction=0.2)
    before = make_lexicon(*NAMES)
    seen = [drug.spoken for drug in make_lexicon(*(f"nova{i}" for i in range(20))).drugs if not is_unseen(drug, config)]
    for new in seen[:3]:
        after = make_lexicon(*NAMES[:30], new, *NAMES[30:])
        old_files, new_files = files(before, config, versions), files(after, config, versions)
        for split in SPLITS:
            assert len(old_files[split]) > 2
            assert len(old_files[split] - new_files[split]) == len(new_files[split] - old_files[split]) == 1
        old_rows = {(shard.split, u.drug.spoken, u.id) for shard, u in utterances(before, config, versions)}
        new_rows = {(shard.split, u.drug.spoken, u.id) for shard, u in utterances(after, config, versions)}
        assert old_rows < new_rows
        assert {name for _, name, _ in new_rows - old_rows} == {new}


def test_an_unseen_name_more_leaves_training_as_it_was(make_lexicon, with_settings, versions):
    config = with_settings(clips_per_shard=20, unseen_fraction=0.2)
    new = next(name for name in (f"nova{i}" for i in range(50)) if is_unseen(Drug(id=name, name=name, spoken=name), config))
    old_files, new_files = files(make_lexicon(*NAMES), config, versions), files(make_lexicon(*NAMES, new), config, versions)
    assert old_files["train"] == new_files["train"]
    assert old_files["test"] != new_files["test"]


def test_names_never_move_in_or_out_of_unseen_when_others_come_and_go(make_lexicon, config, versions):
    def unseen(lexicon):
        train = {u.drug.spoken for shard, u in utterances(lexicon, config, versions) if shard.split == "train"}
        return {drug.spoken for drug in lexicon.drugs} - train

    everyone = unseen(make_lexicon(*NAMES))
    for count in (1, 7, 30):
        assert unseen(make_lexicon(*NAMES[:count])) == everyone & set(NAMES[:count])


def test_the_order_of_the_list_does_not_count(make_lexicon, config, versions):
    shuffled = NAMES.copy()
    random.Random(0).shuffle(shuffled)
    plans = [
        [(shard.file_name, [u.id for u in shard.utterances()]) for shard in plan_shards(make_lexicon(*names), config, versions)]
        for names in (NAMES, shuffled)
    ]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("size", [3, 30])
def test_when_the_buckets_double_a_new_bucket_lies_in_one_old_one(make_lexicon, with_settings, versions, size):
    lexicon = make_lexicon(*NAMES)

    def buckets(clips_per_shard):
        shards = [s for s in plan_shards(lexicon, with_settings(clips_per_shard=clips_per_shard), versions) if s.split == "train"]
        return shards[0].num_buckets, {drug.spoken: shard.bucket for shard in shards for drug in shard.drugs}

    old_count, old = buckets(2 * size)
    new_count, new = buckets(size)
    assert new_count == 2 * old_count
    assert old.keys() == new.keys() == set(NAMES)
    assert all(new[name] % old_count == old[name] for name in NAMES)
    assert len(set(new.values())) > len(set(old.values()))


def test_files_aim_at_the_size_that_was_asked_for(make_lexicon, with_settings, versions):
    lexicon = make_lexicon(*NAMES)  # 60 names: 120 training clips
    for shard in plan_shards(lexicon, with_settings(clips_per_shard=10_000), versions):
        assert shard.num_buckets == 1
    shards = [s for s in plan_shards(lexicon, with_settings(clips_per_shard=20), versions) if s.split == "train"]
    assert shards[0].num_buckets == 8
    assert sum(s.num_clips for s in shards) == 120
    for shard in shards:
        assert shard.num_clips == len(list(shard.utterances()))


@pytest.mark.parametrize(
    "changes",
    [{"rates": (1.0, 1.2)}, {"pitches": (1.1,)}, {"seed": 5}, {"augmentation": "light"}, {"train_voices": ("tone:a",)}, {"num_doses": 2}],
)
def test_a_file_name_tells_every_setting_that_changes_its_content(make_lexicon, with_settings, versions, changes):
    lexicon = make_lexicon("metformin")
    assert not files(lexicon, with_settings(), versions)["train"] & files(lexicon, with_settings(**changes), versions)["train"]


def test_what_leaves_a_split_alone_keeps_its_files(make_lexicon, with_settings, versions):
    lexicon = make_lexicon("aspirin")
    old = files(lexicon, with_settings(), versions)
    assert files(lexicon, with_settings(augmentation="light"), versions)["test"] == old["test"]
    assert files(lexicon, with_settings(train_voices=("tone:a",)), versions)["validation"] == old["validation"]
    assert files(lexicon, with_settings(), versions | {"other:a": "2"}) == old
    newer = files(lexicon, with_settings(), versions | {"tone:a": "tone 2"})
    assert newer["train"] != old["train"]
    assert newer["test"] == old["test"]


def test_the_name_of_a_file_tells_the_order_of_its_rows(make_lexicon, with_settings, versions):
    """Equal names must mean equal bytes."""
    lexicon = make_lexicon("aspirin")
    plans = [with_settings(train_voices=voices) for voices in (("tone:a", "tone:b"), ("tone:b", "tone:a"))]
    rows = [[u.id for shard, u in utterances(lexicon, plan, versions) if shard.split == "train"] for plan in plans]
    same_files = files(lexicon, plans[0], versions)["train"] == files(lexicon, plans[1], versions)["train"]
    assert same_files == (rows[0] == rows[1])


def test_an_engine_may_have_its_own_number_of_copies(make_lexicon, with_settings):
    voices = ("tone:a", "tone:b", "bell:a")
    config = with_settings(train_voices=voices, augmentation="light", num_augmented=1, num_augmented_by_engine={"bell": 3})
    versions = dict.fromkeys((*voices, "tone:c", "tone:d", "tone:e"), "1")
    plan = utterances(make_lexicon("aspirin", "codeine"), config, versions)
    counts = Counter((u.voice, u.copy) for shard, u in plan if shard.split == "train")
    assert counts == {(voice, copy): 2 for voice in voices for copy in range(4 if voice == "bell:a" else 2)}
    assert {u.copy for shard, u in plan if shard.split != "train"} == {0}
    for shard, _ in plan:
        assert shard.num_clips == len(list(shard.utterances()))
    more = with_settings(train_voices=voices, augmentation="light", num_augmented_by_engine={"bell": 4})
    old, new = (files(make_lexicon("aspirin"), c, versions) for c in (config, more))
    assert len(old["train"] - new["train"]) == len(new["train"] - old["train"]) == 1  # the bell's file alone
    assert old["test"] == new["test"]


def test_doses_follow_the_name_that_is_sold_in_them(make_lexicon, with_settings, versions):
    config = with_settings(num_doses=3, rates=(1.0, 1.2))
    lexicon = make_lexicon("metformin", "ambienol")  # nobody sells the second
    plan = [(shard, u) for shard, u in utterances(lexicon, config, versions) if shard.split == "test"]
    texts = Counter(u.text for _, u in plan)
    sold = {"two hundred fifty", "five hundred", "six hundred twenty five", "seven hundred fifty", "eight hundred fifty", "one thousand"}
    doses = {text.removeprefix("metformin ").removesuffix(" milligrams") for text in texts} - {"metformin", "ambienol"}
    assert len(doses) == 3 and doses < sold
    assert set(texts.values()) == {4}  # two voices at two rates
    assert all(shard.num_clips == len(list(shard.utterances())) for shard, _ in plan)
    # One dose more leaves the others as they are.
    more = {u.id for _, u in utterances(lexicon, with_settings(num_doses=4, rates=(1.0, 1.2)), versions)}
    assert {u.id for _, u in plan} < more
    assert len(choose_doses(lexicon.drugs[0], with_settings(num_doses=100))) == 6


@pytest.fixture
def glucophage():
    return Drug(id="6809", name="Metformin", spoken="metformin", aliases=("glucophage", "met for min"))


def test_every_alias_is_said_as_the_name_is(glucophage, with_settings, versions):
    settings = {"rates": (0.9, 1.1), "pitches": (0.8, 1.0, 1.2), "augmentation": "light", "num_augmented": 2}
    lexicon = Lexicon("aliases", (glucophage, Drug(id="1", name="Ambienol", spoken="ambienol")))
    plan = utterances(lexicon, with_settings(**settings), versions)
    ways = {}
    for shard, u in plan:
        assert u.drug.id == ("1" if u.text == "ambienol" else "6809")
        assert shard.num_clips == len(list(shard.utterances()))
        ways.setdefault(u.text, Counter())[shard.split, u.voice, u.rate, u.pitch, u.augmentation, u.copy] += 1
    assert ways.keys() == {"metformin", "glucophage", "met for min", "ambienol"}
    assert all(way == ways["metformin"] for way in ways.values())
    assert len({u.id for _, u in plan}) == len(plan) == 4 * (2 * 3 + 1 + 2) * 6  # forms x (training voices x copies, validation, test) x ways


def test_an_alias_is_seen_when_its_drug_is_and_has_no_doses(glucophage, with_settings, versions):
    config = with_settings(num_doses=2)
    texts = [u.text for shard, u in utterances(Lexicon("one", (glucophage,)), config, versions) if shard.split == "validation"]
    doses = [dose.spoken for dose in choose_doses(glucophage, config)]
    assert len(doses) == 2
    assert texts == ["metformin", *(f"metformin {dose}" for dose in doses), "glucophage", "met for min"]
    hidden = next(config for seed in range(20) if is_unseen(glucophage, config := with_settings(unseen_fraction=0.5, seed=seed)))
    other = Drug(id="2", name="x", spoken=next(n for n in NAMES if not is_unseen(Drug(id=n, name=n, spoken=n), hidden)))
    plan = utterances(Lexicon("two", (glucophage, other)), hidden, versions)
    assert {u.drug.id for shard, u in plan if shard.split == "train"} == {"2"}
    assert {u.text for shard, u in plan if shard.split == "test"} == {*glucophage.spoken_forms, other.spoken}


def test_one_more_alias_is_another_file_with_the_clips_that_were_there(glucophage, with_settings, versions):
    lexicons = [Lexicon("one", (dataclasses.replace(glucophage, aliases=aliases),)) for aliases in ((), ("glucophage",))]
    old, new = ({u.id for _, u in utterances(lexicon, with_settings(), versions)} for lexicon in lexicons)
    assert old < new and len(new) == 2 * len(old)
    assert not files(lexicons[0], with_settings(), versions)["test"] & files(lexicons[1], with_settings(), versions)["test"]


def test_a_joined_dose_is_another_clip_than_a_phrase(make_lexicon, with_settings, versions):
    def dosed(**changes):
        plan = utterances(make_lexicon("metformin"), with_settings(num_doses=1, **changes), versions)
        dosed = [(shard.split, u) for shard, u in plan if u.dose]
        return {u.id for _, u in dosed}, {(split, u.dose_voice) for split, u in dosed}

    phrase, joined, other = dosed(), dosed(dose_style="joined"), dosed(dose_style="joined", dose_voice="tone:z")
    own = {("train", "tone:a"), ("train", "tone:b"), ("validation", "tone:c"), ("test", "tone:d"), ("test", "tone:e")}
    assert {voice for _, voice in phrase[1]} == {""}
    assert joined[1] == own
    # A voice that training hears says nothing elsewhere.
    assert other[1] == {("train", "tone:z"), *(pair for pair in own if pair[0] != "train")}
    assert not phrase[0] & joined[0]
    assert len(joined[0] & other[0]) == 3


def test_every_engine_has_files_of_its_own(make_lexicon, with_settings):
    voices = dict.fromkeys(("tone:a", "bell:a", "tone:c", "tone:d", "tone:e", "bell:b"), "1")
    one = with_settings(train_voices=("tone:a", "bell:a"))
    old, new = (files(make_lexicon(*NAMES), c, voices) for c in (one, with_settings(train_voices=("tone:a", "bell:a", "bell:b"))))
    assert {name.split("-")[1] for name in old["train"]} == {"bell", "tone"}
    assert {name for name in old["train"] if "-tone-" in name} == {name for name in new["train"] if "-tone-" in name}


def test_another_version_of_the_doses_voice_is_another_clip(make_lexicon, with_settings, versions):
    config = with_settings(num_doses=1, dose_style="joined", dose_voice="tone:z")
    old, new = (utterances(make_lexicon("metformin"), config, versions | {"tone:z": version}) for version in ("1", "2"))
    moved = {(shard.split, u.dose is not None) for shard, u in old} - {(s.split, u.dose is not None) for s, u in old if u.id in {v.id for _, v in new}}
    assert moved == {("train", True)}
    names = [{shard.file_name for shard, _ in plan} for plan in (old, new)]
    assert len(names[0] - names[1]) == 1


def test_the_name_of_a_file_tells_its_doses(make_lexicon, with_settings, versions, monkeypatch):
    lexicon, config = make_lexicon("metformin"), with_settings(num_doses=3)
    old = files(lexicon, config, versions)
    monkeypatch.setattr(dose, "_strengths", lambda: {"metformin": ((Decimal(500), "MG"),)})
    assert not files(lexicon, config, versions)["test"] & old["test"]


def drawn(with_settings, draws, **changes):
    settings = {"rates": (0.9, 1.0, 1.1), "pitches": (0.8, 1.0, 1.2), "augmentation": "light", "num_augmented": 2}
    return with_settings(draws_by_engine={"tone": draws}, **(settings | changes))


def clean(lexicon, config, versions, split="train"):
    """Text -> the ways in which it is said, clean."""
    ways = {}
    for shard, u in utterances(lexicon, config, versions):
        if shard.split == split and not u.copy:
            ways.setdefault(u.text, []).append((u.voice, u.rate, u.pitch))
    return ways


@pytest.mark.parametrize("draws", [0, 0.25, 1, 2.5, 18, 100])
def test_so_many_different_clips_of_a_text_are_drawn(make_lexicon, with_settings, versions, draws):
    config = drawn(with_settings, draws)
    ways = clean(make_lexicon(*NAMES), config, versions)
    assert all(len(set(of_text)) == len(of_text) for of_text in ways.values())
    counts = Counter(len(ways.get(name, ())) for name in NAMES)
    most = min(draws, 18)  # two voices, three rates, three pitches
    assert set(counts) <= {int(most), int(most) + (most % 1 > 0)}
    assert abs(sum(number * count for number, count in counts.items()) / len(NAMES) - most) < 0.15
    for shard in plan_shards(make_lexicon(*NAMES), config, versions):
        assert shard.num_clips == len(list(shard.utterances())) > 0
    copies = Counter((u.text, u.voice, u.rate, u.pitch) for shard, u in utterances(make_lexicon(*NAMES), config, versions) if shard.split == "train")
    assert set(copies.values()) <= {3}


def test_draws_use_every_voice_rate_and_pitch_about_equally(make_lexicon, with_settings, versions):
    ways = clean(make_lexicon(*(f"name{i}" for i in range(900))), drawn(with_settings, 1), versions)
    counts = Counter(way for of_text in ways.values() for way in of_text)
    assert len(counts) == 18
    assert all(25 < count < 80 for count in counts.values())


def test_what_is_drawn_of_a_text_depends_on_it_alone(make_lexicon, with_settings, versions, glucophage):
    config = drawn(with_settings, 2.5)
    few, many = (clean(make_lexicon(*names), config, versions) for names in (NAMES[:7], NAMES))
    assert few == {name: many[name] for name in few}
    assert files(make_lexicon(*NAMES), config, versions) == files(make_lexicon(*reversed(NAMES)), config, versions)
    # More draws are added to those that are there; another seed has others.
    more = clean(make_lexicon(*NAMES), drawn(with_settings, 4.5), versions)
    assert all(more[name][: len(ways)] == ways for name, ways in many.items())
    assert clean(make_lexicon(*NAMES), drawn(with_settings, 2.5, seed=1), versions) != many
    aliases = clean(Lexicon("one", (glucophage,)), drawn(with_settings, 3), versions)
    assert len({tuple(ways) for ways in aliases.values()}) == 3


def test_draws_name_the_training_file_and_leave_other_engines_alone(make_lexicon, with_settings):
    versions = dict.fromkeys(("tone:a", "bell:a", "bell:b", "tone:c", "tone:d", "tone:e"), "1")
    voices = {"train_voices": ("tone:a", "bell:a"), "test_voices": ("bell:b",)}
    lexicon = make_lexicon("aspirin")
    old, new, other = (files(lexicon, c, versions) for c in (with_settings(**voices), *(drawn(with_settings, n, **voices) for n in (1, 2))))
    assert len({name for plan in (old, new, other) for name in plan["train"] if "-tone-" in name}) == 3
    assert old["validation"] != new["validation"] == other["validation"]
    bells = drawn(with_settings, 1, **voices)
    assert {len(ways) for ways in clean(lexicon, bells, versions).values()} == {1 + 9}
    assert {len(ways) for ways in clean(lexicon, bells, versions, "test").values()} == {9}


def test_without_draws_in_training_the_other_splits_hear_each_voice_once(make_lexicon, with_settings, versions):
    for draws in (0, 3):
        ways = clean(make_lexicon(*NAMES), drawn(with_settings, draws), versions, "test")
        assert {tuple(sorted(voice for voice, _, _ in of_text)) for of_text in ways.values()} == {("tone:d", "tone:e")}
        assert len({way for of_text in ways.values() for way in of_text}) == 18
    assert not files(make_lexicon(*NAMES), drawn(with_settings, 0), versions)["train"]


def test_names_that_are_kept_unseen_take_those_that_hold_them_along(with_settings, versions):
    config = with_settings(unseen_names=("ambien", "toprol xl"))
    drugs = {name: Drug(id=name, name=name, spoken=name) for name in ("ambien", "ambien cr", "ambienol", "toprol", "toprol xl", "new toprol xl")}
    brand = Drug(id="brand", name="edluar", spoken="edluar", aliases=("generic ambien",))
    assert {name for name, drug in drugs.items() if is_unseen(drug, config)} == {"ambien", "ambien cr", "toprol xl", "new toprol xl"}
    assert is_unseen(brand, config)
    plan = utterances(Lexicon("list", (*drugs.values(), brand)), config, versions)
    assert {u.text for shard, u in plan if shard.split == "train"} == {"ambienol", "toprol"}
    assert {u.drug.id for shard, u in plan if shard.split == "test"} == {*drugs, "brand"}


def test_a_split_may_hold_fewer_names_with_a_quarter_of_them_unseen(make_lexicon, with_settings, versions):
    config = with_settings(max_names={"validation": 10, "test": 20}, unseen_names=tuple(NAMES[:8]))

    def names(lexicon, split):
        return {u.drug.spoken for shard, u in utterances(lexicon, config, versions) if shard.split == split}

    lexicon = make_lexicon(*NAMES)
    assert len(names(lexicon, "train")) == len(NAMES) - 8
    validation, test = names(lexicon, "validation"), names(lexicon, "test")
    assert (len(validation), len(test)) == (10, 20)
    assert (len(validation & set(NAMES[:8])), len(test & set(NAMES[:8]))) == (3, 5)
    assert len(names(make_lexicon(*NAMES, "nova"), "test") - test) <= 1
    assert names(make_lexicon(*reversed(NAMES)), "test") == test


def test_words_are_for_training_alone(make_lexicon, with_settings, versions):
    word = Drug(id="table", name="table", spoken="table", kind="word")
    plan = utterances(Lexicon("list", (*make_lexicon(*NAMES[:3]).drugs, word)), with_settings(), versions)
    assert {shard.split for shard, u in plan if u.text == "table"} == {"train"}
