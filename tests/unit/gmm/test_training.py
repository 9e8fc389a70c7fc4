import re
import tracemalloc
import warnings

import numpy as np
import pytest
from fields import fails
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from test_mixture import make_frames, make_gmm, make_utterances, naive_joint
from threadpoolctl import threadpool_info

from sdtools.errors import SdWarning
from sdtools.features.postprocess import PostOptions
from sdtools.gmm.mixture import DiagGmm, log_likelihood
from sdtools.gmm.statistics import GmmStats, accumulate
from sdtools.gmm.training import (
    EM_PASSES,
    EmPass,
    GmmOptions,
    Reseeding,
    em_schedule,
    split,
    train_gmm,
    update,
    warn_of_equal_models,
)


def naive_em_pass(gmm, frames, variance_floor=0.1):
    joint = naive_joint(gmm, frames)
    posteriors = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    occupancy = posteriors.sum(axis=0)
    means = posteriors.T @ frames / occupancy[:, None]
    variances = np.stack([p @ (frames - m) ** 2 / p.sum() for p, m in zip(posteriors.T, means)])
    weights = occupancy / len(frames)
    return DiagGmm(weights, means, np.maximum(variances, variance_floor * (weights @ variances)))


def same_bits(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("weights", "means", "variances")
    )


# Closed form


@pytest.mark.parametrize("offset", [0.0, 300.0, 1e5])
def test_one_component_is_mean_and_variance(offset):
    frames = make_frames(np.random.default_rng(0), 20_000, 3, offset)
    gmm, history = train_gmm(frames, GmmOptions(num_components=1))
    assert history == ()
    np.testing.assert_allclose(gmm.means[0], frames.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(gmm.variances[0], frames.var(axis=0, dtype=np.float64), rtol=1e-5)
    assert gmm.weights.tolist() == [1.0]


def test_split_moves_the_widest_dimension_by_one_deviation():
    got = split(DiagGmm([0.25, 0.75], [[1.0, 2.0], [3.0, 4.0]], [[9.0, 4.0], [1.0, 16.0]]))
    assert got.weights.tolist() == [0.125, 0.375, 0.125, 0.375]
    assert got.means.tolist() == [[-2.0, 2.0], [3.0, 0.0], [4.0, 2.0], [3.0, 8.0]]
    assert got.variances.tolist() == [[9.0, 4.0], [1.0, 16.0]] * 2


def test_update_floors_at_a_share_of_the_mean_variance():
    # weights 1/4 and 3/4, means 1 and 2, variances 8 and 0: floor 0.1 * (8 / 4) = 0.2
    stats = GmmStats(
        np.array([1.0, 3.0]), np.array([[1.0], [6.0]]), np.array([[9.0], [12.0]]), 0.0, 4
    )
    gmm, reseeded = update(stats, 0.1)
    assert reseeded == ()
    np.testing.assert_allclose(gmm.weights, [0.25, 0.75])
    np.testing.assert_allclose(gmm.means, [[1.0], [2.0]])
    np.testing.assert_allclose(gmm.variances, [[8.0], [0.2]])


def test_empty_component_takes_half_of_the_heaviest():
    stats = GmmStats(
        np.array([2.0, 0.0, 6.0]),
        np.array([[2.0], [0.0], [18.0]]),
        np.array([[4.0], [0.0], [78.0]]),
        0.0,
        8,
    )
    gmm, reseeded = update(stats, 0.1)
    np.testing.assert_allclose(gmm.weights, [0.25, 0.375, 0.375])
    np.testing.assert_allclose(gmm.means, [[1.0], [5.0], [1.0]])  # component 2: mean 3, variance 4
    np.testing.assert_allclose(gmm.variances, [[1.0], [4.0], [4.0]])
    assert reseeded == (Reseeding(component=1, source=2, weight=0.75),)
    assert str(reseeded[0]) == "component 1 is empty: re-seeded from component 2 of weight 0.75"


# Property


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), num_components=st.integers(1, 6))
def test_em_never_lowers_the_likelihood(seed, num_components):
    rng = np.random.default_rng(seed)
    gmm, frames = make_gmm(rng, num_components, 3), make_frames(rng, 600, 3)
    averages = []
    for _ in range(6):
        stats = accumulate(gmm, frames)
        averages.append(stats.log_likelihood / len(frames))
        gmm = update(stats, 0.0).gmm
    assert np.diff(averages).min() > -1e-5


class Archive:
    """Gives fresh copies at each reading, as an archive on disk would."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __iter__(self):
        return (array.copy() for array in self.arrays)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (50.0, 3000.0)])
@pytest.mark.parametrize("subsample", [1, 3])
def test_same_bits_for_any_parts_and_threads(scale, offset, subsample):
    """EM by hand over parts in any order, also at frequencies, whose mean is 60 deviations."""
    utterances = make_utterances(4, 60, 5, scale, offset)
    options = GmmOptions(num_components=16, final_iters=3, subsample=subsample)
    whole, history = train_gmm(Archive(utterances), options)
    other, other_history = train_gmm(utterances, options, num_threads=3)
    assert same_bits(other, whole) and other_history == history
    for num_parts in (1, 8):
        gmm = train_gmm(utterances, GmmOptions(num_components=1)).gmm
        for num_passes, step in ((2, subsample), (4, subsample), (4, 1), (3, 1)):
            gmm = split(gmm)
            for _ in range(num_passes):
                stats = [GmmStats.zeros(gmm) for _ in range(num_parts)]
                for index in np.random.default_rng(num_parts).permutation(len(utterances)):
                    accumulate(gmm, utterances[index][::step], stats[index % num_parts])
                gmm = update(sum(stats[1:], stats[0])).gmm
        assert same_bits(gmm, whole)


def test_split_takes_the_first_of_equal_dimensions():
    got = split(DiagGmm([1.0], [[0.0, 0.0, 0.0]], [[1.0, 2.0 - 1e-4, 2.0]]))
    assert np.flatnonzero(got.means[0]) == [1]


def test_rounding_of_normalised_features_does_not_choose_the_model():
    """All dimensions have variance 1: the 7th digit must not decide which is split first."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 6)) + np.abs(
        rng.standard_normal((4000, 6))
    )
    frames = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    models = [
        train_gmm(
            frames * (1 + 1e-7 * rng.standard_normal(frames.shape)), GmmOptions(num_components=8)
        ).gmm
        for _ in range(3)
    ]
    for other in models[1:]:
        np.testing.assert_allclose(other.means, models[0].means, atol=1e-3)


# Second implementation


def test_em_pass_against_scikit_learn():
    rng = np.random.default_rng(7)
    start, frames = make_gmm(rng, 8, 12), make_frames(rng, 3000, 12)
    other = GaussianMixture(
        8,
        covariance_type="diag",
        reg_covar=0,
        max_iter=1,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1 / start.variances,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        other.fit(frames.astype(np.float64))
    stats = accumulate(start, frames)
    got = update(stats, 0.0).gmm
    assert stats.log_likelihood / len(frames) == pytest.approx(other.lower_bound_, rel=1e-6)
    np.testing.assert_allclose(got.weights, other.weights_, rtol=1e-5)
    np.testing.assert_allclose(got.means, other.means_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.variances, other.covariances_, rtol=1e-4)
    np.testing.assert_allclose(
        log_likelihood(got, frames), other.score_samples(frames.astype(np.float64)), rtol=1e-5
    )


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_training_against_a_plain_float64_loop(offset):
    frames = make_frames(np.random.default_rng(8), 900, 3, offset)
    double = frames.astype(np.float64)
    expected = DiagGmm([1.0], [double.mean(axis=0)], [double.var(axis=0)])
    for num_passes, selected in ((2, double[::2]), (4, double), (3, double)):
        expected = split(expected)
        for _ in range(num_passes):
            expected = naive_em_pass(expected, selected)
    got = train_gmm(frames, GmmOptions(num_components=8, final_iters=3, subsample=2)).gmm
    np.testing.assert_allclose(got.weights, expected.weights, rtol=1e-4)
    np.testing.assert_allclose(got.means, expected.means, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(got.variances, expected.variances, rtol=1e-3)


# Recovered truth


def test_recovers_the_mixture_that_made_the_frames():
    rng = np.random.default_rng(9)
    truth = DiagGmm(
        [0.4, 0.3, 0.2, 0.1],
        [[-6, 0], [6, 1], [-5, 9], [7, -8]],
        [[1, 2], [0.5, 1], [2, 0.5], [1, 1]],
    )
    component = rng.choice(4, size=20_000, p=truth.weights)
    frames = truth.means[component] + np.sqrt(truth.variances[component]) * rng.standard_normal(
        (20_000, 2)
    )
    got = train_gmm(frames.astype(np.float32), GmmOptions(num_components=4, final_iters=20)).gmm
    order = [int(np.argmin(((got.means - mean) ** 2).sum(axis=1))) for mean in truth.means]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(got.weights[order], truth.weights, atol=0.015)
    np.testing.assert_allclose(got.means[order], truth.means, atol=0.1)
    np.testing.assert_allclose(got.variances[order], truth.variances, rtol=0.1)


# Limits and errors


def test_passes_follow_the_schedule():
    options, seen = GmmOptions(num_components=16, final_iters=3, subsample=4), []
    frames = make_frames(np.random.default_rng(10), 601, 2)
    history = train_gmm(frames, options, on_pass=seen.append).history
    assert history == tuple(seen)
    found = [(r.num_components, r.num_passes, r.num_frames, r.number) for r in history]
    levels = [(2, 2, 151), (4, 4, 151), (8, 4, 601), (16, 3, 601)]
    assert found == [(*level, n) for level in levels for n in range(1, level[1] + 1)]
    schedule = em_schedule(options)
    assert [p[:2] for p in schedule] == [(r.num_components, r.number) for r in history]
    assert [p.subsample for p in schedule] == [4] * 6 + [1] * 7
    sizes = [p.num_components for p in schedule]
    assert [p.is_split_after for p in schedule] == [
        now < then for now, then in zip(sizes, [*sizes[1:], 16])
    ]


def test_schedule_at_its_ends():
    assert em_schedule(GmmOptions(num_components=1)) == []
    assert em_schedule(GmmOptions(num_components=2, final_iters=1, subsample=5)) == [
        EmPass(2, 1, 1, 1, False)
    ]
    passes = [p.num_passes for p in em_schedule(GmmOptions(num_components=4096)) if p.number == 1]
    assert passes == [*EM_PASSES[1:], EM_PASSES[-1], GmmOptions.final_iters]


def test_history_holds_the_likelihood_of_each_pass():
    """Under the model before the update; it is what the log line shows."""
    frames = make_frames(np.random.default_rng(35), 300, 2)
    gmm, history = train_gmm(frames, GmmOptions(num_components=2, final_iters=2))
    start = split(train_gmm(frames, GmmOptions(num_components=1)).gmm)
    assert history[0].log_likelihood == pytest.approx(log_likelihood(start, frames).mean())
    assert history[1].log_likelihood < log_likelihood(gmm, frames).mean()
    value = f"{history[0].log_likelihood:.6f}"
    assert str(history[0]) == f"2 components, pass 1 of 2: {value} per frame of 300"


def test_blas_is_held_to_one_thread():
    seen = []

    def look(record):
        seen.extend(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")

    frames = make_frames(np.random.default_rng(11), 50, 2)
    train_gmm(frames, GmmOptions(num_components=2, final_iters=1), num_threads=2, on_pass=look)
    assert set(seen) == {1}


def test_memory_does_not_grow_with_the_corpus():
    piece = make_frames(np.random.default_rng(12), 5000, 8)

    class Corpus:
        def __iter__(self):
            return (piece.copy() for _ in range(200))  # 32 MB

    train_gmm(piece, GmmOptions(num_components=2, final_iters=1))  # compiles
    tracemalloc.start()
    train_gmm(Corpus(), GmmOptions(num_components=2, final_iters=1), num_threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6


def test_constant_dimension_is_floored_and_pointed_out():
    frames = make_frames(np.random.default_rng(13), 1000, 3)
    frames[:, 1] = 300.1
    with pytest.warns(SdWarning, match=r"1 of 3 dimensions are constant, the first is 1 .* 1e-06"):
        gmm = train_gmm(frames, GmmOptions(num_components=4, final_iters=2)).gmm
    np.testing.assert_allclose(gmm.variances[:, 1], 1e-6)
    np.testing.assert_allclose(gmm.means[:, 1], 300.1, rtol=1e-6)
    assert np.isfinite(log_likelihood(gmm, frames)).all()


@pytest.mark.filterwarnings("ignore:.*dimensions are constant")
@pytest.mark.parametrize(("num_values", "least_variance"), [(1, 1e-6), (2, 0.25e-6)])
def test_duplicated_frames_stay_finite(num_values, least_variance):
    values = np.repeat(np.arange(num_values, dtype=np.float32)[:, None], 40, axis=0)
    frames = values * np.ones(3, np.float32)
    gmm = train_gmm(frames, GmmOptions(num_components=16)).gmm
    assert np.isfinite(log_likelihood(gmm, frames)).all()
    assert gmm.weights.sum() == pytest.approx(1)
    assert gmm.variances.min() == pytest.approx(least_variance)


def test_empty_component_in_training_is_recorded_not_nan():
    stats = accumulate(
        DiagGmm([0.5, 0.5], [[0.0], [1e4]], [[1.0], [1.0]]),
        make_frames(np.random.default_rng(14), 100, 1),
    )
    gmm, reseeded = update(stats)
    assert np.isfinite(gmm.means).all()
    assert reseeded == (Reseeding(component=1, source=0, weight=1.0),)


def test_one_normalised_gaussian_is_pointed_out():
    with pytest.warns(SdWarning, match="all LLRs will be equal"):
        warn_of_equal_models(GmmOptions(num_components=1), PostOptions())
    warn_of_equal_models(GmmOptions(num_components=2), PostOptions())
    warn_of_equal_models(GmmOptions(num_components=1), PostOptions(cmvn=False))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_bad_frame_in_training_is_named(value):
    arrays = [make_frames(np.random.default_rng(19), 100, 3) for _ in range(3)]
    arrays[2][7, 0] = value
    with fails(who="array 2: frame 7", got=f"{np.float32(value):g}"):
        train_gmm(arrays, GmmOptions(num_components=4))


def test_frames_of_integers():
    frames = make_frames(np.random.default_rng(19), 100, 3).astype(np.int16)
    with fails(who="array 1: frames", what="type", got="int16", hint=re.compile("astype")):
        train_gmm([frames.astype(np.float32), frames], GmmOptions(num_components=4))
    with fails(who="array 0: frames", what="type"):
        train_gmm(frames, GmmOptions(num_components=4))


def test_dimensions_that_change_between_arrays():
    arrays = [np.zeros((9, 3), np.float32), np.zeros((9, 2), np.float32)]
    with fails(who="array 1: frames", what="shape", got=(9, 2), need="(num_frames, 3)"):
        train_gmm(arrays, GmmOptions(num_components=1))


@pytest.mark.parametrize(
    "frames", [[], [np.empty((0, 3), np.float32)], np.zeros((7, 3), np.float32)]
)
def test_fewer_frames_than_components(frames):
    num_frames = sum(map(len, frames)) if isinstance(frames, list) else 7
    need = "at least 8, one per component"
    with fails(who="train_gmm", what="number of frames", got=num_frames, need=need):
        train_gmm(frames, GmmOptions(num_components=8))


def test_frames_that_can_be_read_once():
    frames = iter([make_frames(np.random.default_rng(21), 50, 2)])
    with fails(what=re.compile("later pass"), got=0, need="50 as before"):
        train_gmm(frames, GmmOptions(num_components=2))


@pytest.mark.parametrize(
    ("settings", "option", "need"),
    [
        ({"num_components": 500}, "--num-components", "a power of two"),
        ({"num_components": 0}, "--num-components", "a power of two"),
        ({"final_iters": 0}, "--final-iters", "1 or more"),
        ({"subsample": -1}, "--subsample", "1 or more"),
        ({"variance_floor": 1.5}, "--variance-floor", "0 to 1"),
        ({"variance_floor": float("nan")}, "--variance-floor", "0 to 1"),
    ],
)
def test_bad_options(settings, option, need):
    (value,) = settings.values()
    with fails(who=option, got=pytest.approx(value, nan_ok=True), need=need):
        GmmOptions(**settings)


def test_bad_number_of_threads():
    with fails(who="train_gmm", what="num_threads", got=0, need="1 or more"):
        train_gmm(np.zeros((9, 2), np.float32), GmmOptions(num_components=1), num_threads=0)
