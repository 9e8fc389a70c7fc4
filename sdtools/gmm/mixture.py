"""Diagonal-covariance Gaussian mixtures: statistics, update, binary splitting, log-likelihood.

The E step works on CHUNK frames at a time: a float32 product gives all component scores, a compiled loop turns them into posteriors in
place, their product with the frames, of which a loop does only the few that count, gives the statistics in float32, and every BLOCK frames
these are added up in float64, rounded so that the sums are exact.
"""

import math
import operator
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
from threadpoolctl import threadpool_limits

from sdtools.gmm.kernels import add_active, add_block, compiled, exponentiate

CHUNK = 512  # frames; (512, 512) float32 is 1 MiB: the scores stay in the L2 cache between the two products
BLOCK = (
    16 * CHUNK
)  # frames of one array whose statistics are summed in float32; also about what one thread takes at a time
EM_PASSES = (
    1,
    2,
    4,
    4,
    4,
    4,
    6,
    6,
    10,
    10,
    15,
)  # at 1, 2, 4, ... 1024 components; the last level has its own number
MIN_OCCUPANCY = 1e-2  # frames; a component with less is empty
MODEL_BITS = 40  # of a model's numbers; what divisions and reciprocals of float64 do to the rest, rounding takes back
SUM_BITS = (
    26,
    22,
    18,
)  # after the point of a term of the occupancies, and of the two moments in units of the mixture's deviation
TIE = 1e-3  # variances this close are equal: those of features normalised by utterance all are, and rounding must not decide
MIN_VARIANCE = 1e-6  # of a dimension's global variance; of its own unit squared where the dimension is constant


@dataclass(frozen=True)
class UpdateOptions:
    """Settings of `update`."""

    variance_floor: float = field(
        default=0.1,
        metadata={
            "help": "least variance as a share of the mean one (not determined by the paper)"
        },
    )

    def __post_init__(self):
        if not 0 <= self.variance_floor <= 1:
            raise ValueError(
                f"{type(self).__name__}: variance_floor: got {self.variance_floor}, need 0 to 1. Set a share such as 0.1"
            )


@dataclass(frozen=True)
class GmmOptions(UpdateOptions):
    """Settings of `train_gmm`."""

    num_components: int = field(
        default=512, metadata={"help": "Gaussians per model, a power of two"}
    )
    final_iters: int = field(
        default=10, metadata={"help": "EM passes at num_components (not determined by the paper)"}
    )
    subsample: int = field(
        default=1,
        metadata={
            "help": "use every n-th frame below num_components / 2 (not determined by the paper)"
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if self.num_components < 1 or self.num_components & (self.num_components - 1):
            raise ValueError(
                f"GmmOptions: num_components: got {self.num_components}, need a power of two. Set 256, 512 or 1024"
            )
        for name in ("final_iters", "subsample"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"GmmOptions: {name}: got {getattr(self, name)}, need at least 1. Set a positive number"
                )


@dataclass(frozen=True, eq=False)
class DiagGmm:
    """Mixture of K Gaussians in D dimensions with diagonal covariances; its arrays are read-only float64 copies of MODEL_BITS bits.

    Raises
    ------
    ValueError
        If the shapes disagree, a value is not finite, a variance is not positive, a weight is negative or the weights sum to less than
        0.5 or more than 1.5.

    Notes
    -----
    Kaldi keeps a least weight, so that weights may sum to more than 1; a likelihood is that of the weights as they are.
    """

    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, D)
    variances: np.ndarray  # (K, D)

    def __post_init__(self):
        for name in ("weights", "means", "variances"):
            mantissas, exponents = np.frexp(np.asarray(getattr(self, name), dtype=np.float64))
            values = np.ldexp(np.round(np.ldexp(mantissas, MODEL_BITS)), exponents - MODEL_BITS)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
            if not (np.abs(values) <= np.finfo(np.float32).max).all():
                raise ValueError(
                    f"DiagGmm: {name}: got nan or inf, need values within float32; the model is damaged. Train it again"
                )
        shapes = self.weights.shape, self.means.shape, self.variances.shape
        if (
            self.means.ndim != 2
            or 0 in self.means.shape
            or shapes != (self.means.shape[:1], self.means.shape, self.means.shape)
        ):
            raise ValueError(
                f"DiagGmm: shapes: got {shapes}, need (K,), (K, D), (K, D). Give one weight, mean and variance row each"
            )
        if self.variances.min() <= 0:
            raise ValueError(
                f"DiagGmm: variances: got {self.variances.min():g}, need more than 0. Floor the variances"
            )
        if self.weights.min() < 0 or abs(self.weights.sum() - 1) > 0.5:
            raise ValueError(
                f"DiagGmm: weights: got a sum of {self.weights.sum():g} and a least of {self.weights.min():g}, "
                "need a sum of 0.5 to 1.5 and none negative. Normalise the weights"
            )

    @cached_property
    def float32_form(self):
        """Mean (D,) of the mixture, and (K, 2D + 1) which times [z, z², 1], z = x - that mean, is log2 of w_k N(x; k); both float32.

        Differences from the mean are what keeps float32 accurate for features such as frequencies, whose spread is far below their value.
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
    def rounders(self):
        """Numbers (3, D) which, added to a float64 and subtracted again, round it to the SUM_BITS of the three statistics."""
        centre = np.average(self.means, axis=0, weights=self.weights)
        variance = np.average(
            self.variances + (self.means - centre) ** 2, axis=0, weights=self.weights
        )
        exponents = np.floor(0.5 * np.log2(variance)).astype(int)
        return np.stack(
            [np.ldexp(1.5, power * exponents + 52 - bits) for power, bits in enumerate(SUM_BITS)]
        )


@dataclass(eq=False)
class GmmStats:
    """Sums over frames that an EM update needs, in the features' own units, float64; those of parts are added by `+`."""

    occupancy: np.ndarray  # (K,) sum of posteriors
    first: np.ndarray  # (K, D) sum of posterior * x
    second: np.ndarray  # (K, D) sum of posterior * x²
    log_likelihood: float  # sum of ln p(x)
    num_frames: int

    @classmethod
    def zeros(cls, gmm):
        """Those of no frame under a model."""
        return cls(
            np.zeros(gmm.weights.shape),
            np.zeros(gmm.means.shape),
            np.zeros(gmm.means.shape),
            0.0,
            0,
        )

    def __add__(self, other):
        if self.first.shape != other.first.shape:
            raise ValueError(
                f"GmmStats: shapes: got {self.first.shape} and {other.first.shape}, need equal ones; statistics of different models. "
                "Accumulate all parts with one model"
            )
        return GmmStats(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


def _as_frames(frames, dim=None):
    with np.errstate(over="ignore"):  # inf is reported with its place
        frames = np.asarray(frames, dtype=np.float32)
    if frames.ndim != 2 or frames.shape[1] == 0 or dim not in (None, frames.shape[1]):
        raise ValueError(
            f"gmm: frames: got shape {frames.shape}, need (num_frames, {dim or 'D'}); features made with other settings than the rest. "
            "Compute all features with the same settings"
        )
    return frames


def _check_finite(values, frames, start=0, place=""):
    finite = np.isfinite(values)
    if not finite.all():
        bad = int(np.argmin(finite.reshape(len(frames), -1).all(axis=1)))
        raise ValueError(
            f"gmm: frames: got a largest magnitude of {np.abs(frames[bad]).max():g} in frame {start + bad}{place}, need finite values "
            "that deviate by 1e-15 to 1e18; a damaged recording, the logarithm of zero or another scale. Check this utterance's features"
        )


def _e_step(gmm, frames):
    """Per CHUNK: [z, z², 1] (n, 2D + 1), unnormalised posteriors (K, n), their sums (n,), ln p(x) (n,) float64; buffers are reused."""
    centre, rows = gmm.float32_form
    dim = len(centre)
    frames = _as_frames(frames, dim)
    size = min(CHUNK, len(frames))
    all_terms, all_scores = (
        np.empty((size, 2 * dim + 1), np.float32),
        np.empty(len(rows) * size, np.float32),
    )
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
        _check_finite(log_likelihoods, chunk, start)
        yield terms, scores, total, log_likelihoods


def log_likelihood(gmm, frames):
    """Return ln p(x), float64 (num_frames,), of float32 frames (num_frames, D); accurate to about 1e-4 at 120 dimensions.

    Raises
    ------
    ValueError
        If the dimension is not the model's or a frame is not finite.
    """
    return np.concatenate([np.empty(0), *(values for *_, values in _e_step(gmm, frames))])


def llr(genuine, spoof, frames):
    """Mean over the float32 frames (num_frames, D) of ln p(x | genuine) - ln p(x | spoof), a float; positive speaks for genuine.

    Raises
    ------
    ValueError
        If there is no frame, the dimension is not the models' or a frame is not finite.

    Notes
    -----
    Exchanging the models changes the sign alone (`test_llr_is_antisymmetric`).
    """
    if len(frames) == 0:
        raise ValueError(
            "llr: frames: got 0, need at least 1; audio shorter than a frame. Leave this utterance out"
        )
    return float(np.mean(log_likelihood(genuine, frames) - log_likelihood(spoof, frames)))


def accumulate(gmm, frames, into=None):
    """`GmmStats` of float32 frames (num_frames, D) under the model, the E step of an EM pass; added to those in `into`, if given.

    Raises
    ------
    ValueError
        If the dimension is not the model's or a frame is not finite; `into` is then as it was.

    Notes
    -----
    Occupancies sum to the number of frames (`test_posteriors_sum_to_frames`). What an array adds is rounded to multiples of a number that
    the model determines, so that sums over arrays are exact: they do not depend on order or on the cut into parts, as long as the frames
    times the squared ratio of a feature's magnitude to its deviation stay below 2^35 (`test_statistics_do_not_depend_on_order_and_parts`).
    """
    centre, rows = gmm.float32_form
    into = into or GmmStats.zeros(gmm)
    blocks, product, log_likelihood_sum = [], np.empty_like(rows), 0.0
    for index, (terms, scores, total, log_likelihoods) in enumerate(_e_step(gmm, frames)):
        terms *= np.reciprocal(total)[:, None]  # cheaper than normalising the (K, n) posteriors
        if index * CHUNK % BLOCK == 0:
            blocks.append(np.zeros_like(rows))
        if not compiled(add_active)(scores, terms, product[0], blocks[-1]):
            blocks[-1] += np.matmul(scores, terms, out=product)
        log_likelihood_sum += float(log_likelihoods.sum())
    for block in blocks:
        compiled(add_block)(
            block, centre.astype(np.float64), gmm.rounders, into.occupancy, into.first, into.second
        )
    into.log_likelihood += log_likelihood_sum
    into.num_frames += len(frames)
    return into


def global_stats(frames, dim=None):
    """`GmmStats` of float32 frames (num_frames, D) under one Gaussian, whatever it is; taken in float64 about the mean of each BLOCK.

    Raises
    ------
    ValueError
        If the dimension is not `dim`, where that is given, or a frame is not finite.
    """
    frames = _as_frames(frames, dim)
    _check_finite(frames, frames)
    return reduce(
        operator.add,
        (
            _block_stats(frames[start : start + BLOCK])
            for start in range(0, max(len(frames), 1), BLOCK)
        ),
    )


def _block_stats(frames):
    num_frames = len(frames)
    mean = frames.sum(axis=0, dtype=np.float64) / max(num_frames, 1)
    second = np.square(frames - mean).sum(axis=0) + num_frames * mean**2
    return GmmStats(
        np.full(1, float(num_frames)), num_frames * mean[None], second[None], 0.0, num_frames
    )


def update(stats, variance_floor=0.1, log: Callable[[str], object] = lambda line: None):
    """`DiagGmm` that maximises the expected likelihood (M step), with floored variances and empty components re-seeded.

    Parameters
    ----------
    stats : GmmStats
    variance_floor : float in [0, 1]
        Least variance as a share of the components' weighted mean variance in that dimension; MIN_VARIANCE holds besides.
    log : callable
        Is given a line for each component below MIN_OCCUPANCY, which becomes one half of the heaviest one, and one if dimensions are
        constant, of one component.

    Raises
    ------
    ValueError
        If the statistics hold no frame.

    Notes
    -----
    With variance_floor = 0 the likelihood of the accumulated frames never falls (`test_em_never_lowers_the_likelihood`).
    """
    alive = stats.occupancy >= MIN_OCCUPANCY
    if not alive.any():
        raise ValueError(
            "update: statistics: got no frame, need at least 1; an empty archive. Accumulate over some utterances"
        )
    global_mean = stats.first.sum(axis=0) / stats.occupancy.sum()
    global_variance = stats.second.sum(axis=0) / stats.occupancy.sum() - global_mean**2
    constant = global_variance <= 1e-12 * global_mean**2  # within float32
    least = MIN_VARIANCE * np.where(constant, 1.0, global_variance)
    if len(alive) == 1 and constant.any():
        num, first = constant.sum(), np.argmax(constant)
        log(
            f"{num} of {len(constant)} dimensions are constant, first {first}: variance set to {MIN_VARIANCE:g}"
        )
    weights = np.where(alive, stats.occupancy, 0.0)
    weights /= weights.sum()
    divisor = np.where(alive, stats.occupancy, 1.0)[:, None]
    means = stats.first / divisor
    variances = stats.second / divisor - means**2
    variances = np.maximum(
        variances,
        np.maximum(variance_floor * np.average(variances, axis=0, weights=weights), least),
    )
    for empty in np.flatnonzero(~alive):
        heaviest = int(np.argmax(weights))
        log(
            f"component {empty} is empty: re-seeded from component {heaviest} of weight {weights[heaviest]:.4g}"
        )
        pair = split(DiagGmm([1.0], means[[heaviest]], variances[[heaviest]]))
        weights[[heaviest, empty]] = weights[heaviest] / 2
        means[[heaviest, empty]], variances[[heaviest, empty]] = pair.means, pair.variances
    return DiagGmm(weights, means, variances)


def split(gmm):
    """`DiagGmm` of 2K components: the means less, then plus one deviation in their largest-variance dimension alone; weights halved.

    Notes
    -----
    The first of those whose variances are within TIE of the largest: then features that differ in their last digits give
    models that differ in theirs (`test_rounding_of_normalised_features_does_not_choose_the_model`).
    """
    rows = np.arange(len(gmm.weights))
    widest = np.argmax(
        gmm.variances >= (1 - TIE) * gmm.variances.max(axis=1, keepdims=True), axis=1
    )
    offset = np.zeros_like(gmm.means)
    offset[rows, widest] = np.sqrt(gmm.variances[rows, widest])
    means = np.concatenate([gmm.means - offset, gmm.means + offset])
    return DiagGmm(np.tile(gmm.weights / 2, 2), means, np.tile(gmm.variances, (2, 1)))


def _checked(frames):
    """The arrays in float32, refused with their number."""
    dim = None
    for index, piece in enumerate(frames):
        piece = _as_frames(piece, dim)
        _check_finite(piece, piece, place=f" of array {index}")
        dim = piece.shape[1]
        yield piece


def _batches(frames, step):
    """Lists of arrays with every `step`-th frame of each given one, at most BLOCK rows an array and at least that many a list."""
    batch, num_rows = [], 0
    for piece in _checked(frames):
        piece = piece[::step]
        for start in range(0, len(piece), BLOCK):
            batch.append(piece[start : start + BLOCK])
            num_rows += len(batch[-1])
            if num_rows >= BLOCK:
                yield batch
                batch, num_rows = [], 0
    if batch:
        yield batch


def _ordered_map(pool, num_ahead, function, items):
    """Yield function(item) in the order of the items, with at most `num_ahead` of them in memory."""
    waiting = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) == num_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def train_gmm(
    frames: Iterable[np.ndarray],
    options=GmmOptions(),
    num_threads=1,
    log: Callable[[str], object] = lambda line: None,
):
    """`DiagGmm` trained by EM and binary splitting from the global mean and variance.

    Parameters
    ----------
    frames : iterable of ndarray, shape (any, D), float32
        Read once per EM pass: a list, one array, or an object whose `iter()` opens an archive again. It must give the same frames each
        time, and not overwrite an array it has given.
    num_threads : int
        Threads that share a pass; the BLAS library is held to one thread meanwhile.
    log : callable
        Is given one line per pass, and one if dimensions are constant or a component is empty.

    Raises
    ------
    ValueError
        If there are fewer frames than components, a frame is not finite, dimensions differ, or a later pass gives other frames.

    Notes
    -----
    The schedule is that of the MSR Identity Toolbox (Sadjadi, Slaney and Heck, 2013): EM_PASSES[l] passes at 2^l components, `final_iters`
    at the last. Unlike there, the pass at one component is the closed form, `subsample` counts anew in each array, and empty components
    are re-seeded. The model depends bit for bit on the arrays alone, not on the number of threads, and equals the one of `accumulate` and
    `update` over any parts (`test_same_bits_for_any_parts_and_threads`).
    """
    if num_threads < 1:
        raise ValueError(
            f"train_gmm: num_threads: got {num_threads}, need at least 1. Set the number of cores to use"
        )
    if isinstance(frames, np.ndarray):
        frames = [frames]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(num_threads) as pool:

        def accumulate_all(gmm, step):
            def accumulate_batch(batch):
                return reduce(
                    lambda stats, piece: accumulate(gmm, piece, stats), batch, GmmStats.zeros(gmm)
                )

            parts = _ordered_map(pool, 2 * num_threads, accumulate_batch, _batches(frames, step))
            return reduce(operator.add, parts, next(parts, None))

        parts = map(global_stats, _checked(frames))
        stats = reduce(operator.add, parts, next(parts, None))
        num_frames = stats.num_frames if stats else 0
        if num_frames < options.num_components:
            raise ValueError(
                f"train_gmm: frames: got {num_frames}, need at least {options.num_components}, one per component; too little data. "
                "Lower num_components or add utterances"
            )
        gmm = update(stats, options.variance_floor, log)
        num_levels = options.num_components.bit_length()
        for level in range(1, num_levels):
            gmm = split(gmm)
            num_passes = (
                options.final_iters
                if level == num_levels - 1
                else EM_PASSES[min(level, len(EM_PASSES) - 1)]
            )
            step = options.subsample if level < num_levels - 2 else 1
            for index in range(1, num_passes + 1):
                stats = accumulate_all(gmm, step)
                got = stats.num_frames if stats else 0
                if not got <= num_frames <= got * step:
                    raise ValueError(
                        f"train_gmm: frames: got {got} in a later pass, need {num_frames} as before; an iterator read only once, "
                        "or an archive being rewritten. Pass a list or an object that starts again at each iter()"
                    )
                log(
                    f"{2**level} components, pass {index} of {num_passes}: {stats.log_likelihood / got:.6f} per frame of {got}"
                )
                gmm = update(stats, options.variance_floor, log)
    return gmm
