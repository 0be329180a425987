"""eSpeak's IPA -> ARPABET, the 39 phonemes of the CMU dictionary, which pocketsphinx's US English model was trained with.

eSpeak writes more sounds than General American tells apart. Each becomes the phoneme, or the two, that the CMU dictionary
writes in such a place: a flap and a glottal stop are T, a reduced vowel is AH or IH, a vowel that glides to a schwa is the
vowel and AH. Covered are the accents en-us, en and en-gb-scotland; a sound that is not here is an error, for a
pronunciation that lacks a phoneme would handicap the recogniser in silence.
"""

from drugasr.errors import InputError

SEPARATOR = "_"
"""Between the sounds of a word; words are apart by spaces."""
_STRESS = str.maketrans("", "", "ˈˌ")
_CONSONANTS = {
    **{ipa: (ipa.upper(),) for ipa in "bdfklmnprstvwz"},
    **{"h": ("HH",), "j": ("Y",), "ɡ": ("G",), "ŋ": ("NG",), "ʃ": ("SH",), "ʒ": ("ZH",), "θ": ("TH",), "ð": ("DH",)},
    **{"tʃ": ("CH",), "dʒ": ("JH",), "ɹ": ("R",), "ɾ": ("T",), "ʔ": ("T",), "ʍ": ("W",)},
    **{"n̩": ("AH", "N"), "əl": ("AH", "L")},
}
_VOWELS = {
    # Front.
    **{"iː": ("IY",), "i": ("IY",), "ɪ": ("IH",), "ᵻ": ("IH",), "ɛ": ("EH",), "æ": ("AE",), "a": ("AE",)},
    # Central.
    **{"ə": ("AH",), "ɐ": ("AH",), "ʌ": ("AH",), "ɚ": ("ER",), "ɜː": ("ER",)},
    # Back.
    **{"ɑː": ("AA",), "ɒ": ("AA",), "ɔ": ("AO",), "ɔː": ("AO",), "ʊ": ("UH",), "uː": ("UW",)},
    # Diphthongs, British ones too.
    **{"eɪ": ("EY",), "aɪ": ("AY",), "ɔɪ": ("OY",), "aʊ": ("AW",), "oʊ": ("OW",), "əʊ": ("OW",)},
    **{"iə": ("IY", "AH"), "eə": ("EH", "AH"), "ʊə": ("UH", "AH"), "aɪə": ("AY", "AH"), "aɪɚ": ("AY", "ER")},
    # Before R.
    **{"ɑːɹ": ("AA", "R"), "ɔːɹ": ("AO", "R"), "ɛɹ": ("EH", "R"), "ɪɹ": ("IH", "R"), "ʊɹ": ("UH", "R")},
    # Scottish: monophthongs for EY and OW, a fronted UW, an unstressed ER that is followed by an R or silent (`accrufer`).
    **{"eː": ("EY",), "oː": ("OW",), "ʉ": ("UW",), "ʉː": ("UW",), "ʌʉ": ("AW",), "aː": ("AA",), "a:": ("AA",), "ɜ": ("ER",)},
    **{"e": ("IY",), "eʲ": ("IY",), "o": ("AO",), "ʌɹ": ("ER",), "əɹ": ("ER",), "ʉɹ": ("UH", "R")},
}
_SCOTTISH_BEFORE_R = {"e": ("EH",)}  # `advair`; elsewhere the last sound of `acne`
# The empty sound is a boundary that eSpeak writes without a sign, as in `aceon`.
_ARPABET = {"": (), **_CONSONANTS, **_VOWELS}


def to_arpabet(ipa: str) -> tuple[str, ...]:
    """ARPABET of eSpeak's IPA, such as `m_ˈɛ_t_f_ɔːɹ_m_ˌɪ_n`. Raises InputError for a sound that has no counterpart here."""
    sounds = [sound.translate(_STRESS) for word in ipa.split() for sound in word.split(SEPARATOR)]
    phonemes: list[str] = []
    for sound, following in zip(sounds, [*sounds, ""][1:], strict=True):
        if sound not in _ARPABET:
            raise InputError(f"eSpeak's sound {sound!r} in {ipa!r} has no ARPABET phoneme: add it to drugasr/evaluation/recognisers/arpabet.py")
        known = _SCOTTISH_BEFORE_R if following in ("r", "ɹ") and sound in _SCOTTISH_BEFORE_R else _ARPABET
        for phoneme in known[sound]:
            # The dictionary writes an R that a vowel holds already once.
            if not (phoneme == "R" and phonemes[-1:] in (["R"], ["ER"])):
                phonemes.append(phoneme)
    return tuple(phonemes)
