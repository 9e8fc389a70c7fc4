"""Training of a mixture: update, binary splitting, and the schedule of EM passes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from sdtools.errors import SdError, UsageError, warn
from sdtools.features.postprocess import PostOptions
from sdtools.gmm.mixture import DiagGmm, as_frames
from sdtools.gmm.statistics import BLOCK, GmmStats, accumulate, global_stats

EM_PASSES = (1, 2, 4, 4, 4, 4, 6, 6, 10, 10, 15)
"""Passes at 1, 2, 4, ... 1024 components; the last level has its own number."""
MIN_OCCUPANCY = 1e-2  # frames; a component with less is empty
TIE = 1e-3  # variances this close are equal: rounding must not decide which one is split
MIN_VARIANCE = 1e-6  # of a dimension's global variance; absolute where the dimension is constant


@dataclass(frozen=True)
class UpdateOptions:
    """Settings of `update`."""

    variance_floor: float = field(
        default=0.1,
        metadata={
            "help": "least variance as a share of the mean one (not determined by the paper)"
        },
    )

    def __post_init__(self) -> None:
        if not 0 <= self.variance_floor <= 1:
            got, hint = self.variance_floor, "Set a share such as 0.1"
            raise UsageError("--variance-floor", got=got, need="0 to 1", hint=hint)


@dataclass(frozen=True)
class GmmOptions(UpdateOptions):
    """Settings of `train_gmm`.

    Examples
    --------
    >>> GmmOptions(num_components=256).final_iters
    10
    """

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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_components < 1 or self.num_components & (self.num_components - 1):
            got, hint = self.num_components, "Set 256, 512 or 1024"
            raise UsageError("--num-components", got=got, need="a power of two", hint=hint)
        for name in ("final_iters", "subsample"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(option, got=getattr(self, name), need="1 or more")


def warn_of_equal_models(options: GmmOptions, post_options: PostOptions) -> None:
    """Warn if a single Gaussian is trained on normalised features: it is the same for any class."""
    if options.num_components == 1 and post_options.cmvn:
        what = "with --cmvn=true the models of both classes are the same, so all LLRs will be equal"
        warn("--num-components=1", what, hint="Use more components, or --cmvn=false")


class Reseeding(NamedTuple):
    """An empty component that became one half of another one."""

    component: int
    source: int
    weight: float
    """Of the source, before it was halved."""

    def __str__(self) -> str:
        source = f"component {self.source} of weight {self.weight:.4g}"
        return f"component {self.component} is empty: re-seeded from {source}"


class Update(NamedTuple):
    """The model after an M step, and which components were re-seeded in it."""

    gmm: DiagGmm
    reseeded: tuple[Reseeding, ...]


def update(stats: GmmStats, variance_floor: float = 0.1) -> Update:
    """Model that maximises the expected likelihood: the M step.

    Parameters
    ----------
    stats : GmmStats
    variance_floor : float in [0, 1]
        Least variance as a share of the components' weighted mean variance in that dimension;
        `MIN_VARIANCE` applies as well.

    Returns
    -------
    Update
        A component below `MIN_OCCUPANCY` becomes one half of the heaviest one.

    Raises
    ------
    SdError
        If the statistics hold no frame.

    Warns
    -----
    SdWarning
        If dimensions are constant, in the update of one component.

    Notes
    -----
    With `variance_floor` 0 the likelihood of the accumulated frames never falls
    (`test_em_never_lowers_the_likelihood`).
    """
    alive = stats.occupancy >= MIN_OCCUPANCY
    if not alive.any():
        hint = "Accumulate over some utterances"
        raise SdError("statistics", "number of frames", got=0, need="at least 1", hint=hint)
    global_mean = stats.first.sum(axis=0) / stats.occupancy.sum()
    global_variance = stats.second.sum(axis=0) / stats.occupancy.sum() - global_mean**2
    constant = global_variance <= 1e-12 * global_mean**2  # within float32
    least = MIN_VARIANCE * np.where(constant, 1.0, global_variance)
    if len(alive) == 1 and constant.any():
        which = f"{constant.sum()} of {len(constant)} dimensions are constant"
        first = f"the first is {np.argmax(constant)} (from 0)"
        warn("frames", f"{which}, {first}; their variance becomes {MIN_VARIANCE:g}")
    weights = np.where(alive, stats.occupancy, 0.0)
    weights /= weights.sum()
    divisor = np.where(alive, stats.occupancy, 1.0)[:, None]
    means = stats.first / divisor
    variances = stats.second / divisor - means**2
    floor = variance_floor * np.average(variances, axis=0, weights=weights)
    variances = np.maximum(variances, np.maximum(floor, least))
    reseeded = []
    for empty in map(int, np.flatnonzero(~alive)):
        heaviest = int(np.argmax(weights))
        reseeded.append(Reseeding(empty, heaviest, float(weights[heaviest])))
        pair = split(DiagGmm(np.ones(1), means[[heaviest]], variances[[heaviest]]))
        weights[[heaviest, empty]] = weights[heaviest] / 2
        means[[heaviest, empty]], variances[[heaviest, empty]] = pair.means, pair.variances
    return Update(DiagGmm(weights, means, variances), tuple(reseeded))


def split(gmm: DiagGmm) -> DiagGmm:
    """Model of 2K components: each one in two halves, a deviation below and above its mean.

    Only the mean in the dimension of the largest variance moves. If several variances are within
    `TIE` of the largest, the first of these dimensions counts: so features that differ in their
    last digits give models that differ only in theirs
    (`test_rounding_of_normalised_features_does_not_choose_the_model`).
    """
    rows = np.arange(len(gmm.weights))
    near_widest = gmm.variances >= (1 - TIE) * gmm.variances.max(axis=1, keepdims=True)
    widest = np.argmax(near_widest, axis=1)
    offset = np.zeros_like(gmm.means)
    offset[rows, widest] = np.sqrt(gmm.variances[rows, widest])
    means = np.concatenate([gmm.means - offset, gmm.means + offset])
    return DiagGmm(np.tile(gmm.weights / 2, 2), means, np.tile(gmm.variances, (2, 1)))


class EmPass(NamedTuple):
    """One pass of the EM schedule: `number`, from 1, of `num_passes` at `num_components`."""

    num_components: int
    number: int
    num_passes: int
    subsample: int
    """Every n-th frame is used."""
    is_split_after: bool
    """Whether the components are then split."""


def em_schedule(options: GmmOptions) -> list[EmPass]:
    """The EM passes that follow the closed form of one component and its split.

    Examples
    --------
    >>> for em_pass in em_schedule(GmmOptions(num_components=4, final_iters=1)):
    ...     print(*em_pass)
    2 1 2 1 False
    2 2 2 1 True
    4 1 1 1 False
    """
    num_levels = options.num_components.bit_length()
    schedule = []
    for level in range(1, num_levels):
        is_last = level == num_levels - 1
        num_passes = options.final_iters if is_last else EM_PASSES[min(level, len(EM_PASSES) - 1)]
        subsample = options.subsample if level < num_levels - 2 else 1
        for number in range(1, num_passes + 1):
            is_split_after = number == num_passes and not is_last
            schedule.append(EmPass(2**level, number, num_passes, subsample, is_split_after))
    return schedule


@dataclass(frozen=True)
class PassRecord:
    """What happened in one EM pass.

    Parameters
    ----------
    num_components, number, num_passes : int
        As of `EmPass`.
    num_frames : int
        Frames used.
    log_likelihood : float
        Mean of ln p(x) over them, under the model before the update.
    reseeded : tuple of Reseeding
        Components that were empty.
    """

    num_components: int
    number: int
    num_passes: int
    num_frames: int
    log_likelihood: float
    reseeded: tuple[Reseeding, ...]

    def __str__(self) -> str:
        head = f"{self.num_components} components, pass {self.number} of {self.num_passes}"
        return f"{head}: {self.log_likelihood:.6f} per frame of {self.num_frames}"


class Training(NamedTuple):
    """A trained model and the record of each EM pass."""

    gmm: DiagGmm
    history: tuple[PassRecord, ...]


def train_gmm(
    frames: Iterable[np.ndarray],
    options: GmmOptions = GmmOptions(),
    *,
    num_threads: int = 1,
    on_pass: Callable[[PassRecord], object] | None = None,
) -> Training:
    """Train a mixture by EM and binary splitting from the global mean and variance.

    Parameters
    ----------
    frames : iterable of float arrays, shape (any, D), or one array
        Read once per EM pass: a list, or an object whose `iter()` opens an archive again. It must
        give the same frames each time, and not overwrite an array it has given.
    options : GmmOptions
    num_threads : int
        Threads that share a pass; the BLAS library uses one thread meanwhile.
    on_pass : callable, optional
        Called with the record of each pass, to show progress.

    Returns
    -------
    Training
        The model `.gmm`, and `.history`, one `PassRecord` for each pass.

    Raises
    ------
    SdError
        If there are fewer frames than components, a frame is not of floats or not finite,
        dimensions differ, or a later pass gives other frames.

    Notes
    -----
    The schedule is that of the MSR Identity Toolbox (Sadjadi, Slaney and Heck, 2013):
    `EM_PASSES[l]` passes at 2^l components, `final_iters` at the last. Unlike there, the pass at
    one component is the closed form, `subsample` counts anew in each array, and empty components
    are re-seeded. The model depends bit for bit on the arrays alone, not on the number of threads,
    and equals the one of `accumulate` and `update` over any parts
    (`test_same_bits_for_any_parts_and_threads`).

    Examples
    --------
    >>> utterances = [np.array([[-1.0], [-1.1]]), np.array([[0.9], [1.2]])]
    >>> gmm, history = train_gmm(utterances, GmmOptions(num_components=2, final_iters=3))
    >>> gmm.means.round(2).tolist()
    [[-1.05], [1.05]]
    >>> [round(record.log_likelihood, 2) for record in history]
    [-1.54, -1.29, -0.68]
    """
    if num_threads < 1:
        hint = "Set the number of cores to use"
        raise SdError("train_gmm", "num_threads", got=num_threads, need="1 or more", hint=hint)
    arrays = [frames] if isinstance(frames, np.ndarray) else frames
    history = []
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(num_threads) as pool:
        stats = _stats_of_all(arrays, options.num_components)
        num_frames = stats.num_frames
        gmm = update(stats, options.variance_floor).gmm
        if options.num_components > 1:
            gmm = split(gmm)
        for em_pass in em_schedule(options):
            step = em_pass.subsample
            stats = _accumulate_all(gmm, _batches(arrays, step), pool, 2 * num_threads)
            got = stats.num_frames
            if not got <= num_frames <= got * step:
                hint = "Pass a list, or an object that starts again at each iter()"
                what = "number of frames in a later pass"
                raise SdError("train_gmm", what, got=got, need=f"{num_frames} as before", hint=hint)
            gmm, reseeded = update(stats, options.variance_floor)
            record = PassRecord(*em_pass[:3], got, stats.log_likelihood / got, reseeded)
            history.append(record)
            if on_pass:
                on_pass(record)
            if em_pass.is_split_after:
                gmm = split(gmm)
    return Training(gmm, tuple(history))


def _stats_of_all(arrays: Iterable[np.ndarray], num_components: int) -> GmmStats:
    """Statistics of all frames under one Gaussian; they are checked on the way."""
    total: GmmStats | None = None
    for index, array in enumerate(arrays):
        try:
            stats = global_stats(array, total.first.shape[1] if total else None)
        except SdError as error:
            raise error.within(f"array {index}") from None
        total = total + stats if total else stats
    if total is None or total.num_frames < num_components:
        raise too_few_frames("train_gmm", total.num_frames if total else 0, num_components)
    return total


def too_few_frames(who: str, num_frames: int, num_components: int) -> SdError:
    """The error for fewer frames than components."""
    need = f"at least {num_components}, one per component"
    hint = "Lower --num-components or add utterances"
    return SdError(who, "number of frames", got=num_frames, need=need, hint=hint)


def _batches(arrays: Iterable[np.ndarray], step: int) -> Iterator[list[np.ndarray]]:
    """Lists of arrays with every `step`-th frame of each given array.

    An array has at most `BLOCK` rows, a list at least that many.
    """
    batch: list[np.ndarray] = []
    num_rows = 0
    for array in arrays:
        piece = as_frames(array)[::step]
        for start in range(0, len(piece), BLOCK):
            batch.append(piece[start : start + BLOCK])
            num_rows += len(batch[-1])
            if num_rows >= BLOCK:
                yield batch
                batch, num_rows = [], 0
    if batch:
        yield batch


def _accumulate_all(
    gmm: DiagGmm, batches: Iterable[list[np.ndarray]], pool: ThreadPoolExecutor, num_ahead: int
) -> GmmStats:
    """Statistics of all batches, with at most `num_ahead` of them in memory."""

    def accumulate_batch(batch: list[np.ndarray]) -> GmmStats:
        return reduce(
            lambda stats, piece: accumulate(gmm, piece, stats), batch, GmmStats.zeros(gmm)
        )

    total = GmmStats.zeros(gmm)
    waiting: deque[Future[GmmStats]] = deque()
    for batch in batches:
        waiting.append(pool.submit(accumulate_batch, batch))
        if len(waiting) == num_ahead:
            total += waiting.popleft().result()
    for future in waiting:
        total += future.result()
    return total
