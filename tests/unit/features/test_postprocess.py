import re
import warnings

import numpy as np
import pytest
from fields import fails
from hypothesis import given
from hypothesis import strategies as st

from sdtools.errors import SdError
from sdtools.features.postprocess import (
    PostOptions,
    add_deltas,
    cmvn_stats,
    normalize,
    parse_columns,
    postprocess,
    select_columns,
)


def test_deltas_like_kaldi():
    """The composite filter with clamped frame indices, as a slow loop over frames and taps."""
    feats = np.random.default_rng(0).standard_normal((9, 2))
    first = np.array([-3, -2, -1, 0, 1, 2, 3]) / 28
    second = np.array([9, 12, 10, 4, -5, -16, -28, -16, -5, 4, 10, 12, 9]) / 784
    expected = np.zeros((9, 6))
    for t in range(9):
        expected[t, :2] = feats[t]
        for block, taps in ((1, first), (2, second)):
            for j, tap in enumerate(taps):
                expected[t, 2 * block : 2 * block + 2] += (
                    tap * feats[min(max(t + j - len(taps) // 2, 0), 8)]
                )
    np.testing.assert_allclose(add_deltas(feats, 3, 2), expected, atol=1e-15)


def test_deltas_of_a_ramp():
    feats = 3.0 * np.arange(20.0)[:, None]
    out = add_deltas(feats)
    np.testing.assert_allclose(out[4:-4, 1], 3)
    np.testing.assert_allclose(out[4:-4, 2], 0, atol=1e-14)


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 3))
def test_one_frame_and_few_frames_have_finite_deltas(num_frames, window, order):
    out = add_deltas(np.ones((num_frames, 2)), window, order)
    assert out.shape == (num_frames, 2 * (order + 1))
    np.testing.assert_allclose(out[:, 2:], 0, atol=1e-14)


def test_normalize_gives_mean_0_and_variance_1():
    feats = (1e4 + np.random.default_rng(0).standard_normal((500, 3)) * [1, 10, 100]).astype(
        np.float32
    )
    out = normalize(feats)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(out.var(axis=0, dtype=np.float64), 1, rtol=1e-5)


def test_constant_dimension_and_single_frame_become_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (normalize(np.full((7, 2), 5.0)) == 0).all()
        assert (normalize(np.full((1, 2), 5.0)) == 0).all()


def test_normalize_covers_all_dimensions():
    feats = np.random.default_rng(0).random((50, 2))
    out = postprocess(feats, PostOptions())
    np.testing.assert_array_equal(out, normalize(add_deltas(feats)))
    np.testing.assert_allclose(out.std(axis=0), 1)


def test_statistics_are_sums_and_sums_of_squares():
    np.testing.assert_array_equal(
        cmvn_stats(np.array([[1, 2], [3, 4]], np.float32)), [[4, 6, 2], [10, 20, 0]]
    )


def test_statistics_add_up_to_those_of_all_frames():
    feats = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    np.testing.assert_allclose(
        cmvn_stats(feats[:11]) + cmvn_stats(feats[11:]), cmvn_stats(feats), rtol=1e-13
    )


@pytest.mark.parametrize("norm_vars", [True, False])
def test_normalize_by_statistics_like_kaldi(norm_vars):
    """As a slow loop: mean = sum / count, biased variance = square sum / count - mean^2."""
    rng = np.random.default_rng(1)
    feats, others = rng.normal(3, 2, (6, 3)), rng.normal(-1, 5, (9, 3))
    expected = np.zeros((6, 3))
    for d in range(3):
        total = sum(others[:, d])
        mean = total / 9
        variance = sum(x * x for x in others[:, d]) / 9 - mean**2
        for t in range(6):
            expected[t, d] = (feats[t, d] - mean) / (variance**0.5 if norm_vars else 1)
    out = normalize(feats.astype(np.float32), cmvn_stats(others), norm_vars)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        normalize(feats, cmvn_stats(others), norm_vars), expected, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("norm_vars", [True, False])
def test_own_statistics_and_none_give_the_same(norm_vars):
    feats = np.random.default_rng(2).normal(2, 3, (40, 5))
    np.testing.assert_allclose(
        normalize(feats, cmvn_stats(feats), norm_vars),
        normalize(feats, None, norm_vars),
        atol=1e-12,
    )


def test_constant_dimension_by_its_statistics_becomes_zero():
    stats = np.array(
        [[35.0, 7], [175 - 1e-9, 0]]
    )  # a square sum that rounding made too small: variance below 0
    assert (normalize(np.full((7, 1), 5.0), stats) == 0).all()
    assert normalize(np.full((7, 1), 6.0), stats) == pytest.approx(1e10)


@pytest.mark.parametrize(
    ("stats", "fields"),
    [
        ([[1, 1, 1], [1, 1, 0]], {"what": "shape", "got": (2, 3), "need": (2, 4)}),
        ([[1, 1, 1, 1]], {"what": "shape", "got": (1, 4), "need": (2, 4)}),
        ([[0, 0, 0, 0], [0, 0, 0, 0]], {"what": "frames", "got": "0"}),
        ([[1, 1, 1, 0.5], [1, 1, 1, 0]], {"what": "frames", "got": "0.5"}),
        ([[1, 1, 1, np.nan], [1, 1, 1, 0]], {"what": re.compile("not finite")}),
        ([[1, 1, 1, 2], [1, 1, np.inf, 0]], {"what": re.compile("not finite")}),
    ],
)
def test_bad_statistics(stats, fields):
    with fails(who="CMVN statistics", **fields):
        normalize(np.ones((5, 3)), np.array(stats, np.float64))


def test_columns_in_the_order_given():
    feats = np.arange(20.0).reshape(2, 10)
    np.testing.assert_array_equal(
        select_columns(feats, parse_columns("0-3,7,9-8,7")), feats[:, [0, 1, 2, 3, 7, 9, 8, 7]]
    )
    np.testing.assert_array_equal(select_columns(feats, parse_columns("2-2")), feats[:, [2]])
    out = postprocess(feats, PostOptions(deltas=True, cmvn=False), parse_columns("3,1"))
    np.testing.assert_array_equal(out, add_deltas(feats[:, [3, 1]]))


@pytest.mark.parametrize(
    "select", ["", "-1", "1-", "1--2", "0:3", "1,,2", "1, 2", "a", "1-2-3", "1,", "²", "1.0"]
)
def test_columns_of_another_form(select):
    with fails(who="--select", got=repr(select), need=re.compile("such as 0-3,7,9-8")):
        parse_columns(select)


@pytest.mark.parametrize("select", ["10", "0-10", "10-0", "3,99999999999"])
def test_columns_that_are_not_there(select):
    highest = 99999999999 if select.endswith("9") else 10
    with fails(who="features", what="column", got=highest, need="0 to 9"):
        select_columns(np.zeros((2, 10)), parse_columns(select))


def test_nothing_asked_nothing_done():
    feats = np.random.default_rng(0).random((5, 2))
    assert (postprocess(feats, PostOptions(deltas=False, cmvn=False)) == feats).all()


def test_bad_features():
    with fails(who="features", what="frames", got=0):
        postprocess(np.zeros((0, 3)), PostOptions())
    with fails(who="features", what=re.compile("frame 1 .*not finite")):
        postprocess(np.array([[1.0], [np.nan]]), PostOptions())


@pytest.mark.parametrize(
    ("name", "value"),
    [("delta_window", 0), ("delta_window", 1001), ("delta_order", 0), ("delta_order", 11)],
)
def test_deltas_that_cannot_be(name, value):
    with fails(who=f"--{name.replace('_', '-')}", got=value, need=re.compile("^1 to 10")):
        PostOptions(**{name: value})


def test_integers_and_lists_are_computed_as_floats():
    feats = [[1, 2], [3, 5], [4, 4]]
    wanted = postprocess(np.array(feats, float), PostOptions(deltas=False))
    for values in (feats, np.array(feats), np.array(feats, np.int16)):
        np.testing.assert_array_equal(postprocess(values, PostOptions(deltas=False)), wanted)


@pytest.mark.parametrize("feats", [np.zeros(3), np.zeros((2, 2, 2)), [["a"]], {"cf": 1}, [[1j]]])
def test_what_is_no_matrix_of_numbers_is_refused(feats):
    with pytest.raises(SdError) as info:
        postprocess(feats)
    assert info.value.who == "features" and "(num_frames, D)" in info.value.need
