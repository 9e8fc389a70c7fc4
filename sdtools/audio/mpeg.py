"""Frames of MPEG audio, and tables of contents (Xing, Info, VBRI) that claim how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from sdtools.audio.containers import is_mpeg_frame, read_at

LAYER_III, LAYER_II = 1, 2
KBIT_RATES = {  # by layer, and whether it is MPEG-1
    (LAYER_III, True): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (LAYER_III, False): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (LAYER_II, True): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (LAYER_II, False): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MAX_JUNK_BYTES = 1 << 20  # between frames


@dataclass
class Frames:
    """The frames between two places of a file.

    Parameters
    ----------
    num_frames
        Whole frames; 0 if their length is unknown (free format).
    end
        Place before a last frame that is cut, at which libsndfile would fail; else the end.
    """

    num_frames: int
    end: int


def skip_tags(file: BinaryIO, at: int) -> int:
    """Place behind the ID3v2 tags that begin here."""
    while len(head := read_at(file, at, 10)) == 10 and head[:3] == b"ID3":
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
        at += 10 + size + (10 if head[5] & 16 else 0)
    return at


def find_frames(file: BinaryIO, at: int, end: int) -> Frames:
    """Go from frame to frame, over what is none between them."""
    num_frames = 0
    while at < end:
        head = read_at(file, at, 4)
        length = frame_bytes(head)
        if not length:
            if not num_frames or (at := _next_frame(file, at, end)) == end:
                break
            continue
        if at + length > end:
            return Frames(num_frames, at)
        num_frames += 1
        at += length
    return Frames(num_frames, end)


def _next_frame(file: BinaryIO, at: int, end: int) -> int:
    """Place of the next frame that another one follows; the end if there is none."""
    at = skip_tags(file, at)
    data = read_at(file, at, min(MAX_JUNK_BYTES, max(0, end - at)))
    i = data.find(b"\xff")
    while i >= 0:
        length = frame_bytes(data[i : i + 4])
        if length and frame_bytes(data[i + length : i + length + 4]):
            return at + i
        i = data.find(b"\xff", i + 1)
    return end


def frame_bytes(head: bytes) -> int:
    """Bytes of the frame whose header this is; 0 if it is none, or does not tell."""
    if not is_mpeg_frame(head):
        return 0
    version, layer, index = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4
    is_mpeg1 = version == 3
    if index == 0 or layer not in (LAYER_II, LAYER_III):
        return 0
    rate_hz = (44100, 48000, 32000)[head[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[version]
    bit_rate = 1000 * KBIT_RATES[layer, is_mpeg1][index - 1]
    slots = 144 if is_mpeg1 or layer == LAYER_II else 72
    return slots * bit_rate // rate_hz + (head[2] >> 1 & 1)


def find_table(head: bytes) -> tuple[int, int]:
    """Place in the first frame of a table of contents, and the frames that it claims; else 0, 0."""
    if head[36:40] == b"VBRI":
        return 36, int.from_bytes(head[50:54], "big")
    at = max(head.find(b"Xing", 4, 48), head.find(b"Info", 4, 48))
    flags = head[at + 7 : at + 8]
    if at < 0 or not flags or not flags[0] & 1:
        return 0, 0
    num_frames = int.from_bytes(head[at + 8 : at + 12], "big")
    return (at, num_frames) if num_frames else (0, 0)
