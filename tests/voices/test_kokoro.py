import hashlib
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kokoro_onnx")

from drugasr.errors import VoiceError, VoiceFailure  # noqa: E402
from drugasr.voices import voice as registry  # noqa: E402
from drugasr.voices.espeak import EspeakEngine  # noqa: E402
from drugasr.voices.kokoro import KokoroEngine  # noqa: E402

NORMAL = {"voice": "af_heart", "rate": 1.0, "pitch": 1.0, "seed": 1}
FOLDER = Path(__file__).parents[3] / "shared" / "voices" / "kokoro"
FILES = {"model": str(FOLDER / "kokoro-v1.0.int8.onnx"), "voices": str(FOLDER / "voices-en.npz")}


@pytest.fixture(scope="module")
def kokoro():
    """The real model: each clip takes about a second."""
    if missing := [path for path in FILES.values() if not Path(path).is_file()]:
        pytest.skip(f"no file {missing[0]}")
    return KokoroEngine(**FILES)


@pytest.fixture
def files(tmp_path):
    """Files that all but the speaking can be tried on."""
    (tmp_path / "model.onnx").write_bytes(b"a model")
    voices = ("af_bella", "bm_george", "ef_dora")
    np.savez(tmp_path / "voices.npz", **{name: np.full((510, 1, 256), i, np.float32) for i, name in enumerate(voices)})
    return {"model": str(tmp_path / "model.onnx"), "voices": str(tmp_path / "voices.npz")}


def test_it_speaks_and_depends_on_its_own_arguments_alone(kokoro):
    """Also when another engine speaks with its own eSpeak NG in between, and that engine's clips neither change."""
    espeak, formant = EspeakEngine(), {"voice": "en-us+f3", "rate": 1.0, "pitch": 1.0, "seed": 1}
    beside = espeak.synthesise("ibuprofen", **formant)[0].tobytes()
    voices = ("af_heart", "bm_daniel", "af_heart*bm_daniel")
    clips = {voice: kokoro.synthesise("ibuprofen", **NORMAL | {"voice": voice}) for voice in voices}
    for wave_S, rate_hz in clips.values():
        assert (wave_S.dtype, wave_S.ndim, rate_hz) == (np.float32, 1, 24_000)
        assert 0.5 < len(wave_S) / rate_hz < 3
        assert 0.05 < np.abs(wave_S).max() <= 1
    assert len({wave_S.tobytes() for wave_S, _ in clips.values()}) == 3
    espeak.synthesise("something else between", voice="en-029+m7", rate=1.7, pitch=0.6, seed=99)
    assert espeak.synthesise("ibuprofen", **formant)[0].tobytes() == beside
    assert kokoro.synthesise("ibuprofen", **NORMAL)[0].tobytes() == clips["af_heart"][0].tobytes()


def test_a_fresh_process_gives_the_same_clip(kokoro):
    code = (
        "import hashlib; from drugasr.voices.kokoro import KokoroEngine\n"
        f"wave_S, rate_hz = KokoroEngine(**{FILES}).synthesise('ibuprofen', **{NORMAL})\n"
        "print(rate_hz, hashlib.sha256(wave_S.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wave_S, rate_hz = kokoro.synthesise("ibuprofen", **NORMAL)
    assert said == [str(rate_hz), hashlib.sha256(wave_S.tobytes()).hexdigest()]


def test_rate_makes_it_shorter_and_pitch_plays_it_faster(kokoro):
    (plain_S, plain_hz), (fast_S, fast_hz), (high_S, high_hz) = (
        kokoro.synthesise("metoprolol", **NORMAL | changes) for changes in ({}, {"rate": 1.5}, {"pitch": 1.25})
    )
    assert len(plain_S) > 1.2 * len(fast_S)
    assert (fast_hz, high_hz) == (plain_hz, 30_000)
    assert len(high_S) / high_hz == pytest.approx(len(plain_S) / plain_hz, rel=0.15)


def test_a_text_without_phonemes_fails_alone_and_no_text_is_logged(kokoro, caplog):
    with caplog.at_level(logging.DEBUG):
        for text in ("", " "):
            with pytest.raises(VoiceFailure, match="no phonemes"):
                kokoro.synthesise(text, **NORMAL)
        kokoro.synthesise("aspirin", **NORMAL)
    assert not [record for record in caplog.records if record.name.startswith("kokoro")]


def test_a_speed_that_kokoro_lacks_fails_before_the_model_is_loaded(files):
    with pytest.raises(VoiceFailure, match=r"rate 2\.0 and pitch 0\.8"):
        KokoroEngine(**files).synthesise("aspirin", voice="af_bella", rate=2.0, pitch=0.8, seed=1)


def test_files_that_are_missing_are_named_with_where_they_come_from(files, tmp_path):
    with pytest.raises(VoiceError, match=r"corpus\.engines\.kokoro\.model.*kokoro-v1\.0\.int8\.onnx.*kokoro-onnx/releases.*every node"):
        registry.engine("kokoro")
    with pytest.raises(VoiceError, match=r"corpus\.engines\.kokoro\.voices.*voices-v1\.0\.bin"):
        KokoroEngine(model=files["model"])
    with pytest.raises(VoiceError, match=r"no file .*nowhere\.onnx.*kokoro\.model.*every node"):
        KokoroEngine(model=str(tmp_path / "nowhere.onnx"), voices=files["voices"])


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_holds_no_voices_is_refused(files, content):
    Path(files["voices"]).write_bytes(content)
    with pytest.raises(VoiceError, match=r"voices\.npz is no file of Kokoro voices"):
        KokoroEngine(**files)


def test_a_model_that_is_none_is_refused(files):
    with pytest.raises(VoiceError, match=r"model\.onnx cannot be used"):
        KokoroEngine(**files).synthesise("aspirin", **NORMAL | {"voice": "af_bella"})


def test_unknown_voices_are_refused_with_the_english_ones(files):
    engine = KokoroEngine(**files)
    for voice in ("af_bella", "bm_george*af_bella"):
        engine.check(voice)
    for voice, unknown in (("af_heart", "af_heart"), ("ef_dora", "ef_dora"), ("af_bella*", ""), ("", "")):
        with pytest.raises(VoiceError, match=rf"voices\.npz has no English voice '{unknown}': choose from af_bella, bm_george$"):
            engine.check(voice)
    assert [engine.accent(voice) for voice in ("af_bella", "bm_george", "bm_george*af_bella")] == ["en-us", "en-gb", "en-gb"]


def test_the_version_is_that_of_the_model_and_the_voice_alone(files):
    engine = KokoroEngine(**files)
    versions = {voice: engine.version(voice) for voice in ("af_bella", "bm_george", "af_bella*bm_george")}
    assert len(set(versions.values())) == 3
    assert versions["af_bella"].startswith("kokoro-onnx ")
    styles = dict(np.load(files["voices"]))
    np.savez(files["voices"], **styles | {"bm_george": styles["bm_george"] + 1, "af_new": styles["af_bella"]})
    assert KokoroEngine(**files).version("af_bella") == versions["af_bella"]
    assert KokoroEngine(**files).version("bm_george") != versions["bm_george"]
    Path(files["model"]).write_bytes(b"another model")
    assert KokoroEngine(**files).version("af_bella") != versions["af_bella"]
