"""Selected columns, deltas and mean-variance normalisation of feature matrices, as Kaldi does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError

VARIANCE_FLOOR = 1e-20
"""As in Kaldi's apply-cmvn: a constant dimension becomes 0, not NaN."""

MAX_WINDOW, MAX_ORDER = 1000, 10  # a damaged number would cost hours and all memory


@dataclass(frozen=True)
class PostOptions:
    """Steps between the static features in an archive and the model.

    Examples
    --------
    >>> PostOptions(deltas=False)
    PostOptions(deltas=False, delta_window=2, delta_order=2, cmvn=True)
    """

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

    def __post_init__(self) -> None:
        for name, highest in (("delta_window", MAX_WINDOW), ("delta_order", MAX_ORDER)):
            if not 1 <= (got := getattr(self, name)) <= highest:
                who = f"--{name.replace('_', '-')}"
                raise SdError(who, got=got, need=f"1 to {highest}")


def delta_filters(window: int, order: int) -> list[np.ndarray]:
    """FIR filters for the static feature and its first `order` derivatives, as Kaldi's add-deltas.

    The first is 1. Each further one is the one before convolved with j / sum j^2,
    j = -window..window; filter m has 2 m window + 1 taps.
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
    As in Kaldi, the first and the last frame are repeated beyond the ends. Near the ends this
    differs from deltas of deltas.
    """
    num_frames = len(feats)
    blocks = [feats]
    reach = window * order
    if num_frames == 0:
        return np.concatenate(blocks * (order + 1), axis=1)
    before, after = np.repeat(feats[:1], reach, axis=0), np.repeat(feats[-1:], reach, axis=0)
    padded = np.concatenate([before, feats, after])
    for taps in delta_filters(window, order)[1:]:
        first = reach - len(taps) // 2
        block = np.zeros_like(feats)
        for offset, tap in enumerate(taps.astype(feats.dtype)):
            if tap != 0:
                block += tap * padded[first + offset : first + offset + num_frames]
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def cmvn_stats(feats: np.ndarray) -> np.ndarray:
    """Kaldi's statistics for normalisation.

    Parameters
    ----------
    feats : (num_frames, D) array

    Returns
    -------
    (2, D + 1) float64
        Sums and the number of frames; sums of squares and 0. The statistics of several utterances
        add up.
    """
    feats = feats.astype(np.float64)
    sums, squares = feats.sum(axis=0), (feats**2).sum(axis=0)
    return np.stack([np.append(sums, len(feats)), np.append(squares, 0)])


def normalize(
    feats: np.ndarray, stats: np.ndarray | None = None, norm_vars: bool = True
) -> np.ndarray:
    """Each dimension with mean 0 and, with `norm_vars`, variance 1, as Kaldi's apply-cmvn.

    Parameters
    ----------
    feats : (num_frames, D) array
    stats : (2, D + 1) array, optional
        As from `cmvn_stats`; by default, mean and variance of `feats`.
    norm_vars
        Whether to divide by the standard deviation (biased variance, at least `VARIANCE_FLOOR`).

    Returns
    -------
    (num_frames, D) array of the input's type

    Raises
    ------
    SdError
        If `stats` have another dimension, less than one frame, or a value that is not finite.

    Notes
    -----
    Computed in float64. The variance of `feats` itself is taken about the mean, which loses no
    digits to a large mean, as Kaldi's mean square minus squared mean does.
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
    """Means and mean squares from Kaldi's statistics, (2, D)."""
    who, hint = "CMVN statistics", "Compute them again"
    if stats.shape != (2, num_dims + 1):
        need, hint = (2, num_dims + 1), "Take the statistics of the same features"
        raise SdError(who, "shape", got=stats.shape, need=need, hint=hint)
    if not np.isfinite(stats).all():
        raise SdError(who, "a value is not finite", hint=hint)
    if not stats[0, -1] >= 1:
        raise SdError(who, "frames", got=f"{stats[0, -1]:g}", need="1 or more", hint=hint)
    return stats[:, :-1] / np.float64(stats[0, -1])


def parse_columns(select: str) -> list[range]:
    """Column numbers from a text such as `0-3,7,9-8`: from 0, both ends count, `9-8` is 9, 8.

    Raises
    ------
    SdError
        If the text has another form.

    Examples
    --------
    >>> [list(part) for part in parse_columns("0-3,7,9-8")]
    [[0, 1, 2, 3], [7], [9, 8]]
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", select):
        need = "numbers from 0 and ranges, such as 0-3,7,9-8"
        raise SdError("--select", got=repr(select), need=need)
    ends = [(int(part.split("-")[0]), int(part.split("-")[-1])) for part in select.split(",")]
    return [
        range(first, last + 1) if first <= last else range(first, last - 1, -1)
        for first, last in ends
    ]


def select_columns(feats: np.ndarray, columns: list[range]) -> np.ndarray:
    """The `columns` (see `parse_columns`) of (num_frames, D) `feats`, as Kaldi's select-feats.

    Raises
    ------
    SdError
        If a column does not exist.
    """
    highest = max(end for part in columns for end in (part[0], part[-1]))
    if highest >= feats.shape[1]:
        need = f"0 to {feats.shape[1] - 1}"
        raise SdError("features", "column", got=highest, need=need, hint="Select other columns")
    return feats[:, np.concatenate(columns)]


def postprocess(
    feats: np.ndarray,
    options: PostOptions = PostOptions(),
    columns: list[range] | None = None,
) -> np.ndarray:
    """Select columns, append deltas, normalise every dimension over the utterance.

    Parameters
    ----------
    feats : (num_frames, D) array
        Static features of one utterance; integers are computed as float64.
    options
        Settings of deltas and normalisation.
    columns
        As from `parse_columns`; by default all.

    Returns
    -------
    (num_frames, (delta_order + 1) D) array of the input's type
        Or (num_frames, D) without deltas.

    Raises
    ------
    SdError
        If it is no such array, a value is not finite, or a column does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> feats = np.random.default_rng(0).standard_normal((100, 40))
    >>> post = postprocess(feats)
    >>> post.shape, bool(abs(post.mean()) < 1e-9), float(post.std().round(6))
    ((100, 120), True, 1.0)
    """
    hint = "Leave this utterance out or compute its features again"
    feats = np.asarray(feats)
    if feats.dtype.kind in "iu":
        feats = feats.astype(np.float64)
    if feats.ndim != 2 or feats.dtype.kind != "f":
        got = f"an array of shape {feats.shape} and type {feats.dtype}"
        raise SdError("features", got=got, need="numbers of shape (num_frames, D)")
    if len(feats) == 0:
        raise SdError("features", "frames", got=0, need="1 or more", hint=hint)
    if not np.isfinite(feats).all():
        row = int(np.flatnonzero(~np.isfinite(feats).all(axis=1))[0])
        raise SdError("features", f"frame {row} has a value that is not finite", hint=hint)
    if columns:
        feats = select_columns(feats, columns)
    if options.deltas:
        feats = add_deltas(feats, options.delta_window, options.delta_order)
    return normalize(feats) if options.cmvn else feats
