import itertools
import re
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

from sdtools.gmm import mixture as gmm_module
from sdtools.gmm.mixture import (
    DiagGmm,
    GmmOptions,
    GmmStats,
    accumulate,
    global_stats,
    llr,
    log_likelihood,
    split,
    train_gmm,
    update,
)


def make_gmm(rng, num_components, dim, offset=0.0):
    weights = rng.random(num_components) + 0.1
    means = offset + rng.standard_normal((num_components, dim))
    return DiagGmm(weights / weights.sum(), means, rng.random((num_components, dim)) + 0.2)


def make_frames(rng, num_frames, dim, offset=0.0):
    centres = 2 * rng.standard_normal((5, dim))
    return (
        offset + centres[rng.integers(5, size=num_frames)] + rng.standard_normal((num_frames, dim))
    ).astype(np.float32)


def naive_joint(gmm, frames):
    """ln w_k N(x; k), (num_frames, K), by scipy's own density."""
    columns = zip(gmm.weights, gmm.means, np.sqrt(gmm.variances))
    return np.stack(
        [
            np.log(w) + norm.logpdf(frames.astype(np.float64), m, s).sum(axis=1)
            for w, m, s in columns
        ],
        axis=1,
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
    gmm = train_gmm(frames, GmmOptions(num_components=1))
    np.testing.assert_allclose(gmm.means[0], frames.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(gmm.variances[0], frames.var(axis=0, dtype=np.float64), rtol=1e-5)
    assert gmm.weights.tolist() == [1.0]


@pytest.mark.parametrize("offset", [0.0, 300.0, 1e4])
@pytest.mark.parametrize(
    ("num_components", "dim", "num_frames"), [(1, 1, 1), (7, 3, 513), (64, 120, 700)]
)
def test_log_likelihood_against_scipy(num_components, dim, num_frames, offset):
    rng = np.random.default_rng(1)
    gmm, frames = (
        make_gmm(rng, num_components, dim, offset),
        make_frames(rng, num_frames, dim, offset),
    )
    got = log_likelihood(gmm, frames)
    assert got.dtype == np.float64
    np.testing.assert_allclose(
        got, logsumexp(naive_joint(gmm, frames), axis=1), rtol=1e-6, atol=1e-5
    )


def test_component_of_zero_weight_changes_nothing():
    rng = np.random.default_rng(2)
    gmm, frames = make_gmm(rng, 3, 2), make_frames(rng, 100, 2)
    padded = DiagGmm([*gmm.weights, 0.0], [*gmm.means, [9.0, 9.0]], [*gmm.variances, [1.0, 1.0]])
    np.testing.assert_allclose(
        log_likelihood(padded, frames), log_likelihood(gmm, frames), rtol=1e-6
    )


def test_one_gaussian_whatever_the_blocks():
    frames = make_frames(np.random.default_rng(27), gmm_module.BLOCK + 7, 3, 300.0)
    stats, double = global_stats(frames), frames.astype(np.float64)
    assert (stats.occupancy.tolist(), stats.num_frames) == ([len(frames)], len(frames))
    np.testing.assert_allclose(stats.first[0], double.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.second[0], (double**2).sum(axis=0), rtol=1e-12)


def test_likelihood_is_that_of_weights_that_do_not_sum_to_one():
    """Kaldi keeps a least weight: ln p(x) follows from the weights as they stand."""
    rng = np.random.default_rng(28)
    gmm, frames = make_gmm(rng, 3, 2, 300.0), make_frames(rng, 100, 2, 300.0)
    heavier = DiagGmm(1.25 * gmm.weights, gmm.means, gmm.variances)
    np.testing.assert_allclose(
        log_likelihood(heavier, frames), logsumexp(naive_joint(heavier, frames), axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(
        log_likelihood(heavier, frames) - log_likelihood(gmm, frames), np.log(1.25), atol=1e-5
    )
    np.testing.assert_allclose(
        accumulate(heavier, frames).occupancy, accumulate(gmm, frames).occupancy, rtol=1e-5
    )


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
    gmm = update(stats, 0.1)
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
    lines = []
    gmm = update(stats, 0.1, lines.append)
    np.testing.assert_allclose(gmm.weights, [0.25, 0.375, 0.375])
    np.testing.assert_allclose(gmm.means, [[1.0], [5.0], [1.0]])  # component 2: mean 3, variance 4
    np.testing.assert_allclose(gmm.variances, [[1.0], [4.0], [4.0]])
    assert lines == ["component 1 is empty: re-seeded from component 2 of weight 0.75"]


# Property


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    num_components=st.integers(1, 9),
    num_frames=st.integers(1, 1500),
    offset=st.sampled_from([0.0, 300.0]),
)
def test_posteriors_sum_to_frames(seed, num_components, num_frames, offset):
    rng = np.random.default_rng(seed)
    gmm, frames = make_gmm(rng, num_components, 4, offset), make_frames(rng, num_frames, 4, offset)
    stats = accumulate(gmm, frames)
    assert stats.num_frames == num_frames
    np.testing.assert_allclose(stats.occupancy.sum(), num_frames, rtol=1e-6)
    np.testing.assert_allclose(
        stats.first.sum(axis=0),
        frames.sum(axis=0, dtype=np.float64),
        rtol=1e-5,
        atol=1e-5 * num_frames,
    )
    np.testing.assert_allclose(stats.log_likelihood, log_likelihood(gmm, frames).sum(), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), num_components=st.integers(1, 6))
def test_em_never_lowers_the_likelihood(seed, num_components):
    rng = np.random.default_rng(seed)
    gmm, frames = make_gmm(rng, num_components, 3), make_frames(rng, 600, 3)
    averages = []
    for _ in range(6):
        stats = accumulate(gmm, frames)
        averages.append(stats.log_likelihood / len(frames))
        gmm = update(stats, 0.0)
    assert np.diff(averages).min() > -1e-5


class Archive:
    """Gives fresh copies at each reading, as an archive on disk would."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __iter__(self):
        return (array.copy() for array in self.arrays)


def make_utterances(seed, num_utts, dim, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    return [
        (offset + scale * make_frames(rng, num_frames, dim)).astype(np.float32)
        for num_frames in rng.integers(1, 700, num_utts)
    ]


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (50.0, 3000.0)])
@pytest.mark.parametrize("subsample", [1, 3])
def test_same_bits_for_any_parts_and_threads(scale, offset, subsample):
    """EM by hand over parts in any order gives the model of train_gmm, at frequencies too, whose mean is 60 deviations."""
    utterances = make_utterances(4, 60, 5, scale, offset)
    options = GmmOptions(num_components=16, final_iters=3, subsample=subsample)
    whole = train_gmm(Archive(utterances), options)
    assert same_bits(train_gmm(utterances, options, num_threads=3), whole)
    for num_parts in (1, 8):
        gmm = train_gmm(utterances, GmmOptions(num_components=1))
        for num_passes, step in ((2, subsample), (4, subsample), (4, 1), (3, 1)):
            gmm = split(gmm)
            for _ in range(num_passes):
                stats = [GmmStats.zeros(gmm) for _ in range(num_parts)]
                for index in np.random.default_rng(num_parts).permutation(len(utterances)):
                    accumulate(gmm, utterances[index][::step], stats[index % num_parts])
                gmm = update(sum(stats[1:], stats[0]))
        assert same_bits(gmm, whole)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    num_parts=st.integers(1, 9),
    offset=st.sampled_from([0.0, 60.0, 500.0]),
)
def test_statistics_do_not_depend_on_order_and_parts(seed, num_parts, offset):
    rng = np.random.default_rng(seed)
    gmm, utterances = make_gmm(rng, 4, 3, offset), make_utterances(seed, 20, 3, offset=offset)
    one, parts = GmmStats.zeros(gmm), [GmmStats.zeros(gmm) for _ in range(num_parts)]
    for array in utterances:
        accumulate(gmm, array, one)
    for index in rng.permutation(len(utterances)):
        accumulate(gmm, utterances[index], parts[index % num_parts])
    total = sum(parts[1:], parts[0])
    for name in ("occupancy", "first", "second", "num_frames"):
        np.testing.assert_array_equal(getattr(total, name), getattr(one, name))


def test_split_takes_the_first_of_equal_dimensions():
    got = split(DiagGmm([1.0], [[0.0, 0.0, 0.0]], [[1.0, 2.0 - 1e-4, 2.0]]))
    assert np.flatnonzero(got.means[0]) == [1]


def test_rounding_of_normalised_features_does_not_choose_the_model():
    """Every dimension of normalised features has variance 1: which one is split first must not depend on the 7th digit."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 6)) + np.abs(
        rng.standard_normal((4000, 6))
    )
    frames = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    models = [
        train_gmm(
            frames * (1 + 1e-7 * rng.standard_normal(frames.shape)), GmmOptions(num_components=8)
        )
        for _ in range(3)
    ]
    for other in models[1:]:
        np.testing.assert_allclose(other.means, models[0].means, atol=1e-3)


def test_split_calls_agree():
    rng = np.random.default_rng(5)
    gmm, frames = make_gmm(rng, 8, 6), make_frames(rng, 1200, 6)
    whole = accumulate(gmm, frames)
    parts = accumulate(gmm, frames[:100]) + accumulate(gmm, frames[100:])
    for name in ("occupancy", "first", "second", "log_likelihood", "num_frames"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([log_likelihood(gmm, frames[:77]), log_likelihood(gmm, frames[77:])]),
        log_likelihood(gmm, frames),
        rtol=1e-5,
    )


def test_long_input_is_the_sum_of_its_blocks():
    frames = make_frames(np.random.default_rng(24), 2 * gmm_module.BLOCK + 5, 3)
    gmm = make_gmm(np.random.default_rng(25), 2, 3)
    whole = accumulate(gmm, frames)
    parts = [
        accumulate(gmm, frames[start : start + gmm_module.BLOCK])
        for start in range(0, len(frames), gmm_module.BLOCK)
    ]
    np.testing.assert_array_equal(whole.occupancy, sum(part.occupancy for part in parts))
    np.testing.assert_array_equal(whole.second, sum(part.second for part in parts))


def test_llr_is_antisymmetric():
    rng = np.random.default_rng(6)
    genuine, spoof, frames = make_gmm(rng, 4, 5), make_gmm(rng, 4, 5), make_frames(rng, 300, 5)
    expected = np.mean(
        logsumexp(naive_joint(genuine, frames), axis=1)
        - logsumexp(naive_joint(spoof, frames), axis=1)
    )
    assert llr(genuine, spoof, frames) == pytest.approx(expected, rel=1e-5)
    assert llr(spoof, genuine, frames) == -llr(genuine, spoof, frames)
    assert llr(genuine, genuine, frames) == 0


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
    got = update(stats, 0.0)
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
    got = train_gmm(frames, GmmOptions(num_components=8, final_iters=3, subsample=2))
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
    got = train_gmm(frames.astype(np.float32), GmmOptions(num_components=4, final_iters=20))
    order = [int(np.argmin(((got.means - mean) ** 2).sum(axis=1))) for mean in truth.means]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(got.weights[order], truth.weights, atol=0.015)
    np.testing.assert_allclose(got.means[order], truth.means, atol=0.1)
    np.testing.assert_allclose(got.variances[order], truth.variances, rtol=0.1)


# Limits and errors


def test_passes_follow_the_schedule():
    lines = []
    train_gmm(
        make_frames(np.random.default_rng(10), 601, 2),
        GmmOptions(num_components=16, final_iters=3, subsample=4),
        log=lines.append,
    )
    found = [
        tuple(
            map(
                int,
                re.match(
                    r"(\d+) components, pass (\d+) of (\d+): .* per frame of (\d+)", line
                ).groups(),
            )
        )
        for line in lines
    ]
    levels = [
        (k, n, frames)
        for (k, n, frames), _ in itertools.groupby(found, lambda line: (line[0], line[2], line[3]))
    ]
    assert levels == [(2, 2, 151), (4, 4, 151), (8, 4, 601), (16, 3, 601)]
    assert [line[1] for line in found] == [1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3]


def test_blas_is_held_to_one_thread():
    seen = []
    train_gmm(
        make_frames(np.random.default_rng(11), 50, 2),
        GmmOptions(num_components=2, final_iters=1),
        2,
        lambda line: seen.extend(
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        ),
    )
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


def test_constant_dimension_is_floored_and_logged():
    frames = make_frames(np.random.default_rng(13), 1000, 3)
    frames[:, 1] = 300.1
    lines = []
    gmm = train_gmm(frames, GmmOptions(num_components=4, final_iters=2), log=lines.append)
    assert lines[0] == "1 of 3 dimensions are constant, first 1: variance set to 1e-06"
    np.testing.assert_allclose(gmm.variances[:, 1], 1e-6)
    np.testing.assert_allclose(gmm.means[:, 1], 300.1, rtol=1e-6)
    assert np.isfinite(log_likelihood(gmm, frames)).all()


@pytest.mark.parametrize(("num_values", "least_variance"), [(1, 1e-6), (2, 0.25e-6)])
def test_duplicated_frames_stay_finite(num_values, least_variance):
    frames = np.repeat(np.arange(num_values, dtype=np.float32)[:, None], 40, axis=0) * np.ones(
        3, np.float32
    )
    gmm = train_gmm(frames, GmmOptions(num_components=16))
    assert np.isfinite(log_likelihood(gmm, frames)).all()
    assert gmm.weights.sum() == pytest.approx(1)
    assert gmm.variances.min() == pytest.approx(least_variance)


def test_empty_component_in_training_is_logged_not_nan():
    stats = accumulate(
        DiagGmm([0.5, 0.5], [[0.0], [1e4]], [[1.0], [1.0]]),
        make_frames(np.random.default_rng(14), 100, 1),
    )
    lines = []
    assert np.isfinite(update(stats, log=lines.append).means).all()
    assert lines == ["component 1 is empty: re-seeded from component 0 of weight 1"]


def test_far_frame_has_a_finite_likelihood():
    gmm = make_gmm(np.random.default_rng(15), 4, 3)
    assert np.isfinite(log_likelihood(gmm, np.full((1, 3), 1e15, np.float32))).all()


def test_no_frames():
    gmm = make_gmm(np.random.default_rng(16), 4, 3)
    empty = np.empty((0, 3), np.float32)
    assert log_likelihood(gmm, empty).shape == (0,)
    assert accumulate(gmm, empty).num_frames == 0
    with pytest.raises(ValueError, match="update: statistics: got no frame"):
        update(accumulate(gmm, empty))
    with pytest.raises(ValueError, match="llr: frames: got 0, need at least 1"):
        llr(gmm, gmm, empty)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e25])
@pytest.mark.parametrize("function", [log_likelihood, accumulate])
def test_bad_frame_is_named(function, value):
    frames = make_frames(np.random.default_rng(17), 700, 3)
    frames[600, 1] = value
    with pytest.raises(
        ValueError,
        match=rf"gmm: frames: got a largest magnitude of {re.escape(f'{abs(np.float32(value)):g}')} in frame 600,",
    ):
        function(make_gmm(np.random.default_rng(18), 4, 3), frames)


def test_bad_frame_leaves_the_statistics_alone():
    gmm = make_gmm(np.random.default_rng(29), 4, 3)
    frames = make_frames(np.random.default_rng(30), gmm_module.BLOCK + 700, 3)
    stats = accumulate(gmm, frames[:100])
    before = stats + GmmStats.zeros(gmm)
    frames[-1, 1] = 1e25
    with pytest.raises(ValueError, match=f"in frame {len(frames) - 1}, need finite"):
        accumulate(gmm, frames, stats)
    assert np.array_equal(stats.second, before.second) and (
        stats.num_frames,
        stats.log_likelihood,
    ) == (100, before.log_likelihood)


def test_global_statistics_of_bad_frames():
    frames = np.zeros((9, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"gmm: frames: got shape \(9, 3\), need \(num_frames, 2\)"
    ):
        global_stats(frames, 2)
    frames[4] = np.nan
    with pytest.raises(
        ValueError, match="gmm: frames: got a largest magnitude of nan in frame 4, need finite"
    ):
        global_stats(frames)


def test_bad_frame_in_training_is_named():
    arrays = [make_frames(np.random.default_rng(19), 100, 3) for _ in range(3)]
    arrays[2][7, 0] = np.nan
    with pytest.raises(ValueError, match="magnitude of nan in frame 7 of array 2, need finite"):
        train_gmm(arrays, GmmOptions(num_components=4))


@pytest.mark.parametrize("shape", [(5, 4), (3,), (2, 3, 3), (5, 0)])
def test_wrong_shape(shape):
    with pytest.raises(
        ValueError, match=rf"gmm: frames: got shape {re.escape(str(shape))}, need \(num_frames, 3\)"
    ):
        log_likelihood(make_gmm(np.random.default_rng(20), 4, 3), np.zeros(shape, np.float32))


def test_dimensions_that_change_between_arrays():
    with pytest.raises(
        ValueError, match=r"gmm: frames: got shape \(9, 2\), need \(num_frames, 3\)"
    ):
        train_gmm(
            [np.zeros((9, 3), np.float32), np.zeros((9, 2), np.float32)],
            GmmOptions(num_components=1),
        )


@pytest.mark.parametrize(
    "frames", [[], [np.empty((0, 3), np.float32)], np.zeros((7, 3), np.float32)]
)
def test_fewer_frames_than_components(frames):
    num_frames = sum(map(len, frames)) if isinstance(frames, list) else 7
    with pytest.raises(
        ValueError, match=f"train_gmm: frames: got {num_frames}, need at least 8, one per component"
    ):
        train_gmm(frames, GmmOptions(num_components=8))


def test_frames_that_can_be_read_once():
    with pytest.raises(
        ValueError, match="train_gmm: frames: got 0 in a later pass, need 50 as before"
    ):
        train_gmm(
            iter([make_frames(np.random.default_rng(21), 50, 2)]), GmmOptions(num_components=2)
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_components": 500}, "num_components: got 500, need a power of two"),
        ({"num_components": 0}, "num_components: got 0, need a power of two"),
        ({"final_iters": 0}, "final_iters: got 0, need at least 1"),
        ({"subsample": -1}, "subsample: got -1, need at least 1"),
        ({"variance_floor": 1.5}, "variance_floor: got 1.5, need 0 to 1"),
        ({"variance_floor": float("nan")}, "variance_floor: got nan, need 0 to 1"),
    ],
)
def test_bad_options(settings, message):
    with pytest.raises(ValueError, match=f"GmmOptions: {message}"):
        GmmOptions(**settings)


def test_bad_number_of_threads():
    with pytest.raises(ValueError, match="train_gmm: num_threads: got 0, need at least 1"):
        train_gmm(np.zeros((9, 2), np.float32), GmmOptions(num_components=1), num_threads=0)


@pytest.mark.parametrize(
    ("weights", "means", "variances", "message"),
    [
        ([1.0], [[np.nan]], [[1.0]], "means: got nan or inf"),
        ([1.0], [[0.0]], [[np.inf]], "variances: got nan or inf"),
        ([1.0], [[0.0]], [[0.0]], "variances: got 0, need more than 0"),
        (
            [0.3, 0.1],
            [[0.0], [1.0]],
            [[1.0], [1.0]],
            "weights: got a sum of 0.4 and a least of 0.1",
        ),
        (
            [0.9, 0.7],
            [[0.0], [1.0]],
            [[1.0], [1.0]],
            "weights: got a sum of 1.6 and a least of 0.7",
        ),
        ([1.0], [[1e39]], [[1.0]], "means: got nan or inf, need values within float32"),
        (
            [1.5, -0.5],
            [[0.0], [1.0]],
            [[1.0], [1.0]],
            "weights: got a sum of 1 and a least of -0.5",
        ),
        ([1.0], [[0.0], [1.0]], [[1.0], [1.0]], r"shapes: got \(\(1,\), \(2, 1\), \(2, 1\)\)"),
        ([1.0], [[0.0, 0.0]], [[1.0]], r"shapes: got \(\(1,\), \(1, 2\), \(1, 1\)\)"),
        ([], np.empty((0, 2)), np.empty((0, 2)), r"shapes: got \(\(0,\), \(0, 2\), \(0, 2\)\)"),
        (1.0, 0.0, 1.0, r"shapes: got \(\(\), \(\), \(\)\)"),
    ],
)
def test_bad_model(weights, means, variances, message):
    with pytest.raises(ValueError, match=f"DiagGmm: {message}"):
        DiagGmm(weights, means, variances)


def test_model_is_read_only():
    gmm = make_gmm(np.random.default_rng(22), 2, 2)
    with pytest.raises(ValueError, match="read-only"):
        gmm.means[0, 0] = 5.0


def test_statistics_of_different_models_do_not_add():
    rng = np.random.default_rng(23)
    with pytest.raises(
        ValueError, match=r"GmmStats: shapes: got \(1, 3\) and \(4, 3\), need equal ones"
    ):
        accumulate(make_gmm(rng, 1, 3), make_frames(rng, 9, 3)) + accumulate(
            make_gmm(rng, 4, 3), make_frames(rng, 9, 3)
        )
