"""Every codec in every container, written by FFmpeg: read whole, or refused, never less in silence.

Each is written into a file, where FFmpeg goes back and states the length, and into a pipe, where it
cannot; it is read from a file and from a pipe, whole and cut in the middle.
"""

import itertools
import subprocess
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.errors import SdError

RATE_HZ = 48000
NUM_FRAMES = 2 * RATE_HZ
T = np.arange(NUM_FRAMES) / RATE_HZ
SOUND = 0.4 * np.sin(2 * np.pi * 300 * T) * (0.3 + 0.7 * np.abs(np.sin(7 * T)))
SOUND += 0.02 * np.random.default_rng(0).standard_normal(NUM_FRAMES)
ERROR, COUNT = "error", "count"  # of what is cut: refused, or so many frames that it is plain


class Kind(NamedTuple):
    """A codec in a container."""

    muxer: str
    codec: str
    rate_hz: int = RATE_HZ
    delay_sec: float | None = None  # by which a lossy codec may add or lose frames; else lossless
    cut: str = ERROR  # the outcome of a cut file with a length
    cut_pipe: str = COUNT  # and of one without
    is_both: bool = True  # whether it can be written into a pipe, too
    options: tuple[str, ...] = ()


AAC, OPUS, AMR, WMA, LAME = 0.045, 0.021, 0.021, 0.09, 0.055
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov")
KINDS = [
    Kind("wav", "pcm_s16le"),
    Kind("wav", "pcm_s24le"),
    Kind("wav", "pcm_f32le"),
    Kind("wav", "pcm_alaw", delay_sec=0),
    Kind("wav", "pcm_s16le", options=("-rf64", "always")),
    Kind("aiff", "pcm_s16be"),
    Kind("aiff", "pcm_s24be"),
    Kind("au", "pcm_s16be"),
    Kind("caf", "pcm_s16le"),
    Kind("w64", "pcm_s16le"),
    Kind("flac", "flac", cut_pipe=ERROR),
    Kind("ogg", "flac", cut_pipe=ERROR),
    Kind("ogg", "libvorbis", delay_sec=0, cut_pipe=ERROR),
    Kind("ogg", "libopus", delay_sec=OPUS, cut_pipe=ERROR),
    Kind("mp3", "libmp3lame", delay_sec=LAME),
    Kind("mp2", "mp2", delay_sec=LAME, cut=COUNT),
    Kind("ipod", "aac", delay_sec=0, is_both=False),
    Kind("ipod", "aac", 16000, delay_sec=0, is_both=False),
    Kind("ipod", "alac", is_both=False),
    Kind("mp4", "aac", delay_sec=0, is_both=False, options=("-movflags", "+faststart")),
    Kind("mp4", "aac", delay_sec=AAC, options=FRAGMENTS, cut_pipe=ERROR),
    Kind("mp4", "flac", is_both=False),
    Kind("mp4", "libopus", delay_sec=0, is_both=False),
    Kind("mov", "pcm_s16le", is_both=False),
    Kind("3gp", "libopencore_amrnb", 8000, delay_sec=0, is_both=False),
    Kind("amr", "libopencore_amrnb", 8000, delay_sec=AMR, cut_pipe=ERROR),
    Kind("adts", "aac", 44100, delay_sec=AAC, cut_pipe=ERROR),
    Kind("webm", "libopus", delay_sec=OPUS, cut_pipe=ERROR),
    Kind("webm", "libvorbis", delay_sec=OPUS, cut_pipe=ERROR),
    Kind("matroska", "flac", cut_pipe=ERROR),
    Kind("matroska", "pcm_s16le", cut_pipe=ERROR),
    Kind("matroska", "aac", delay_sec=AAC, cut_pipe=ERROR),
    Kind("asf", "wmav2", 44100, delay_sec=WMA, cut_pipe=ERROR),
    Kind("wv", "wavpack", cut_pipe=ERROR),
]


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """{rate: path of a WAV}, of 16 bits."""
    folder = tmp_path_factory.mktemp("sources")
    soundfile.write(folder / "48000.wav", SOUND, RATE_HZ)
    for rate_hz in (44100, 16000, 8000):
        ffmpeg("-i", f"{folder}/48000.wav", "-ar", f"{rate_hz}", f"{folder}/{rate_hz}.wav")
    return {rate_hz: folder / f"{rate_hz}.wav" for rate_hz in (RATE_HZ, 44100, 16000, 8000)}


def encode(kind, source, into_pipe):
    """Bytes of the file."""
    arguments = ["-i", source, "-c:a", kind.codec, *kind.options, "-f", kind.muxer]
    if into_pipe:
        return ffmpeg(*arguments, "-")
    ffmpeg(*arguments, "coded")
    return Path("coded").read_bytes()


def read(from_pipe):
    """Samples of the file x, which all readers find alike."""
    if from_pipe:
        return load_audio("cat x |", allow_pipes=True)
    samples, rate_hz = load_audio("x")
    windows = list(read_windows("x", 0.6))
    assert np.array_equal(np.concatenate([window.samples[:, 0] for window in windows]), samples)
    header = read_header("x", count=True)
    assert header[:3] == (rate_hz, 1, len(samples))
    assert {window[3:] for window in windows} == {(rate_hz, header.codec, header.is_lossy)}
    return samples, rate_hz


def name_of(kind):
    return "-".join([kind.muxer, kind.codec, f"{kind.rate_hz}", *kind.options[1:]])


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_read_whole_or_refused(kind, sources, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    want, rate_hz = soundfile.read(sources[kind.rate_hz])
    for into_pipe in (False, True)[: 1 + kind.is_both]:
        data = encode(kind, sources[kind.rate_hz], into_pipe)
        for is_cut, from_pipe in itertools.product((False, True), repeat=2):
            Path("x").write_bytes(data[: int(0.48 * len(data))] if is_cut else data)
            if is_cut and (kind.cut_pipe if into_pipe else kind.cut) == ERROR:
                with pytest.raises(SdError) as info:
                    read(from_pipe)
                assert info.value.what in ("the file is cut short", "sound")
                continue
            samples, own_rate_hz = read(from_pipe)
            assert read_header("x").is_lossy == (kind.delay_sec is not None)
            codec = kind.codec.replace("mp3lame", "mp3").replace("libopencore_", "")
            assert read_header("x").codec in codec.replace("amrnb", "amrnb alaw")
            if is_cut:
                assert 0.3 < len(samples) / len(want) < 0.7
            elif kind.delay_sec is None:
                assert own_rate_hz == rate_hz and np.array_equal(samples, want)
            else:
                more_sec = len(samples) / own_rate_hz - len(want) / rate_hz
                assert abs(more_sec) <= kind.delay_sec
    assert capfd.readouterr() == ("", "")


def test_the_matrix_is_large():
    assert sum(4 * (1 + kind.is_both) for kind in KINDS) >= 200
