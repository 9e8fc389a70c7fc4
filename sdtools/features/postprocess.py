"""Selected columns, deltas and mean-variance normalisation of feature matrices."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

VARIANCE_FLOOR = 1e-20
"""As Kaldi's apply-cmvn: a constant dimension becomes 0, not NaN."""


MAX_WINDOW, MAX_ORDER = 1000, 10  # a damaged number would cost hours and all memory


@dataclass(frozen=True)
class PostOptions:
    """What is done to static features between the archive and the model."""

    deltas: bool = field(default=True, metadata={"help": "append deltas and accelerations"})
    delta_window: int = field(
        default=2,
        metadata={"help": "half length of the delta window, frames; not determined by the paper"},
    )
    delta_order: int = field(default=2, metadata={"help": "1 deltas, 2 accelerations too"})
    cmvn: bool = field(
        default=True,
        metadata={"help": "normalise mean and variance of every dimension over the utterance"},
    )

    def __post_init__(self):
        if not (1 <= self.delta_window <= MAX_WINDOW and 1 <= self.delta_order <= MAX_ORDER):
            got = f"got {self.delta_window}, {self.delta_order}"
            raise ValueError(
                f"PostOptions: delta_window, delta_order: {got}, need 1 or more, and no more than {MAX_WINDOW}, {MAX_ORDER}"
            )


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
    padded = np.concatenate(
        [np.repeat(feats[:1], reach, axis=0), feats, np.repeat(feats[-1:], reach, axis=0)]
    )
    for taps in delta_filters(window, order)[1:]:
        first = reach - len(taps) // 2
        block = np.zeros_like(feats)
        for offset, tap in enumerate(taps.astype(feats.dtype)):
            if tap != 0:
                block += tap * padded[first + offset : first + offset + num_frames]
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def cmvn_stats(feats: np.ndarray) -> np.ndarray:
    """Kaldi's statistics for normalisation, float64: sums and the number of frames, then sums of squares and 0.

    Parameters
    ----------
    feats : (num_frames, D) array

    Returns
    -------
    (2, D + 1) array
        Those of several utterances add up (`test_postprocess.py::test_statistics_add_up_to_those_of_all_frames`).
    """
    feats = feats.astype(np.float64)
    return np.stack(
        [np.append(feats.sum(axis=0), len(feats)), np.append((feats**2).sum(axis=0), 0)]
    )


def normalize(
    feats: np.ndarray, stats: np.ndarray | None = None, norm_vars: bool = True
) -> np.ndarray:
    """Each dimension with mean 0 and, with `norm_vars`, variance 1 (biased, floored at `VARIANCE_FLOOR`): Kaldi's apply-cmvn.

    Parameters
    ----------
    feats : (num_frames, D) array
    stats : (2, D + 1) array, optional
        As of `cmvn_stats`; mean and variance are those of `feats` if there are none.

    Returns
    -------
    (num_frames, D) array of the input's type

    Raises
    ------
    ValueError
        If `stats` are of another dimension, of less than one frame, or not finite.

    Notes
    -----
    All is reckoned in float64. The variance of `feats` itself is taken about the mean, which loses no digits to a large mean;
    Kaldi's sums leave only the difference of mean square and squared mean.
    """
    if len(feats) == 0:
        return feats
    if stats is None:
        centred = feats - feats.mean(axis=0, dtype=np.float64)
        variance = np.mean(centred**2, axis=0)
    else:
        mean, mean_square = _moments(stats, feats.shape[1])
        centred = feats - mean
        variance = mean_square - mean**2
    if norm_vars:
        centred /= np.sqrt(np.maximum(variance, VARIANCE_FLOOR))
    return centred.astype(feats.dtype)


def _moments(stats: np.ndarray, num_dims: int) -> np.ndarray:
    """Means and mean squares of Kaldi's statistics, (2, D)."""
    if stats.shape != (2, num_dims + 1):
        raise ValueError(
            f"CMVN statistics: shape: got {stats.shape}, need (2, {num_dims + 1}). Take those of the same features"
        )
    if not np.isfinite(stats).all():
        raise ValueError(
            "CMVN statistics: got a value that is not finite, need numbers. Compute them anew"
        )
    if not stats[0, -1] >= 1:
        raise ValueError(
            f"CMVN statistics: frames: got {stats[0, -1]:g}, need 1 or more. Compute them anew"
        )
    return stats[:, :-1] / np.float64(stats[0, -1])


def parse_columns(select: str) -> list[range]:
    """Ranges of column numbers that a text such as `0-3,7,9-8` names: from 0, both ends count, `9-8` is 9, 8.

    Raises
    ------
    ValueError
        If it is not of this form.
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", select):
        raise ValueError(
            f"columns: got {select!r}, need numbers and ranges of them, such as 0-3,7,9-8. Count from 0"
        )
    ends = [(int(part.split("-")[0]), int(part.split("-")[-1])) for part in select.split(",")]
    return [
        range(first, last + 1) if first <= last else range(first, last - 1, -1)
        for first, last in ends
    ]


def select_columns(feats: np.ndarray, columns: list[range]) -> np.ndarray:
    """The columns of (num_frames, D) `feats` that `parse_columns` gave, in their order, as Kaldi's select-feats.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    highest = max(end for part in columns for end in (part[0], part[-1]))
    if highest >= feats.shape[1]:
        raise ValueError(
            f"features: columns: got {highest}, need less than {feats.shape[1]}; they count from 0. Select others"
        )
    return feats[:, np.concatenate(columns)]


def postprocess(
    feats: np.ndarray, options: PostOptions, columns: list[range] | None = None
) -> np.ndarray:
    """Selection, then deltas, then normalisation over all dimensions, as `options` and `parse_columns` say.

    Raises
    ------
    ValueError
        If there is no frame, a value is not finite, or a column is not there.
    """
    if len(feats) == 0:
        raise ValueError(
            "features: frames: got 0, need 1 or more. Drop the utterance or compute its features anew"
        )
    if not np.isfinite(feats).all():
        row = int(np.flatnonzero(~np.isfinite(feats).all(axis=1))[0])
        raise ValueError(
            f"features: frame {row}: got a value that is not finite, need numbers. Compute its features anew"
        )
    if columns:
        feats = select_columns(feats, columns)
    if options.deltas:
        feats = add_deltas(feats, options.delta_window, options.delta_order)
    return normalize(feats) if options.cmvn else feats
