"""Headers that claim too little, too much or nothing."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate

from sdtools.audio.claims import Claim, Stream, View, read_claim
from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.errors import SdError

RATE_HZ = 16000
T = np.arange(3 * RATE_HZ) / RATE_HZ
SPEECH = 0.5 * np.sin(2 * np.pi * 300 * T) * (0.2 + 0.8 * np.abs(np.sin(16 * T)))
SAMPLES = np.round(SPEECH * 2**15) / 2**15  # of 16 bits
MP3_DELAY = 1105  # samples that encoder and decoder add; a table of contents takes them off


def write(name, samples=SAMPLES, **options):
    """Bytes of a sound file."""
    soundfile.write(name, samples, RATE_HZ, **options)
    return bytearray(Path(name).read_bytes())


def read(data, name="x"):
    """Samples of a file with these bytes, whole and in windows."""
    Path(name).write_bytes(data)
    samples, _ = load_audio(name)
    windows = list(read_windows(name, 0.7))
    assert np.array_equal(np.concatenate([window.samples[:, 0] for window in windows]), samples)
    assert {window.total_sec for window in windows} == {len(samples) / RATE_HZ}
    assert read_header(name, count=True).num_frames == len(samples)
    return samples


def assert_cut(data):
    Path("x").write_bytes(data)
    for use in (load_audio, lambda name: list(read_windows(name, 0.7))):
        with pytest.raises(SdError) as info:
            use("x")
        assert info.value.who == "x" and info.value.what in ("the file is cut short", "sound")


def without_table(data):
    """An MP3 without its first frame, the table of contents."""
    first = data.find(b"\xff\xf3")
    assert b"Xing" in data[first : first + 100] or b"Info" in data[first : first + 100]
    return data[data.find(b"\xff\xf3", first + 20) :]


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def in_wav(mp3, claim=None):
    """An MP3 as a WAV holds it."""
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 4000, 1, 0, 12, 1, 2, 576, 1, 1393)
    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"fact", struct.pack("<I", len(SAMPLES)))
    body += b"data" + struct.pack("<I", len(mp3) if claim is None else claim) + mp3
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_mp3_of_variable_bit_rate_without_a_table_of_contents(place):
    """Its first frame, of noise, is longer than the others, so the estimate is far too low."""
    noise = 0.3 * np.random.default_rng(0).standard_normal(8000).clip(-2, 2)
    samples = np.r_[noise, SPEECH, np.zeros(32000)]
    options = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.5}
    mp3 = write("whole.mp3", samples, **options)
    whole = read(mp3)
    assert len(whole) == len(samples)
    bare = read(without_table(mp3))
    assert len(bare) >= len(samples) + MP3_DELAY
    np.testing.assert_allclose(bare[MP3_DELAY:][: len(whole)], whole, atol=1e-6)


def test_mp3_of_constant_bit_rate_without_a_table_of_contents(place):
    """Tags make the estimate too high."""
    options = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.7}
    bare = bytes(without_table(write("whole.mp3", **options)))
    want = read(bare)
    assert len(want) >= len(SAMPLES) + MP3_DELAY
    tag, long_tag = b"TAG" + bytes(125), b"ID3\3\0\0\0\0\x08\0" + bytes(1024)
    for data in (bare + tag, long_tag + bare, long_tag * 2 + bare + tag, in_wav(bare)):
        assert np.array_equal(read(data), want)
    assert np.array_equal(read(in_wav(bare) + chunk(b"LIST", bytes(99))), want)


def test_a_part_of_an_mp3(place):
    """Only a table of contents, or the WAV around it, tells that an MP3 was cut."""
    mp3 = bytes(write("whole.mp3", format="MP3"))
    half = len(mp3) // 2
    assert_cut(mp3[:half])
    bare = bytes(without_table(mp3))
    assert 0 < len(read(bare[:half])) < len(SAMPLES)
    assert_cut(in_wav(bare)[:half])
    assert np.array_equal(read(in_wav(bare, claim=0xFFFFFFFF)), read(bare))


def test_a_long_mp3_is_decoded_as_one(place):
    """Seeking between two blocks would harm the samples at their border."""
    t = np.arange(150000) / RATE_HZ
    samples = 0.4 * np.sin(2 * np.pi * 300 * t) + 0.05 * np.random.default_rng(0).normal(
        size=len(t)
    )
    mp3 = write("x.mp3", samples, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    with Stream(io.BytesIO(mp3), read_claim(io.BytesIO(mp3))) as stream:
        want = stream.read(1 << 20)
    assert np.array_equal(read(mp3), want)


def with_total(flac, total):
    """A FLAC whose header claims another number of samples."""
    flac = bytearray(flac)
    flac[21] = flac[21] & 0xF0 | total >> 32
    flac[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return flac


@pytest.mark.parametrize("total", [0, 1, len(SAMPLES) // 2, len(SAMPLES) - 1, len(SAMPLES)])
def test_flac_is_read_to_its_end(place, total):
    flac = with_total(write("x.flac"), total)
    assert read_claim(io.BytesIO(flac)).num_frames == (total or None)
    assert np.array_equal(read(flac), SAMPLES)
    tagged = b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + flac
    assert np.array_equal(read(tagged), SAMPLES)


@pytest.mark.parametrize("total", [len(SAMPLES) + 1, 2 * len(SAMPLES), (1 << 36) - 1])
def test_flac_that_has_less_than_it_claims(place, total):
    assert_cut(with_total(write("x.flac"), total))


@pytest.mark.parametrize("total", [0, len(SAMPLES)])
def test_flac_that_is_cut(place, total):
    flac = with_total(write("x.flac"), total)
    for end in (len(flac) - 2, len(flac) // 2):
        assert_cut(flac[:end])


def test_nist_lengths(place):
    sphere = bytes(write("x.sph", format="NIST"))
    claim = f"sample_count -i {len(SAMPLES)}".encode()
    assert claim in sphere and np.array_equal(read(sphere), SAMPLES)
    assert_cut(sphere[: len(sphere) // 3])
    fewer = sphere.replace(claim, claim.replace(b"48000", b"16000"))
    assert np.array_equal(read(fewer), SAMPLES)


RIFF_SIZE, DATA_SIZE = 4, 40  # places in the header of a plain WAV


def with_sizes(wav, **sizes):
    wav = bytearray(wav)
    for place, size in ((RIFF_SIZE, sizes.get("riff")), (DATA_SIZE, sizes.get("data"))):
        if size is not None:
            wav[place : place + 4] = struct.pack("<I", size)
    return bytes(wav)


@pytest.mark.parametrize("riff", [None, 0, 36, 0xFFFFFFFF])
def test_wav_of_a_recorder_that_never_wrote_its_size(place, riff):
    assert np.array_equal(read(with_sizes(write("x.wav"), riff=riff, data=0)), SAMPLES)


def test_big_endian_wav_without_a_size(place):
    wav = write("x.wav", subtype="PCM_16", endian="BIG")
    wav[40:44] = bytes(4)
    assert np.array_equal(read(wav), SAMPLES)


def test_wav_with_a_size_that_ends_among_the_samples(place):
    assert np.array_equal(read(with_sizes(write("x.wav"), data=len(SAMPLES))), SAMPLES)


@pytest.mark.parametrize("riff", [None, 1000, 1 << 30])
def test_what_follows_the_samples_is_no_sound(place, riff):
    wav = bytes(write("x.wav"))
    size = len(wav) - 8
    for more in (
        chunk(b"LIST", bytes(99)),
        chunk(b"bext", b"x") + chunk(b"id3 ", bytes(10)),
        b"\0",
    ):
        assert np.array_equal(read(with_sizes(wav + more, riff=riff or size + len(more))), SAMPLES)
    assert np.array_equal(read(wav + b"more than there is to say\n" * 9), SAMPLES)


@pytest.mark.parametrize("more", [b"", chunk(b"LIST", bytes(10))])
def test_a_wav_that_really_is_empty(place, more):
    Path("x").write_bytes(write("x.wav", SAMPLES[:0]) + more)
    with pytest.raises(SdError) as info:
        load_audio("x")
    assert info.value.what == "number of samples"


def test_a_wav_through_a_pipe_without_a_size(place):
    Path("x.wav").write_bytes(with_sizes(write("x.wav"), data=0))
    assert np.array_equal(load_audio("cat x.wav |", allow_pipes=True)[0], SAMPLES)


@given(
    data=st.binary(min_size=1, max_size=60),
    first=st.integers(0, 30),
    patch=st.binary(max_size=5),
    at=st.integers(0, 60),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_a_view_is_the_part_of_the_file_with_its_patch(data, first, patch, at, sizes):
    first = min(first, len(data))
    patched = bytearray(data)
    for i in range(at, min(at + len(patch), len(data))):
        patched[i] = patch[i - at]
    view = View(io.BytesIO(data), Claim(first=first, end=len(data), patches={at: patch}))
    got = bytearray()
    for size in sizes * len(data):
        buffer = bytearray(size)
        got += buffer[: view.readinto(buffer)]
        assert view.tell() == len(got)
    assert got == patched[first:]
    assert view.seek(0, io.SEEK_END) == len(data) - first


def test_an_endless_view_has_an_empty_tag_at_its_claimed_end():
    view = View(io.BytesIO(b"abc"), Claim(end=3, is_endless=True))
    end = view.seek(0, io.SEEK_END)
    assert end > 1 << 39 and view.seek(-128, io.SEEK_END) == end - 128
    buffer = bytearray(b"x" * 200)
    assert view.readinto(buffer) == 128 and buffer == bytes(128) + b"x" * 72
    view.seek(3)
    assert view.readinto(buffer) == 0


class Broken(io.BytesIO):
    """A file on a disk that fails behind the header."""

    def readinto(self, buffer):
        if self.tell() > 1000:
            raise OSError(5, "Input/output error")
        return super().readinto(buffer)


def test_an_error_of_the_disk_is_not_the_end(place, monkeypatch):
    flac = bytes(with_total(write("x.flac"), 0))
    monkeypatch.setattr("sdtools.audio.decoding.open", lambda *_: Broken(flac), raising=False)
    with pytest.raises(SdError) as info:
        load_audio("x.flac")
    assert info.value.who == "x.flac"


def test_several_mp3_in_one_file(place):
    """The table of contents tells the frames of the first; all are read, also after a tag."""
    mp3 = bytes(write("whole.mp3", format="MP3"))
    whole = read(mp3)
    for between in (b"", b"TAG" + bytes(125), b"ID3\3\0\0\0\0\x08\0" + bytes(1024)):
        both = read(mp3 + between + mp3)
        assert len(both) > 2 * len(whole)
        part = whole[1000:9000]
        for rest in (both, both[len(whole) :]):
            at = int(np.argmax(correlate(rest[:20000], part, "valid")))
            assert np.corrcoef(rest[at : at + len(part)], part)[0, 1] > 0.99
    assert_cut(mp3[:-200])


SIZES = {  # places and forms of the numbers in the headers that libsndfile writes
    "AIFF": [(">I", "FORM"), (">I", "COMM", 2), (">I", "SSND")],
    "CAF": [(">q", "data")],
    "W64": [("<q", "riff", 12), ("<q", "data", 12)],
    "RF64": [("<I", "RF64"), ("<Q", "ds64", 4), ("<Q", "ds64", 12), ("<Q", "ds64", 20)],
    "AU": [(">I", ".snd", 4)],
}


def with_claims(data, form, value):
    """The same file with another number in all places that tell a length."""
    data = bytearray(data)
    for layout, name, *more in SIZES[form]:
        at = data.find(name.encode()) + 4 + (more[0] if more else 0)
        if form == "AIFF" and name == "COMM":
            at += 4
        limit = 1 << 8 * struct.calcsize(layout)
        number = value % limit
        struct.pack_into(layout.upper(), data, at, number)
    return bytes(data)


@pytest.mark.parametrize("form", SIZES)
@pytest.mark.parametrize("value", [0, -1])
def test_containers_that_were_written_into_a_pipe(place, form, value):
    data = bytes(write("x", format=form, subtype="PCM_16"))
    assert np.array_equal(read(data), SAMPLES)
    assert np.array_equal(read(with_claims(data, form, value)), SAMPLES)


@pytest.mark.parametrize("form", SIZES)
def test_containers_that_are_cut_or_followed_by_another(place, form):
    data = bytes(write("x", format=form, subtype="PCM_16"))
    for end in (len(data) // 2, len(data) - 2):
        assert_cut(data[:end])
    Path("x").write_bytes(data + data)
    with pytest.raises(SdError) as info:
        load_audio("x")
    assert info.value.what.startswith("another recording")


@pytest.mark.parametrize("form", ["CAF", "W64"])
@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1])
def test_a_chunk_before_the_samples_that_is_larger_than_the_file(place, form, size):
    data = bytearray(write("x", format=form, subtype="PCM_16"))
    name, layout = {"CAF": (b"desc", ">q"), "W64": (b"fmt ", "<q")}[form]
    struct.pack_into(layout, data, data.find(name) + (4 if form == "CAF" else 16), size)
    assert_cut(data)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_shows_a_page_that_is_cut_and_another_stream(place, subtype):
    data = bytes(write("x", format="OGG", subtype=subtype))
    claim = read_claim(io.BytesIO(data))
    assert not (claim.is_short or claim.is_joined)
    assert read_claim(io.BytesIO(data[:-1])).is_short
    assert_cut(data[: len(data) // 2])
    assert read_claim(io.BytesIO(data + data)).is_joined
    Path("x").write_bytes(data + data)
    samples, rate_hz = load_audio("x")
    assert len(samples) / rate_hz == pytest.approx(2 * len(SAMPLES) / RATE_HZ, abs=0.05)
