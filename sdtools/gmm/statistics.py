"""Statistics of frames under a mixture: the E step of EM.

The product of the posteriors with the frames, from which a loop leaves out the posteriors that do
not count, gives the statistics in float32. Every `BLOCK` frames these are added up in float64,
rounded so that the sums are exact.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

import numpy as np

from sdtools.errors import SdError
from sdtools.gmm.kernels import add_active, add_block, compiled
from sdtools.gmm.mixture import CHUNK, DiagGmm, check_frames, e_step

BLOCK = 16 * CHUNK  # frames of one array that are summed in float32


@dataclass(eq=False)
class GmmStats:
    """Sums over frames that an EM update needs, in the features' units; `+` adds those of parts.

    Parameters
    ----------
    occupancy : float64 array, shape (K,)
        Sum of posteriors.
    first, second : float64 array, shape (K, D)
        Sums of posterior * x and posterior * x^2.
    log_likelihood : float
        Sum of ln p(x).
    num_frames : int
    """

    occupancy: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float
    num_frames: int

    @classmethod
    def zeros(cls, gmm: DiagGmm) -> GmmStats:
        """Statistics of no frame under a model."""
        occupancy, shape = np.zeros(gmm.weights.shape), gmm.means.shape
        return cls(occupancy, np.zeros(shape), np.zeros(shape), 0.0, 0)

    def __add__(self, other: GmmStats) -> GmmStats:
        if self.first.shape != other.first.shape:
            got, hint = f"{self.first.shape} and {other.first.shape}", "Use one model for all parts"
            raise SdError("statistics", "shapes", got=got, need="equal ones", hint=hint)
        names = [f.name for f in fields(self)]
        return GmmStats(*(getattr(self, name) + getattr(other, name) for name in names))


def accumulate(gmm: DiagGmm, frames: Any, into: GmmStats | None = None) -> GmmStats:
    """Statistics of frames under a model, the E step of an EM pass.

    Parameters
    ----------
    gmm : DiagGmm
    frames : array of floats, shape (num_frames, D)
    into : GmmStats, optional
        Statistics to add to, in place.

    Returns
    -------
    GmmStats
        `into`, if it is given.

    Raises
    ------
    SdError
        As for `log_likelihood`; `into` is then unchanged.

    Notes
    -----
    Occupancies sum to the number of frames (`test_posteriors_sum_to_frames`). What an array adds
    is rounded to multiples of a number that the model determines. Sums over arrays are therefore
    exact and depend neither on order nor on the cut into parts, as long as the frames times the
    squared ratio of a feature's magnitude to its deviation stay below 2^35
    (`test_statistics_do_not_depend_on_order_and_parts`).
    """
    centre, rows = gmm.float32_form
    into = into or GmmStats.zeros(gmm)
    blocks: list[np.ndarray] = []
    product, log_likelihood_sum = np.empty_like(rows), 0.0
    for index, (terms, scores, total, log_likelihoods) in enumerate(e_step(gmm, frames)):
        terms *= np.reciprocal(total)[:, None]  # cheaper than normalising the (K, n) posteriors
        if index * CHUNK % BLOCK == 0:
            blocks.append(np.zeros_like(rows))
        if not compiled(add_active)(scores, terms, product[0], blocks[-1]):
            blocks[-1] += np.matmul(scores, terms, out=product)
        log_likelihood_sum += float(log_likelihoods.sum())
    add, double_centre = compiled(add_block), centre.astype(np.float64)
    for block in blocks:
        add(block, double_centre, gmm.rounders, into.occupancy, into.first, into.second)
    into.log_likelihood += log_likelihood_sum
    into.num_frames += len(frames)
    return into


def global_stats(frames: Any, dim: int | None = None) -> GmmStats:
    """Statistics of frames (num_frames, D) under any single Gaussian.

    Computed in float64 about the mean of each `BLOCK`.

    Raises
    ------
    SdError
        As for `check_frames`.
    """
    frames = check_frames(frames, dim)
    starts = range(0, max(len(frames), 1), BLOCK)
    return reduce(operator.add, (_block_stats(frames[start : start + BLOCK]) for start in starts))


def _block_stats(frames: np.ndarray) -> GmmStats:
    num_frames = len(frames)
    mean = frames.sum(axis=0, dtype=np.float64) / max(num_frames, 1)
    second = np.square(frames - mean).sum(axis=0) + num_frames * mean**2
    occupancy = np.full(1, float(num_frames))
    return GmmStats(occupancy, num_frames * mean[None], second[None], 0.0, num_frames)
