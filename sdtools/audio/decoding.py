"""Sound files, commands and RIFF waves in archives as samples."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
import soundfile

from sdtools.errors import SdError
from sdtools.features.samples import MAX_PEAK
from sdtools.tables.input import Input, open_input

BLOCK_FRAMES = 1 << 16
RATES_HZ = 1000, 768000  # beyond them a header is damaged, and resampling would take gigabytes
MAX_FRAMES = 1 << 40  # a header with more does not know its length
STREAM_BYTES = 0x7FFFF000  # in a WAV header, this length or more means "written into a pipe"


class Header(NamedTuple):
    """What the header of a sound file promises."""

    rate_hz: int
    num_channels: int
    num_frames: int


class Window(NamedTuple):
    """A part of a recording; samples have the shape (num_samples, num_channels)."""

    start_sec: float
    total_sec: float  # of the whole recording
    samples: np.ndarray
    rate_hz: int


def load_audio(
    path_or_command: str | os.PathLike[str],
    *,
    sample_rate_hz: int | None = None,
    channel: int | None = None,
    allow_pipes: bool = False,
) -> tuple[np.ndarray, int]:
    """Return the samples of one channel of a recording, and its sample rate.

    Parameters
    ----------
    path_or_command
        A file in any format that libsndfile reads, a command ending in `|` that writes one, or
        `archive:byte`, a RIFF wave inside an archive.
    sample_rate_hz
        The only accepted sample rate; any if None.
    channel
        Channel to take, from 0; needed if there are several.
    allow_pipes
        Whether a command may run.

    Returns
    -------
    samples : np.ndarray
        Shape (num_samples,), float64, full scale -1..1.
    rate_hz : int
        Samples per second.

    Raises
    ------
    SdError
        If the recording cannot be read whole, is empty, holds NaN or samples beyond `MAX_PEAK`, or
        has another sample rate or several channels.

    Notes
    -----
    Kaldi's full scale is 32768. So the centroid frequency is the same as with Kaldi's samples, and
    the logarithm of the centroid magnitude is lower by ln 32768.

    WAV, AIFF, AU, RF64, FLAC and MP3 show that a file was cut short; NIST, W64 and Ogg do not.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", [0.5, -0.25], 16000)
    ...     load_audio(f"{folder}/a.wav")
    (array([ 0.5 , -0.25]), 16000)
    """
    with open_input(str(path_or_command), allow_pipes) as source:
        return read_sound(source, sample_rate_hz, channel)


def read_sound(
    source: Input, sample_rate_hz: int | None, channel: int | None
) -> tuple[np.ndarray, int]:
    """Return what `load_audio` returns of an open file, or of the RIFF wave at its position."""
    with _open_sound(source) as (who, sound):
        rate_hz = sound.samplerate
        if sample_rate_hz not in (None, rate_hz):
            need, hint = f"{sample_rate_hz} Hz", "Resample it, for example with sox"
            raise SdError(who, "sample rate", got=f"{rate_hz} Hz", need=need, hint=hint)
        _check_rate(who, rate_hz)
        column = _channel_of(who, sound.channels, channel)
        data = bytearray()  # a list of blocks would have to be copied
        while len(block := sound.read(BLOCK_FRAMES, dtype="float64", always_2d=True)):
            data += block[:, column].tobytes()
        samples = np.frombuffer(data)
        if len(samples) < sound.frames or _is_cut(sound.extra_info):
            raise _cut_short(who, len(samples))
    if not len(samples):
        raise SdError(who, "number of samples", got=0, need="1 or more", hint="Remove the entry")
    _check_samples(who, samples, rate_hz)
    return samples, rate_hz


def read_windows(
    path: str | os.PathLike[str], window_sec: float, allow_pipes: bool = False
) -> Iterator[Window]:
    """Yield a recording in windows of equal length, no longer than `window_sec`.

    Only one window is in memory; standard input and `archive:byte` are read whole first.

    Raises
    ------
    SdError
        As `load_audio`.
    """
    with open_input(str(path), allow_pipes) as source, _open_sound(source) as (who, sound):
        if sound.frames > MAX_FRAMES:
            what, hint = "the header does not tell the length", "Write the sound to a file"
            raise SdError(who, what, need="not written into a pipe", hint=hint)
        if _is_cut(sound.extra_info):
            raise _cut_short(who, sound.frames)
        rate_hz = sound.samplerate
        _check_rate(who, rate_hz)
        num_windows = max(1, -(-sound.frames // int(window_sec * rate_hz)))
        edges = np.linspace(0, sound.frames, num_windows + 1).astype(int).tolist()
        for first, end in itertools.pairwise(edges):
            samples = sound.read(end - first, dtype="float64", always_2d=True)
            if len(samples) < end - first:
                raise _cut_short(who, first + len(samples))
            if not end:
                raise SdError(who, "number of samples", got=0, need="1 or more")
            _check_samples(who, samples, rate_hz, first)
            yield Window(first / rate_hz, sound.frames / rate_hz, samples, rate_hz)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return what the header of a sound file promises.

    Raises
    ------
    SdError
        If it is not a sound file.
    """
    with open_input(str(path), allow_pipes=False) as source, _open_sound(source) as (_, sound):
        return Header(sound.samplerate, sound.channels, sound.frames)


@contextmanager
def _open_sound(source: Input) -> Iterator[tuple[str, soundfile.SoundFile]]:
    """The sound of an input and its name for messages; errors of libsndfile become ours."""
    who = source.where if source.position else source.name
    file: bytes | BytesIO
    if source.position:
        file = BytesIO(_read_riff(source))
    elif source.size is None:
        file = BytesIO(source.read_all())
    else:
        file = os.fsencode(source.name)  # soundfile refuses a str that is not UTF-8
    try:
        with soundfile.SoundFile(file) as sound:
            yield who, sound
    except (soundfile.SoundFileError, TypeError) as error:
        got = repr(getattr(error, "error_string", str(error)))
        need = "a whole file in a format that libsndfile reads"
        raise SdError(who, "sound", got=got, need=need, hint="Check the file") from None


def _read_riff(source: Input) -> bytes | bytearray | memoryview:
    """Bytes of one RIFF wave; what follows belongs to the next entry of the archive."""
    head = source.peek(8, 8)
    orders = {b"RIFF": "little", b"RIFX": "big"}
    if head[:4] not in orders or len(head) < 8:
        hint = "Use separate files for other formats"
        raise SdError(source.where, "sound in an archive", got=head, need="a RIFF wave", hint=hint)
    num_bytes = int.from_bytes(head[4:], orders[head[:4]])  # type: ignore[arg-type]
    if not 0 < num_bytes < STREAM_BYTES:
        what = "the header does not tell the length, because the sound came through a pipe"
        raise SdError(source.where, what, hint="Use a separate file")
    return bytes(source.read(8 + num_bytes))


def _check_rate(who: str, rate_hz: int) -> None:
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        need, hint = f"{RATES_HZ[0]} to {RATES_HZ[1]} Hz", "The header is damaged; copy it again"
        raise SdError(who, "sample rate", got=f"{rate_hz} Hz", need=need, hint=hint)


def _channel_of(who: str, num_channels: int, channel: int | None) -> int:
    """The channel to take."""
    choices = f"0 to {num_channels - 1}"
    if channel is None and num_channels > 1:
        hint = f"Choose one, {choices}, with --channel"
        raise SdError(who, "number of channels", got=num_channels, need=1, hint=hint)
    if channel is not None and not 0 <= channel < num_channels:
        raise SdError(who, "channel", got=channel, need=choices)
    return channel or 0


def _check_samples(who: str, samples: np.ndarray, rate_hz: int, first: int = 0) -> None:
    """Refuse NaN, infinity and huge values in (num_samples,) or (num_samples, num_channels)."""
    is_good = np.abs(samples) <= MAX_PEAK  # false for NaN
    if not is_good.all():
        place = int(np.argmin(is_good))
        i, got = place // (samples.size // len(samples)), samples.flat[place]
        what = f"sample {first + i} ({(first + i) / rate_hz:.3f} s)"
        need = f"a finite number up to {MAX_PEAK:g} (full scale is 1)"
        raise SdError(who, what, got=got, need=need, hint="Repair or remove the file")


def _is_cut(log: str) -> bool:
    """Whether libsndfile found a header that promises more than there is."""
    claims = [int(claim) for claim in re.findall(r"ata[^:\n]*: (\d+) \(should be", log)]
    return "rame count" in log or any(claim < STREAM_BYTES for claim in claims)


def _cut_short(who: str, num_samples: int) -> SdError:
    need = "more, as the header says"
    got, hint = f"{num_samples} samples", "Copy it again"
    return SdError(who, "the file is cut short", got=got, need=need, hint=hint)
