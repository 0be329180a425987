import sys

import numpy as np
import pytest

from drugasr.errors import VoiceError
from drugasr.presets import PRESETS
from drugasr.voices import voice as registry
from drugasr.voices.espeak import EspeakEngine


@pytest.fixture(autouse=True)
def fresh_registry():
    registry._load.cache_clear()
    yield
    registry._load.cache_clear()


@pytest.fixture
def installed_plugin(tmp_path, monkeypatch):
    """A package with a voice engine, as pip would leave it on the disk."""
    (tmp_path / "shouting_voices.py").write_text(
        "import numpy as np\n"
        "class Shout:\n"
        "    def version(self, voice): return 'shout 1'\n"
        "    def check(self, voice): pass\n"
        "    def accent(self, voice): return 'loud'\n"
        "    def synthesise(self, text, *, voice, rate, pitch, seed): return np.ones(16000, np.float32), 16000\n"
    )
    info = tmp_path / "shouting_voices-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting-voices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[drugasr.voices]\nshout = shouting_voices:Shout\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("shouting_voices", None)


def test_a_built_in_engine_is_loaded_once():
    assert isinstance(registry.engine("espeak"), EspeakEngine)
    assert registry.engine("espeak") is registry.engine("espeak")


def test_an_unknown_engine_is_refused_with_the_choices():
    with pytest.raises(VoiceError, match="'festival'.*espeak.*pico"):
        registry.engine("festival")


def test_an_installed_plugin_is_found(installed_plugin):
    wave_S, rate_hz = registry.engine("shout").synthesise("x", voice="any", rate=1, pitch=1, seed=0)
    assert (wave_S.sum(), rate_hz) == (16_000, 16_000)
    registry.check_voices(["shout:any"], {})
    with pytest.raises(VoiceError, match="espeak.*pico.*shout"):
        registry.engine("festival")


def test_without_the_plugin_its_voices_are_unknown():
    with pytest.raises(VoiceError, match="shout:any"):
        registry.check_voices(["shout:any"], {})


def test_every_problem_is_listed_at_once_and_good_voices_are_not():
    with pytest.raises(VoiceError) as caught:
        registry.check_voices(["espeak:en-us+f3", "espeak:en-us+f99", "festival:x", "pico:en-GB", "pico:en-AU"], {})
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in lines] == ["espeak:en-us+f99", "festival:x", "pico:en-AU"]


def bundled_voices(preset: str) -> list[str]:
    """The preset's voices but Kokoro's, whose files users download, and Flite's, which is a package of the system."""
    corpus = PRESETS[preset]().corpus
    return [name for name in (*corpus.train_voices, *corpus.validation_voices, *corpus.test_voices) if not name.startswith(("kokoro:", "flite:"))]


@pytest.mark.parametrize("preset", PRESETS)
def test_all_voices_of_the_presets_exist(preset):
    registry.check_voices(bundled_voices(preset), {})


@pytest.mark.parametrize("preset", PRESETS)
def test_the_voices_of_a_preset_sound_different(preset):
    """A variant that eSpeak quietly ignores would be its default voice, and one speaker would stand in two splits."""
    clips = set()
    for name in bundled_voices(preset):
        engine_name, voice = registry.split_name(name)
        wave_S, _ = registry.engine(engine_name).synthesise("aspirin", voice=voice, rate=1.0, pitch=1.0, seed=0)
        assert np.abs(wave_S).max() > 0.05
        clips.add(wave_S.tobytes())
    assert len(clips) == len(bundled_voices(preset))


def test_split_name():
    assert registry.split_name("espeak:en-us+f3") == ("espeak", "en-us+f3")
    assert registry.split_name("plug:a:b") == ("plug", "a:b")


def test_options_reach_the_engine_and_unknown_ones_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(registry._BUILT_IN, "deep", f"{__name__}:Deep")
    assert registry.engine("deep", {"depth_m": 3}).depth_m == 3
    assert registry.engine("deep", {"depth_m": 3}) is not registry.engine("deep", {"depth_m": 4})
    with pytest.raises(VoiceError, match="'deep' are wrong.*'height'.*knows: depth_m"):
        registry.engine("deep", {"depth_m": 3, "height": 3})


class Deep:
    def __init__(self, depth_m: float):
        self.depth_m = depth_m


def test_an_engine_whose_package_is_missing_says_which_extra_to_install(monkeypatch):
    monkeypatch.setitem(registry._BUILT_IN, "piper", "not_installed_anywhere:Engine")
    with pytest.raises(VoiceError, match=r"'piper' is not installed.*pip install 'drugasr\[piper\]'"):
        registry.engine("piper")
