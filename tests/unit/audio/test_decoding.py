import os
import re
import struct
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdtools.audio.decoding import (
    as_word,
    check_path,
    load_audio,
    open_audio,
    read_windows,
    write_audio,
)
from sdtools.errors import SdError

RATE_HZ = 16000
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 3000) / 32768


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Make an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


@given(values=arrays(np.int16, st.integers(1, 50)))
def test_sixteen_bit_samples_come_back_exactly(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "exact.wav"
    write_audio(path, values / 32768, RATE_HZ)
    assert soundfile.read(path, dtype="int16")[0].tolist() == values.tolist()
    assert (load_audio(path)[0] * 32768).tolist() == values.tolist()


def test_a_file_of_the_same_bytes_is_left(place):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    before = os.stat("x.wav")
    write_audio("x.wav", SAMPLES, RATE_HZ)
    assert (os.stat("x.wav").st_ino, os.stat("x.wav").st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    write_audio("x.wav", SAMPLES[::-1], RATE_HZ)
    assert os.stat("x.wav").st_size == before.st_size and np.array_equal(
        load_audio("x.wav")[0], SAMPLES[::-1]
    )


def test_long_sound_is_read_whole(place):
    samples = np.arange(200_000) % 1000 / 32768
    write_audio("x.wav", samples, RATE_HZ)
    assert np.array_equal(load_audio("x.wav")[0], samples)


def test_channel_must_be_chosen(place):
    soundfile.write("x.wav", np.stack([SAMPLES, -SAMPLES / 2], 1), RATE_HZ, subtype="PCM_24")
    assert np.array_equal(load_audio("x.wav", channel=1)[0], -SAMPLES / 2)
    with pytest.raises(
        SdError, match="^x.wav: channels: got 2, need 1. Choose one of 0..1 with --channel$"
    ):
        load_audio("x.wav")
    with pytest.raises(
        SdError, match=r"^x.wav: channel: got 2, need 0..1. Choose one that the sound has$"
    ):
        load_audio("x.wav", channel=2)


def test_wrong_rate_names_both(place):
    write_audio("x.wav", SAMPLES, 8000)
    assert load_audio("x.wav")[1] == 8000
    with pytest.raises(
        SdError,
        match="^x.wav: sample rate: got 8000 Hz, need 16000 Hz. Resample it, e.g. with sox$",
    ):
        load_audio("x.wav", sample_rate_hz=16000)


def test_no_samples_is_an_error(place):
    soundfile.write("x.wav", np.empty(0), RATE_HZ)
    with pytest.raises(
        SdError, match="^x.wav: sound: got 0 samples, need at least 1. Remove the entry$"
    ):
        load_audio("x.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_located(place, value):
    samples = SAMPLES.copy()
    samples[[800, 900]] = value
    soundfile.write("x.wav", samples, RATE_HZ, subtype="FLOAT")
    with pytest.raises(
        SdError,
        match=rf"^x.wav: sample 800 \(0.050 s\): got {value}, need a finite number, at most 1e[+]30. Repair or remove the file$",
    ):
        load_audio("x.wav")


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AIFF", "AU", "FLAC"])
def test_sound_that_is_cut_short_is_an_error(place, form):
    soundfile.write("x", SAMPLES, RATE_HZ, format=form, subtype="PCM_16")
    size = os.path.getsize("x")
    for end in range(size - 2, 0, -(size // 23)):
        os.truncate("x", end)
        with pytest.raises(
            SdError,
            match=r"^x: sound: got (\d+ samples, need more by its header; it is cut short|['\"].*['\"], need a format)",
        ):
            load_audio("x")


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
    with pytest.raises(SdError, match="^x.flac: sound: got"):
        load_audio("x.flac")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "absent.wav",
            "absent.wav: cannot read: No such file or directory. Check the path",
        ),
        ("folder", "folder: cannot read: Is a directory. Check the path"),
        (
            "text.wav",
            "text.wav: sound: got 'Format not recognised.', need a format that libsndfile reads, whole. Check the file",
        ),
        ("nothing.wav", "nothing.wav: sound: got 'Format not recognised.', need"),
        ("samples.raw", "samples.raw: sound: got '.*samplerate.*', need a format"),
        (
            "text.wav:5",
            "text.wav:5: sound: got .*, need a RIFF wave, which alone an archive can hold. Use a file of its own",
        ),
    ],
)
def test_what_is_no_sound_is_named(place, name, message):
    (place / "folder").mkdir()
    (place / "text.wav").write_text("hello\n" * 100)
    (place / "samples.raw").write_bytes(bytes(100))
    (place / "nothing.wav").touch()
    with pytest.raises(SdError, match=f"^{re.sub(r'(?<![.])[.](?![*])', '[.]', message)}"):
        load_audio(name)


def test_entries_of_a_wav_scp(place):
    (place / "a dir").mkdir()
    write_audio("a dir/x.wav", SAMPLES, RATE_HZ)
    write_audio("y.wav", -SAMPLES[1:], 8000)
    (place / "wav.scp").write_text("utt1 a dir/x.wav\nutt2 y.wav\n")
    with open_audio("scp:wav.scp", sample_rate_hz=RATE_HZ) as table:
        first, second = table
        assert (first.key, first.where, table.num_entries) == ("utt1", "wav.scp:1", 2)
        assert np.array_equal(first.load()[0], SAMPLES)
        with pytest.raises(SdError, match="y.wav: sample rate: got 8000 Hz, need 16000 Hz"):
            second.load()
    with (
        open_audio("scp,p:wav.scp", sample_rate_hz=RATE_HZ) as table,
        pytest.warns(UserWarning, match="wav.scp:2: utt2 skipped: y.wav: sample rate"),
    ):
        assert [entry.key for entry in table] == ["utt1"]
        assert table.num_skipped == 1


def test_command_runs_only_if_allowed_and_must_end_well(place):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    (place / "wav.scp").write_text("utt1 touch ran; cat x.wav |\nutt2 cat x.wav; exit 5 |\n")
    with open_audio("scp:wav.scp") as table:
        for entry in table:
            with pytest.raises(SdError, match="commands in a script file are not run. Use --allow-pipes=true"):
                entry.load()
    assert not (place / "ran").exists()
    with open_audio("scp:wav.scp", allow_pipes=True) as table:
        first, second = table
        assert np.array_equal(first.load()[0], SAMPLES)
        with pytest.raises(SdError, match="exit status of the command: expected 0, found 5"):
            second.load()
    assert (place / "ran").exists()


@pytest.fixture
def wav_archive(place):
    """Write ``wav.ark`` and ``wav.scp`` by Kaldi's own code: the sounds of three files, in Kaldi's order of bytes."""
    sounds = {"a": SAMPLES, "b": SAMPLES[:7], "c": -SAMPLES[5:]}
    with kaldi.WaveWriter("ark,scp:wav.ark,wav.scp") as writer:
        for key, samples in sounds.items():
            write_audio(f"{key}.wav", samples, RATE_HZ)
            writer.write(key, kaldi.read_wave(f"{key}.wav"))
    return {key: load_audio(f"{key}.wav")[0] for key in sounds}


@pytest.mark.parametrize(
    "rspecifier", ["ark:wav.ark", "ark:cat wav.ark |", "scp:wav.scp", "scp,p:wav.scp"]
)
def test_archive_of_kaldi_gives_the_sounds_of_the_files(wav_archive, rspecifier):
    with open_audio(rspecifier, sample_rate_hz=RATE_HZ) as table:
        got = {entry.key: entry.load() for entry in table}
    assert list(got) == list(wav_archive)
    for key, (samples, rate_hz) in got.items():
        assert rate_hz == RATE_HZ
        assert np.array_equal(samples, wav_archive[key])


def test_offsets_may_be_mixed_with_files_and_commands(wav_archive):
    lines = Path("wav.scp").read_text().splitlines()
    Path("mixed.scp").write_text(
        "\n".join([lines[2], "f a.wav", lines[0], "p cat b.wav |", "x false |", lines[1]])
    )
    with open_audio("scp:mixed.scp", allow_pipes=True) as table:
        entries = {entry.key: entry for entry in table}
        for key, same in {"c": "c", "f": "a", "a": "a", "p": "b", "b": "b"}.items():
            assert np.array_equal(entries[key].load()[0], wav_archive[same])
        with pytest.raises(SdError, match="^false |: exit status of the command: expected 0, found 1"):
            entries["x"].load()
    offset = int(lines[1].rpartition(":")[2])
    assert np.array_equal(load_audio(f"wav.ark:{offset}")[0], wav_archive["b"])


def test_archive_of_sounds_cut_at_any_byte_is_an_error_or_exact(wav_archive):
    data = Path("wav.ark").read_bytes()
    ends = [data.index(b" RIFF", start) - 1 for start in (4, data.index(b"b RIFF") + 4)]
    for end in [*range(100), *range(ends[0] - 30, len(data), 97)]:
        os.truncate("wav.ark", end)
        got = {}
        with open_audio("ark:wav.ark") as table:
            try:
                for entry in table:
                    got[entry.key] = entry.load()[0]
                assert end in (0, *ends)
            except SdError as e:
                assert re.match(
                    r"wav.ark:\d+: (data: expected \d+ bytes, found \d+|sound: got b'.*', need a RIFF)",
                    str(e),
                )
        assert all(np.array_equal(got[key], wav_archive[key]) for key in got)
        Path("wav.ark").write_bytes(data)


@pytest.mark.parametrize("claim", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_length_that_a_pipe_left_out_is_refused_in_an_archive(wav_archive, claim):
    data = bytearray(Path("wav.ark").read_bytes())
    data[6:10] = struct.pack("<I", claim)
    Path("wav.ark").write_bytes(data)
    message = "^wav.ark:2: sound: got a header without a length, need one; it came through a pipe. Use a file of its own$"
    with open_audio("ark:wav.ark") as table, pytest.raises(SdError, match=message):
        next(iter(table))


def test_big_endian_waves_have_big_endian_lengths(place):
    soundfile.write("x.wav", SAMPLES, RATE_HZ, subtype="PCM_16", endian="BIG")
    data = Path("x.wav").read_bytes()
    assert data[:4] == b"RIFX"
    Path("wav.ark").write_bytes(b"a " + data + b"b " + data)
    with open_audio("ark:wav.ark") as table:
        assert [np.array_equal(entry.load()[0], SAMPLES) for entry in table] == [True, True]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0, 1.01]), "samples: got a peak of 1.01, need at most 1. Scale the sound down"),
        (np.array([0, np.nan]), "samples: got a peak of nan, need at most 1"),
        (
            np.empty(0),
            r"samples: got shape \(0,\), need \(num_samples,\) with at least one. Write one channel",
        ),
        (np.zeros((5, 2)), r"samples: got shape \(5, 2\), need"),
    ],
)
def test_refused_samples_leave_the_old_file(place, samples, message):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    with pytest.raises(SdError, match=f"^x.wav: {message}"):
        write_audio("x.wav", samples, RATE_HZ)
    assert np.array_equal(load_audio("x.wav")[0], SAMPLES)
    assert os.listdir() == ["x.wav"]


@pytest.mark.parametrize("value", [1.01e30, -3e38])
def test_samples_that_cannot_be_reckoned_with_are_located(place, value):
    soundfile.write("x.wav", np.where(np.arange(1000) == 800, value, 0.1), RATE_HZ, subtype="FLOAT")
    with pytest.raises(
        SdError,
        match=r"^x.wav: sample 800 \(0.050 s\): got .*, need a finite number, at most 1e\+30. Repair",
    ):
        load_audio("x.wav")
    with pytest.raises(
        SdError, match=r"^x.wav: samples: got NaN, inf or more than 1e\+30, need finite numbers"
    ):
        list(read_windows("x.wav", 30))


@pytest.mark.parametrize("rate_hz", [1, 999, 768001, 2**31 - 1])
def test_rates_that_no_sound_has(place, rate_hz):
    soundfile.write("x.wav", SAMPLES, rate_hz)
    for read in (load_audio, lambda path: list(read_windows(path, 30))):
        with pytest.raises(
            SdError,
            match=f"^x.wav: sample rate: got {rate_hz} Hz, need 1000 to 768000 Hz; the header is damaged",
        ):
            read("x.wav")


def test_words_and_paths_of_a_table():
    assert as_word(" a\tb\u00a0c\nd\x1be\u200ef\udcffg é語 ") == "a_b_c_d_e_f_g_é語"
    for path in ("a b", " x", "a:1.wav", "é|.wav", Path("a")):
        assert check_path(path) == str(path)
    for path in ("a\nb", "a |", "a:1", "a[0:1]", "\udcff"):
        with pytest.raises(
            SdError,
            match=r"name: got one that wav.scp cannot hold, need UTF-8 in one line, no \| \] :number at its end",
        ):
            check_path(path)
