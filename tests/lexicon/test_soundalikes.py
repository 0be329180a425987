import pytest

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
