import os

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import CODECS, code, write_audio
from sdtools.errors import SdError

RATE_HZ = 16000
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 3000) / 32768


@settings(max_examples=40)
@given(values=arrays(np.int16, st.integers(1, 50)))
def test_sixteen_bit_samples_come_back_exactly(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "exact.wav"
    write_audio(path, values / 32768, RATE_HZ)
    assert soundfile.read(path, dtype="int16")[0].tolist() == values.tolist()
    assert (load_audio(path)[0] * 32768).tolist() == values.tolist()


def test_a_file_of_the_same_bytes_is_left(place):
    def identity():
        status = os.stat("x.wav")
        return status.st_ino, status.st_mtime_ns, status.st_size

    write_audio("x.wav", SAMPLES, RATE_HZ)
    before = identity()
    write_audio("x.wav", SAMPLES, RATE_HZ)
    assert identity() == before
    write_audio("x.wav", SAMPLES[::-1], RATE_HZ)
    assert identity()[2] == before[2]
    assert np.array_equal(load_audio("x.wav")[0], SAMPLES[::-1])


@pytest.mark.parametrize(
    ("samples", "what", "got"),
    [
        (np.array([0, 1.01]), "peak of the samples", "1.01"),
        (np.array([0, np.nan]), "peak of the samples", "nan"),
        (np.empty(0), "shape of the samples", (0,)),
        (np.zeros((5, 2)), "shape of the samples", (5, 2)),
    ],
)
def test_refused_samples_leave_the_old_file(place, samples, what, got):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    with pytest.raises(SdError) as info:
        write_audio("x.wav", samples, RATE_HZ)
    error = info.value
    assert (error.who, error.what, error.got) == ("x.wav", what, got) and error.need
    assert np.array_equal(load_audio("x.wav")[0], SAMPLES)
    assert os.listdir() == ["x.wav"]


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_are_lossy_but_close(codec):
    tone = 0.5 * np.sin(np.arange(RATE_HZ) / 3)
    back = code(tone, RATE_HZ, codec)[: len(tone)]
    bound = 0.06 if codec == "opus" else 0.05  # at its default bit rate
    assert 0 < np.abs(back - tone)[1000:-1000].max() < bound


def test_a_long_recording_and_a_sample_rate_that_a_codec_lacks():
    """Millions of samples at once are too many for libvorbis."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(200 * RATE_HZ)
    assert len(code(samples, RATE_HZ, "ogg")) >= len(samples)
    with pytest.raises(SdError) as info:
        code(samples[:RATE_HZ], 96000, "mp3")
    assert info.value.who == "codec mp3" and info.value.got == "96000 Hz"
    assert "--codecs" in info.value.hint
