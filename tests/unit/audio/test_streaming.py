"""Sound on standard input: every form, in pieces of any size, as soon as it is there."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from fields import fails
from hypothesis import given
from hypothesis import strategies as st

from sdtools.audio.decoding import read_windows
from sdtools.audio.streaming import SAMPLES, overlapping, parse_raw

RATE_HZ = 8000
X = np.round(np.random.default_rng(0).uniform(-0.5, 0.5, (3 * RATE_HZ, 2)) * 2**15) / 2**15
FLAC_TOTAL = slice(21, 26)  # 36 bits of STREAMINFO


def encoded(samples, kind, subtype=None, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, subtype=subtype, format=kind, **options)
    return file.getvalue()


def without_sizes(wav, data_size=b"\xff\xff\xff\xff"):
    """As a program writes it into a pipe."""
    at = wav.index(b"data") + 4
    return wav[:4] + b"\xff\xff\xff\xff" + wav[8:at] + data_size + wav[at + 4 :]


def without_total(flac):
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


@pytest.fixture
def feed(monkeypatch):
    """Put bytes on standard input, in pieces; each piece after a pause."""
    kept, threads = os.dup(0), []

    def start(data, piece_bytes=4000, pause_sec=0.0):
        end, other = os.pipe()
        os.dup2(end, 0)
        os.close(end)

        def write():
            with suppress(BrokenPipeError), os.fdopen(other, "wb", 0) as file:
                for i in range(0, len(data), piece_bytes):
                    file.write(data[i : i + piece_bytes])
                    time.sleep(pause_sec)

        threads.append(threading.Thread(target=write))
        threads[-1].start()

    yield start
    os.dup2(kept, 0)
    os.close(kept)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def windows(*sizes, **options):
    return list(read_windows("-", *sizes, **options))


@pytest.mark.parametrize("piece_bytes", [1001, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [
        encoded(X, "WAV"),
        encoded(X, "WAV", endian="BIG"),
        without_sizes(encoded(X, "WAV")),
        without_sizes(encoded(X, "WAV"), bytes(4)),
        without_sizes(encoded(X, "WAV"), b"\x00\xf0\xff\x7f"),
        encoded(X, "WAV", "PCM_24"),
        encoded(X, "WAV", "PCM_32"),
        encoded(X, "WAV", "FLOAT"),
        encoded(X, "WAV", "DOUBLE"),
        encoded(X, "WAVEX"),
        encoded(X, "FLAC"),
        without_total(encoded(X, "FLAC")),
        encoded(X, "AIFF"),  # these are read whole
        encoded(X, "W64"),
    ],
    ids=range(14),
)
def test_every_form_gives_the_same_samples(feed, data, piece_bytes):
    feed(data, piece_bytes)
    got = windows(1, shift_sec=0.5)
    assert [window.start_sec for window in got] == [0, 0.5, 1, 1.5, 2]
    for window in got:
        first = round(window.start_sec * RATE_HZ)
        np.testing.assert_array_equal(window.samples, X[first : first + RATE_HZ])
        assert window.rate_hz == RATE_HZ


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "PCM_U8"])
def test_a_wav_of_few_bits(feed, subtype):
    data = encoded(X, "WAV", subtype)
    want, _ = soundfile.read(io.BytesIO(data))
    feed(data)
    (window,) = windows(9)
    np.testing.assert_array_equal(window.samples, want)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_raw_samples(feed, kind, order):
    subtype, size = SAMPLES[kind]
    data = encoded(X, "RAW", subtype, endian="LITTLE" if order == "le" else "BIG")
    form = {"channels": 2, "samplerate": RATE_HZ, "format": "RAW", "subtype": subtype}
    file = io.BytesIO(data)
    want, _ = soundfile.read(file, endian="LITTLE" if order == "le" else "BIG", **form)
    feed(data, 777)
    name = f"{kind}{order}" if size > 1 else kind
    (window,) = windows(9, raw=parse_raw(f"{name},{RATE_HZ},2"))
    assert (window.start_sec, window.total_sec) == (0, 3)
    np.testing.assert_array_equal(window.samples, want)
    assert np.abs(want - X).max() < 0.05


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s16le",
        "s16,16000,1",
        "s16le,16000",
        "s16le,16000,1,1",
        "u8le,8000,1",
        "s16le,-1,1",
        "s16le,16000,0",
        "s16le,16000,1025",
        "s16le,1e4,1",
        "mp3,16000,1",
    ],
)
def test_raw_forms_that_there_are_not(text):
    with fails(who="--raw"):
        parse_raw(text)


@pytest.mark.parametrize("rate", ["10", "10000000"])
def test_a_rate_that_no_sound_has(feed, rate):
    feed(bytes(1000))
    with fails(who="standard input", what="sample rate"):
        windows(9, raw=parse_raw(f"s16le,{rate},1"))


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20), st.lists(st.integers(1, 30)))
def test_windows_cover_all_samples_and_the_last_ends_with_them(num, length, shift, cuts):
    shift = min(shift, length)
    x = np.arange(num)[:, None]
    blocks = [block for block in np.split(x, np.cumsum(cuts)) if len(block)]
    got = list(overlapping(blocks, length, shift))
    for first, samples, _ in got:
        assert samples[:, 0].tolist() == list(range(first, first + len(samples)))
    if num <= length:
        assert [(first, len(s)) for first, s, _ in got] == [(0, num)]
        return
    assert all(len(samples) == length for _, samples, _ in got)
    firsts = [first for first, *_ in got]
    assert firsts[-1] + length == num
    assert firsts[:-1] == list(range(0, num - length, shift))[: len(firsts) - 1]
    assert [is_last for *_, is_last in got[:-1]] == [False] * (len(got) - 1)


@pytest.mark.parametrize("kind", ["raw", "wav", "flac"])
def test_a_window_comes_before_the_stream_goes_on(kind):
    """The writer waits for each line before it writes more than the next window needs."""
    x = X[:, 0]
    data = {
        "raw": encoded(x, "RAW", "PCM_16"),
        "wav": without_sizes(encoded(x, "WAV")),
        "flac": without_total(encoded(x, "FLAC")),
    }[kind]
    code = (
        "import sys; from sdtools.audio.decoding import read_windows as r;"
        "from sdtools.audio.streaming import parse_raw as p;"
        f"raw = p('s16le,{RATE_HZ},1') if sys.argv[1] == 'raw' else None\n"
        "for w in r('-', 1, shift_sec=0.5, raw=raw): print(w.start_sec, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        sent = 0
        for number in range(4):
            # a block of FLAC has 4096 samples, 0.512 s
            end_sec = 1 + 0.5 * number + (0.52 if kind == "flac" else 0.01)
            end = int(end_sec / 3 * len(data)) + 100
            process.stdin.write(data[sent:end])
            process.stdin.flush()
            sent = end
            assert float(process.stdout.readline()) == 0.5 * number
        rest, _ = process.communicate(data[sent:])
        assert float(rest.split()[-1]) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encoded(X, "WAV")[:-1000], re.compile("data|cut short")),
        (encoded(X, "FLAC")[:-1000], re.compile("sound|cut short")),
        (encoded(X, "WAV")[:44], re.compile("data|cut short|number of samples")),
        (without_sizes(encoded(X[:0], "WAV")), re.compile("number of samples")),
        (without_sizes(encoded(X, "WAV"))[:-1], re.compile("data")),
        (b"", re.compile("sound")),
        (b"fLaC", re.compile("sound")),
        (b"no sound at all\n" * 100, re.compile("sound")),
        (encoded(X, "WAV")[:30], re.compile("sound|data")),
        (b"RIFF\0\0\0\0WAVE" + b"junk\xff\xff\xff\x7f" + bytes(1000), re.compile("sound")),
    ],
    ids=range(10),
)
def test_what_is_cut_or_is_no_sound(feed, data, problem):
    feed(data)
    with fails(what=problem) as info:
        windows(1)
    assert info.value.who.startswith("standard input")


def test_a_damaged_head_prints_no_traceback():
    """libsndfile seeks before the beginning; soundfile would print what Python says about that."""
    data = encoded(X, "AIFF")[:30]
    code = "from sdtools.audio.decoding import read_windows as r; next(r('-', 1))"
    result = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert b"SdError" in result.stderr and b"cffi" not in result.stderr


def test_windows_before_a_bad_sample_are_given(feed):
    x = np.where(np.arange(len(X)) == 20000, np.nan, X[:, 0])
    feed(without_sizes(encoded(x, "WAV", "FLOAT")), 1000)
    got = read_windows("-", 1)
    assert [next(got).start_sec for _ in range(2)] == [0, 1]
    with fails(what=re.compile(r"sample 20000 \(2.500 s\)")):
        next(got)


def test_what_stands_behind_the_samples_is_no_sound(feed):
    data = encoded(X, "WAV") + b"LIST\4\0\0\0abcd"
    feed(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    (window,) = windows(9)
    np.testing.assert_array_equal(window.samples, X)


def test_a_file_in_overlapping_windows(tmp_path):
    soundfile.write(tmp_path / "a.flac", X, RATE_HZ)
    got = list(read_windows(tmp_path / "a.flac", 1, shift_sec=0.7))
    assert [round(window.start_sec, 6) for window in got] == [0, 0.7, 1.4, 2.0]
    assert {window.total_sec for window in got} == {3}
    for window in got:
        first = round(window.start_sec * RATE_HZ)
        np.testing.assert_array_equal(window.samples, X[first : first + RATE_HZ])


def test_memory_of_a_long_stream_is_that_of_a_window():
    """Ten minutes of stereo at 48 kHz are 460 MB as samples."""
    code = (
        "import resource; from sdtools.audio.decoding import read_windows as r;"
        "from sdtools.audio.streaming import parse_raw as p\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "w = r('-', 2, raw=p('s16le,48000,2')); next(w); before = peak()\n"
        "n = sum(1 for _ in w); print(n, peak() - before)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for _ in range(600):
            process.stdin.write(bytes(4 * 48000))
        process.stdin.close()
        number, growth_mb = map(int, process.stdout.read().split())
    assert number == 299 and growth_mb < 20
