"""Recordings of phones and browsers, which libsndfile does not read, through PyAV (FFmpeg).

Such files may be hostile. So FFmpeg gets the bytes of one open file, the one demuxer that the first
bytes tell, and a short list of decoders. It opens nothing else: no address, no playlist, no file
that this one names.

A header is a claim here, too. FFmpeg ends in silence where the bytes end, so sizes and lengths that
the file states are compared with what is there.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

import numpy as np

from sdtools.audio.containers import HEAD_BYTES, container_of, read_at
from sdtools.errors import SdError

DEMUXERS = {
    "mp4": "mov",
    "matroska": "matroska",
    "amr": "amr",
    "asf": "asf",
    "aac": "aac",
    "wavpack": "wv",
    "ogg": "ogg",
}
PHONES = set(DEMUXERS) - {"ogg"}  # of Ogg, libsndfile reads the usual
LOSSLESS = {"alac", "flac", "wavpack", "wmalossless"}
LOSSY = {"aac", "aac_fixed", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis"}
LOSSY |= {"libvorbis", "ac3", "eac3", "speex", "libspeex", "amrnb", "amrwb", "libopencore_amrnb"}
LOSSY |= {"libopencore_amrwb", "wmav1", "wmav2", "wmapro", "wmavoice", "pcm_alaw", "pcm_mulaw"}
PCM = {f"pcm_{form}{end}" for form in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")}
DECODERS = LOSSLESS | LOSSY | PCM | {"pcm_u8", "pcm_s8"}
SCALES = {"u8": (128, 128), "s16": (0, 1 << 15), "s32": (0, 1 << 31)}  # zero, full scale
MAX_PADDING = 2048  # frames with which an encoder fills its last packet
TOLERANCES_SEC = {"mp4": 0.25, "matroska": 0.25, "asf": 0.25, "wavpack": 0.0}
BUFFER_BYTES = 1 << 16
MAX_BOXES = 1 << 22  # of a day of sound; a second of reading
BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"mfra"}
BOXES |= {b"styp", b"emsg", b"prft", b"meta", b"pnot", b"sefd"}
SEGMENT = b"\x18\x53\x80\x67"  # of Matroska
ASF_OBJECTS = [  # header, which comes first, samples, and two kinds of index
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"),
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
]
CONVERT = "ffmpeg -i in.m4a -ar 16000 -ac 1 out.wav"


class LibavStream:
    """The sound in a file, read once from its beginning to its end, as `claims.Stream`.

    Attributes
    ----------
    samplerate, channels
        Of the first samples; 0 if there are none.
    codec, is_lossy
        A short name such as aac or pcm_s16, and whether it loses a part of the sound.

    Raises
    ------
    SdError
        If PyAV lacks, the file is cut short or holds several recordings, or an error comes.
    """

    is_counted, claimed_frames, view = True, None, None

    def __init__(self, who: str, file: BinaryIO, container: str):
        self._who, self._kind, self._av = who, container, _import_av(who, container)
        _check_size(who, file, container)
        file.seek(0)
        try:
            self._container = self._av.open(
                _Bytes(file),
                format=DEMUXERS[container],
                container_options={"codec_whitelist": ",".join(sorted(DECODERS))},
                metadata_errors="replace",
                buffer_size=BUFFER_BYTES,
                io_open=_refuse_to_open,
            )
        except (self._av.FFmpegError, ValueError, RuntimeError) as error:
            self._fail(error)
        try:
            self._stream = self._find_stream()
            self._end_sec, self.samplerate, self.channels = 0.0, 0, 0
            self._blocks = self._decode()
            self._left = next(self._blocks, np.empty((0, 1)))
            if container == "mp4" and self._stream.duration and self._stream.time_base:
                self._blocks = self._without_padding(self._left, self._blocks)
                self._left = next(self._blocks, self._left[:0])
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> LibavStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _find_stream(self) -> Any:
        """The one stream of sound; pictures do not matter."""
        streams = self._container.streams.audio
        if len(streams) != 1:
            hint = "Choose one: ffmpeg -i in.mp4 -map 0:a:0 out.wav" if streams else ""
            raise SdError(self._who, "number of sounds", got=len(streams), need=1, hint=hint)
        context = streams[0].codec_context
        decoder = context.name if context else "unknown"
        if decoder not in DECODERS:
            raise SdError(self._who, "codec", got=decoder, hint=f"Convert it: {CONVERT}")
        self.codec, self.is_lossy = _short(decoder), decoder in LOSSY
        context.thread_count = 1
        return streams[0]

    def _decode(self) -> Iterator[np.ndarray]:
        """Samples of each frame, shape (num_frames, num_channels), float64."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    raise _cut(self._who)
                if packet.pts is not None and packet.time_base:
                    end = packet.pts + (packet.duration or 0)
                    self._end_sec = max(self._end_sec, float(end * packet.time_base))
                yield from map(self._samples_of, packet.decode())
        except SdError:
            raise
        except (self._av.FFmpegError, ValueError, RuntimeError) as error:
            self._fail(error)

    def _samples_of(self, frame: Any) -> np.ndarray:
        form = (frame.sample_rate, len(frame.layout.channels))
        if not self.samplerate:
            self.samplerate, self.channels = form
        if form != (self.samplerate, self.channels):
            got = f"{form[0]} Hz and {form[1]} channels in the middle"
            need = f"{self.samplerate} Hz and {self.channels} channels as at the beginning"
            raise SdError(self._who, "sound", got=got, need=need, hint=f"Convert it: {CONVERT}")
        values = frame.to_ndarray()
        # A packed frame is one row of all channels.
        values = values.T if frame.format.is_planar else values.reshape(-1, self.channels)
        samples = values.astype(np.float64)
        zero, full = SCALES.get(frame.format.name.removesuffix("p"), (0, 1))
        return (samples - zero) / full if full > 1 else samples

    def _without_padding(
        self, first: np.ndarray, blocks: Iterator[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """Leave out what fills the last packet behind the length that the file states."""
        left = round(self._stream.duration * self._stream.time_base * self.samplerate)
        held = first[:0]
        for block in itertools.chain([first], blocks):
            joined = np.concatenate([held, block])
            is_end = 0 <= len(joined) - left <= MAX_PADDING
            keep = left if is_end else len(joined)
            held, left = joined[keep:], left - keep
            yield joined[:keep]

    def read(self, num_frames: int, **_: object) -> np.ndarray:
        """The next samples, shape (num_frames, num_channels); fewer only at the end."""
        blocks, num = [self._left], len(self._left)
        while num < num_frames and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            num += len(block)
        samples = np.concatenate(blocks)
        self._left = samples[num_frames:]
        return samples[:num_frames]

    def is_cut(self, num_frames: int) -> bool:
        """Whether the header promises more than the packets that came."""
        stream, tolerance_sec = self._stream, TOLERANCES_SEC.get(self._kind)
        if tolerance_sec is None:
            return False
        claim_sec = 0.0
        if stream.duration:
            claim_sec = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
        elif len(self._container.streams) == 1:
            claim_sec = (self._container.duration or 0) / 1e6
        return self._end_sec < claim_sec - tolerance_sec

    def _fail(self, error: Exception) -> NoReturn:
        got, need = repr(getattr(error, "strerror", None) or str(error)), "a whole file"
        hint = "It is damaged or cut short; copy it again"
        raise SdError(self._who, "sound", got=got, need=need, hint=hint) from None


def _short(decoder: str) -> str:
    """The name of a codec without that of the library, form or byte order of its decoder.

    Examples
    --------
    >>> [_short(name) for name in ("libopus", "mp3float", "pcm_s16le", "pcm_alaw", "amrnb")]
    ['opus', 'mp3', 'pcm_s16', 'alaw', 'amrnb']
    """
    name = decoder.removeprefix("libopencore_").removeprefix("lib")
    if name in PCM:
        return name[:-2]
    return (
        name.removesuffix("float")
        .removesuffix("_fixed")
        .replace("pcm_alaw", "alaw")
        .replace("pcm_mulaw", "mulaw")
    )


class _Bytes:
    """A file without a name, which stays open."""

    def __init__(self, file: BinaryIO):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _refuse_to_open(url: str, *_: object) -> NoReturn:
    raise PermissionError(1, f"this file names another one, {url}")


def _import_av(who: str, container: str) -> Any:
    """PyAV, which takes a tenth of a second, only when it is needed."""
    try:
        import av
    except ImportError:
        hint = f"Install it (pip install av), or convert: {CONVERT}"
        raise SdError(who, f"{container} is read by the package av", hint=hint) from None
    return av


def _cut(who: str) -> SdError:
    return SdError(who, "the file is cut short", need="more, as it says", hint="Copy it again")


def _check_size(who: str, file: BinaryIO, container: str) -> None:
    """Refuse a file that ends before it says, or goes on with another recording."""
    size = file.seek(0, io.SEEK_END)
    if container == "mp4":
        end = _end_of_boxes(who, file, size)
    elif container == "matroska":
        end = _end_of_segment(file, size)
    elif container == "asf":
        end = _end_of_asf(file, size)
    else:
        return
    if end > size:
        raise _cut(who)
    if 0 < end < size and container_of(read_at(file, end, HEAD_BYTES)) == container:
        raise _joined(who)


def _joined(who: str) -> SdError:
    hint = "Separate them"
    return SdError(who, "another recording follows the first in this file", hint=hint)


def _end_of_boxes(who: str, file: BinaryIO, size: int) -> int:
    """Place behind the boxes of an MP4."""
    at = num_films = 0
    for _ in range(MAX_BOXES):
        if at >= size:
            break
        head = read_at(file, at, 16).ljust(16, b"\0")
        if head[4:8] not in BOXES:
            break
        num_films += head[4:8] == b"moov"
        if num_films > 1:
            raise _joined(who)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0: until the end
            return size
        at += length
    return at


def _end_of_segment(file: BinaryIO, size: int) -> int:
    """Place behind the elements of a Matroska, as far as they state their sizes."""
    at = 0
    for _ in range(MAX_BOXES):
        if at >= size:
            break
        head = read_at(file, at, 12).ljust(12, b"\0")
        name_bytes = 9 - head[0].bit_length()  # the first bit tells the length of a number
        width = 9 - head[name_bytes].bit_length() if name_bytes <= 4 else 9
        if width > 8:
            return size  # no element; FFmpeg goes on if it can
        mask = (1 << 7 * width) - 1
        length = int.from_bytes(head[name_bytes : name_bytes + width], "big") & mask
        at += name_bytes + width
        if length == mask:
            continue  # of unknown size: a live segment or cluster, whose elements follow
        at += length
        if head[:4] == SEGMENT:
            return at
    return at


def _end_of_asf(file: BinaryIO, size: int) -> int:
    """Place behind the objects of an ASF: header, samples, indexes."""
    at = 0
    while at < size:
        head = read_at(file, at, 24)
        length = int.from_bytes(head[16:24], "little")
        if head[:16] not in ASF_OBJECTS[bool(at) :]:
            return at
        if length < 24:  # sent through a network, when nobody knew it
            return size
        at += length
    return at
