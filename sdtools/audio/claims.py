"""What the header of a sound file claims, and how libsndfile reads to the end in spite of it.

libsndfile stops at the number of frames that a header claims, or that it estimates:

- what was written into a pipe claims no number, 0 or -1, in FLAC, AIFF, CAF and RF64;
- the data chunk of a WAV may claim 0 bytes, or fewer than there are, and FLAC a wrong number;
- of an MP3 without a table of contents (Xing, Info, VBRI), libsndfile estimates the number from the
  first frame and the size of the file, too low or too high; MP3 inside a WAV likewise; of several
  MP3 in one file, the table tells the frames of the first.

So libsndfile gets a view of the file whose claim never is too low, and the caller compares the
frames that came with the claim.
"""

from __future__ import annotations

import io
import os
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import soundfile

from sdtools.audio.containers import HEAD_BYTES, container_of, is_mpeg_frame, read_at
from sdtools.audio.mpeg import find_frames, find_table, skip_tags

STREAM_BYTES = 0x7FFFF000  # in a WAV header, this size or more means "written into a pipe"
MAX_FRAMES = 1 << 40  # a header with more does not know the length
ENDLESS_BYTES = 1 << 40  # added to the size of a view that must not look too short
TAG_BYTES = 128  # read at the end of every MP3: title and artist
MAX_CHUNKS = 1000  # before the samples; more are a damaged file
MAX_PAGES = 1 << 22  # of Ogg
MP3_IN_WAV = 0x55
CODECS = {  # by libsndfile's name, if ours is not the same in small letters
    "PCM_S8": "pcm_s8",
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16",
    "PCM_24": "pcm_s24",
    "PCM_32": "pcm_s32",
    "FLOAT": "pcm_f32",
    "DOUBLE": "pcm_f64",
    "ULAW": "mulaw",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
    "GSM610": "gsm",
}


class Chunks(NamedTuple):
    """How the chunks of a format are written."""

    first: int  # place of the first chunk
    name_bytes: int
    size_form: str
    counts_head: bool  # whether the size is that of the head, too
    step: int  # chunks begin at its multiples
    data: bytes  # how the name of the samples' chunk begins
    stream_size: int  # this size or more means "written into a pipe", as 0 does


CHUNKS = {
    "aiff": Chunks(12, 4, ">I", False, 2, b"SSND", 0x7F000000),
    "caf": Chunks(8, 4, ">Q", False, 1, b"data", 1 << 62),
    "w64": Chunks(40, 16, "<Q", True, 8, b"data", 1 << 62),
    "rf64": Chunks(12, 4, "<I", False, 2, b"data", 0xFFFFFFFF),
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
    is_joined
        Whether another recording follows.
    container
        The kind of sound file.
    """

    num_frames: int | None = None
    is_counted: bool = True
    first: int = 0
    end: int = 0
    patches: dict[int, bytes] = field(default_factory=dict)
    is_endless: bool = False
    is_short: bool = False
    is_joined: bool = False
    container: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether libsndfile shall see anything else than the file."""
        return bool(self.first or self.patches or self.is_endless)


def read_claim(file: BinaryIO) -> Claim:
    """Read what the header of a sound file claims."""
    end = file.seek(0, io.SEEK_END)
    start = skip_tags(file, 0)
    head = read_at(file, start, HEAD_BYTES)
    container = container_of(head)
    claim = _claim_of(file, container, start, head, end)
    claim.container = container
    return claim


def _claim_of(file: BinaryIO, container: str, start: int, head: bytes, end: int) -> Claim:
    if container == "flac":
        # 36 bits of STREAMINFO, which is the first block; 0 is "unknown".
        total = int.from_bytes(head[21:26].ljust(5, b"\0"), "big")
        unknown = (total >> 36 << 36).to_bytes(5, "big")
        return Claim(total % (1 << 36) or None, end=end, patches={start + 21: unknown})
    if container == "nist":
        count = re.search(rb"\nsample_count -i (\d+)\s", read_at(file, start, 1024))
        return Claim(int(count[1]) if count else None, end=end)
    if container == "mp3":
        return _claim_of_mp3(file, 0, end)
    if container == "wav":
        return _claim_of_wav(file, "<" if head[:4] == b"RIFF" else ">", end)
    if container == "ogg":
        return _claim_of_ogg(file, start, end)
    if container == "au":
        return _claim_of_au(file, head, end)
    if container in CHUNKS:
        return _claim_of_chunks(file, container, end)
    return Claim(is_counted=False, end=end)


def _claim_of_mp3(file: BinaryIO, first: int, end: int) -> Claim:
    """The claim of a table of contents, which libsndfile reads, or none."""
    start = skip_tags(file, first)
    head = read_at(file, start, HEAD_BYTES)
    place, num_claimed = find_table(head)
    frames = find_frames(file, start, end)
    if not place:
        return Claim(first=first, end=frames.end, is_endless=True)
    if frames.num_frames > 1 + num_claimed:  # without its name, the table is a frame of silence
        patches = {start + place: bytes(4)}
        return Claim(first=first, end=frames.end, is_endless=True, patches=patches)
    claim = Claim(is_counted=False, first=first, end=end)
    if frames.num_frames <= num_claimed and head[place + 7] & 2 and head[place : place + 1] != b"V":
        # libsndfile's decoder prints a warning if the number of bytes is wrong.
        claim.patches = {start + place + 12: struct.pack(">I", (end - start) & 0xFFFFFFFF)}
    return claim


def _claim_of_ogg(file: BinaryIO, at: int, end: int) -> Claim:
    """Ogg claims nothing; but its pages show where one is cut, and where another stream begins."""
    claim, has_begun = Claim(is_counted=False, end=end), False
    for _ in range(MAX_PAGES):
        head = read_at(file, at, 27 + 255)
        if head[:4] != b"OggS":
            break
        is_first = len(head) > 5 and head[5] & 2 > 0
        claim.is_joined |= is_first and has_begun
        has_begun |= not is_first
        sizes = head[27 : 27 + head[26]] if len(head) > 26 else b""
        at += 27 + len(sizes) + sum(sizes)
        if at > end or len(head) < 27 + len(sizes):
            claim.is_short = True
            break
    return claim


def _claim_of_au(file: BinaryIO, head: bytes, end: int) -> Claim:
    order = ">" if head[:1] == b"." else "<"
    first, size = struct.unpack(f"{order}II", head[4:12].ljust(8, b"\0"))
    claim = Claim(is_counted=False, end=end)
    if size == 0 and first < end:
        claim.patches = {8: b"\xff" * 4}
    claim.is_joined = _is_sound(file, first + size, end)
    return claim


def _is_sound(file: BinaryIO, at: int, end: int) -> bool:
    """Whether another recording begins here."""
    return at < end and bool(container_of(read_at(file, at, HEAD_BYTES)))


def _claim_of_chunks(file: BinaryIO, container: str, end: int) -> Claim:
    """The claim of the chunk of samples, and that of others which repeat it."""
    form, at = CHUNKS[container], CHUNKS[container].first
    claim, found = Claim(is_counted=False, end=end), {}
    size_bytes = struct.calcsize(form.size_form)
    head_bytes = form.name_bytes + size_bytes
    for _ in range(MAX_CHUNKS):
        head = read_at(file, at, head_bytes)
        if len(head) < head_bytes:
            return claim
        size = struct.unpack(form.size_form, head[form.name_bytes :])[0]
        size -= head_bytes if form.counts_head else 0
        found[head[:4]] = at + head_bytes
        if head.startswith(form.data):
            break
        if not 0 <= size <= end:
            return claim
        at = -(-(at + head_bytes + size) // form.step) * form.step
    else:
        return claim
    first = at + head_bytes
    if container == "rf64" and b"ds64" in found and size >= form.stream_size:
        size = struct.unpack("<Q", read_at(file, found[b"ds64"] + 8, 8).ljust(8, b"\0"))[0]
        is_stream = size in (0, (1 << 64) - 1)
    else:
        is_stream = size <= 0 or size >= form.stream_size
    if not is_stream:
        claim.is_short = first + size > end
        claim.is_joined = _is_sound(file, -(-(first + size) // form.step) * form.step, end)
        return claim
    num_bytes = end - first
    if container == "rf64":
        claim.patches = _rf64_of(file, found, num_bytes)
    elif container == "aiff":
        claim.patches = _aiff_of(file, found.get(b"COMM", 0), first, num_bytes)
    else:
        size = num_bytes + (head_bytes if form.counts_head else 0)
        claim.patches = {first - size_bytes: struct.pack(form.size_form, size)}
    return claim


def _rf64_of(file: BinaryIO, found: dict[bytes, int], num_bytes: int) -> dict[int, bytes]:
    """The places in which an RF64 states the bytes and the number of its frames."""
    if not {b"ds64", b"fmt "} <= set(found):
        return {}
    frame_bytes = int.from_bytes(read_at(file, found[b"fmt "] + 12, 2), "little") or 1
    numbers = struct.pack("<QQ", num_bytes, num_bytes // frame_bytes)
    return {found[b"ds64"] + 8: numbers}


def _aiff_of(file: BinaryIO, common: int, first: int, num_bytes: int) -> dict[int, bytes]:
    """The three places in which an AIFF states its length; none if samples may be coded."""
    head = read_at(file, common, 22).ljust(22, b"\0")
    num_channels, _, num_bits = struct.unpack(">HIH", head[:8])
    is_plain = read_at(file, 8, 4) == b"AIFF" or head[18:22] in (b"NONE", b"sowt")
    frame_bytes = num_channels * -(-num_bits // 8)
    if not common or not is_plain or not frame_bytes:
        return {}
    num_frames = (num_bytes - 8) // frame_bytes  # 8 for offset and block size
    numbers = {4: first + num_bytes - 8, common + 2: num_frames, first - 4: num_bytes}
    return {place: struct.pack(">I", number & 0xFFFFFFFF) for place, number in numbers.items()}


def _claim_of_wav(file: BinaryIO, order: str, end: int) -> Claim:
    """The claim of a data chunk; libsndfile reads it unless it is too small."""
    tag, at, size = 0, 12, 0
    for _ in range(MAX_CHUNKS):
        head = read_at(file, at, 10)
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
    riff_size = struct.unpack(f"{order}I", read_at(file, 4, 4))[0]
    is_riff_size_known = size and 0 < riff_size < STREAM_BYTES
    riff_end = min(8 + riff_size, end) if is_riff_size_known else end
    patches = {}
    if stop < riff_end and not any(_is_chunk(file, order, stop + i, riff_end) for i in (0, 1)):
        stop = riff_end
        patches[at + 4] = struct.pack(f"{order}I", min(stop - first, 0xFFFFFFFF))
    if tag == MP3_IN_WAV and is_mpeg_frame(read_at(file, first, 4)):
        claim = _claim_of_mp3(file, first, stop)
        claim.is_short = stop < at + 8 + size < STREAM_BYTES
        return claim
    return Claim(is_counted=False, end=end, patches=patches)


def _is_name(name: bytes) -> bool:
    """Whether a chunk can have this name."""
    return name.isascii() and name.decode().isprintable()


def _is_chunk(file: BinaryIO, order: str, at: int, end: int) -> bool:
    """Whether a chunk stands here that ends with the others, or nothing but padding."""
    head = read_at(file, at, 8)
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
        if place < 0:
            return 0
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
    codec, is_lossy
        A short name such as pcm_s16, flac or mp3, and whether it loses a part of the sound.
    is_counted
        Whether only decoding to the end tells the number of frames.
    claimed_frames
        The number that the header promises; None if it does not.
    view
        What libsndfile sees, if that is not the file.
    """

    def __init__(self, file: BinaryIO, claim: Claim):
        # What is in memory cannot seek before its beginning, as libsndfile asks of damaged sounds.
        self.view = View(file, claim) if claim.is_changed or not hasattr(file, "name") else None
        file.seek(0)
        # soundfile refuses a str that is not UTF-8.
        super().__init__(self.view or os.fsencode(file.name))
        is_known = not claim.is_counted and self.frames < MAX_FRAMES
        self.is_counted, self._is_short = not is_known, claim.is_short
        self.claimed_frames = self.frames if is_known else claim.num_frames

    @property
    def codec(self) -> str:
        """The codec of the samples."""
        return "flac" if self.format == "FLAC" else CODECS.get(self.subtype, self.subtype.lower())

    @property
    def is_lossy(self) -> bool:
        """Whether the codec loses a part of the sound."""
        return not self.codec.startswith(("pcm_", "flac", "alac_"))

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
