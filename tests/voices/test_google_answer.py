import io
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
import soundfile

from drugasr.voices.google_answer import BadAnswer, decode_whole, retry_after_s


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 24_000, 44_100])
def test_a_whole_mp3_is_told_from_a_cut_one(rate_hz):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(0).uniform(-0.5, 0.5, rate_hz // 4), rate_hz, format="MP3")
    mp3 = buffer.getvalue()
    whole_S = decode_whole(mp3)
    assert decode_whole(b"ID3\x04\x00\x00\x00\x00\x01\x04" + bytes(132) + mp3).tobytes() == whole_S.tobytes()
    assert abs(len(decode_whole(mp3 + b"TAG" + bytes(125))) - len(whole_S)) < 1000
    taken_for_whole = [0, len(mp3)]
    for length in range(1, len(mp3)):
        with suppress(BadAnswer):
            decode_whole(mp3[:length])
            taken_for_whole.append(length)
    # Only a cut between two frames cannot be seen, and no frame is shorter than 24 bytes.
    assert np.diff(sorted(taken_for_whole)).min() >= 24


def test_an_mp3_of_silence_is_not_speech():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(12_000), 24_000, format="MP3")
    with pytest.raises(BadAnswer, match="silence"):
        decode_whole(buffer.getvalue())


def test_retry_after_as_a_date():
    assert retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)) == pytest.approx(90, abs=5)
    assert retry_after_s(format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)) == 0
    assert [retry_after_s(header) for header in ("", "soon", "-5", "0", "120")] == [0, 0, 0, 0, 120]
