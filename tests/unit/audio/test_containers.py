"""Kinds of sound files by their first bytes."""

from io import BytesIO

import numpy as np
import pytest
import soundfile

from sdtools.audio.containers import HEAD_BYTES, container_of

WRITTEN = [
    "WAV",
    "WAVEX",
    "RF64",
    "AIFF",
    "AU",
    "FLAC",
    "OGG",
    "NIST",
    "W64",
    "CAF",
    "MP3",
    "VOC",
    "SVX",
    "PVF",
    "PAF",
]
SPOKEN = {  # first bytes of what recorders write and libsndfile does not
    "mp4": [
        b"\0\0\0\x1cftypM4A \0\0\0\0",
        b"\0\0\0\x18ftyp3gp4",
        b"\0\0\0\x14ftypqt  ",
        b"mmmmmoov",
    ],
    "matroska": [b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"],
    "amr": [b"#!AMR\n\x3c", b"#!AMR-WB\n\x44"],
    "asf": [b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"],
    "wavpack": [b"wvpk\x10\x04"],
    "aac": [b"\xff\xf1\x60\x40\x18\x9f\xfc\xde", b"\xff\xf9\x50\x80\x02\x1f\xfc"],
    "mp3": [
        b"ID3\x04\0\0\0\0\0\x23",
        b"\xff\xfb\x90\x64",
        b"\xff\xf3\x18\xc4",
        b"\xff\xe3\x18\xc4",
    ],
}
OTHERS = [
    b"",
    b"R",
    "Sehr geehrte Frau Müller,".encode(),
    "﻿anna-1 live/anna-1.wav".encode("utf-16"),  # FF FE, as Windows begins a text
    "anna".encode("utf-16-le"),
    b"utt1 ark:feats.ark:5\n",
    b"\xff\xd8\xff\xe0\0\x10JFIF",  # JPEG
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"RIFF\x24\x10\0\0WEBPVP8 ",  # a picture
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",  # a photograph of a phone
    b"RIFF\x24\x10\0\0AVI LIST",
    b"FORM\0\0\x10\x10ILBM",
    b"%PDF-1.7",
    b"PK\x03\x04",
    b"\x7fELF\x02\x01\x01",
    b"#!/usr/bin/env bash",
    b"\xff" * HEAD_BYTES,
    bytes(HEAD_BYTES),
]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_libsndfile_writes(kind):
    file = BytesIO()
    subtype = {"SVX": "PCM_16", "PAF": "PCM_16"}.get(kind)
    soundfile.write(file, np.zeros(1000), 16000, format=kind, subtype=subtype)
    name = {"WAVEX": "wav"}.get(kind, kind.lower())
    assert container_of(file.getvalue()[:HEAD_BYTES]) == name


@pytest.mark.parametrize("name", SPOKEN)
def test_what_recorders_write(name):
    assert {container_of(head) for head in SPOKEN[name]} == {name}


@pytest.mark.parametrize("head", OTHERS, ids=repr)
def test_texts_pictures_and_programs_are_no_sounds(head):
    assert container_of(head) == ""
    assert container_of(head.ljust(HEAD_BYTES, b"\0")) == ""


def test_random_bytes_are_seldom_a_sound():
    heads = np.random.default_rng(1).integers(0, 256, (100000, HEAD_BYTES), np.uint8)
    assert sum(bool(container_of(head.tobytes())) for head in heads) < 50
