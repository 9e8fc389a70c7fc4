import re

import numpy as np
import pytest
from fields import fails
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mixture import make_frames, make_gmm, make_utterances

from sdtools.gmm.mixture import llr, log_likelihood
from sdtools.gmm.statistics import BLOCK, GmmStats, accumulate, global_stats
from sdtools.gmm.training import update

# Closed form


def test_one_gaussian_whatever_the_blocks():
    frames = make_frames(np.random.default_rng(27), BLOCK + 7, 3, 300.0)
    stats, double = global_stats(frames), frames.astype(np.float64)
    assert (stats.occupancy.tolist(), stats.num_frames) == ([len(frames)], len(frames))
    np.testing.assert_allclose(stats.first[0], double.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.second[0], (double**2).sum(axis=0), rtol=1e-12)


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
    frames = make_frames(np.random.default_rng(24), 2 * BLOCK + 5, 3)
    gmm = make_gmm(np.random.default_rng(25), 2, 3)
    whole = accumulate(gmm, frames)
    parts = [
        accumulate(gmm, frames[start : start + BLOCK]) for start in range(0, len(frames), BLOCK)
    ]
    np.testing.assert_array_equal(whole.occupancy, sum(part.occupancy for part in parts))
    np.testing.assert_array_equal(whole.second, sum(part.second for part in parts))


# Limits and errors


def test_no_frames():
    gmm = make_gmm(np.random.default_rng(16), 4, 3)
    empty = np.empty((0, 3), np.float32)
    assert log_likelihood(gmm, empty).shape == (0,)
    assert accumulate(gmm, empty).num_frames == 0
    with fails(who="statistics", what="number of frames", got=0, need="at least 1"):
        update(accumulate(gmm, empty))
    with fails(who="llr", what="number of frames", got=0, need="at least 1"):
        llr(gmm, gmm, empty)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e25])
@pytest.mark.parametrize("function", [log_likelihood, accumulate])
def test_bad_frame_is_named(function, value):
    frames = make_frames(np.random.default_rng(17), 700, 3)
    frames[600, 1] = value
    got = f"{abs(np.float32(value)):g}"
    with fails(who="frame 600", what="largest magnitude", got=got, need=re.compile("1e18")):
        function(make_gmm(np.random.default_rng(18), 4, 3), frames)


def test_bad_frame_leaves_the_statistics_alone():
    gmm = make_gmm(np.random.default_rng(29), 4, 3)
    frames = make_frames(np.random.default_rng(30), BLOCK + 700, 3)
    stats = accumulate(gmm, frames[:100])
    before = stats + GmmStats.zeros(gmm)
    frames[-1, 1] = 1e25
    with fails(who=f"frame {len(frames) - 1}"):
        accumulate(gmm, frames, stats)
    assert np.array_equal(stats.second, before.second) and (
        stats.num_frames,
        stats.log_likelihood,
    ) == (100, before.log_likelihood)


def test_global_statistics_of_bad_frames():
    frames = np.zeros((9, 3), np.float32)
    with fails(who="frames", what="shape", got=(9, 3), need="(num_frames, 2)"):
        global_stats(frames, 2)
    for value in (np.nan, -1e19):
        frames[4] = value
        with fails(who="frame 4", what="largest magnitude", got=f"{abs(value):g}"):
            global_stats(frames)


@pytest.mark.parametrize("shape", [(5, 4), (3,), (2, 3, 3), (5, 0)])
def test_wrong_shape(shape):
    with fails(who="frames", what="shape", got=shape, need="(num_frames, 3)"):
        log_likelihood(make_gmm(np.random.default_rng(20), 4, 3), np.zeros(shape, np.float32))


@pytest.mark.parametrize("frames", [np.zeros((5, 3), np.int16), [["a", "b", "c"]], [[1j, 0, 0]]])
def test_wrong_type(frames):
    gmm = make_gmm(np.random.default_rng(20), 4, 3)
    for function in (log_likelihood, accumulate):
        with fails(who="frames", what="type", need="floating point"):
            function(gmm, frames)
    with fails(who="frames", what="type", need="floating point"):
        llr(gmm, gmm, frames)


def test_statistics_of_different_models_do_not_add():
    rng = np.random.default_rng(23)
    stats = [accumulate(make_gmm(rng, k, 3), make_frames(rng, 9, 3)) for k in (1, 4)]
    with fails(who="statistics", what="shapes", got="(1, 3) and (4, 3)"):
        stats[0] + stats[1]
