import io
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from drugasr import audio
from drugasr.errors import AudioError


def tone(hz: float, *, rate_hz: int = 16_000, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def file_of(samples: np.ndarray, rate_hz: int, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=container)
    return buffer.getvalue()


def ffmpeg_file_of(samples: np.ndarray, rate_hz: int, container: str, codec: str) -> bytes:
    """`samples` is [S], or [S, 2] for stereo."""
    layout = "mono" if samples.ndim == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1), np.float32), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        for given in (frame, None):  # None flushes
            for packet in stream.encode(given):
                output.mux(packet)
    return buffer.getvalue()


def peak_hz(wave_S: np.ndarray) -> float:
    """Frequency of the strongest component at 16 kHz."""
    spectrum = np.abs(np.fft.rfft(wave_S * np.hanning(len(wave_S)), 1 << 18))
    return spectrum.argmax() * 16_000 / (1 << 18)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3", "OGG"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_tone_stays_at_1_khz_in_every_format_and_rate(container, rate_hz):
    wave_S = audio.decode(file_of(tone(1000, rate_hz=rate_hz), rate_hz, container))
    assert wave_S.dtype == np.float32
    assert wave_S.ndim == 1
    assert wave_S.flags.c_contiguous
    assert audio.duration_s(wave_S) == pytest.approx(1.0, abs=0.2 if container == "MP3" else 0.001)  # MP3 pads
    assert peak_hz(wave_S) == pytest.approx(1000, abs=2)
    middle = wave_S[4000:12000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "padding"),
    [
        ("ipod", "aac", 44_100, 1024),  # M4A, as an iPhone records it
        ("mp4", "aac", 16_000, 1024),
        ("adts", "aac", 16_000, 2048),  # bare AAC cannot tell its priming
        ("ipod", "alac", 44_100, 0),
        ("webm", "libopus", 48_000, 0),  # as a browser records it
    ],
)
def test_what_phones_and_browsers_record_is_decoded_without_its_priming(container, codec, rate_hz, padding):
    burst = tone(1000, rate_hz=rate_hz)
    burst[: rate_hz // 2] = 0
    wave_S = audio.decode(ffmpeg_file_of(burst, rate_hz, container, codec))
    assert (wave_S.dtype, wave_S.ndim, wave_S.flags.c_contiguous) == (np.float32, 1, True)
    assert -0.002 <= audio.duration_s(wave_S) - 1.0 <= padding / rate_hz + 0.002  # the last frame is filled up
    start_s = audio.duration_s(wave_S[: np.flatnonzero(np.abs(wave_S) > 0.25)[0]])
    assert start_s == pytest.approx(0.5 + (1024 / rate_hz if container == "adts" else 0), abs=0.002)
    assert peak_hz(wave_S) == pytest.approx(1000, abs=2)
    assert np.sqrt(np.mean(wave_S[10_000:15_000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_resampling_removes_what_16_khz_cannot_hold():
    wave_S = audio.resample(tone(1000, rate_hz=48_000) + tone(11_000, rate_hz=48_000), 48_000)
    spectrum = np.abs(np.fft.rfft(wave_S[2000:14000] * np.hanning(12_000)))
    alias = round(5000 / 16_000 * 12_000)  # where 11 kHz would fold to
    assert spectrum[alias - 20 : alias + 20].max() < 1e-3 * spectrum.max()


def test_channels_are_averaged():
    left, right = tone(500, level=0.8), tone(2000, level=0.4)
    wave_S = audio.decode(file_of(np.stack([left, right], axis=1), 16_000, "WAV"))
    np.testing.assert_allclose(wave_S, (left + right) / 2, atol=1e-4)
    assert np.abs(audio.decode(file_of(np.stack([left, -left], axis=1), 16_000, "WAV"))).max() < 1e-4
    wave_S = audio.decode(ffmpeg_file_of(np.stack([left, right], axis=1), 16_000, "ipod", "alac"))
    np.testing.assert_allclose(wave_S, (left + right) / 2, atol=1e-3)


@pytest.mark.parametrize("encode", [audio.encode_flac, audio.encode_wav])
def test_encoding_is_16_bit_mono_and_clips(encode):
    wave_S = np.concatenate([tone(440), np.array([1.5, -1.5], np.float32)])
    data = encode(wave_S)
    info = soundfile.info(io.BytesIO(data))
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    samples, _ = soundfile.read(io.BytesIO(data))
    np.testing.assert_allclose(samples, np.clip(wave_S, -1, 1), atol=1 / 32768)
    np.testing.assert_array_equal(audio.decode(data), samples.astype(np.float32))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 100,
        b"this is no audio at all " * 50,
        b"<html><body>404</body></html>",
        file_of(tone(440), 16_000, "WAV")[:20],
        file_of(tone(440), 16_000, "FLAC")[:30],
        file_of(np.zeros(0), 16_000, "WAV"),
        ffmpeg_file_of(tone(440), 16_000, "ipod", "aac")[:40],
        ffmpeg_file_of(tone(440), 16_000, "mpegts", "aac"),
    ],
    ids=["empty", "zeros", "text", "html", "wav header cut", "flac header cut", "no samples", "m4a header cut", "another container"],
)
def test_what_is_no_audio_is_an_audio_error(data):
    with pytest.raises(AudioError, match="clip"):
        audio.decode(data)


def test_the_error_lists_the_formats():
    with pytest.raises(AudioError, match=r"\(12 bytes\).*give WAV, FLAC, MP3, OGG, M4A, AAC or WebM"):
        audio.decode(b"no audio: no")


def test_a_playlist_opens_no_other_file(tmp_path):
    (tmp_path / "secret.m4a").write_bytes(ffmpeg_file_of(tone(440), 16_000, "ipod", "aac"))
    playlist = b"ffconcat version 1.0\nfile secret.m4a\n"
    (tmp_path / "list.ffconcat").write_bytes(playlist)
    with av.open(str(tmp_path / "list.ffconcat")) as container:  # FFmpeg would follow it
        assert list(container.decode(audio=0))
    for line in (b"file secret.m4a", f"file 'file://{tmp_path}/secret.m4a'".encode()):
        with pytest.raises(AudioError, match="cannot decode"):
            audio.decode(playlist.replace(b"file secret.m4a", line))


def test_a_small_file_that_unpacks_to_hours_is_refused(monkeypatch):
    data = ffmpeg_file_of(np.zeros(16_000 * 30, np.float32), 16_000, "ipod", "aac")
    monkeypatch.setattr(audio, "_MAX_FFMPEG_S", 29.0)
    with pytest.raises(AudioError, match="more than 29 s"):
        audio.decode(data)


def test_a_film_without_sound_is_an_audio_error():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for picture in (av.VideoFrame(16, 16, "yuv420p"), None):
            for packet in stream.encode(picture):
                output.mux(packet)
    with pytest.raises(AudioError, match="holds no audio"):
        audio.decode(buffer.getvalue())


FORMATS = {
    "WAV": None, "FLAC": None, "MP3": None, "OGG": None, "M4A": ("ipod", "aac", 16_000), "AAC": ("adts", "aac", 16_000),
    "WebM": ("webm", "libopus", 48_000),
}  # fmt: skip


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_clip_gives_what_is_there_or_an_audio_error(container, share):
    if FORMATS[container]:
        name, codec, rate_hz = FORMATS[container]
        data = ffmpeg_file_of(tone(1000, rate_hz=rate_hz), rate_hz, name, codec)
    else:
        data = file_of(tone(1000), 16_000, container)
    try:
        wave_S = audio.decode(data[: int(len(data) * share)])
    except AudioError:
        return
    assert 0 < len(wave_S) <= 18_000
    assert np.isfinite(wave_S).all()


def test_silence_is_trimmed_to_a_margin_on_both_sides():
    speech, silence = tone(1000, level=0.5), np.zeros(8000, np.float32)
    hiss = 0.5 * 10 ** (-60 / 20) * np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    trimmed = audio.trim_silence(np.concatenate([silence, speech, hiss]), margin_s=0.1)
    assert len(trimmed) == pytest.approx(16_000 + 2 * 1600, abs=40)
    assert not trimmed[:1600].any()
    np.testing.assert_array_equal(trimmed[1600 : 1600 + 15_000], speech[1:15_001])  # the tone starts with a zero
    # A quiet clip is trimmed the same: the threshold is relative to the peak.
    assert len(audio.trim_silence(np.concatenate([silence, speech, hiss]) * 1e-3, margin_s=0.1)) == len(trimmed)


def test_trimming_what_has_no_silence_or_nothing_else():
    wave_S = tone(1000)
    np.testing.assert_array_equal(audio.trim_silence(wave_S), wave_S)
    assert len(audio.trim_silence(np.zeros(1000, np.float32))) == 0
    assert len(audio.trim_silence(np.zeros(0, np.float32))) == 0
    click = np.zeros(16_000, np.float32)
    click[3000] = 1
    assert len(audio.trim_silence(click, margin_s=0.05)) == 2 * 800 + 1
