"""Mixtures of Gaussians with diagonal covariances: the model, its log-likelihood, the LLR of two.

The E step works on `CHUNK` frames at a time: a float32 product gives the scores of all components,
and a compiled loop turns them into posteriors in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sdtools.errors import SdError
from sdtools.gmm.kernels import compiled, exponentiate

CHUNK = 512  # frames; (512, 512) float32 scores, 1 MiB, stay in the L2 cache between two products
MODEL_BITS = 40  # of a model's numbers; a division and its inverse in float64 keep them
SUM_BITS = 26, 22, 18  # after the point of a term of the three statistics, see `rounders`
MAX_MAGNITUDE = 1e18  # of a frame's value: its square times a few must fit float32
FLOAT32_MAX = np.finfo(np.float32).max


@dataclass(frozen=True, eq=False)
class DiagGmm:
    """Mixture of K Gaussians in D dimensions with diagonal covariances.

    The arrays are read-only float64 copies, rounded to `MODEL_BITS` bits.

    Parameters
    ----------
    weights : array, shape (K,)
        Not negative. Their sum is 0.5 to 1.5: Kaldi keeps a least weight, so that it may exceed 1.
        A likelihood follows from the weights as they are.
    means, variances : array, shape (K, D)
        In the features' units and their squares; a variance is positive.

    Raises
    ------
    SdError
        If the shapes disagree, or a value is out of its range or of float32.

    Examples
    --------
    >>> gmm = DiagGmm([0.5, 0.5], [[-1.0], [1.0]], [[1.0], [1.0]])
    >>> gmm.means.shape
    (2, 1)
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def __post_init__(self) -> None:
        for name in ("weights", "means", "variances"):
            mantissas, exponents = np.frexp(np.asarray(getattr(self, name), dtype=np.float64))
            values = np.ldexp(np.round(np.ldexp(mantissas, MODEL_BITS)), exponents - MODEL_BITS)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
            if not (np.abs(values) <= FLOAT32_MAX).all():
                hint = "The model is damaged. Train it again"
                need = "finite values within float32"
                raise SdError("DiagGmm", name, got="nan, inf or more", need=need, hint=hint)
        shapes = self.weights.shape, self.means.shape, self.variances.shape
        expected = self.means.shape[:1], self.means.shape, self.means.shape
        if self.means.ndim != 2 or 0 in self.means.shape or shapes != expected:
            hint = "Give one weight, one row of means and one of variances per component"
            raise SdError("DiagGmm", "shapes", got=shapes, need="(K,), (K, D), (K, D)", hint=hint)
        if (least := self.variances.min()) <= 0:
            hint = "Floor the variances"
            raise SdError("DiagGmm", "variances", got=f"{least:g}", need="more than 0", hint=hint)
        if (least := self.weights.min()) < 0 or abs(self.weights.sum() - 1) > 0.5:
            got = f"a sum of {self.weights.sum():g} and a least of {least:g}"
            need, hint = "a sum of 0.5 to 1.5 and none negative", "Normalise the weights"
            raise SdError("DiagGmm", "weights", got=got, need=need, hint=hint)

    @cached_property
    def float32_form(self) -> tuple[np.ndarray, np.ndarray]:
        """The mixture's mean (D,), and rows (K, 2D + 1) that give scores; both float32.

        A row times [z, z^2, 1], where z = x - that mean, is log2 of w_k N(x; k). Differences from
        the mean keep float32 accurate for features whose spread is far below their value.
        """
        centre = np.average(self.means, axis=0, weights=self.weights).astype(np.float32)
        z = self.means - centre
        with np.errstate(divide="ignore"):  # a weight of zero: log is -inf, its posterior vanishes
            constants = np.log(self.weights) - 0.5 * (
                np.log(2 * np.pi * self.variances) + z * z / self.variances
            ).sum(axis=1)
        rows = np.hstack([z / self.variances, -0.5 / self.variances, constants[:, None]])
        return centre, (rows / math.log(2)).astype(np.float32)

    @cached_property
    def rounders(self) -> np.ndarray:
        """Numbers (3, D) that round a float64 when they are added and subtracted again.

        Row m rounds sums of posterior * x^m to `SUM_BITS[m]` bits after the point, in units of the
        mixture's deviation to the power m.
        """
        centre = np.average(self.means, axis=0, weights=self.weights)
        variance = np.average(
            self.variances + (self.means - centre) ** 2, axis=0, weights=self.weights
        )
        exponents = np.floor(0.5 * np.log2(variance)).astype(int)
        return np.stack(
            [np.ldexp(1.5, power * exponents + 52 - bits) for power, bits in enumerate(SUM_BITS)]
        )


def as_frames(frames: Any, dim: int | None = None) -> np.ndarray:
    """`frames` as float32 (num_frames, D); their type and shape are checked, their values not."""
    array = np.asarray(frames)
    if array.dtype.kind != "f":
        hint = "Convert them with frames.astype(np.float32)"
        raise SdError("frames", "type", got=array.dtype, need="floating point", hint=hint)
    if array.ndim != 2 or array.shape[1] == 0 or dim not in (None, array.shape[1]):
        hint = "Compute all features with the same settings"
        need = f"(num_frames, {dim or 'D'})"
        raise SdError("frames", "shape", got=array.shape, need=need, hint=hint)
    with np.errstate(over="ignore"):  # inf is reported with its place
        return array.astype(np.float32, copy=False)


def check_frames(frames: Any, dim: int | None = None) -> np.ndarray:
    """`frames` as of `as_frames`, with values that a model can be trained on.

    Raises
    ------
    SdError
        If the type or the shape does not fit, or with the first frame whose value is not finite or
        above `MAX_MAGNITUDE`.
    """
    array = as_frames(frames, dim)
    _check_each(np.abs(array) <= MAX_MAGNITUDE, array)
    return array


def _check_each(is_usable: np.ndarray, frames: np.ndarray, start: int = 0) -> None:
    """Refuse the first frame with an unusable value; `start` is added to its number."""
    if not is_usable.all():
        bad = int(np.argmin(is_usable.reshape(len(frames), -1).all(axis=1)))
        raise SdError(
            f"frame {start + bad}",
            "largest magnitude",
            got=f"{np.abs(frames[bad]).max():g}",
            need="finite values that deviate by 1e-15 to 1e18",
            hint="Look for a damaged recording, the logarithm of zero or features of another scale",
        )


def e_step(
    gmm: DiagGmm, frames: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, per `CHUNK` of n frames, what the statistics need; the buffers are used again.

    Yields
    ------
    terms : (n, 2D + 1) float32
        [z, z^2, 1], where z = x - the mixture's mean.
    posteriors : (K, n) float32
        Not normalised.
    total : (n,) float32
        Their sums.
    log_likelihoods : (n,) float64
        ln p(x).
    """
    centre, rows = gmm.float32_form
    dim = len(centre)
    frames = as_frames(frames, dim)
    size = min(CHUNK, len(frames))
    all_terms = np.empty((size, 2 * dim + 1), np.float32)
    all_scores = np.empty(len(rows) * size, np.float32)
    to_posteriors = compiled(exponentiate)
    for start in range(0, len(frames), CHUNK):
        chunk = frames[start : start + CHUNK]
        n = len(chunk)
        terms, scores = all_terms[:n], all_scores[: len(rows) * n].reshape(len(rows), n)
        peak, total = np.empty((2, n), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            np.subtract(chunk, centre, out=terms[:, :dim])
            np.square(terms[:, :dim], out=terms[:, dim:-1])
            terms[:, -1] = 1
            np.matmul(rows, terms.T, out=scores)
        to_posteriors(scores, peak, total)
        log_likelihoods = math.log(2) * (peak + np.log2(total, dtype=np.float64))
        _check_each(np.isfinite(log_likelihoods), chunk, start)
        yield terms, scores, total, log_likelihoods


def log_likelihood(gmm: DiagGmm, frames: Any) -> np.ndarray:
    """Log-likelihood of each frame.

    Parameters
    ----------
    gmm : DiagGmm
    frames : array of floats, shape (num_frames, D)

    Returns
    -------
    float64 array, shape (num_frames,)
        ln p(x), accurate to about 1e-4 at 120 dimensions.

    Raises
    ------
    SdError
        If the frames are not floating point, their dimension is not the model's, or with the first
        frame that has no finite likelihood.

    Examples
    --------
    >>> gmm = DiagGmm([1.0], [[0.0]], [[1.0]])
    >>> log_likelihood(gmm, [[0.0], [1.0]]).round(3)
    array([-0.919, -1.419])
    """
    return np.concatenate([np.empty(0), *(values for *_, values in e_step(gmm, frames))])


def llr(genuine: DiagGmm, spoof: DiagGmm, frames: Any) -> float:
    """Log-likelihood ratio of an utterance: the score, higher for genuine speech.

    Parameters
    ----------
    genuine, spoof : DiagGmm
        The models of both classes.
    frames : array of floats, shape (num_frames, D)
        Features of the utterance, post-processed as for training.

    Returns
    -------
    float
        Mean over the frames of ln p(x | genuine) - ln p(x | spoof).

    Raises
    ------
    SdError
        If there is no frame, or as for `log_likelihood`.

    Notes
    -----
    Exchanging the models changes only the sign (`test_llr_is_antisymmetric`).

    Examples
    --------
    >>> genuine = DiagGmm([1.0], [[0.0]], [[1.0]])
    >>> spoof = DiagGmm([1.0], [[2.0]], [[1.0]])
    >>> round(llr(genuine, spoof, [[0.0], [0.5]]), 3)
    1.5
    """
    if len(frames) == 0:
        hint = "Leave this utterance out: its audio is shorter than a frame"
        raise SdError("llr", "number of frames", got=0, need="at least 1", hint=hint)
    return float(np.mean(log_likelihood(genuine, frames) - log_likelihood(spoof, frames)))
