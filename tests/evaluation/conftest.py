"""Tiny folders of every family, and the six clips that all of them hear."""

import pytest
from tiny_recognisers import CTC_FAMILIES, FOREIGN, LETTER, MULTILINGUAL, write_ctc, write_ours, write_speech2text, write_whisper

from drugasr.acoustic.vocabulary import Vocabulary
from drugasr.corpus.reading import read_split


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> dict[str, str]:
    """Family -> a folder whose model writes the planted letter or word, whatever it hears."""
    root = tmp_path_factory.mktemp("planted")
    letter = {LETTER: 5.0}
    return {
        **{family: write_ctc(root / family, family, logits=letter) for family in CTC_FAMILIES},
        "xlsr": write_ctc(root / "xlsr", "xlsr", Vocabulary(MULTILINGUAL), {FOREIGN: 6.0} | letter),
        "s2t": write_speech2text(root / "s2t", root / "scratch"),
        "whisper": write_whisper(root / "whisper"),
        "ours": write_ours(root / "ours", letter),
    }


@pytest.fixture
def six_clips(tiny_corpus) -> list[dict]:
    """A test clip of each of the six names."""
    return read_split(str(tiny_corpus), "test").to_pylist()
