import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtools.postprocess import PostOptions, add_deltas, normalize, postprocess


def test_deltas_like_kaldi():
    """The composite filter with clamped frame indices, as a slow loop over frames and taps; window 3 by its known taps."""
    feats = np.random.default_rng(0).standard_normal((9, 2))
    first = np.array([-3, -2, -1, 0, 1, 2, 3]) / 28
    second = np.array([9, 12, 10, 4, -5, -16, -28, -16, -5, 4, 10, 12, 9]) / 784
    expected = np.zeros((9, 6))
    for t in range(9):
        expected[t, :2] = feats[t]
        for block, taps in ((1, first), (2, second)):
            for j, tap in enumerate(taps):
                expected[t, 2 * block : 2 * block + 2] += tap * feats[min(max(t + j - len(taps) // 2, 0), 8)]
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
    feats = (1e4 + np.random.default_rng(0).standard_normal((500, 3)) * [1, 10, 100]).astype(np.float32)
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


def test_nothing_asked_nothing_done():
    feats = np.random.default_rng(0).random((5, 2))
    assert (postprocess(feats, PostOptions(deltas=False, cmvn=False)) == feats).all()


def test_bad_features():
    with pytest.raises(ValueError, match="frames: got 0"):
        postprocess(np.zeros((0, 3)), PostOptions())
    with pytest.raises(ValueError, match="frame 1: got a value that is not finite"):
        postprocess(np.array([[1.0], [np.nan]]), PostOptions())
    with pytest.raises(ValueError, match="delta_window, delta_order: got 0, 2"):
        PostOptions(delta_window=0)
