"""Deltas and mean-variance normalisation of feature matrices."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

VARIANCE_FLOOR = 1e-20
"""As Kaldi's apply-cmvn: a constant dimension becomes 0, not NaN."""


@dataclass(frozen=True)
class PostOptions:
    """What is done to static features between the archive and the model."""

    deltas: bool = field(default=True, metadata={"help": "append deltas and accelerations"})
    delta_window: int = field(default=2, metadata={"help": "half length of the delta window, frames; not determined by the paper"})
    delta_order: int = field(default=2, metadata={"help": "1 deltas, 2 accelerations too"})
    cmvn: bool = field(default=True, metadata={"help": "normalise mean and variance of every dimension over the utterance"})

    def __post_init__(self):
        if self.delta_window < 1 or self.delta_order < 1:
            raise ValueError(f"PostOptions: delta_window, delta_order: got {self.delta_window}, {self.delta_order}, need 1 or more")


def delta_filters(window: int, order: int) -> list[np.ndarray]:
    """FIR filters that give the static feature and its first `order` derivatives; filter m has 2 m window + 1 taps.

    The first is 1; each further one is the one before convolved with j / sum j^2, j = -window..window: Kaldi's add-deltas.
    """
    taps = np.arange(-window, window + 1)
    filters = [np.ones(1)]
    for _ in range(order):
        filters.append(np.convolve(filters[-1], taps / (taps**2).sum()))
    return filters


def add_deltas(feats: np.ndarray, window: int = 2, order: int = 2) -> np.ndarray:
    """[static, deltas, accelerations, ...] side by side.

    Parameters
    ----------
    feats : (num_frames, D) array

    Returns
    -------
    (num_frames, (order + 1) D) array of the input's type

    Notes
    -----
    As in Kaldi the composite filter runs over frames whose index is clamped to the first and last, which differs near the ends
    from taking deltas of deltas (`test_postprocess.py::test_deltas_like_kaldi`).
    """
    num_frames = len(feats)
    blocks = [feats]
    reach = window * order
    if num_frames == 0:
        return np.concatenate(blocks * (order + 1), axis=1)
    padded = np.concatenate([np.repeat(feats[:1], reach, axis=0), feats, np.repeat(feats[-1:], reach, axis=0)])
    for taps in delta_filters(window, order)[1:]:
        first = reach - len(taps) // 2
        block = np.zeros_like(feats)
        for offset, tap in enumerate(taps.astype(feats.dtype)):
            if tap != 0:
                block += tap * padded[first + offset : first + offset + num_frames]
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def normalize(feats: np.ndarray) -> np.ndarray:
    """Each dimension with mean 0 and variance 1 over the utterance (biased variance, floored at `VARIANCE_FLOOR`).

    Parameters
    ----------
    feats : (num_frames, D) array

    Returns
    -------
    (num_frames, D) array of the input's type
        Statistics are taken in float64, about the mean.
    """
    if len(feats) == 0:
        return feats
    centred = feats - feats.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt(np.maximum(np.mean(centred**2, axis=0), VARIANCE_FLOOR))
    return (centred / deviation).astype(feats.dtype)


def postprocess(feats: np.ndarray, options: PostOptions) -> np.ndarray:
    """Deltas, then normalisation over all dimensions, as `options` say.

    Raises
    ------
    ValueError
        If there is no frame, or a value is not finite.
    """
    if len(feats) == 0:
        raise ValueError("features: frames: got 0, need 1 or more. Drop the utterance or compute its features anew")
    if not np.isfinite(feats).all():
        row = int(np.flatnonzero(~np.isfinite(feats).all(axis=1))[0])
        raise ValueError(f"features: frame {row}: got a value that is not finite, need numbers. Compute its features anew")
    if options.deltas:
        feats = add_deltas(feats, options.delta_window, options.delta_order)
    return normalize(feats) if options.cmvn else feats
