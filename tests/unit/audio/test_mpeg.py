"""Frames of MPEG audio."""

import io

import numpy as np
import pytest
import soundfile

from sdtools.audio.mpeg import find_frames, find_table, frame_bytes, skip_tags

NOISE = 0.1 * np.random.default_rng(0).standard_normal(32000)


def mp3(rate_hz=16000, mode="CONSTANT"):
    file = io.BytesIO()
    options = {"format": "MP3", "bitrate_mode": mode, "compression_level": 0.5}
    soundfile.write(file, NOISE, rate_hz, **options)
    return file.getvalue()


def frames_of(data):
    return find_frames(io.BytesIO(data), 0, len(data))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_frames_are_those_of_the_table_and_the_table(rate_hz, mode):
    data = mp3(rate_hz, mode)
    place, claim = find_table(data[:64])
    assert place > 0 and claim > len(NOISE) / 1152
    assert vars(frames_of(data)) == {"num_frames": claim + 1, "end": len(data)}


def test_a_last_frame_that_is_cut():
    data = mp3()
    frames = frames_of(data[:-10])
    assert frames.num_frames == frames_of(data).num_frames - 1
    last = data[frames.end :]
    assert frame_bytes(last[:4]) == len(last)


@pytest.mark.parametrize(
    "between", [b"", b"TAG" + bytes(125), b"ID3\3\0\0\0\0\x08\0" + bytes(1024)]
)
def test_joined(between):
    data = mp3()
    both = data + between + data
    assert (
        vars(frames_of(both + b"TAG" + bytes(125)))["num_frames"] == 2 * frames_of(data).num_frames
    )


def test_what_is_no_frame():
    assert frames_of(b"hello" * 100).num_frames == 0
    assert [frame_bytes(head) for head in (b"", b"\xff\xfb", b"\xff\xfb\0\0", b"RIFF")] == [0] * 4
    assert find_table(b"\xff\xfb\x90\x64" + bytes(60)) == (0, 0)


def test_layer_ii():
    """144 bits for each bit of the rate and kHz, at any version."""
    assert frame_bytes(b"\xff\xfd\xa4\0") == 144 * 192000 // 48000
    assert frame_bytes(b"\xff\xf5\xa4\0") == 144 * 96000 // 24000


def test_tags_at_the_beginning():
    tag = b"ID3\3\0\0\0\0\x01\x02" + bytes(130)
    assert skip_tags(io.BytesIO(tag + b"x"), 0) == len(tag)
    assert skip_tags(io.BytesIO(2 * tag + b"x"), 0) == 2 * len(tag)
    assert skip_tags(io.BytesIO(b"ID3"), 0) == 0
