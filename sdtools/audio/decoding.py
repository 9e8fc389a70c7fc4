"""Sound files and wav.scp entries, as samples."""

import itertools
import os
import re
import warnings
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from sdtools.errors import SdError
from sdtools.tables.input import open_input
from sdtools.tables.output import open_output
from sdtools.tables.table import TableReader

BLOCK_FRAMES = 1 << 16
RATES_HZ = 1000, 768000  # outside, a header is damaged, and resampling would take gigabytes
MAX_PEAK = (
    1e30  # relative to full scale; squares stay within float64, and the samples within float32
)
MAX_FRAMES = 1 << 40  # a header with more does not know its length
UNREADABLE = {
    ".m4a",
    ".aac",
    ".amr",
    ".wma",
    ".webm",
    ".mp4",
    ".3gp",
    ".sph",
}  # sound, but not libsndfile's
STREAM_BYTES = (
    0x7FFFF000  # from here on, the length in a WAV header only says that it came through a pipe
)


@dataclass(frozen=True)
class AudioOptions:
    """Recordings that are taken, and how many at once."""

    sample_rate_hz: int = field(
        default=16000, metadata={"help": "rate that every recording must have"}
    )
    channel: int | None = field(
        default=None, metadata={"help": "channel of recordings with several, from 0"}
    )
    num_threads: int = field(default=1, metadata={"help": "utterances computed at once"})

    def __post_init__(self):
        if self.sample_rate_hz < 1 or self.num_threads < 1:
            raise ValueError(
                f"got --sample-rate-hz={self.sample_rate_hz} --num-threads={self.num_threads}, need 1 or more"
            )


def load_audio(path_or_command, *, sample_rate_hz=None, channel=None, allow_pipes=False):
    """Return the samples of one channel of a sound, and their rate.

    Parameters
    ----------
    path_or_command : str or path
        A file in any format that libsndfile reads, a command ending in ``|`` that writes one, or ``archive:byte``, a RIFF wave there.
    sample_rate_hz : int, optional
        The rate that is needed; another one is refused.
    channel : int, optional
        Which channel to take, from 0; needed if there are several.
    allow_pipes : bool
        Whether a command may run.

    Returns
    -------
    samples : ndarray, shape (num_samples,), float64
        Full scale is -1..1 where Kaldi has -32768..32767: the centroid frequency is the same, the log of the centroid magnitude is
        lower by a constant, ln 32768.
    rate_hz : int
        Samples per second.

    Raises
    ------
    SdError
        If the sound cannot be read whole, is empty, holds NaN or samples beyond MAX_PEAK, or has another rate or more channels than
        asked for, or a rate outside RATES_HZ.

    Notes
    -----
    That a file was cut short shows in WAV, AIFF, AU, RF64, FLAC and MP3; NIST, W64 and Ogg files do not tell.
    """
    with open_input(str(path_or_command), allow_pipes) as source:
        return _read_sound(source, sample_rate_hz, channel)


def _read_sound(source, sample_rate_hz, channel):
    """Samples of one channel, and their rate, of the whole input, or of the RIFF wave at its position in an archive."""
    who = source.where if source.position else source.name
    file = _sound_file(source)
    try:
        with soundfile.SoundFile(file) as sound:
            rate_hz, num_channels, num_frames, log = (
                sound.samplerate,
                sound.channels,
                sound.frames,
                sound.extra_info,
            )
            if sample_rate_hz is not None and rate_hz != sample_rate_hz:
                raise SdError(
                    f"{who}: sample rate: got {rate_hz} Hz, need {sample_rate_hz} Hz. Resample it, e.g. with sox"
                )
            _check_rate(who, rate_hz)
            if channel is None and num_channels > 1:
                raise SdError(
                    f"{who}: channels: got {num_channels}, need 1. Choose one of 0..{num_channels - 1} with --channel"
                )
            if channel is not None and not 0 <= channel < num_channels:
                raise SdError(
                    f"{who}: channel: got {channel}, need 0..{num_channels - 1}. Choose one that the sound has"
                )
            data = bytearray()  # grows where it lies: a list of blocks would have to be copied
            while len(block := sound.read(BLOCK_FRAMES, dtype="float64", always_2d=True)):
                data += block[:, channel or 0].tobytes()
    except (soundfile.SoundFileError, TypeError) as e:
        reason = getattr(e, "error_string", str(e))
        raise SdError(
            f"{who}: sound: got {reason!r}, need a format that libsndfile reads, whole. Check the file"
        ) from None
    samples = np.frombuffer(data)
    if len(samples) < num_frames or _is_cut(log):
        raise SdError(
            f"{who}: sound: got {len(samples)} samples, need more by its header; it is cut short. Copy it again"
        )
    if not len(samples):
        raise SdError(f"{who}: sound: got 0 samples, need at least 1. Remove the entry")
    if not _are_numbers(samples):
        i = int(np.argmin(np.abs(samples) <= MAX_PEAK))
        need = f"a finite number, at most {MAX_PEAK:g}"
        raise SdError(
            f"{who}: sample {i} ({i / rate_hz:.3f} s): got {samples[i]}, need {need}. Repair or remove the file"
        )
    return samples, rate_hz


def _check_rate(who, rate_hz):
    """Refuse a rate that no sound has."""
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        need = f"{RATES_HZ[0]} to {RATES_HZ[1]} Hz; the header is damaged"
        raise SdError(f"{who}: sample rate: got {rate_hz} Hz, need {need}. Copy it again")


def _are_numbers(samples):
    """Whether all samples are finite and of a size that can be reckoned with."""
    return bool((np.abs(samples) <= MAX_PEAK).all())  # false of NaN


def _sound_file(source):
    """What libsndfile opens: a path, or the bytes of a stream or of a RIFF wave in an archive."""
    if source.position:
        return BytesIO(_read_riff(source))
    return (
        os.fsencode(source.name) if source.size is not None else BytesIO(source.read_all())
    )  # soundfile refuses text that is not UTF-8


def _is_cut(log):
    """Whether libsndfile's log says that the header promises more than there is."""
    claims = [int(claim) for claim in re.findall(r"ata[^:\n]*: (\d+) \(should be", log)]
    return "rame count" in log or any(claim < STREAM_BYTES for claim in claims)


def find_sounds(folder):
    """Return the paths of all sound files in a folder and below, sorted; links are followed, but not back to a folder above.

    Warns of what libsndfile does not read: sound files of other formats, pipes and devices.

    Raises
    ------
    SdError
        If there are none.
    """
    suffixes = {f".{kind.lower()}" for kind in soundfile.available_formats()} - {".raw"} | {
        ".mp3",
        ".opus",
        ".aif",
    }
    found, others = [], []
    above = {
        os.fspath(folder): {os.path.realpath(folder)}
    }  # real paths of each folder still to be entered and of those above it
    for place, below, names in os.walk(folder, followlinks=True):
        chain = above.pop(place)
        real = {name: os.path.realpath(os.path.join(place, name)) for name in below}
        below[:] = [name for name in below if real[name] not in chain]
        above |= {os.path.join(place, name): chain | {real[name]} for name in below}
        for name in names:
            suffix, path = os.path.splitext(name)[1].lower(), Path(place, name)
            if not name.startswith(".") and suffix in suffixes | UNREADABLE:
                is_readable = suffix not in UNREADABLE and (
                    path.is_file() or not path.exists()
                )  # a broken link is the reader's error
                (found if is_readable else others).append(path)
    if others:
        warnings.warn(
            f"{folder}: left out {len(others)} files such as {others[0].name}, which libsndfile cannot read",
            stacklevel=2,
        )
    if not found:
        raise SdError(f"{folder}: folder: got no sound file, need one or more. Check the path")
    return sorted(found)


def as_word(text):
    """Return a text as a word that tables can hold: '_' for blanks and for what cannot be printed."""
    return "".join(char if char.isprintable() else "_" for char in "_".join(text.split()))


def check_path(path):
    """Return a path as a line of wav.scp can hold it.

    Raises
    ------
    SdError
        If it would be read as something else there.
    """
    if re.search("[\n\ud800-\udfff]|[]|]$|:[0-9]+$", path := os.fspath(path)):
        raise SdError(
            f"{path}: name: got one that wav.scp cannot hold, need UTF-8 in one line, no | ] :number at its end. Rename it"
        )
    return path


def name_sound(path, folder):
    """Return (key, speaker) for a sound file of a folder.

    The speaker is the name of the subfolder that the file is in, else what stands before the first '-' of its name, else the name itself.
    The key begins with it and a '-', and the speaker has no character before '-', so that both sort alike, as Kaldi wants.
    """
    words = [as_word(part) for part in (*path.relative_to(folder).parent.parts, path.stem)]
    if len(words) == 1 and "-" in words[0].strip("-"):
        words = words[0].strip("-").split("-", 1)
    speaker = re.sub(r"\W", "_", words[0])
    return "-".join([speaker, *words[1:]]), speaker


def read_windows(path, window_sec, allow_pipes=False):
    """Yield (start_sec, total_sec, samples, rate_hz) of a sound file, samples (num_samples, num_channels) float64, one window at a time.

    A file longer than window_sec comes in windows of equal length, no longer than that; ``-`` and ``archive:byte`` are read whole first.

    Raises
    ------
    SdError
        As load_audio.
    """
    with open_input(str(path), allow_pipes) as source:
        file = _sound_file(source)
        try:
            with soundfile.SoundFile(file) as sound:
                if sound.frames > MAX_FRAMES:
                    raise SdError(
                        f"{source.name}: sound: got a header without a length, need one; write it to a file, not to a pipe"
                    )
                if _is_cut(sound.extra_info):
                    need = "more by its header; it is cut short. Copy it again"
                    raise SdError(f"{source.name}: sound: got {sound.frames} samples, need {need}")
                _check_rate(source.name, sound.samplerate)
                num_windows = max(1, -(-sound.frames // int(window_sec * sound.samplerate)))
                edges = np.linspace(0, sound.frames, num_windows + 1).astype(int).tolist()
                for first, end in itertools.pairwise(edges):
                    samples = sound.read(end - first, dtype="float64", always_2d=True)
                    if len(samples) < end - first or not end:
                        got = first + len(samples)
                        raise SdError(
                            f"{source.name}: sound: got {got} samples, need {max(end, 1)} or more. Copy it again"
                        )
                    if not _are_numbers(samples):
                        got = f"NaN, inf or more than {MAX_PEAK:g}"
                        raise SdError(
                            f"{source.name}: samples: got {got}, need finite numbers. Repair or remove the file"
                        )
                    yield (
                        first / sound.samplerate,
                        sound.frames / sound.samplerate,
                        samples,
                        sound.samplerate,
                    )
        except (soundfile.SoundFileError, TypeError) as e:
            reason = getattr(e, "error_string", str(e))
            raise SdError(
                f"{source.name}: sound: got {reason!r}, need a format that libsndfile reads. Check the file"
            ) from None


def _read_riff(source):
    """Bytes of one RIFF wave: no more than its header says, what follows belongs to another entry."""
    head = source.peek(8, 8)
    orders = {b"RIFF": "little", b"RIFX": "big"}
    if head[:4] not in orders or len(head) < 8:
        raise SdError(
            f"{source.where}: sound: got {head!r}, need a RIFF wave, which alone an archive can hold. Use a file of its own"
        )
    num_bytes = int.from_bytes(head[4:], orders[head[:4]])
    if not 0 < num_bytes < STREAM_BYTES:
        raise SdError(
            f"{source.where}: sound: got a header without a length, need one; it came through a pipe. Use a file of its own"
        )
    return source.read(8 + num_bytes)


def open_audio(wav_rspecifier, *, sample_rate_hz=None, channel=None, allow_pipes=False):
    """Return a TableReader whose entries load ``(samples, rate_hz)``; the options are those of ``load_audio``."""
    return TableReader(
        wav_rspecifier,
        allow_pipes=allow_pipes,
        read=partial(_read_sound, sample_rate_hz=sample_rate_hz, channel=channel),
    )


def write_audio(path, samples, rate_hz):
    """Write samples, shape (num_samples,), within -1..1, as 16-bit PCM WAV: sample k/32768 becomes k, and 1 becomes 32767.

    A file of the same bytes is left, with its time, so that what was computed from it is not computed again.

    Raises
    ------
    SdError
        If there are no samples, more than one channel, values that would clip or are not finite; then no file appears.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or not len(samples):
        raise SdError(
            f"{path}: samples: got shape {samples.shape}, need (num_samples,) with at least one. Write one channel"
        )
    peak = np.abs(samples).max()
    if not peak <= 1:
        raise SdError(
            f"{path}: samples: got a peak of {peak:.4g}, need at most 1. Scale the sound down"
        )
    buffer = BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="PCM_16")
    path, data = Path(path), buffer.getbuffer()
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with open_output(str(path)) as file:
        file.write(data)
