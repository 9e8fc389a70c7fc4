"""What counts as the samples of a recording, and how many frames they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from sdtools.errors import SdError

MAX_PEAK = 8.0
"""Lossy decoders exceed full scale, 1, by up to a half; 16-bit values peak in the thousands."""


def check_samples(samples: np.ndarray | Sequence[float], who: str = "samples") -> np.ndarray:
    """The samples of one channel as float64. Every extractor checks its input here.

    Parameters
    ----------
    samples : (num_samples,) array or list of floats
        Full scale is 1.
    who
        Name of the argument for messages.

    Returns
    -------
    (num_samples,) float64
        The same numbers; the same array if it is float64 already.

    Raises
    ------
    SdError
        If they are not floating point, not one channel, empty, not finite, or louder than
        `MAX_PEAK`.

    Examples
    --------
    >>> check_samples([0.5, -0.5])
    array([ 0.5, -0.5])
    >>> import numpy as np
    >>> check_samples(np.array([16384, -16384], np.int16) / 32768)
    array([ 0.5, -0.5])
    """
    try:
        array = np.asarray(samples)
    except ValueError:
        raise SdError(who, "type", got="uneven lists", need="one list of numbers") from None
    if array.size == 0:
        raise SdError(who, "number of samples", got=0, need="1 or more")
    if array.dtype.kind != "f":
        bits = {"int32": 31, "int8": 7}.get(array.dtype.name, 15)
        hint = f"Divide by full scale: samples / {2**bits}" if array.dtype.kind == "i" else ""
        raise SdError(who, "type", got=array.dtype, need="floating point", hint=hint)
    if array.ndim != 1:
        hint = "Take one channel: samples[:, 0]"
        raise SdError(who, "shape", got=array.shape, need="(num_samples,), one channel", hint=hint)
    peak = max(array.max(), -array.min())
    if not np.isfinite(peak):
        index = int(np.flatnonzero(~np.isfinite(array))[0])
        got, hint = array[index], "Repair the recording"
        raise SdError(who, f"sample {index}", got=got, need="a finite number", hint=hint)
    if peak > MAX_PEAK:
        hint = hint_of_peak(peak) or "Full scale is 1: divide 16-bit values by 32768"
        raise SdError(who, "peak", got=f"{peak:g}", need=f"at most {MAX_PEAK:g}", hint=hint)
    return array.astype(np.float64, copy=False)


def hint_of_peak(peak: float) -> str:
    """What to do about a recording that is this loud; empty if the reason is not known.

    Examples
    --------
    >>> hint_of_peak(20345.0), hint_of_peak(1e30)
    ('It looks like 16-bit integers stored as floats: divide by 32768', '')
    """
    for bits in (16, 24, 32):
        # Speech peaks 2 to 50 dB below full scale, and a filter may lift it a little above.
        if 2 ** (bits - 9) <= peak <= 1.5 * 2 ** (bits - 1):
            integers = f"{bits}-bit integers stored as floats"
            return f"It looks like {integers}: divide by {2 ** (bits - 1)}"
    return ""


def num_frames(num_samples: int, frame_length: int, frame_shift: int) -> int:
    """Whole frames in a signal: nothing is padded, 0 if it is shorter than a frame."""
    return 0 if num_samples < frame_length else 1 + (num_samples - frame_length) // frame_shift


def count_frames(num_samples: int, frame_length: int, frame_shift: int) -> int:
    """`num_frames`, 1 or more.

    Raises
    ------
    SdError
        If the recording is shorter than one frame.
    """
    if num_samples < frame_length:
        need = f"at least {frame_length}, one frame"
        hint = "Leave this recording out"
        raise SdError("samples", "number of samples", got=num_samples, need=need, hint=hint)
    return num_frames(num_samples, frame_length, frame_shift)


def check_frame_lengths(frame_length: int, frame_shift: int) -> tuple[int, int]:
    """Both lengths in samples.

    Raises
    ------
    SdError
        If a frame has less than two samples, or starts where the one before it does.
    """
    if frame_shift < 1 or frame_length < 2:
        got, need = f"{frame_length} samples every {frame_shift}", "2 or more every 1 or more"
        raise SdError("--frame-length-ms, --frame-shift-ms", got=got, need=need)
    return frame_length, frame_shift


def check_features(features: Sequence[str], choices: Sequence[str]) -> tuple[str, ...]:
    """The names of the features that an extractor is to compute.

    Raises
    ------
    SdError
        If there is none, an unknown one, or one twice.
    """
    names = tuple(features)
    if not names or len(set(names)) < len(names) or not set(names) <= set(choices):
        need = f"one or more of {', '.join(choices)}, each once"
        raise SdError("--features", got=repr(",".join(names)), need=need)
    return names


def check_positive(options: object, *names: str) -> None:
    """Refuse options that are not above 0."""
    for name in names:
        if not getattr(options, name) > 0:
            _refuse(options, name, "more than 0")


def check_natural(options: object, *names: str) -> None:
    """Refuse options below 1."""
    for name in names:
        if getattr(options, name) < 1:
            _refuse(options, name, "1 or more")


def _refuse(options: object, name: str, need: str) -> NoReturn:
    raise SdError(f"--{name.replace('_', '-')}", got=getattr(options, name), need=need)
