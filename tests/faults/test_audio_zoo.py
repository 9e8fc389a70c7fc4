"""Bad and odd sound files, each with its outcome, through sd-compute-feats and sd-detect."""

import os
import re
import stat
import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from drive import Commands
from test_model import parts, write  # noqa: F401 - a fixture

from sdtools.audio.folder import find_sounds
from sdtools.tables.table import open_table

RATE_HZ = 16000
NUM_SAMPLES = 8000
NOISE = np.random.default_rng(8).integers(-3000, 3000, NUM_SAMPLES) / 2**15
FRAMES = 49  # of NOISE


def sound(samples=NOISE, rate_hz=RATE_HZ, form="WAV", subtype="PCM_16"):
    """Make a file by libsndfile."""

    def make(path):
        soundfile.write(path, samples, rate_hz, format=form, subtype=subtype)

    return make


def content(data):
    return lambda path: path.write_bytes(data)


def changed(change, **how):
    """Make a file by libsndfile, and change its bytes, which change() gets as a bytearray."""

    def make(path):
        sound(**how)(path)
        data = bytearray(path.read_bytes())
        path.write_bytes(change(data) or data)

    return make


def put(layout, at, value, **how):
    return changed(lambda data: struct.pack_into(layout, data, at, value), **how)


def cut(num_bytes, **how):
    return changed(lambda data: data[:num_bytes], **how)


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def form(tag=1, num_channels=1, rate_hz=RATE_HZ, bits=16, byte_rate=None, block=None):
    block = num_channels * bits // 8 % 2**16 if block is None else block
    byte_rate = rate_hz * block % 2**32 if byte_rate is None else byte_rate
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", tag, num_channels, rate_hz, byte_rate, block, bits)
    )


PCM = (NOISE * 2**15).astype("<i2").tobytes()
DATA = chunk(b"data", PCM)


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return content(b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body)


def float_with(value, at=400):
    samples = NOISE.copy()
    samples[at] = value
    return sound(samples, subtype="FLOAT")


def coded(form, codec, *options, change=None):
    """Make a file by FFmpeg; into a pipe, if the form ends with a bar; change its bytes."""

    def make(path):
        sound()(path.with_suffix(".source"))
        words = ["-v", "error", "-y", "-i", path.with_suffix(".source"), "-c:a", codec, *options]
        is_piped, form_name = form.endswith("|"), form.rstrip("|")
        words += ["-f", form_name, "-" if is_piped else path]
        program = [imageio_ffmpeg.get_ffmpeg_exe(), *words]
        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        path.with_suffix(".source").unlink()
        data = done.stdout if is_piped else path.read_bytes()
        path.write_bytes(change(data) if change else data)

    return make


def twice(data):
    return data + data


def half(data):
    return data[: int(0.49 * len(data))]


def without_index(data):
    return data.replace(b"moov", b"none")


def zeroed(data):
    at = data.find(b"mdat") + 1000
    return data[:at] + bytes(3000) + data[at + 3000 :]


def link(target):
    return lambda path: path.symlink_to(target)


def broken_frame(path):
    sound(form="FLAC")(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)


def loop(path):
    path.symlink_to(path.name)


def mutual(path):
    path.with_suffix(".b").symlink_to(path.name)
    path.symlink_to(path.with_suffix(".b").name)


def linked(path):
    sound()(path.with_name("target"))
    path.symlink_to("target")


def unbound_socket(path):
    os.mknod(path, stat.S_IFSOCK | 0o600)


def nothing(path):
    pass


def line(text):
    """Make no file: what stands in wav.scp instead of its name."""
    return lambda path: text


TOO_LOUD = r"sample 0 \(.* s\): expected .* up to 8 .*, found"
SAME = None  # of sd-detect: the error of sd-compute-feats
SILENCE, SHORT = "no score, silence: 0 % of it is above -70 dBFS", "no score, too short: "
DAMAGED, CUT = "sound: expected a whole file, found 'Invalid data", "the file is cut short"
JOINED = "another recording follows the first in this file"
ALL_SILENT = "every frame is digital silence", "no score, digital silence throughout"
UNKNOWN = "sound: expected .*, found 'Format not recognised"
NOT_A_NUMBER = "sample .*: expected a finite number up to 8 .*, found "


NARROW = (
    "sample rate: expected 16000 Hz, found 8000 Hz",
    "sample rate: expected 16000 Hz or more.*, found 8000 Hz",
)
HALF_NARROW = NARROW[0], DAMAGED
WIDE = "sample rate: expected 16000 Hz, found 48000 Hz"
TWO = "number of sounds: expected 1, found 2"
T = np.arange(NUM_SAMPLES) / RATE_HZ
ZOO = [
    ("plain", sound(), 49, 1),
    ("8_bit.wav", sound(subtype="PCM_U8"), 49, 1),
    ("24_bit.wav", sound(subtype="PCM_24"), 49, 1),
    ("32_bit.wav", sound(subtype="PCM_32"), 49, 1),
    ("float.wav", sound(subtype="FLOAT"), 49, 1),
    ("double.wav", sound(subtype="DOUBLE"), 49, 1),
    ("mu_law.wav", sound(subtype="ULAW"), 49, 1),
    ("a_law.wav", sound(subtype="ALAW"), 49, 1),
    ("ima_adpcm.wav", sound(subtype="IMA_ADPCM"), 49, 1),
    ("ms_adpcm.wav", sound(subtype="MS_ADPCM"), 49, 1),
    ("gsm.wav", sound(subtype="GSM610"), 51, 1),
    ("extensible.wav", sound(form="WAVEX"), 49, 1),
    ("rf64.wav", sound(form="RF64"), 49, 1),
    ("w64.wav", sound(form="W64"), 49, 1),
    (
        "rifx.wav",
        lambda path: soundfile.write(path, NOISE, RATE_HZ, subtype="PCM_16", endian="BIG"),
        49,
        1,
    ),
    ("x.aiff", sound(form="AIFF"), 49, 1),
    ("x.au", sound(form="AU"), 49, 1),
    ("x.caf", sound(form="CAF"), 49, 1),
    ("x.sph", sound(form="NIST"), 49, 1),
    ("x.flac", sound(form="FLAC"), 49, 1),
    ("x.ogg", sound(form="OGG", subtype="VORBIS"), 49, 1),
    ("x.opus", sound(form="OGG", subtype="OPUS"), 49, 1),
    ("x.mp3", sound(form="MP3", subtype="MPEG_LAYER_III"), 49, 1),
    ("flac_named_wav.wav", sound(form="FLAC"), 49, 1),
    ("no_suffix", sound(), 49, 1),
    (
        "stereo.wav",
        sound(np.stack([NOISE, -NOISE], 1)),
        "channels: expected 1, found 2. Choose one, 0 to 1, with --channel",
        2,
    ),
    ("8_channels.wav", sound(np.stack([NOISE] * 8, 1)), "channels: expected 1, found 8", 8),
    ("1024_channels.wav", sound(np.zeros((400, 1024))), "channels: expected 1, found 1024", SHORT),
    (
        "7_kHz.wav",
        sound(rate_hz=7000),
        "sample rate: expected 16000 Hz, found 7000 Hz",
        "sample rate: expected 16000 Hz or more.*, found 7000 Hz",
    ),
    (
        "8_kHz.wav",
        sound(rate_hz=8000),
        "sample rate: expected 16000 Hz, found 8000 Hz",
        "sample rate: expected 16000 Hz or more.*, found 8000 Hz",
    ),
    ("44_kHz.wav", sound(rate_hz=44100), "sample rate: expected 16000 Hz, found 44100 Hz", SHORT),
    (
        "192_kHz.wav",
        sound(np.repeat(NOISE, 12), rate_hz=192000),
        "sample rate: expected 16000 Hz, found 192000 Hz",
        1,
    ),
    (
        "1_Hz.wav",
        sound(rate_hz=1),
        "sample rate: expected 16000 Hz, found 1 Hz",
        "sample rate: expected 1000 to 768000 Hz, found 1 Hz. The header is damaged",
    ),
    (
        "prime_rate.wav",
        sound(rate_hz=15999989),
        "sample rate: expected 16000 Hz, found 15999989 Hz",
        "sample rate: expected 1000 to 768000 Hz, found 15999989 Hz. The header is damaged",
    ),
    (
        "rate_0.wav",
        riff(form(rate_hz=0), DATA),
        "sound: expected a whole file .*, found .*SF_INFO struct incomplete",
        SAME,
    ),
    (
        "rate_2_31.wav",
        riff(form(rate_hz=2**31), DATA),
        "sound: expected a whole file .*, found .*SF_INFO struct incomplete",
        SAME,
    ),
    (
        "rate_2_31_less_1.wav",
        riff(form(rate_hz=2**31 - 1), DATA),
        "sample rate: expected 16000 Hz, found 2147483647 Hz",
        "sample rate: expected 1000 to 768000 Hz, found 2147483647 Hz. The header is damaged",
    ),
    ("byte_rate_0.wav", riff(form(byte_rate=0), DATA), 49, 1),
    ("block_0.wav", riff(form(block=0), DATA), 49, 1),
    (
        "bits_0.wav",
        riff(form(bits=0, block=2), DATA),
        "sound: expected a whole file .*, found .*unimplemented format",
        SAME,
    ),
    ("bits_13.wav", riff(form(bits=13, block=2), DATA), 49, 1),
    (
        "bits_255.wav",
        riff(form(bits=255, block=32), DATA),
        "sound: expected a whole file .*, found .*unimplemented format",
        SAME,
    ),
    (
        "0_channels.wav",
        riff(form(num_channels=0, block=2), DATA),
        "sound: expected a whole file .*, found 'Channel count is zero",
        SAME,
    ),
    (
        "65535_channels.wav",
        riff(form(num_channels=65535), DATA),
        "sound: expected a whole file .*, found 'Too many channels",
        SAME,
    ),
    (
        "codec_0.wav",
        riff(form(tag=0), DATA),
        "sound: expected a whole file .*, found .*Malformed 'fmt ' chunk",
        SAME,
    ),
    (
        "codec_mp3_in_wav.wav",
        riff(form(tag=0x55), DATA),
        "sound: expected a whole file .*, found .*Malformed 'fmt ' chunk",
        SAME,
    ),
    (
        "codec_ffff.wav",
        riff(form(tag=0xFFFF), DATA),
        "sound: expected a whole file .*, found .*Malformed 'fmt ' chunk",
        SAME,
    ),
    ("no_format.wav", riff(DATA), "sound: expected a whole file .*, found .*No 'data' chunk", SAME),
    ("no_data.wav", riff(form()), "sound: expected a whole file .*, found .*No 'data' chunk", SAME),
    (
        "data_before_format.wav",
        riff(DATA, form()),
        "sound: expected a whole file .*, found .*No 'data' chunk",
        SAME,
    ),
    (
        "two_formats.wav",
        riff(form(rate_hz=8000), form(), DATA),
        "sound: expected a whole file .*, found .*No 'data' chunk",
        SAME,
    ),
    (
        "two_data.wav",
        riff(form(), DATA, DATA),
        "sound: expected a whole file .*, found .*SF_INFO struct incomplete",
        SAME,
    ),
    (
        "odd_chunks_first.wav",
        riff(chunk(b"LIST", b"abc"), form(), chunk(b"JUNK", bytes(99)), DATA),
        49,
        1,
    ),
    (
        "nul_chunk_first.wav",
        riff(chunk(b"\0\0\0\0", bytes(8)), form(), DATA),
        "sound: expected a whole file .*, found .*No 'data' chunk",
        SAME,
    ),
    ("junk_behind.wav", riff(form(), DATA, chunk(b"LIST", bytes(101))), 49, 1),
    ("text_behind.wav", changed(lambda data: data + b"more than there is to say\n" * 99), 49, 1),
    ("riff_size_0.wav", riff(form(), DATA, size=0), 49, 1),
    ("riff_size_small.wav", riff(form(), DATA, size=1000), 49, 1),
    ("riff_size_large.wav", riff(form(), DATA, size=1 << 30), 49, 1),
    ("riff_size_pipe.wav", riff(form(), DATA, size=0xFFFFFFFF), 49, 1),
    ("data_size_0.wav", put("<I", 40, 0), 49, 1),
    ("data_size_half.wav", put("<I", 40, NUM_SAMPLES), 49, 1),
    ("data_size_odd.wav", put("<I", 40, 2 * NUM_SAMPLES - 1), 48, 1),
    (
        "data_size_double.wav",
        put("<I", 40, 4 * NUM_SAMPLES),
        "the file is cut short: expected more, as the header says, found 8000 samples",
        SAME,
    ),
    (
        "data_size_2_30.wav",
        put("<I", 40, 1 << 30),
        "the file is cut short: expected more, as the header says, found 8000 samples",
        SAME,
    ),
    ("data_size_pipe.wav", put("<I", 40, 0xFFFFFFFF), 49, 1),
    (
        "list_size_2_32.wav",
        content(b"RIFF\xff\xff\xff\x7fWAVELIST\xff\xff\xff\xff" + bytes(4000)),
        "sound: expected a whole file .*, found .*No 'data' chunk",
        SAME,
    ),
    ("header_cut.wav", cut(30), "sound: expected a whole file .*, found .*No 'data' chunk", SAME),
    (
        "header_only.wav",
        cut(44),
        "the file is cut short: expected more, as the header says, found 0 samples",
        SAME,
    ),
    ("riff_only.wav", cut(12), "sound: expected a whole file .*, found .*No 'data' chunk", SAME),
    ("4_bytes.wav", cut(4), UNKNOWN, SAME),
    (
        "half.wav",
        cut(NUM_SAMPLES),
        "the file is cut short: expected more, as the header says, found 3978 samples",
        SAME,
    ),
    (
        "last_byte_lost.wav",
        cut(2 * NUM_SAMPLES + 43),
        "the file is cut short: expected more, as the header says, found 7999 samples",
        SAME,
    ),
    (
        "last_sample_lost.wav",
        cut(2 * NUM_SAMPLES + 42),
        "the file is cut short: expected more, as the header says, found 7999 samples",
        SAME,
    ),
    (
        "half.flac",
        cut(NUM_SAMPLES, form="FLAC"),
        "sound: expected a whole file .*, found 'Error : flac decoder lost sync",
        SAME,
    ),
    (
        "half.mp3",
        cut(1000, form="MP3", subtype="MPEG_LAYER_III"),
        "the file is cut short: expected more, as the header says, found 47 samples",
        "the file is cut short: .*, found 47 samples",
    ),
    (
        "half.ogg",
        cut(2000, form="OGG", subtype="VORBIS"),
        "the file is cut short",
        SAME,
    ),
    (
        "half.au",
        cut(NUM_SAMPLES, form="AU"),
        "the file is cut short: expected more, as the header says, found 3988 samples",
        SAME,
    ),
    (
        "piped.flac",
        changed(lambda data: data.__setitem__(slice(22, 26), bytes(4)), form="FLAC"),
        49,
        1,
    ),
    (
        "claims_less.flac",
        changed(lambda data: data.__setitem__(slice(22, 26), b"\0\0\1\0"), form="FLAC"),
        49,
        1,
    ),
    (
        "broken_frame.flac",
        broken_frame,
        "sound: expected a whole file .*, found 'Error : flac decoder lost sync",
        SAME,
    ),
    (
        "md5_wrong.flac",
        changed(lambda data: data.__setitem__(slice(26, 42), bytes(range(16))), form="FLAC"),
        49,
        1,
    ),
    (
        "rate_0.flac",
        changed(lambda data: data.__setitem__(slice(18, 20), b"\0\0"), form="FLAC"),
        "sound: expected a whole file .*, found .*SF_INFO struct incomplete",
        SAME,
    ),
    (
        "id3_only.mp3",
        content(b"ID3\x04\0\0\0\0\x0f\x76" + bytes(2038)),
        "sound: expected a whole file .*, found 'File does not exist or is not a regular file",
        SAME,
    ),
    (
        "ogg_page_only.ogg",
        content(b"OggS" + bytes(23) + b"\x01\x1e\x01vorbis" + bytes(23)),
        "sound: expected a whole file, found 'End of file'",
        SAME,
    ),
    ("0_samples.wav", sound(np.empty(0)), "number of samples: expected 1 or more.*, found 0", SAME),
    ("0_samples.flac", sound(np.empty(0), form="FLAC"), UNKNOWN, SAME),
    (
        "1_sample.wav",
        sound(NOISE[:1]),
        "samples: .* 320, one frame, found 1",
        SHORT,
    ),
    (
        "10_ms.wav",
        sound(NOISE[:160]),
        "samples: .* 320, one frame, found 160",
        SHORT,
    ),
    (
        "frame_less_1.wav",
        sound(NOISE[:319]),
        "samples: .* 320, one frame, found 319",
        SHORT,
    ),
    ("1_frame.wav", sound(NOISE[:320]), 1, SHORT),
    ("2_frames.wav", sound(NOISE[:480]), 2, SHORT),
    ("silence.wav", sound(np.zeros(NUM_SAMPLES)), *ALL_SILENT),
    ("dc.wav", sound(np.full(NUM_SAMPLES, 0.5)), *ALL_SILENT),
    ("dc_full.wav", sound(np.full(NUM_SAMPLES, 1.0)), *ALL_SILENT),
    ("square.wav", sound(np.where(T * 200 % 1 < 0.5, 1.0, -1.0)), 49, 1),
    ("nyquist.wav", sound(np.where(np.arange(NUM_SAMPLES) % 2, 1.0, -1.0)), 49, 1),
    ("impulse.wav", sound(np.eye(1, NUM_SAMPLES, 4000)[0]), *ALL_SILENT),
    ("half_silent.wav", sound(np.where(T < 0.25, 0, NOISE)), 24, 1),
    ("nan.wav", float_with(np.nan), r"sample 400 \(.* s\): expected .*, found nan", NOT_A_NUMBER),
    (
        "nan_last.wav",
        float_with(np.nan, -1),
        r"sample 7999 \(.* s\): expected .*, found nan",
        NOT_A_NUMBER,
    ),
    ("inf.wav", float_with(np.inf), r"sample 400 \(.* s\): expected .*, found inf", NOT_A_NUMBER),
    (
        "inf_negative.wav",
        float_with(-np.inf),
        r"sample 400 \(.* s\): expected .*, found -inf",
        NOT_A_NUMBER,
    ),
    (
        "all_nan.wav",
        sound(np.full(NUM_SAMPLES, np.nan), subtype="DOUBLE"),
        r"sample 0 \(.* s\): expected .*, found nan",
        NOT_A_NUMBER,
    ),
    ("huge_1e30.wav", sound(NOISE * 1e31, subtype="FLOAT"), TOO_LOUD, SAME),
    ("huge_1e300.wav", sound(NOISE * 1e300, subtype="DOUBLE"), TOO_LOUD, SAME),
    (
        "one_huge.wav",
        float_with(3e38),
        r"sample 400 \(.* s\): expected .*, found 3[.]0+.*e[+]38",
        NOT_A_NUMBER,
    ),
    ("loud_x80.wav", sound(NOISE * 80, subtype="FLOAT"), 49, 1),
    ("loud_x1000.wav", sound(NOISE * 1000, subtype="FLOAT"), TOO_LOUD, SAME),
    ("tiny_1e-30.wav", sound(NOISE * 1e-30, subtype="FLOAT"), 49, SILENCE),
    ("denormal.wav", sound(NOISE * 1e-40, subtype="FLOAT"), 49, SILENCE),
    ("denormal_double.wav", sound(NOISE * 1e-310, subtype="DOUBLE"), 49, SILENCE),
    ("empty.wav", content(b""), UNKNOWN, SAME),
    ("one_byte.wav", content(b"R"), UNKNOWN, SAME),
    ("text.wav", content(b"hello\n" * 100), UNKNOWN, SAME),
    (
        "html.mp3",
        content(b"<!DOCTYPE html><html>404 Not Found</html>" * 100),
        "sound: expected a whole file .*, found 'File does not exist or is not a regular file",
        SAME,
    ),
    ("zeros.wav", content(bytes(100000)), UNKNOWN, SAME),
    ("random.wav", content(np.random.default_rng(0).bytes(100000)), UNKNOWN, SAME),
    (
        "samples.raw",
        content(PCM),
        "sound: expected a whole file .*, found 'samplerate must be specified",
        SAME,
    ),
    ("video.mp4", content(b"\0\0\0\x20ftypisom" + bytes(1000)), DAMAGED, SAME),
    ("zip.wav", content(b"PK\x03\x04" + bytes(1000)), UNKNOWN, SAME),
    ("pickle.wav", content(b"\x80\x04cos\nsystem\n(S'touch PWNED'\ntR."), UNKNOWN, SAME),
    (
        "directory.wav",
        Path.mkdir,
        "cannot read: Is a directory",
        "no sound file|sound files",
    ),
    ("loop.wav", loop, "cannot read: Too many levels of symbolic links", SAME),
    ("mutual.wav", mutual, "cannot read: Too many levels of symbolic links", SAME),
    (
        "dangling.wav",
        link("nowhere"),
        "no such file",
        SAME,
    ),
    ("link.wav", linked, 49, 1),
    (
        "fifo.wav",
        os.mkfifo,
        "no program has written to this pipe for 0.3 s",
        SAME,
    ),
    ("socket.wav", unbound_socket, "cannot read: No such device or address", SAME),
    (
        "zero_device.wav",
        link("/dev/zero"),
        "this device has no end",
        SAME,
    ),
    (
        "random_device.wav",
        link("/dev/urandom"),
        "this device has no end",
        SAME,
    ),
    (
        "full_device.wav",
        link("/dev/full"),
        "this device has no end",
        SAME,
    ),
    ("null_device.wav", link("/dev/null"), UNKNOWN, SAME),
    ("absent.wav", nothing, "no such file", SAME),
    ("x.m4a", coded("ipod", "aac"), 49, 1),
    ("alac.m4a", coded("ipod", "alac"), 49, 1),
    ("m4a_named_wav.wav", coded("ipod", "aac"), 49, 1),
    ("fragments.mp4", coded("mp4", "aac", "-movflags", "frag_keyframe+empty_moov"), 55, 1),
    ("x.mov", coded("mov", "pcm_s16le"), 49, 1),
    ("x.3gp", coded("3gp", "libopencore_amrnb", "-ar", "8000"), *NARROW),
    ("x.amr", coded("amr", "libopencore_amrnb", "-ar", "8000"), *NARROW),
    ("x.aac", coded("adts", "aac"), 56, 1),
    ("x.webm", coded("webm", "libopus"), WIDE, 1),
    ("piped.webm", coded("webm|", "libopus"), WIDE, 1),
    ("x.mka", coded("matroska", "flac"), 49, 1),
    ("x.wma", coded("asf", "wmav2"), 47, 1),
    ("x.wv", coded("wv", "wavpack"), 49, 1),
    ("flac.ogg", coded("ogg", "flac"), 49, 1),
    ("half.m4a", coded("ipod", "aac", change=half), CUT, SAME),
    ("half_fast.m4a", coded("ipod", "aac", "-movflags", "+faststart", change=half), CUT, SAME),
    ("half.webm", coded("webm", "libopus", change=half), CUT, SAME),
    ("half_piped.webm", coded("webm|", "libopus", change=half), CUT, SAME),
    ("half.amr", coded("amr", "libopencore_amrnb", "-ar", "8000", change=half), *HALF_NARROW),
    ("half.aac", coded("adts", "aac", change=half), DAMAGED, SAME),
    ("half.wma", coded("asf", "wmav2", change=half), CUT, SAME),
    ("half.wv", coded("wv", "wavpack", change=half), DAMAGED, SAME),
    ("half.opus", coded("ogg", "libopus", change=half), CUT, SAME),
    ("no_index.m4a", coded("ipod", "aac", change=without_index), DAMAGED, SAME),
    ("zeroed.m4a", coded("ipod", "alac", change=zeroed), DAMAGED, SAME),
    ("two.m4a", coded("ipod", "aac", change=twice), JOINED, SAME),
    ("two.webm", coded("webm", "libopus", change=twice), JOINED, SAME),
    (
        "two.mp3",
        coded("mp3", "libmp3lame", change=twice),
        118,
        1,
    ),  # 121 frames, 3 of zeros between both
    ("two.aac", coded("adts", "aac", change=twice), 114, 1),
    ("two.ogg", coded("ogg", "libvorbis", change=twice), 103, 1),
    ("two_sounds.mka", coded("matroska", "aac", "-map", "0", "-map", "0"), TWO, SAME),
    ("piped.aiff", coded("aiff|", "pcm_s16be"), 49, 1),
    ("piped.caf", coded("caf|", "pcm_s16le"), 49, 1),
    ("piped.w64", coded("w64|", "pcm_s16le"), 49, 1),
    ("piped.au", coded("au|", "pcm_s16be"), 49, 1),
    ("piped.rf64", coded("wav|", "pcm_s16le", "-rf64", "always"), 49, 1),
    ("half.w64", cut(NUM_SAMPLES, form="W64"), CUT, SAME),
    ("half.caf", cut(NUM_SAMPLES, form="CAF"), "sound: expected a whole file .*malformed", SAME),
    ("half.rf64", cut(NUM_SAMPLES, form="RF64"), CUT, SAME),
    ("playlist.m3u8", content(b"#EXTM3U\n#EXTINF:1,\ngood.wav\n"), UNKNOWN, SAME),
    ("concat.txt", content(b"ffconcat version 1.0\nfile good.wav\n"), UNKNOWN, SAME),
    ("endless.mka", content(b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 7 + bytes(99)), DAMAGED, SAME),
    ("integers.wav", sound(NOISE * 2**15, subtype="FLOAT"), f"{TOO_LOUD}.*16-bit integers", SAME),
    ("cat", line("cat good.wav |"), 49, 1),
    ("cat_m4a", line("cat x.m4a |"), 49, 1),
    ("cat_half_m4a", line("head -c 3000 x.m4a |"), CUT, SAME),
    (
        "cat_half",
        line("head -c 8000 good.wav |"),
        "the file is cut short: expected more, as the header says, found 3978 samples",
        SAME,
    ),
    (
        "cat_more",
        line("cat good.wav good.wav |"),
        "sound: expected a whole file .*, found .*No 'RIFF' chunk marker",
        SAME,
    ),
    ("cat_nothing", line("true |"), UNKNOWN, SAME),
    (
        "cat_fails",
        line("cat good.wav; exit 3 |"),
        "exit status of the command: expected 0, found 3",
        SAME,
    ),
    (
        "offset",
        line("good.wav:44"),
        "sound in an archive: expected a RIFF wave, found b",
        SAME,
    ),
]


@pytest.fixture(scope="module")
def place(parts, tmp_path_factory):  # noqa: F811
    """A folder with two good recordings, a model and the zoo: {name: entry in wav.scp}."""
    folder = tmp_path_factory.mktemp("zoo")
    thresholds = {
        name: {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}
        for name in ("eer", "bayes", "false_alarm")
    }
    write(folder / "model", parts[1], ["cm_sd0"], thresholds={"thresholds": thresholds})
    for name in ("good.wav", "well.wav"):
        sound()(folder / name)
    sources = {name: str(name) for name, *_ in ZOO}
    for name, make, *_ in ZOO:
        text = make(folder / name)
        if isinstance(text, str):
            sources[name] = text
    with Commands() as commands:
        yield folder, sources, commands


def outputs(folder):
    """Names of what the commands write here, temporary files too."""
    return sorted(
        path.name for path in folder.iterdir() if re.search(r"\.ark|\.frames|\.tmp$", path.name)
    )


@pytest.mark.parametrize(
    ("name", "feats", "judgement"), [(row[0], *row[2:]) for row in ZOO], ids=[row[0] for row in ZOO]
)
def test_each_has_the_outcome_of_the_table(place, fault, name, feats, judgement):
    """Alone, between good ones with and without --max-skip, and judged."""
    folder, sources, commands = place
    with fault("audio"):
        options = ["--print-args=false", "--allow-pipes=true"]
        extract = [
            "--features=cf",
            "--orders=0,6",
            "--write-num-frames=ark,t:num.frames",
            "scp:wav.scp",
            "ark:{order}.ark",
        ]
        (folder / "wav.scp").write_text(f"u {sources[name]}\n")
        alone = commands.call("compute_feats", *options, *extract, cwd=folder)
        check_feats(folder, alone, feats, {"u": feats})
        (folder / "wav.scp").write_text(f"a good.wav\nu {sources[name]}\nz well.wav\n")
        among = commands.call("compute_feats", *options, "--max-skip=1", *extract, cwd=folder)
        is_bad = isinstance(feats, str)
        check_feats(
            folder, among, 0, {"a": FRAMES, **({} if is_bad else {"u": feats}), "z": FRAMES}
        )
        assert f"done {3 - is_bad} of 3, {int(is_bad)} skipped" in among.err
        assert not is_bad or re.search(
            f"WARNING .sd-compute-feats. skipped u .wav.scp:2.: .*{feats}", among.err
        )

        (folder / "wav.scp").write_text(f"u {sources[name]}\n")
        words = "scp:wav.scp" if sources[name].endswith("|") else sources[name]
        judged = commands.call("detect", *options, "model", words, "good.wav", cwd=folder)
        need = feats if judgement is SAME else judgement
        lines = [line for line in judged.out.splitlines() if not line.startswith("good.wav: ")]
        errors = [line for line in judged.err.splitlines() if line.startswith("ERROR")]
        if isinstance(need, int) or need.startswith("no score"):
            assert (judged.status, errors) == (0, [])
            key = "u " if words == "scp:wav.scp" else ""
            assert all(line.startswith(f"{key}{sources[name]}") for line in lines)
            if isinstance(need, int):
                assert len(lines) == need and all("(LLR " in line for line in lines)
            else:
                assert lines and all(need in line for line in lines)
        else:
            assert (
                judged.status == 1
                and lines == []
                and len(errors) == 1
                and re.search(need, errors[0])
            ), judged
            assert "Traceback" not in judged.err and not re.search("nan|inf", judged.out)


def check_feats(folder, result, need, frames):
    """One error line and nothing written, or exactly so many frames in every output."""
    assert "Traceback" not in result.err and result.out == ""
    errors = [line for line in result.err.splitlines() if line.startswith("ERROR")]
    if isinstance(need, str):
        assert result.status == 1 and len(errors) == 1 and outputs(folder) == [], result
        assert re.search(rf"^ERROR \(sd-compute-feats\) u \(wav\.scp:1\): .*{need}", errors[0]), (
            errors
        )
        return
    assert (result.status, errors) == (0, []), result
    assert outputs(folder) == ["0.ark", "0.ark.conf", "6.ark", "6.ark.conf", "num.frames"]
    assert dict(line.split() for line in (folder / "num.frames").read_text().splitlines()) == {
        k: str(n) for k, n in frames.items()
    }
    for order in (0, 6):
        with open_table(f"ark:{folder}/{order}.ark") as table:
            matrices = {entry.key: entry.load() for entry in table}
        assert {key: len(matrix) for key, matrix in matrices.items()} == frames
        assert all(np.isfinite(matrix).all() for matrix in matrices.values())
    for name in outputs(folder):
        (folder / name).unlink()


def test_the_zoo_is_large():
    assert len({name for name, *_ in ZOO}) == len(ZOO) >= 150


def test_folders_that_lead_back_to_themselves_are_read_once(place, tmp_path, fault):
    """Two links to the folder itself are 2**40 paths."""
    with fault("audio", 3):
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            sound()(tmp_path / name / f"{name}.wav")
            (tmp_path / name / "up").symlink_to("..")
            (tmp_path / name / "self").symlink_to(".")
        (tmp_path / "a/other").symlink_to("../b")
        (tmp_path / "b/other").symlink_to("../a")
        judged = place[2].call("detect", place[0] / "model", ".", cwd=tmp_path)
        assert judged.status == 0, judged
        assert {line.split(":")[0] for line in judged.out.splitlines()} == {
            "a/a.wav",
            "b/b.wav",
            "a/other/b.wav",
            "b/other/a.wav",
        }


def test_pipes_and_devices_in_a_folder_are_left_out(tmp_path, fault):
    with fault("audio", 2):
        sound()(tmp_path / "a.wav")
        os.mkfifo(tmp_path / "fifo.wav")
        (tmp_path / "zero.wav").symlink_to("/dev/zero")
        with pytest.warns(
            UserWarning,
            match="2 files left out: 2 pipes or devices; the first is fifo.wav",
        ):
            assert find_sounds(tmp_path) == [tmp_path / "a.wav"]
