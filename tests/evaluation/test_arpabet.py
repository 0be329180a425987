import pytest

from drugasr.evaluation.recognisers.arpabet import to_arpabet
from drugasr.evaluation.recognisers.pronunciation import pronounce
from drugasr.errors import InputError, VoiceError
from drugasr.lexicon.reading import read_lexicon

# The phonemes of pocketsphinx' US English model, without its noises.
CMU_PHONEMES = set(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)
ACCENTS = ("en-us", "en", "en-gb-scotland")


@pytest.mark.parametrize(
    ("ipa", "arpabet"),
    [
        ("m_ˈɛ_t_f_ɔːɹ_m_ˌɪ_n", "M EH T F AO R M IH N"),
        ("ˈɪ_n_s_ə_l_ˌɪ_n ɡ_l_ˈɑːɹ_dʒ_ɪ_n", "IH N S AH L IH N G L AA R JH IH N"),  # two words
        ("ˈæ_k_ʔ_n̩", "AE K T AH N"),  # a glottal stop and a syllabic consonant
        ("ɐ_s_ɪ__ə_n", "AH S IH AH N"),  # a boundary without a sign
        ("s_ˈɪ_ɾ_i", "S IH T IY"),  # a flap
        ("ˈæ_d_ɚ_ɹ_ˌɔː_l", "AE D ER AO L"),  # the dictionary's ER holds the R
        ("k_l_ˈɔːɹ_r_h", "K L AO R HH"),  # an R written twice
        ("ɐ_d_v_ˈe_r", "AH D V EH R"),  # Scottish, before an R
        ("ˈa_k_n_e", "AE K N IY"),  # the same sound at the end
        ("", ""),
    ],
)
def test_sounds_become_phonemes(ipa, arpabet):
    assert to_arpabet(ipa) == tuple(arpabet.split())


@pytest.mark.parametrize("ipa", ["b_ɔ̃_ʒ_u_ʁ", "x", "m_?_n", "ɛɹɹ"])
def test_an_unknown_sound_is_an_error_that_names_it(ipa):
    with pytest.raises(InputError, match="has no ARPABET phoneme"):
        to_arpabet(ipa)


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_shipped_name_has_a_pronunciation(accent):
    names = [drug.spoken for drug in read_lexicon("full").drugs]
    pronunciations = [to_arpabet(ipa) for ipa in pronounce(names, accent)]
    assert len(pronunciations) == len(names)
    assert {phoneme for phonemes in pronunciations for phoneme in phonemes} == CMU_PHONEMES
    # No name is cut off: at least a phoneme for every three letters.
    short = [name for name, phonemes in zip(names, pronunciations, strict=True) if 3 * len(phonemes) < len(name.replace(" ", ""))]
    assert not short, short


def test_words_come_out_as_the_cmu_dictionary_has_them():
    words = {"city": "S IH T IY", "button": "B AH T AH N", "near": "N IH R", "water": "W AO T ER", "house": "HH AW S"}
    assert [" ".join(to_arpabet(ipa)) for ipa in pronounce(words, "en-us")] == list(words.values())


def test_an_accent_that_espeak_lacks_is_an_error():
    with pytest.raises(VoiceError, match="no accent"):
        pronounce(["aspirin"], "en-atlantis")
