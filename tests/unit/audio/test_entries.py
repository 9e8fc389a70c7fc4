import os
import re
import struct
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest
import soundfile

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.audio.entries import AudioOptions, open_audio
from sdtools.errors import SdError

RATE_HZ = 16000
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 3000) / 32768


@pytest.mark.parametrize("options", [{"sample_rate_hz": 0}, {"num_threads": 0}])
def test_options_that_are_refused(options):
    with pytest.raises(SdError) as info:
        AudioOptions(**options)
    (name,) = options
    assert info.value.who == f"--{name.replace('_', '-')}" and info.value.got == 0


def test_entries_of_a_wav_scp(place):
    (place / "a dir").mkdir()
    write_audio("a dir/x.wav", SAMPLES, RATE_HZ)
    write_audio("y.wav", -SAMPLES[1:], 8000)
    (place / "wav.scp").write_text("utt1 a dir/x.wav\nutt2 y.wav\n")
    with open_audio("scp:wav.scp", sample_rate_hz=RATE_HZ) as table:
        first, second = table
        assert (first.key, first.where, table.num_entries) == ("utt1", "wav.scp:1", 2)
        assert np.array_equal(first.load()[0], SAMPLES)
        with pytest.raises(SdError) as info:
            second.load()
    assert (info.value.who, info.value.got, info.value.need) == ("y.wav", "8000 Hz", "16000 Hz")
    with (
        open_audio("scp,p:wav.scp", sample_rate_hz=RATE_HZ) as table,
        pytest.warns(UserWarning, match="wav.scp:2.*y.wav: sample rate"),
    ):
        assert [entry.key for entry in table] == ["utt1"]
        assert table.num_skipped == 1


def test_command_runs_only_if_allowed_and_must_end_well(place):
    write_audio("x.wav", SAMPLES, RATE_HZ)
    (place / "wav.scp").write_text("utt1 touch ran; cat x.wav |\nutt2 cat x.wav; exit 5 |\n")
    with open_audio("scp:wav.scp") as table:
        for entry in table:
            with pytest.raises(SdError, match="--allow-pipes"):
                entry.load()
    assert not (place / "ran").exists()
    with open_audio("scp:wav.scp", allow_pipes=True) as table:
        first, second = table
        assert np.array_equal(first.load()[0], SAMPLES)
        with pytest.raises(SdError, match="exit status.* 5"):
            second.load()
    assert (place / "ran").exists()


@pytest.fixture
def wav_archive(place):
    """Write three sounds to wav.ark and wav.scp by Kaldi's own code."""
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
    mixed = [lines[2], "f a.wav", lines[0], "p cat b.wav |", "x false |", lines[1]]
    Path("mixed.scp").write_text("\n".join(mixed))
    with open_audio("scp:mixed.scp", allow_pipes=True) as table:
        entries = {entry.key: entry for entry in table}
        for key, same in {"c": "c", "f": "a", "a": "a", "p": "b", "b": "b"}.items():
            assert np.array_equal(entries[key].load()[0], wav_archive[same])
        with pytest.raises(SdError, match="^false |: exit status.* 1"):
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
            except SdError as error:
                assert re.match(r"wav.ark:\d+: (data: .*bytes|.*RIFF)", str(error))
        assert all(np.array_equal(got[key], wav_archive[key]) for key in got)
        Path("wav.ark").write_bytes(data)


@pytest.mark.parametrize("claim", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_length_that_a_pipe_left_out_is_refused_in_an_archive(wav_archive, claim):
    data = bytearray(Path("wav.ark").read_bytes())
    data[6:10] = struct.pack("<I", claim)
    Path("wav.ark").write_bytes(data)
    with open_audio("ark:wav.ark") as table, pytest.raises(SdError) as info:
        next(iter(table))
    assert info.value.who == "wav.ark:2" and "length" in info.value.what
    assert "separate file" in info.value.hint


def test_big_endian_waves_have_big_endian_lengths(place):
    soundfile.write("x.wav", SAMPLES, RATE_HZ, subtype="PCM_16", endian="BIG")
    data = Path("x.wav").read_bytes()
    assert data[:4] == b"RIFX"
    Path("wav.ark").write_bytes(b"a " + data + b"b " + data)
    with open_audio("ark:wav.ark") as table:
        assert [np.array_equal(entry.load()[0], SAMPLES) for entry in table] == [True, True]
