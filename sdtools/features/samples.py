"""The door of every extractor: what counts as the samples of a recording, and its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdtools.errors import SdError

MAX_PEAK = 8.0
"""Lossy decoders exceed full scale, 1, by up to a half; 16-bit values peak in the thousands."""


def check_samples(samples: np.ndarray | Sequence[float], who: str = "samples") -> np.ndarray:
    """The samples of one channel as float64.

    Parameters
    ----------
    samples : (num_samples,) array or list of floats
        Full scale is 1.
    who
        Name of the argument in messages.

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
    >>> check_samples(np.array([16384, -16384], np.int16))
    Traceback (most recent call last):
    sdtools.errors.SdError: samples: type: expected floating point, found int16. \
Divide by full scale: samples / 32768.
    """
    try:
        array = np.asarray(samples)
    except ValueError:  # lists of different lengths
        raise SdError(who, "type", got="uneven lists", need="one list of numbers") from None
    if array.size == 0:
        raise SdError(who, "number of samples", got=0, need="1 or more")
    if array.dtype.kind in "iu":
        full_scale = (
            2 ** (8 * array.dtype.itemsize - 1) if isinstance(samples, np.ndarray) else 32768
        )
        hint = f"Divide by full scale: samples / {full_scale}"
        raise SdError(who, "type", got=array.dtype, need="floating point", hint=hint)
    if array.dtype.kind != "f":
        raise SdError(who, "type", got=array.dtype, need="floating point")
    if array.ndim != 1:
        hint = "Take one channel: samples[:, 0]"
        raise SdError(who, "shape", got=array.shape, need="(num_samples,), one channel", hint=hint)
    peak = max(array.max(), -array.min())
    if not peak <= MAX_PEAK:
        if len(unusable := np.flatnonzero(~np.isfinite(array))):
            index = unusable[0]
            hint = "Repair the recording"
            raise SdError(
                who, f"sample {index}", got=array[index], need="a finite number", hint=hint
            )
        hint = "Scale the samples so that full scale is 1; divide 16-bit values by 32768"
        raise SdError(who, "peak", got=f"{peak:g}", need=f"at most {MAX_PEAK:g}", hint=hint)
    return array.astype(np.float64, copy=False)


def count_frames(num_samples: int, length: int, shift: int) -> int:
    """Whole frames of `length` samples in a recording, 1 or more; nothing is padded.

    Raises
    ------
    SdError
        If the recording is shorter than one frame.
    """
    if num_samples < length:
        need = f"at least {length}, one frame"
        hint = "Leave this recording out"
        raise SdError("samples", "number of samples", got=num_samples, need=need, hint=hint)
    return 1 + (num_samples - length) // shift


def check_choice(features: Sequence[str], choices: Sequence[str]) -> tuple[str, ...]:
    """The names of the features that an extractor shall compute.

    Raises
    ------
    SdError
        If there is none, an unknown one, or one twice.
    """
    names = tuple(features)
    if not names or len(set(names)) < len(names) or not set(names) <= set(choices):
        need = f"one or more of {', '.join(choices)}, each once"
        raise SdError("features", got=repr(",".join(names)), need=need)
    return names
