"""Which kind of sound file the first bytes of a file begin."""

from __future__ import annotations

from typing import BinaryIO

HEAD_BYTES = 64  # as many as `container_of` looks at
BRANDS_OF_PICTURES = {b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
MAGICS = [  # (place, bytes, name)
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"NIST_1A", "nist"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (0, b"caff", "caf"),
    (0, b".snd", "au"),
    (0, b"dns.", "au"),
    (0, b"ID3", "mp3"),
    (0, b"#!AMR", "amr"),
    (0, b"wvpk", "wavpack"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"Creative Voice File\x1a", "voc"),
    (0, b"ALawSoundFile**", "wve"),
    (0, b"PVF1\n", "pvf"),
    (0, b" paf", "paf"),
    (0, b"fap ", "paf"),
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
]
FORMS = {  # first and third word of four bytes, between which a size stands
    (b"RIFF", b"WAVE"): "wav",
    (b"RIFX", b"WAVE"): "wav",
    (b"RF64", b"WAVE"): "rf64",
    (b"BW64", b"WAVE"): "rf64",
    (b"FORM", b"AIFF"): "aiff",
    (b"FORM", b"AIFC"): "aiff",
    (b"FORM", b"8SVX"): "svx",
    (b"FORM", b"16SV"): "svx",
}


def container_of(head: bytes) -> str:
    """Return the kind of a sound file by its first `HEAD_BYTES` bytes, "" if it is none.

    A film is a sound file, too; `mp4` is also m4a, 3gp and QuickTime, `matroska` also webm.

    Examples
    --------
    >>> container_of(b"fLaC" + bytes(60)), container_of(b"Dear Anna,")
    ('flac', '')
    """
    if form := FORMS.get((head[:4], head[8:12])):
        return form
    for place, magic, name in MAGICS:
        if head.startswith(magic, place):
            return "" if head[8:12] in BRANDS_OF_PICTURES else name
    if is_mpeg_frame(head):
        return "mp3"
    return "aac" if _is_adts_frame(head) else ""


def read_at(file: BinaryIO, at: int, num_bytes: int) -> bytes:
    """Bytes at a place of a file, fewer at its end."""
    file.seek(at)
    return file.read(num_bytes)


def is_mpeg_frame(head: bytes) -> bool:
    """Whether a header of an MPEG audio frame stands first.

    FF FE is the byte order mark of text, and layer I with a checksum, which nobody writes.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] == 0xFE:
        return False
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2
    is_known = version != 1 and layer != 0 and bitrate != 15 and rate & 3 != 3
    return is_known and head[3] & 3 != 2


def _is_adts_frame(head: bytes) -> bool:
    """Whether a header of an AAC frame in a stream (ADTS) stands first."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return False
    num_bytes = int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF
    return head[2] >> 2 & 15 < 13 and num_bytes > 7
