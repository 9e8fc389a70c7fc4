"""Sound that arrives on standard input, read as it comes: raw samples, WAV and FLAC.

Other formats cannot be read before they have ended.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import soundfile

from sdtools.audio.claims import STREAM_BYTES
from sdtools.errors import UsageError
from sdtools.tables.input import Input

MAX_CHANNELS = 1024  # of libsndfile
MAX_CHUNK_BYTES = 1 << 20  # before the samples of a WAV
HEAD_BYTES = 512  # in which the `fmt ` chunk of a WAV must begin
BLOCK_BYTES = 1 << 16
FLAC_FRAMES = 512  # read at once: a window does not wait for more
SAMPLES = {  # by ffmpeg's names: libsndfile's subtype, bytes of a sample
    "u8": ("PCM_U8", 1),
    "s8": ("PCM_S8", 1),
    "s16": ("PCM_16", 2),
    "s24": ("PCM_24", 3),
    "s32": ("PCM_32", 4),
    "f32": ("FLOAT", 4),
    "f64": ("DOUBLE", 8),
    "alaw": ("ALAW", 1),
    "mulaw": ("ULAW", 1),
}
ORDERS = {"le": "LITTLE", "be": "BIG"}
WAV_TAGS = {(1, 8): "u8", (1, 16): "s16", (1, 24): "s24", (1, 32): "s32"}  # format tag, bits
WAV_TAGS |= {(3, 32): "f32", (3, 64): "f64", (6, 8): "alaw", (7, 8): "mulaw"}
EXTENSIBLE = 0xFFFE


class RawFormat(NamedTuple):
    """Form of samples without a header.

    Parameters
    ----------
    kind
        One of `SAMPLES`.
    order
        `LITTLE` or `BIG`.
    rate_hz
        Sample rate.
    num_channels
        Samples at each time.
    num_bytes
        Bytes of all samples; None if they end with the stream.
    """

    kind: str
    order: str
    rate_hz: int
    num_channels: int
    num_bytes: int | None = None

    @property
    def facts(self) -> tuple[int, str, bool]:
        """Sample rate, codec, and whether it is lossy."""
        is_law = self.kind in ("alaw", "mulaw")
        return self.rate_hz, self.kind if is_law else f"pcm_{self.kind}", is_law

    @property
    def frame_bytes(self) -> int:
        """Bytes of the samples of one time."""
        return SAMPLES[self.kind][1] * self.num_channels


def parse_raw(text: str) -> RawFormat:
    """The format that `--raw` names.

    Raises
    ------
    UsageError
        If there is none of that name.

    Examples
    --------
    >>> parse_raw("s16le,16000,1")
    RawFormat(kind='s16', order='LITTLE', rate_hz=16000, num_channels=1, num_bytes=None)
    """
    name, *numbers = text.split(",")
    kind, order = name, "LITTLE"
    if name[-2:] in ORDERS:
        kind, order = name[:-2], ORDERS[name[-2:]]
    is_good = len(numbers) == 2 and all(n.isascii() and n.isdigit() for n in numbers)
    needs_order = SAMPLES.get(kind, ("", 1))[1] > 1
    if kind not in SAMPLES or not is_good or needs_order != (kind != name):
        names = " ".join(f"{k}le" if size > 1 else k for k, (_, size) in SAMPLES.items())
        need = (
            f"<format>,<rate>,<channels> such as s16le,16000,1, with one of {names}, or be for le"
        )
        raise UsageError("--raw", got=repr(text), need=need)
    rate_hz, num_channels = map(int, numbers)
    if not 1 <= num_channels <= MAX_CHANNELS:
        raise UsageError("--raw", "channels", got=num_channels, need=f"1 to {MAX_CHANNELS}")
    return RawFormat(kind, order, rate_hz, num_channels)


def read_wav_head(source: Input) -> RawFormat | None:
    """Read a stream up to the samples of a WAV; None, and nothing read, if it is none of that kind.

    A size of 0 or near 2 or 4 GiB means that the samples end with the stream.
    """
    head = source.peek(HEAD_BYTES, HEAD_BYTES)
    byte_order = {b"RIFF": "little", b"RIFX": "big"}.get(head[:4])
    if byte_order is None or head[8:12] != b"WAVE":
        return None

    def number(data: bytes) -> int:
        return int.from_bytes(data, byte_order)  # type: ignore[arg-type]

    at = 12
    while head[at : at + 4] != b"fmt ":
        at += 8 + number(head[at + 4 : at + 8])
        at += at % 2
        if at > len(head) - 24:
            return None
    fmt = head[at + 8 :]
    tag, num_channels, rate_hz = number(fmt[:2]), number(fmt[2:4]), number(fmt[4:8])
    frame_bytes, num_bits = number(fmt[12:14]), number(fmt[14:16])
    if tag == EXTENSIBLE:
        tag = number(fmt[24:26])
    kind = WAV_TAGS.get((tag, num_bits), "")
    if not kind or frame_bytes != SAMPLES[kind][1] * num_channels or num_channels < 1:
        return None
    source.read(12)
    while (chunk := bytes(source.read(8)))[:4] != b"data":
        size = number(chunk[4:])
        if size > MAX_CHUNK_BYTES:
            source.fail_short("a chunk without end", "samples")
        source.read(size + size % 2)
    size = number(chunk[4:])
    num_bytes = size if 0 < size < STREAM_BYTES else None
    order = ORDERS[f"{byte_order[0]}e"]
    return RawFormat(kind, order, rate_hz, num_channels, num_bytes)


def read_raw(source: Input, form: RawFormat) -> Iterator[np.ndarray]:
    """Yield samples (num_samples, num_channels) as they come.

    Raises
    ------
    SdError
        If the stream ends before `num_bytes`, or within the samples of one time.
    """
    rest, left = b"", form.num_bytes
    subtype, _ = SAMPLES[form.kind]
    while left != 0:
        data = source.read_available(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
        if not data:
            if left:
                source.fail_short("the end", f"{left} bytes more, as the header says")
            break
        left = None if left is None else left - len(data)
        data = rest + data
        num_whole = len(data) // form.frame_bytes * form.frame_bytes
        rest = data[num_whole:]
        if num_whole:
            yield soundfile.read(
                io.BytesIO(data[:num_whole]),
                dtype="float64",
                always_2d=True,
                format="RAW",
                subtype=subtype,
                endian=form.order,
                samplerate=form.rate_hz,
                channels=form.num_channels,
            )[0]
    if rest and form.num_bytes is None:
        source.fail_short(f"{len(rest)} bytes at the end", f"{form.frame_bytes} bytes")
    source.drain()  # so that the program that writes does not fail


class ForwardFile:
    """An input as the file that libsndfile needs; of a FLAC it reads only its head twice.

    Attributes
    ----------
    is_open
        Whether the head is no longer needed.
    """

    SIZE = 1 << 60  # nobody knows it

    def __init__(self, source: Input):
        self._source, self._position = source, 0
        self._head, self.is_open = bytearray(), False

    def readinto(self, buffer: bytearray) -> int:
        """Read into a buffer what there is; return the number of bytes."""
        room = memoryview(buffer).cast("B")
        data = bytes(self._head[self._position : self._position + len(room)])
        if not data and self._position == max(len(self._head), self._source.position):
            data = self._source.read_available(len(room))
            if not self.is_open:
                self._head += data
        room[: len(data)] = data
        self._position += len(data)
        return len(data)

    def read(self, num_bytes: int) -> bytes:
        """Read as many bytes, fewer only at the end."""
        data = bytearray()
        while piece := bytearray(num_bytes - len(data)):
            if not (number := self.readinto(piece)):
                break
            data += piece[:number]
        return bytes(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._position = offset + (0, self._position, self.SIZE)[whence]
        return self._position

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position


def overlapping(
    blocks: Iterable[np.ndarray], length: int, shift: int
) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Windows of `length` samples, one every `shift`, each as soon as its samples are there.

    The last one ends with the last sample; of fewer than `length` samples there is one window.

    Parameters
    ----------
    blocks
        Samples (num_samples, num_channels).

    Yields
    ------
    first
        Number of the first sample.
    samples : (num_samples, num_channels)
    is_last
        Whether it is known that no more samples follow.

    Examples
    --------
    >>> blocks = np.arange(11).reshape(11, 1, 1)
    >>> [(first, len(x), is_last) for first, x, is_last in overlapping(blocks, 4, 3)]
    [(0, 4, False), (3, 4, False), (6, 4, False), (7, 4, True)]
    """
    held: list[np.ndarray] = []  # from the beginning of the last window on
    start, end, due = 0, 0, 0
    for block in blocks:
        held.append(block)
        end += len(block)
        while end >= due + length:
            samples = np.concatenate(held)[due - start :]
            held, start, due = [samples], due, due + shift
            yield start, samples[:length], False
    if due == 0 or end > start + length:
        samples = np.concatenate(held or [np.empty((0, 1))])[-length:]
        yield end - len(samples), samples, True
