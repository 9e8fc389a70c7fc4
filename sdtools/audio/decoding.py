"""Sound files, commands and RIFF waves in archives as samples."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import soundfile

from sdtools.audio.claims import STREAM_BYTES, Stream, read_claim
from sdtools.audio.libav import PHONES, LibavStream
from sdtools.audio.streaming import (
    FLAC_FRAMES,
    ForwardFile,
    RawFormat,
    overlapping,
    read_raw,
    read_wav_head,
)
from sdtools.errors import SdError
from sdtools.features.samples import MAX_PEAK, hint_of_peak
from sdtools.tables.input import Input, open_input

BLOCK_FRAMES = 1 << 16
Sound = Stream | LibavStream
RATES_HZ = 1000, 768000  # beyond them a header is damaged, and resampling would take gigabytes


class Header(NamedTuple):
    """Form of a recording."""

    rate_hz: int
    num_channels: int
    num_frames: int
    codec: str  # such as pcm_s16, mp3, aac
    is_lossy: bool


class Window(NamedTuple):
    """A part of a recording; samples have the shape (num_samples, num_channels)."""

    start_sec: float
    total_sec: float | None  # of the whole recording; None of a stream that goes on
    samples: np.ndarray
    rate_hz: int
    codec: str  # such as pcm_s16, mp3, aac
    is_lossy: bool


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
        A file in any format that libsndfile or PyAV reads, a command ending in `|` that writes one,
        or `archive:byte`, a RIFF wave inside an archive.
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

    A file that states its length shows that it was cut short; one that was written into a pipe, and
    an MP3 without a table of contents, do not.

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
    with _sound_file(source) as (who, file), _open_stream(who, file) as stream:
        rate_hz = stream.samplerate
        if sample_rate_hz not in (None, rate_hz):
            need, hint = f"{sample_rate_hz} Hz", "Resample it, for example with sox"
            raise SdError(who, "sample rate", got=f"{rate_hz} Hz", need=need, hint=hint)
        _check_rate(who, rate_hz)
        column = _channel_of(who, stream.channels, channel)
        data = bytearray()  # a list of blocks would have to be copied
        for block in _blocks(stream):
            data += block[:, column].tobytes()
        samples = np.frombuffer(data)
        if stream.is_cut(len(samples)):
            raise _cut_short(who, len(samples))
    _check_samples(who, samples, rate_hz)
    return samples, rate_hz


def read_windows(
    path: str | os.PathLike[str],
    window_sec: float,
    allow_pipes: bool = False,
    *,
    shift_sec: float | None = None,
    raw: RawFormat | None = None,
) -> Iterator[Window]:
    """Yield a recording in windows of equal length, no longer than `window_sec`.

    With `shift_sec`, and of standard input, windows are as of `overlapping`. Raw samples, WAV and
    FLAC on standard input are read as they come; other formats there and `archive:byte` are read
    whole first. Only one window is in memory.

    Parameters
    ----------
    shift_sec
        Time from one window to the next; of standard input by default `window_sec`.
    raw
        Form of standard input without a header.

    Raises
    ------
    SdError
        As `load_audio`.
    """
    with open_input(str(path), allow_pipes) as source:
        sizes_sec = window_sec, shift_sec or window_sec
        if not source.is_standard:
            yield from _windows_of_file(source, window_sec, shift_sec)
        elif form := raw or read_wav_head(source):
            yield from _overlapping(source.name, read_raw(source, form), form.facts, *sizes_sec)
        elif source.peek(4, 4) == b"fLaC":
            file = ForwardFile(source)
            with _open_stream(source.name, cast(BinaryIO, file)) as stream:
                file.is_open = True
                blocks = _blocks_of_all(source.name, stream)
                yield from _overlapping(source.name, blocks, _facts_of(stream), *sizes_sec)
        else:
            yield from _windows_of_file(source, window_sec, shift_sec)


def _windows_of_file(source: Input, window_sec: float, shift_sec: float | None) -> Iterator[Window]:
    """The windows of a recording whose end is known."""
    with _sound_file(source) as (who, file):
        num_frames = _count_frames(who, file)
        with _open_stream(who, file) as stream:
            rate_hz = stream.samplerate
            if shift_sec is not None:
                blocks, facts = _blocks(stream), _facts_of(stream)
                yield from _overlapping(who, blocks, facts, window_sec, shift_sec, num_frames)
                return
            num_windows = max(1, -(-num_frames // int(window_sec * rate_hz)))
            starts = (int(i * (num_frames / num_windows)) for i in range(num_windows))
            for first, end in itertools.pairwise(itertools.chain(starts, [num_frames])):
                samples = stream.read(end - first, dtype="float64", always_2d=True)
                if len(samples) < end - first:
                    raise _cut_short(who, first + len(samples))
                _check_samples(who, samples, rate_hz, first)
                yield Window(first / rate_hz, num_frames / rate_hz, samples, *_facts_of(stream))


def _overlapping(
    who: str,
    blocks: Iterable[np.ndarray],
    facts: tuple[int, str, bool],
    window_sec: float,
    shift_sec: float,
    num_frames: int | None = None,
) -> Iterator[Window]:
    """The windows of samples that come in blocks, of which there will be `num_frames` if known.

    The facts are the last three fields of a `Window`.
    """
    rate_hz = facts[0]
    _check_rate(who, rate_hz)

    def checked() -> Iterator[np.ndarray]:
        first = 0
        for block in blocks:
            _check_samples(who, block, rate_hz, first)
            first += len(block)
            yield block
        if not first:
            _check_samples(who, np.empty(0), rate_hz)

    length, shift = (max(1, round(sec * rate_hz)) for sec in (window_sec, shift_sec))
    for first, samples, is_last in overlapping(checked(), length, shift):
        end = first + len(samples) if is_last else num_frames
        yield Window(first / rate_hz, None if end is None else end / rate_hz, samples, *facts)


def read_header(path: str | os.PathLike[str], count: bool = False) -> Header:
    """Return sample rate, channels and, only if `count`, the number of frames of a sound file.

    Raises
    ------
    SdError
        If it is not a sound file, or, if `count`, as `load_audio`.
    """
    with open_input(str(path), allow_pipes=False) as source, _sound_file(source) as (who, file):
        with _open_stream(who, file) as stream:
            codec, is_lossy = stream.codec, stream.is_lossy
            header = Header(stream.samplerate, stream.channels, 0, codec, is_lossy)
        return header._replace(num_frames=_count_frames(who, file)) if count else header


def _facts_of(stream: Sound) -> tuple[int, str, bool]:
    """Sample rate, codec, and whether it is lossy."""
    return stream.samplerate, stream.codec, stream.is_lossy


def _count_frames(who: str, file: BinaryIO) -> int:
    """Number of frames of a sound, by decoding it if its header is not reliable."""
    with _open_stream(who, file) as stream:
        _check_rate(who, stream.samplerate)
        num_frames = stream.claimed_frames or 0
        if stream.is_counted:
            num_frames = sum(map(len, _blocks(stream)))
        if stream.is_cut(num_frames):
            raise _cut_short(who, num_frames)
        return num_frames


def _blocks(stream: Sound, num_frames: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
    """All samples of a stream, shape (num_frames, num_channels) a block."""
    while len(block := stream.read(num_frames, dtype="float64", always_2d=True)):
        yield block


def _blocks_of_all(who: str, stream: Sound) -> Iterator[np.ndarray]:
    """Small blocks of a stream; an error at its end if its header promises more."""
    num_frames = 0
    for block in _blocks(stream, FLAC_FRAMES):
        num_frames += len(block)
        yield block
    if stream.is_cut(num_frames):
        raise _cut_short(who, num_frames)


@contextmanager
def _sound_file(source: Input) -> Iterator[tuple[str, BinaryIO]]:
    """The name of an input for messages, and its bytes from their beginning."""
    who = source.where if source.position else source.name
    if source.position:
        yield who, BytesIO(_read_riff(source))
    elif source.size is None:
        yield who, BytesIO(source.read_all())
    else:
        with open(source.name, "rb") as file:
            yield who, file


def _open_sound(who: str, file: BinaryIO) -> Sound:
    """The sound in a file, by FFmpeg if libsndfile does not read it."""
    claim = read_claim(file)
    is_ogg = claim.container == "ogg"
    if claim.is_short and is_ogg:
        raise SdError(who, "the file is cut short", hint="Copy it again")
    if claim.container in PHONES or (claim.is_joined and is_ogg):
        return LibavStream(who, file, claim.container)
    if claim.is_joined:
        what = "another recording follows the first in this file"
        raise SdError(who, what, hint="Separate them")
    try:
        return Stream(file, claim)
    except soundfile.SoundFileError:
        if not is_ogg:
            raise
        return LibavStream(who, file, claim.container)


@contextmanager
def _open_stream(who: str, file: BinaryIO) -> Iterator[Sound]:
    """The sound in a file; errors of libsndfile become ours."""
    try:
        with _open_sound(who, file) as stream:
            yield stream
            error = stream.view and stream.view.error
            if error:
                raise error
    except OSError as e:
        raise SdError(who, f"cannot read: {e.strerror}", hint="Check the disk") from None
    except (soundfile.SoundFileError, TypeError) as e:  # TypeError: samples without a header
        got = repr(getattr(e, "error_string", str(e)))
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
    if not len(samples):
        raise SdError(
            who, "number of samples", got=0, need="1 or more", hint="Remove the recording"
        )
    is_good = np.abs(samples) <= MAX_PEAK  # false for NaN
    if not is_good.all():
        place = int(np.argmin(is_good))
        i, got = place // (samples.size // len(samples)), samples.flat[place]
        what = f"sample {first + i} ({(first + i) / rate_hz:.3f} s)"
        need = f"a finite number up to {MAX_PEAK:g} (full scale is 1)"
        hint = hint_of_peak(float(np.abs(samples).max())) or "Repair or remove the file"
        raise SdError(who, what, got=got, need=need, hint=hint)


def _cut_short(who: str, num_samples: int) -> SdError:
    need = "more, as the header says"
    got, hint = f"{num_samples} samples", "Copy it again"
    return SdError(who, "the file is cut short", got=got, need=need, hint=hint)
