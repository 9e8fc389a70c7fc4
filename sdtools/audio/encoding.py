"""Samples as sound files, and as lossy codecs give them back."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from sdtools.errors import SdError
from sdtools.files import open_whole

BLOCK_FRAMES = 1 << 16  # written at once: libvorbis overflows on millions
CODECS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "alaw": ("WAV", "ALAW"),
}


def write_audio(path: str | os.PathLike[str], samples: np.ndarray, rate_hz: int) -> None:
    """Write a 16-bit PCM WAV: sample k/32768 becomes k, and 1 becomes 32767.

    A file of the same bytes is left with its time, so that results made from it stay up to date.

    Parameters
    ----------
    samples
        Shape (num_samples,), within -1..1.

    Raises
    ------
    SdError
        If there are no samples, several channels, or samples beyond full scale; no file appears.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or not len(samples):
        need = "(num_samples,) with at least one sample"
        raise SdError(path, "shape of the samples", got=samples.shape, need=need)
    peak = np.abs(samples).max()
    if not peak <= 1:
        hint = "Scale the sound down"
        raise SdError(path, "peak of the samples", got=f"{peak:.4g}", need="at most 1", hint=hint)
    buffer = BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="PCM_16")
    path, data = Path(path), buffer.getbuffer()
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with open_whole(path) as file:
        file.write(data)


def code(samples: np.ndarray, rate_hz: int, codec: str) -> np.ndarray:
    """Encode and decode samples by a codec of `CODECS`.

    Parameters
    ----------
    samples
        Shape (num_samples,), within -1..1.

    Returns
    -------
    np.ndarray
        Shape (num_decoded,), float64: a codec may add or lose a few samples at the end, and go a
        little beyond full scale.

    Raises
    ------
    SdError
        If the codec does not have this sample rate.
    """
    kind, subtype = CODECS[codec]
    buffer = BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", rate_hz, 1, format=kind, subtype=subtype) as sound:
            for start in range(0, len(samples), BLOCK_FRAMES):
                sound.write(samples[start : start + BLOCK_FRAMES])
        buffer.seek(0)
        return soundfile.read(buffer)[0]
    except soundfile.SoundFileError as error:
        what = f"this codec does not have this sample rate ({error})"
        hint = "Leave it out of --codecs"
        raise SdError(f"codec {codec}", what, got=f"{rate_hz} Hz", hint=hint) from None
