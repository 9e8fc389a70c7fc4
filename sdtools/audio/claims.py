"""What the header of a sound file claims, and how libsndfile reads to the end in spite of it.

libsndfile stops at the number of frames that a header claims, or that it estimates:

- FLAC that was written into a pipe claims no number, and some files claim a wrong one;
- the data chunk of a WAV may claim 0 bytes, or fewer than there are;
- of an MP3 without a table of contents (Xing, Info, VBRI), libsndfile estimates the number from the
  first frame and the size of the file, too low or too high; MP3 inside a WAV likewise.

So libsndfile gets a view of the file whose claim never is too low, and the caller compares the
frames that came with the claim.
"""

from __future__ import annotations

import io
import os
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import soundfile

from sdtools.audio.containers import is_mpeg_frame

STREAM_BYTES = 0x7FFFF000  # in a WAV header, this size or more means "written into a pipe"
MAX_FRAMES = 1 << 40  # a header with more does not know the length
ENDLESS_BYTES = 1 << 40  # added to the size of a view that must not look too short
TAG_BYTES = 128  # read at the end of every MP3: title and artist
MAX_CHUNKS = 1000  # before the samples of a WAV; more are a damaged file
MP3_IN_WAV = 0x55
KBIT_RATES = {  # of layer III, by whether it is MPEG-1
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass
class Claim:
    """What a header claims, and the part of the file that libsndfile shall see.

    Parameters
    ----------
    num_frames
        The claim; None if there is none.
    is_counted
        Whether libsndfile has no better number, so that only decoding tells the true one.
    first, end
        Bytes of the file that libsndfile sees.
    patches
        Bytes that it sees at places of the file instead of those there.
    is_endless
        Whether it sees far more bytes behind them.
    is_short
        Whether the file ends before its header says.
    """

    num_frames: int | None = None
    is_counted: bool = True
    first: int = 0
    end: int = 0
    patches: dict[int, bytes] = field(default_factory=dict)
    is_endless: bool = False
    is_short: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether libsndfile shall see anything else than the file."""
        return bool(self.first or self.patches or self.is_endless)


def read_claim(file: BinaryIO) -> Claim:
    """Read what the header of a sound file claims."""
    end = file.seek(0, io.SEEK_END)
    start = _skip_tags(file, 0)
    head = _read(file, start, 64)
    if head[:4] == b"fLaC":
        # 36 bits of STREAMINFO, which is the first block; 0 is "unknown".
        total = int.from_bytes(head[21:26].ljust(5, b"\0"), "big")
        unknown = (total >> 36 << 36).to_bytes(5, "big")
        return Claim(total % (1 << 36) or None, end=end, patches={start + 21: unknown})
    if head[:7] == b"NIST_1A":
        count = re.search(rb"\nsample_count -i (\d+)\s", _read(file, start, 1024))
        return Claim(int(count[1]) if count else None, end=end)
    if is_mpeg_frame(head):
        return _claim_of_mp3(file, 0, end)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return _claim_of_wav(file, "<" if head[:4] == b"RIFF" else ">", end)
    return Claim(is_counted=False, end=end)


def _read(file: BinaryIO, at: int, num_bytes: int) -> bytes:
    file.seek(at)
    return file.read(num_bytes)


def _skip_tags(file: BinaryIO, at: int) -> int:
    """Place behind the ID3v2 tags at the beginning."""
    while len(head := _read(file, at, 10)) == 10 and head[:3] == b"ID3":
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
        at += 10 + size + (10 if head[5] & 16 else 0)
    return at


def _claim_of_mp3(file: BinaryIO, first: int, end: int) -> Claim:
    """The claim of a table of contents, which libsndfile reads, or none."""
    start = _skip_tags(file, first)
    head = _read(file, start, 64)
    at = max(head.find(b"Xing", 4, 48), head.find(b"Info", 4, 48))
    has_count = any(flags & 1 for flags in head[at + 7 : at + 8]) and any(head[at + 8 : at + 12])
    if (at > 0 and has_count) or head[36:40] == b"VBRI":
        return Claim(is_counted=False, first=first, end=end)
    return Claim(first=first, end=_end_of_frames(file, start, end), is_endless=True)


def _end_of_frames(file: BinaryIO, at: int, end: int) -> int:
    """Place before a last frame that is cut, at which libsndfile would fail; else the end."""
    while at < end:
        head = _read(file, at, 4)
        length = _frame_bytes(head) if is_mpeg_frame(head) else 0
        if length == 0:
            return end
        if at + length > end:
            return at
        at += length
    return end


def _frame_bytes(head: bytes) -> int:
    """Bytes of a frame of layer III; 0 of others."""
    version, layer, index = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4
    if layer != 1 or index == 0:
        return 0
    is_mpeg1 = version == 3
    rate_hz = (44100, 48000, 32000)[head[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[version]
    bit_rate = 1000 * KBIT_RATES[is_mpeg1][index - 1]
    return (144 if is_mpeg1 else 72) * bit_rate // rate_hz + (head[2] >> 1 & 1)


def _claim_of_wav(file: BinaryIO, order: str, end: int) -> Claim:
    """The claim of a data chunk; libsndfile reads it unless it is too small."""
    tag, at, size = 0, 12, 0
    for _ in range(MAX_CHUNKS):
        head = _read(file, at, 10)
        if len(head) < 8 or not _is_name(head[:4]):
            return Claim(is_counted=False, end=end)
        size = struct.unpack(f"{order}I", head[4:8])[0]
        if head[:4] == b"data":
            break
        if head[:4] == b"fmt " and len(head) == 10:
            tag = struct.unpack(f"{order}H", head[8:])[0]
        at += 8 + size + size % 2
    else:
        return Claim(is_counted=False, end=end)
    first, stop = at + 8, min(at + 8 + size, end)
    riff_size = struct.unpack(f"{order}I", _read(file, 4, 4))[0]
    is_riff_size_known = size and 0 < riff_size < STREAM_BYTES
    riff_end = min(8 + riff_size, end) if is_riff_size_known else end
    patches = {}
    if stop < riff_end and not any(_is_chunk(file, order, stop + i, riff_end) for i in (0, 1)):
        stop = riff_end
        patches[at + 4] = struct.pack(f"{order}I", min(stop - first, 0xFFFFFFFF))
    if tag == MP3_IN_WAV and is_mpeg_frame(_read(file, first, 4)):
        claim = _claim_of_mp3(file, first, stop)
        claim.is_short = stop < at + 8 + size < STREAM_BYTES
        return claim
    return Claim(is_counted=False, end=end, patches=patches)


def _is_name(name: bytes) -> bool:
    """Whether a chunk can have this name."""
    return name.isascii() and name.decode().isprintable()


def _is_chunk(file: BinaryIO, order: str, at: int, end: int) -> bool:
    """Whether a chunk stands here that ends with the others, or nothing but padding."""
    head = _read(file, at, 8)
    if at + 1 >= end:
        return True
    if len(head) < 8 or not _is_name(head[:4]):
        return False
    return at + 8 + struct.unpack(f"{order}I", head[4:])[0] <= end


class View:
    """The bytes of a file as its claim shows them; what soundfile needs of a file.

    An error of the system is kept in `error`, because it cannot pass through libsndfile.
    """

    def __init__(self, file: BinaryIO, claim: Claim):
        self._file, self._position, self.claim = file, 0, claim
        self._size = claim.end - claim.first
        self._claimed_size = self._size + (ENDLESS_BYTES if claim.is_endless else 0)
        self.error: OSError | None = None

    def readinto(self, buffer: bytearray) -> int:
        """Read into a buffer; return the number of bytes."""
        place, room = self._position, memoryview(buffer).cast("B")
        if place >= self._size:
            # A tag without a title at the claimed end, nothing in between.
            is_tag = self.claim.is_endless and place >= self._claimed_size - TAG_BYTES
            num_bytes = min(len(room), self._claimed_size - place) if is_tag else 0
            room[:num_bytes] = bytes(num_bytes)
        else:
            num_bytes = self._read_file(place, room[: self._size - place])
        self._position += num_bytes
        return num_bytes

    def _read_file(self, place: int, room: memoryview) -> int:
        start = self.claim.first + place
        try:
            self._file.seek(start)
            num_bytes: int = self._file.readinto(room)  # type: ignore[attr-defined]
        except OSError as error:
            self.error = error
            return 0
        for at, patch in self.claim.patches.items():
            for i in range(max(at, start), min(at + len(patch), start + num_bytes)):
                room[i - start] = patch[i - at]
        return num_bytes

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._position = offset + (0, self._position, self._claimed_size)[whence]
        return self._position

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position


class Stream(soundfile.SoundFile):
    """A sound that is read once, from its beginning to its end.

    Attributes
    ----------
    is_counted
        Whether only decoding to the end tells the number of frames.
    claimed_frames
        The number that the header promises; None if it does not.
    view
        What libsndfile sees, if that is not the file.
    """

    def __init__(self, file: BinaryIO):
        claim = read_claim(file)
        self.view = View(file, claim) if claim.is_changed else None
        file.seek(0)
        path = getattr(file, "name", None)
        # soundfile refuses a str that is not UTF-8.
        super().__init__(self.view or (file if path is None else os.fsencode(path)))
        is_known = not claim.is_counted and self.frames < MAX_FRAMES
        self.is_counted, self._is_short = not is_known, claim.is_short
        self.claimed_frames = self.frames if is_known else claim.num_frames

    def seekable(self) -> bool:
        """Return False: else soundfile seeks after every read, which harms the decoding of MP3."""
        return False

    def is_cut(self, num_frames: int) -> bool:
        """Whether the header promises more than the frames that came."""
        # libsndfile's log on headers of WAV, AIFF and AU that promise more than the file has
        sizes = re.findall(r"ata[^:\n]*: (\d+) \(should be", self.extra_info)
        is_short = self._is_short or any(int(size) < STREAM_BYTES for size in sizes)
        is_short = is_short or "rame count" in self.extra_info
        return is_short or num_frames < (self.claimed_frames or 0)
