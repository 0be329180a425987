import pytest

from drugasr.lexicon.reading import read_lexicon
from drugasr.lexicon.similarity import similarity
from drugasr.lexicon.soundalikes import read_sound_alikes


@pytest.fixture(scope="module")
def sound_alikes():
    return read_sound_alikes()


def test_pairs_are_known_from_both_sides(sound_alikes):
    assert sound_alikes.of("prednisone") == ("prednisolone",)
    assert "prednisone" in sound_alikes.of("prednisolone")
    for name, partners in sound_alikes.partners.items():
        assert len(set(partners)) == len(partners) and name not in partners
        assert all(name in sound_alikes.of(partner) for partner in partners)
    assert sum(map(len, sound_alikes.partners.values())) == 2 * 201


def test_unlisted_names(sound_alikes):
    assert sound_alikes.of("lisinopril x") == ()
    assert sound_alikes.tall_man("lisinopril x") is None


def test_tall_man_letters_only_change_the_case(sound_alikes):
    assert sound_alikes.tall_man("hydroxyzine") == "hydrOXYzine"
    assert sound_alikes.tall_man("nifedipine") == "NIFEdipine"  # also in a derived pair, which has none
    assert sound_alikes.tall_man("clinidine") is None
    assert all(letters.lower() == name for name, letters in sound_alikes.tall_man_letters.items())


def test_neighbours_hold_the_listed_ones_however_unlike(sound_alikes):
    names = ["hydralazine", "hydroxyzine", "hydrocodone", "medroxyprogesterone", "methylprednisolone", "metformin"]
    near = sound_alikes.neighbours("hydralazine", names, num=2)
    assert [(one.spoken, one.listed) for one in near] == [("hydroxyzine", True), ("hydrocodone", False)]
    near = sound_alikes.neighbours("medroxyprogesterone", names, min_similarity=0.99)
    assert [(one.spoken, one.listed) for one in near] == [("methylprednisolone", True)]
    assert near[0].similarity == similarity("medroxyprogesterone", "methylprednisolone") < 0.99


def test_neighbours_are_of_the_list_alone_and_the_best_first(sound_alikes):
    names = [drug.spoken for drug in read_lexicon("top500").drugs]
    for name in (*names[:20], "prednisone", "not a drug"):
        near = sound_alikes.neighbours(name, names)
        assert {one.spoken for one in near} <= set(names) - {name}
        assert [one.similarity for one in near] == sorted((one.similarity for one in near), reverse=True)
        assert {one.spoken for one in near if one.listed} == set(sound_alikes.of(name)) & set(names)
        assert len(near) <= max(10, sum(one.listed for one in near))


def test_listed_neighbours_are_never_cut(sound_alikes):
    partners = sound_alikes.of("methylprednisolone")
    near = sound_alikes.neighbours("methylprednisolone", partners, num=1)
    assert len(partners) > 1 and {one.spoken for one in near} == set(partners)
