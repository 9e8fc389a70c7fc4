"""Digital silence: frames whose samples all have the same value, and features without them.

No microphone gives the same value for a whole frame. Such frames were muted, padded or lost: zeros
in most files, another constant behind some codecs. Their features lie at a floor, far from all
others, so that a few of them decide mean and variance of the whole utterance. Frames that overlap
them are partly silent, and nearly as far off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from sdtools.errors import SdError


@dataclass(frozen=True)
class SilenceOptions:
    """Whether frames of digital silence have features."""

    skip_digital_silence: bool = field(
        default=True,
        metadata={
            "help": "leave out frames whose samples all have the same value, such as zeros, and"
            " frames that overlap them; not determined by the paper"
        },
    )


class FrameGrid(NamedTuple):
    """Which samples the frames of an extractor cover.

    Frame t covers `length` samples from sample `start` + t `shift` on. Frames may reach beyond the
    ends of a recording, but hold at least one of its samples.
    """

    length: int
    shift: int
    start: int = 0


class _Extractor(Protocol):
    """The part of an extractor that `without_silence` uses."""

    @property
    def grid(self) -> FrameGrid: ...

    def __call__(self, samples: np.ndarray) -> Mapping[str, np.ndarray]: ...


def find_silence(samples: np.ndarray, grid: FrameGrid, num_frames: int) -> np.ndarray:
    """Which frames are digital silence, or overlap a frame that is.

    Parameters
    ----------
    samples : (num_samples,) array
    grid
        Where the frames are. Beyond the ends of the recording there is nothing to differ from.
    num_frames
        How many there are.

    Returns
    -------
    (num_frames,) array of bool
        True where all samples of the frame, or of one that shares samples with it, are equal.

    Examples
    --------
    >>> find_silence(np.array([0.0, 0.0, 0.0, 0.5, 0.1, 0.2]), FrameGrid(2, 1), 5)
    array([ True,  True,  True, False, False])
    """
    before = -grid.start
    num_steps = grid.length - 1  # from sample to sample, within a frame
    differs = np.zeros((num_frames - 1) * grid.shift + num_steps, bool)
    steps = (samples[1:] != samples[:-1])[: len(differs) - before]
    differs[before : before + len(steps)] = steps
    frames = np.lib.stride_tricks.sliding_window_view(differs, num_steps)[:: grid.shift]
    is_constant = np.logical_not(frames.any(axis=1))
    is_silent = is_constant.copy()
    for distance in range(1, num_steps // grid.shift + 1):  # of frames that overlap
        is_silent[distance:] |= is_constant[:-distance]
        is_silent[:-distance] |= is_constant[distance:]
    return is_silent


def without_silence(extractor: _Extractor) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """The extractor without the rows of frames that `find_silence` finds.

    Raises
    ------
    SdError
        By the function that it returns, if no frame is left.

    Examples
    --------
    >>> from sdtools.features.lfcc import LfccExtractor
    >>> samples = np.r_[np.zeros(16000), 0.1 * np.sin(np.arange(16000))]
    >>> extractor = LfccExtractor(sample_rate_hz=16000)
    >>> extractor(samples)["lfcc"].shape, without_silence(extractor)(samples)["lfcc"].shape
    ((199, 20), (99, 20))
    """

    def extract(samples: np.ndarray) -> Mapping[str, np.ndarray]:
        feats = extractor(samples)
        num_frames = len(next(iter(feats.values())))
        keep = ~find_silence(samples, extractor.grid, num_frames)
        if keep.all():
            return feats
        if not keep.any():
            what = "every frame is digital silence or overlaps it"
            raise SdError("samples", what, hint="Leave this recording out")
        return {name: matrix[keep] for name, matrix in feats.items()}

    return extract
