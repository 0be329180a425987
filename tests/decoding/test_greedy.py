import numpy as np
import pytest

from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.decoding.frames import best_path_log_probability, mask_dead
from drugasr.decoding.greedy import TimedWord, decode_greedily

VOCABULARY = Vocabulary(LIBRISPEECH)


def frames_of(path: str) -> np.ndarray:
    """logp_TV whose best path is `path`: one character a frame, `_` for the blank."""
    ids = [VOCABULARY.blank if character == "_" else VOCABULARY.ids[character] for character in path]
    p_TV = np.full((len(ids), len(VOCABULARY)), 0.1 / (len(VOCABULARY) - 1))
    p_TV[np.arange(len(ids)), ids] = 0.9
    return np.log(p_TV).astype(np.float32)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", ""),
        ("____", ""),
        ("_  _ ", ""),
        ("a", "a"),
        ("aass_s", "ass"),
        ("_as__piri_n", "aspirin"),
        ("  in_sulin_  _ pen ", "insulin pen"),
        ("st john's", "st john's"),
    ],
)
def test_text(path, text):
    assert decode_greedily(frames_of(path), VOCABULARY, 0.02).text == text


def test_words_last_from_their_first_letter_to_the_end_of_their_last():
    transcript = decode_greedily(frames_of("__ab_b_ _cc__"), VOCABULARY, 0.5)
    assert transcript.text == "abb c"
    assert transcript.words == (
        TimedWord(word="abb", start_s=1.0, end_s=3.0, confidence=pytest.approx(0.9)),
        TimedWord(word="c", start_s=4.5, end_s=5.5, confidence=pytest.approx(0.9)),
    )


def test_lower_case_vocabulary():
    lower = Vocabulary(tuple(token.lower() for token in LIBRISPEECH))
    assert decode_greedily(frames_of("as_pirin"), lower, 0.02).text == "aspirin"


def test_dead_tokens_are_masked_and_frames_stay_distributions():
    rng = np.random.default_rng(0)
    logp_TV = rng.normal(size=(50, 32)).astype(np.float32)
    logp_TV[:, VOCABULARY.dead_ids[0]] += 9  # a model that would write <s> everywhere
    masked_TV = mask_dead(logp_TV, VOCABULARY)
    assert masked_TV.dtype == np.float32
    assert np.isneginf(masked_TV[:, list(VOCABULARY.dead_ids)]).all()
    np.testing.assert_allclose(np.exp(masked_TV).sum(axis=1), 1, atol=1e-6)
    assert "<" not in decode_greedily(masked_TV, VOCABULARY, 0.02).text
    alive = [i for i in range(32) if i not in VOCABULARY.dead_ids]
    differences_TV = (masked_TV - logp_TV)[:, alive]
    np.testing.assert_allclose(differences_TV, differences_TV[:, :1].repeat(len(alive), axis=1), atol=1e-5)


def test_masking_leaves_its_input_alone_and_takes_no_frames():
    logp_TV = frames_of("ab")
    copy_TV = logp_TV.copy()
    mask_dead(logp_TV, VOCABULARY)
    np.testing.assert_array_equal(logp_TV, copy_TV)
    assert mask_dead(frames_of(""), VOCABULARY).shape == (0, 32)


def test_best_path_log_probability():
    assert best_path_log_probability(frames_of("abc")) == pytest.approx(3 * np.log(0.9))
    assert best_path_log_probability(frames_of("")) == 0.0
