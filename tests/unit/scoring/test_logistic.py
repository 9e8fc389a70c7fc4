import numpy as np
import pytest
from scipy.optimize import minimize
from test_fusion import train, train_quietly
from test_metrics import synthetic_set

from sdtools.errors import SdWarning
from sdtools.scoring.fusion import apply_fusion
from sdtools.scoring.logistic import CHUNK, SeparableError


def test_more_trials_than_a_chunk_count_alike():
    scores, is_genuine = synthetic_set()
    times = CHUNK // 100
    repeated = train(np.tile(scores[:, :2], (times, 1)), np.tile(is_genuine, times))
    np.testing.assert_allclose(
        repeated.weights, train(scores[:, :2], is_genuine).weights, rtol=1e-9
    )
    assert (repeated.num_genuine, repeated.num_spoof) == (200 * times, 300 * times)


# ---- limits and errors


SEPARABLE = {
    "apart": ([[2.0], [3], [4], [-1], [0], [1]], 3),
    "one_of_each": ([[1.0], [0]], 1),
    "touching": ([[1.0], [2], [3], [-1], [0], [1]], 3),
    "few_touching": (
        [[0.0]] + [[5.0 + k] for k in range(200)] + [[0.0]] + [[-5.0 - k] for k in range(200)],
        201,
    ),
    "in_one_of_two_dimensions": (
        [[0.0, 1], [0, -1], [0, 3], [4, 0], [0.0, 2], [0, -3], [0, 1.5], [-2, 0]],
        4,
    ),
    "only_together": (
        [[1.0, 0], [0, 1], [5, -3.5], [-3.5, 5], [1.0, -1], [-1, 1], [3, -4], [-4, 3]],
        4,
    ),
}


@pytest.mark.parametrize("name", SEPARABLE)
@pytest.mark.parametrize("prior", [0.5, 1e-6])
def test_separable_training_data(name, prior):
    scores, num_genuine = SEPARABLE[name]
    scores, is_genuine = np.array(scores), np.arange(len(scores)) < num_genuine
    with pytest.raises(SeparableError) as info:
        train_quietly(scores, is_genuine, prior=prior)
    assert "--auto-ridge, or --ridge=0.001" in info.value.hint
    with pytest.warns(SdWarning) as caught:
        fusion = train(scores, is_genuine, auto_ridge=True)
    warning = caught[0].message
    assert warning.what == info.value.what and warning.hint == "Trained with ridge 0.001"
    assert fusion.ridge == 1e-3
    again = train(scores, is_genuine, ridge=1e-3)
    np.testing.assert_array_equal(fusion.weights, again.weights)
    llrs = apply_fusion(fusion, scores)
    assert llrs[is_genuine].min() >= llrs[~is_genuine].max() or name in (
        "few_touching",
        "in_one_of_two_dimensions",
    )


@pytest.mark.parametrize("scale", [1.0, 1e3, 3e4, 1e5])
def test_a_ridge_fits_scores_of_any_scale(scale):
    """Separated classes against a plain search for the minimum of the documented objective."""
    is_genuine = np.arange(100) < 50
    scores = scale * (np.where(is_genuine, 3, -3) + np.random.default_rng(0).uniform(-1, 1, 100))
    fusion = train_quietly(scores[:, None], is_genuine, ridge=1e-3)

    def objective(w):
        llrs = w[0] * scores / scale + w[1]
        losses = np.logaddexp(0, np.where(is_genuine, -llrs, llrs))
        return losses.reshape(2, 50).mean(axis=1).mean() / np.log(2) + 1e-3 / 2 * (
            w[0] / scale
        ) ** 2 / np.log(2)

    found = minimize(
        objective,
        [10.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-18, "maxiter": 5000},
    )
    assert fusion.weights[0] * scale == pytest.approx(found.x[0], rel=1e-3)


def test_a_ridge_fits_overlapping_scores_with_a_far_outlier():
    rng, is_genuine = np.random.default_rng(0), np.arange(400) < 200
    scores = np.where(is_genuine, 1, -1) + 1.5 * rng.standard_normal(400)
    without = train_quietly(scores[:, None], is_genuine)
    scores[-1] = -1.25e7
    assert train_quietly(scores[:, None], is_genuine, ridge=1e-3).weights[0] == pytest.approx(
        without.weights[0], rel=0.02
    )
    with pytest.raises(SeparableError, match="far outside"):
        train_quietly(scores[:, None], is_genuine)


def test_one_overlapping_trial_in_many_is_not_separable():
    scores = np.concatenate([np.linspace(0.9, 9, 5000), np.linspace(-9, 1, 5000)])[:, None]
    fusion = train(scores, np.arange(10000) < 5000, auto_ridge=True)
    assert fusion.ridge == 0 and fusion.weights[0] > 10 and fusion.objective < 0.02


@pytest.mark.parametrize("prior", [0.5, 0.1])
def test_collinear_columns_share_the_weight(prior):
    scores, is_genuine = synthetic_set()
    expected = train(scores[:, :2], is_genuine, prior=prior)
    collinear = np.column_stack([scores[:, 0], scores[:, 1], 5 * scores[:, 0] + 2])
    with pytest.warns(SdWarning, match="linear functions of each other"):
        fusion = train(collinear, is_genuine, prior=prior)
    np.testing.assert_allclose(
        apply_fusion(fusion, collinear), apply_fusion(expected, scores[:, :2]), rtol=0, atol=1e-9
    )
    assert fusion.weights[0] == pytest.approx(5 * fusion.weights[2], rel=1e-6)


def test_ridge_decides_between_collinear_columns():
    scores, is_genuine = synthetic_set()
    fusion = train(np.column_stack([scores[:, 0], 2 * scores[:, 0]]), is_genuine, ridge=1e-3)
    assert fusion.weights[1] == pytest.approx(2 * fusion.weights[0], rel=1e-6)


@pytest.mark.parametrize("noise", [1e-9, 1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 1e-2])
def test_nearly_equal_columns_are_not_taken_for_separable(noise):
    scores, is_genuine = synthetic_set()
    pair = scores[:, [0, 0]]
    pair[:, 1] += noise * np.random.default_rng(1).normal(size=500)
    assert (
        train_quietly(pair, is_genuine).objective
        <= train(scores[:, :1], is_genuine).objective + 1e-12
    )
