import numpy as np
import pytest
from fields import fails
from scipy.special import logsumexp
from scipy.stats import norm

from sdtools.gmm.mixture import DiagGmm, llr, log_likelihood
from sdtools.gmm.statistics import accumulate


def make_gmm(rng, num_components, dim, offset=0.0):
    weights = rng.random(num_components) + 0.1
    means = offset + rng.standard_normal((num_components, dim))
    return DiagGmm(weights / weights.sum(), means, rng.random((num_components, dim)) + 0.2)


def make_frames(rng, num_frames, dim, offset=0.0):
    centres = 2 * rng.standard_normal((5, dim))
    return (
        offset + centres[rng.integers(5, size=num_frames)] + rng.standard_normal((num_frames, dim))
    ).astype(np.float32)


def make_utterances(seed, num_utts, dim, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    return [
        (offset + scale * make_frames(rng, num_frames, dim)).astype(np.float32)
        for num_frames in rng.integers(1, 700, num_utts)
    ]


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


# Closed form


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


def test_far_frame_has_a_finite_likelihood():
    gmm = make_gmm(np.random.default_rng(15), 4, 3)
    assert np.isfinite(log_likelihood(gmm, np.full((1, 3), 1e15, np.float32))).all()


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


# Property


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


# Limits and errors


TWO = ([[0.0], [1.0]], [[1.0], [1.0]])  # means and variances


@pytest.mark.parametrize(
    ("weights", "means", "variances", "what", "got"),
    [
        ([1.0], [[np.nan]], [[1.0]], "means", "nan, inf or more"),
        ([1.0], [[0.0]], [[np.inf]], "variances", "nan, inf or more"),
        ([1.0], [[1e39]], [[1.0]], "means", "nan, inf or more"),
        ([1.0], [[0.0]], [[0.0]], "variances", "0"),
        ([0.3, 0.1], *TWO, "weights", "a sum of 0.4 and a least of 0.1"),
        ([0.9, 0.7], *TWO, "weights", "a sum of 1.6 and a least of 0.7"),
        ([1.5, -0.5], *TWO, "weights", "a sum of 1 and a least of -0.5"),
        ([1.0], *TWO, "shapes", ((1,), (2, 1), (2, 1))),
        ([1.0], [[0.0, 0.0]], [[1.0]], "shapes", ((1,), (1, 2), (1, 1))),
        ([], np.empty((0, 2)), np.empty((0, 2)), "shapes", ((0,), (0, 2), (0, 2))),
        (1.0, 0.0, 1.0, "shapes", ((), (), ())),
    ],
)
def test_bad_model(weights, means, variances, what, got):
    with fails(who="DiagGmm", what=what, got=got):
        DiagGmm(weights, means, variances)


def test_model_is_read_only():
    gmm = make_gmm(np.random.default_rng(22), 2, 2)
    with pytest.raises(ValueError, match="read-only"):
        gmm.means[0, 0] = 5.0
