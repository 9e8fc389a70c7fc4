import os
import struct

import numpy as np
import pytest
import soundfile

from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.audio.encoding import write_audio
from sdtools.errors import SdError

RATE_HZ = 16000
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 3000) / 32768


def refused(path, read=load_audio, **options):
    """The error of reading a sound."""
    with pytest.raises(SdError) as info:
        read(path, **options)
    return info.value


def windows(path):
    return list(read_windows(path, 30))


# the error of a format whose sample is one step of its quantiser
FORMATS = {
    ("WAV", "PCM_U8"): 2**-7,
    ("WAV", "PCM_16"): 0,
    ("WAV", "PCM_24"): 0,
    ("WAV", "PCM_32"): 0,
    ("WAV", "FLOAT"): 0,
    ("WAV", "DOUBLE"): 0,
    ("WAV", "ULAW"): 2**-5,
    ("WAVEX", "PCM_16"): 0,
    ("RF64", "PCM_16"): 0,
    ("AIFF", "PCM_16"): 0,
    ("AU", "PCM_16"): 0,
    ("NIST", "PCM_16"): 0,
    ("FLAC", "PCM_16"): 0,
    ("FLAC", "PCM_24"): 0,
}


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_samples_are_those_that_were_written(place, form, subtype):
    soundfile.write("x", SAMPLES, RATE_HZ, format=form, subtype=subtype)
    samples, rate_hz = load_audio("x", sample_rate_hz=RATE_HZ)
    assert (rate_hz, samples.dtype, samples.flags.c_contiguous) == (RATE_HZ, np.float64, True)
    np.testing.assert_allclose(samples, SAMPLES, atol=FORMATS[form, subtype], rtol=0)


def test_long_sound_is_read_whole(place):
    samples = np.arange(200_000) % 1000 / 32768
    write_audio("x.wav", samples, RATE_HZ)
    assert np.array_equal(load_audio("x.wav")[0], samples)


def test_windows_are_equal_and_make_up_the_whole(place):
    soundfile.write("x.wav", np.stack([SAMPLES, SAMPLES / 2], 1), 1000, subtype="PCM_24")
    parts = list(read_windows("x.wav", 0.8))
    assert [(part.start_sec, part.total_sec, part.rate_hz) for part in parts] == [
        (start_sec, 3, 1000) for start_sec in (0, 0.75, 1.5, 2.25)
    ]
    joined = np.concatenate([part.samples for part in parts])
    assert np.array_equal(joined[:, 0], SAMPLES) and joined.shape == (3000, 2)


@pytest.mark.parametrize(
    ("form", "subtype", "codec", "is_lossy"),
    [
        ("WAV", "PCM_16", "pcm_s16", False),
        ("WAV", "PCM_U8", "pcm_u8", False),
        ("WAV", "FLOAT", "pcm_f32", False),
        ("WAV", "ALAW", "alaw", True),
        ("WAV", "ULAW", "mulaw", True),
        ("WAV", "GSM610", "gsm", True),
        ("FLAC", "PCM_24", "flac", False),
        ("OGG", "VORBIS", "vorbis", True),
        ("OGG", "OPUS", "opus", True),
        ("MP3", "MPEG_LAYER_III", "mp3", True),
    ],
)
def test_codec_is_carried_along(place, form, subtype, codec, is_lossy):
    soundfile.write("x", SAMPLES, RATE_HZ, format=form, subtype=subtype)
    header, window = read_header("x"), windows("x")[0]
    assert (header.codec, header.is_lossy) == (window.codec, window.is_lossy) == (codec, is_lossy)
    (window,) = read_windows("x", 30, shift_sec=30)
    assert (window.rate_hz, window.codec, window.is_lossy) == (RATE_HZ, codec, is_lossy)


def test_channel_must_be_chosen(place):
    soundfile.write("x.wav", np.stack([SAMPLES, -SAMPLES / 2], 1), RATE_HZ, subtype="PCM_24")
    assert np.array_equal(load_audio("x.wav", channel=1)[0], -SAMPLES / 2)
    error = refused("x.wav")
    assert (error.who, error.got, error.need) == ("x.wav", 2, 1)
    assert error.what == "number of channels" and "0 to 1" in error.hint
    assert "--channel" in error.hint
    error = refused("x.wav", channel=2)
    assert (error.who, error.what, error.got, error.need) == ("x.wav", "channel", 2, "0 to 1")


def test_wrong_rate_names_both(place):
    write_audio("x.wav", SAMPLES, 8000)
    assert load_audio("x.wav")[1] == 8000
    error = refused("x.wav", sample_rate_hz=16000)
    assert (error.who, error.what) == ("x.wav", "sample rate")
    assert (error.got, error.need) == ("8000 Hz", "16000 Hz") and "sox" in error.hint


@pytest.mark.parametrize("read", [load_audio, windows])
def test_no_samples_is_an_error(place, read):
    soundfile.write("x.wav", np.empty(0), RATE_HZ)
    error = refused("x.wav", read)
    assert (error.who, error.what, error.got) == ("x.wav", "number of samples", 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 8.01, -3e38])
@pytest.mark.parametrize("read", [load_audio, windows])
def test_samples_that_are_no_numbers_or_huge_are_located(place, value, read):
    samples = SAMPLES.copy()
    samples[[800, 900]] = value
    soundfile.write("x.wav", samples, RATE_HZ, subtype="FLOAT")
    error = refused("x.wav", read)
    assert (error.who, error.what) == ("x.wav", "sample 800 (0.050 s)")
    assert str(error.got) == str(np.float64(np.float32(value))) and "8" in error.need


def test_samples_beyond_full_scale_are_read(place):
    soundfile.write("x.wav", 7.9 * SAMPLES, RATE_HZ, subtype="DOUBLE")
    assert np.array_equal(load_audio("x.wav")[0], 7.9 * SAMPLES)
    assert np.array_equal(windows("x.wav")[0].samples[:, 0], 7.9 * SAMPLES)


@pytest.mark.parametrize(("bits", "peak"), [(16, 30000), (16, 900), (24, 2**22), (32, 2**30)])
@pytest.mark.parametrize("read", [load_audio, windows])
def test_integers_stored_as_floats_are_named(place, bits, peak, read):
    soundfile.write("x.wav", peak * SAMPLES, RATE_HZ, subtype="FLOAT")
    error = refused("x.wav", read)
    assert f"{bits}-bit integers" in error.hint and str(2 ** (bits - 1)) in error.hint


def test_a_bad_sample_is_located_in_its_window_and_channel(place):
    samples = np.zeros((3000, 2))
    samples[2500, 1] = np.nan
    soundfile.write("x.wav", samples, 1000, subtype="FLOAT")
    error = refused("x.wav", lambda path: list(read_windows(path, 1)))
    assert error.what == "sample 2500 (2.500 s)" and str(error.got) == "nan"


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AIFF", "AU", "FLAC"])
def test_sound_that_is_cut_short_is_an_error(place, form):
    soundfile.write("x", SAMPLES, RATE_HZ, format=form, subtype="PCM_16")
    size = os.path.getsize("x")
    for end in range(size - 2, 0, -(size // 23)):
        os.truncate("x", end)
        for read in (load_audio, windows):
            error = refused("x", read)
            assert error.who == "x" and error.what in ("sound", "the file is cut short")
            assert error.what == "sound" or error.got.endswith(" samples")


@pytest.mark.parametrize("claim", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_wav_that_came_through_a_pipe_is_read_to_its_end(place, claim):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    with open("x.wav", "r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", claim))
    assert np.array_equal(load_audio("x.wav")[0], SAMPLES)


def test_flac_that_claims_hours_takes_no_memory_for_them(place):
    soundfile.write("x.flac", SAMPLES, RATE_HZ)
    with open("x.flac", "r+b") as file:
        file.seek(21)
        head = file.read(5)
        file.seek(21)
        file.write(bytes([head[0] | 15]) + b"\xff" * 4)  # 2**36 - 1 samples
    error = refused("x.flac")
    assert error.who == "x.flac" and error.got


@pytest.mark.parametrize(
    ("name", "who", "words"),
    [
        ("absent.wav", "absent.wav", "no such file"),
        ("folder", "folder", "Is a directory"),
        ("text.wav", "text.wav", "Format not recognised"),
        ("nothing.wav", "nothing.wav", "Format not recognised"),
        ("samples.raw", "samples.raw", "samplerate"),
        ("text.wav:5", "text.wav:5", "RIFF"),
    ],
)
def test_what_is_no_sound_is_named(place, name, who, words):
    (place / "folder").mkdir()
    (place / "text.wav").write_text("hello\n" * 100)
    (place / "samples.raw").write_bytes(bytes(100))
    (place / "nothing.wav").touch()
    message = str(refused(name))
    assert message.startswith(f"{who}: ") and words in message


@pytest.mark.parametrize("rate_hz", [1, 999, 768001, 2**31 - 1])
@pytest.mark.parametrize("read", [load_audio, windows])
def test_rates_that_no_sound_has(place, rate_hz, read):
    soundfile.write("x.wav", SAMPLES, rate_hz)
    error = refused("x.wav", read)
    assert (error.who, error.what, error.got) == ("x.wav", "sample rate", f"{rate_hz} Hz")
    assert error.need == "1000 to 768000 Hz" and "damaged" in error.hint
