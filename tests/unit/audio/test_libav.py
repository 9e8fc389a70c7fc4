"""What phones and browsers record, through PyAV."""

import builtins
import io
import socket
import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.audio.libav import DEMUXERS, LibavStream
from sdtools.errors import SdError

RATE_HZ = 16000
T = np.arange(RATE_HZ) / RATE_HZ
SOUND = 0.4 * np.sin(2 * np.pi * 300 * T) * (0.3 + 0.7 * np.abs(np.sin(7 * T)))
STEREO = np.stack([SOUND, SOUND / 2], 1)


@pytest.fixture
def write(place):
    """Make a sound file by FFmpeg from a.wav."""
    soundfile.write("a.wav", SOUND, RATE_HZ)

    def run(*arguments):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", "a.wav", *arguments]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        return arguments[-1]

    return run


def refused(name, read=load_audio):
    with pytest.raises(SdError) as info:
        read(name)
    assert info.value.who == name
    return info.value


@pytest.mark.parametrize("bits", ["16", "24"])
@pytest.mark.parametrize("name", ["x.m4a", "x.mka", "x.wv"])
def test_lossless_samples_are_those_of_the_wav(write, name, bits):
    soundfile.write("a.wav", STEREO, RATE_HZ, subtype=f"PCM_{bits}")
    codec = {"x.m4a": "alac", "x.mka": "flac", "x.wv": "wavpack"}[name]
    write("-c:a", codec, name)
    want = soundfile.read("a.wav")[0]
    for channel in (0, 1):
        assert np.array_equal(load_audio(name, channel=channel)[0], want[:, channel])
    assert refused(name).what == "number of channels"


@pytest.mark.parametrize("name", ["x.m4a", "x.3gp", "x.webm"])
def test_the_edit_list_takes_delay_and_padding_off(write, name):
    codec = {"x.m4a": "aac", "x.3gp": "libopencore_amrnb", "x.webm": "libopus"}[name]
    rate_hz = {"x.m4a": 16000, "x.3gp": 8000, "x.webm": 48000}[name]
    write("-ar", f"{rate_hz}", "-c:a", codec, name)
    samples, own_rate_hz = load_audio(name)
    assert (len(samples), own_rate_hz) == (rate_hz, rate_hz)
    soundfile.write("b.wav", samples, rate_hz)
    envelope = np.abs(samples).reshape(100, -1).mean(1)
    want = np.abs(SOUND).reshape(100, -1).mean(1)
    assert np.corrcoef(envelope, want)[0, 1] > 0.98


def test_windows_and_header(write):
    name = write("-c:a", "aac", "x.m4a")
    samples, rate_hz = load_audio(name)
    windows = list(read_windows(name, 0.3))
    assert len(windows) == 4 and {window.total_sec for window in windows} == {1.0}
    assert np.array_equal(np.concatenate([window.samples[:, 0] for window in windows]), samples)
    assert read_header(name, count=True)[:3] == (rate_hz, 1, len(samples))


def test_a_picture_is_no_matter_and_a_film_has_its_sound(write):
    picture = ["-f", "lavfi", "-i", "color=red:size=32x32:rate=1:duration=1"]
    for name, options in {
        "x.m4a": ["-c:v", "mjpeg", "-disposition:v", "attached_pic"],
        "x.mp4": ["-c:v", "mpeg4"],
    }.items():
        write(*picture, "-map", "0:a", "-map", "1:v", "-c:a", "aac", *options, name)
        assert len(load_audio(name)[0]) == RATE_HZ


def test_two_sounds_are_refused_with_what_to_do(write):
    error = refused(write("-map", "0:a", "-map", "0:a", "-c:a", "aac", "x.mka"))
    assert (error.what, error.got, error.need) == ("number of sounds", 2, 1)
    assert "-map 0:a:0" in error.hint


def test_a_film_without_sound(write):
    silent = ["-f", "lavfi", "-i", "color=red:size=32x32:rate=5:duration=1"]
    error = refused(write(*silent, "-map", "1:v", "-c:v", "mpeg4", "x.mp4"))
    assert (error.what, error.got) == ("number of sounds", 0)


@pytest.mark.parametrize("name", ["x.m4a", "x.webm", "x.wma"])
def test_two_files_in_one(write, name):
    codec = {"x.m4a": "aac", "x.webm": "libopus", "x.wma": "wmav2"}[name]
    data = Path(write("-c:a", codec, name)).read_bytes()
    Path(name).write_bytes(data + data)
    assert "another recording" in refused(name).what


def test_a_box_of_2_64_bytes(write):
    data = Path(write("-c:a", "aac", "x.m4a")).read_bytes()
    at = data.find(b"mdat") - 4
    huge = b"\0\0\0\1mdat" + b"\xff" * 8
    Path("x.m4a").write_bytes(data[:at] + huge + data[at + 8 :])
    assert refused("x.m4a").what == "the file is cut short"


def test_an_error_in_the_middle_is_an_error(write):
    data = bytearray(Path(write("-c:a", "alac", "x.m4a")).read_bytes())
    at = data.find(b"mdat") + 2000
    data[at : at + 4000] = bytes(4000)
    Path("x.m4a").write_bytes(data)
    assert refused("x.m4a").what == "sound"


def test_a_codec_that_is_not_listed(write):
    error = refused(write("-c:a", "dca", "-strict", "-2", "-ar", "48000", "-ac", "2", "x.mka"))
    assert (error.what, error.got) == ("codec", "dca") and "ffmpeg -i" in error.hint


@pytest.mark.parametrize("name", ["x.m4a", "x.webm"])
def test_without_av_the_error_tells_what_to_do(write, name, monkeypatch):
    write("-c:a", {"x.m4a": "aac", "x.webm": "libopus"}[name], name)
    real = builtins.__import__

    def without(module, *arguments):
        if module == "av":
            raise ImportError(module)
        return real(module, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    error = refused(name)
    assert "av" in error.what and "pip install" in error.hint and "ffmpeg -i" in error.hint


def test_nothing_else_is_opened(write, monkeypatch):
    """A film may name another file as the place of its samples; a playlist has no container."""
    write("-c:a", "pcm_s16be", "x.mov")
    data = Path("x.mov").read_bytes()
    # a reference to a.wav instead of "this file"
    alias = b"alis" + bytes(4) + bytes(150)
    at = data.find(b"url \0\0\0\1")
    moved = data[: at - 4] + struct.pack(">I", 4 + len(alias)) + alias + data[at + 8 :]
    Path("y.mov").write_bytes(moved)
    opened = []
    monkeypatch.setattr(socket, "socket", lambda *_: opened.append("a socket"))
    for name in ("y.mov", "list.m3u8", "list.txt"):
        Path("list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.wav\n")
        Path("list.txt").write_text("ffconcat version 1.0\nfile a.wav\n")
        refused(name)
    assert opened == []


@pytest.mark.parametrize("container", DEMUXERS)
def test_text_is_refused_by_every_demuxer(place, container):
    Path("x").write_bytes(b"#EXTM3U\nhttp://localhost/a.wav\n" * 100)
    with open("x", "rb") as file, pytest.raises(SdError), LibavStream("x", file, container):
        pass


class Broken(io.BytesIO):
    """A file on a disk that fails behind the header."""

    def read(self, num_bytes):
        if self.tell() > 20000:
            raise OSError(5, "Input/output error")
        return super().read(num_bytes)


@pytest.mark.parametrize("name", ["x.m4a", "x.webm"])
def test_an_error_of_the_disk_is_not_the_end(write, name, monkeypatch):
    soundfile.write("a.wav", np.tile(SOUND, 8), RATE_HZ)
    codec = {"x.m4a": "alac", "x.webm": "libopus"}[name]
    data = Path(write("-c:a", codec, name)).read_bytes()
    monkeypatch.setattr("sdtools.audio.decoding.open", lambda *_: Broken(data), raising=False)
    assert "Input/output error" in refused(name).what
