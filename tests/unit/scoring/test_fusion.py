import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from test_metrics import GOLDEN, assert_figures, figures, synthetic_set

from sdtools.scoring.fusion import (
    CHUNK,
    Fusion,
    FusionOptions,
    SeparableError,
    apply_fusion,
    assign_folds,
    cross_validate,
    train_fusion,
    train_pav,
)
from sdtools.scoring.metrics import cllr, sort_scores

NEGATIVE = r"train_fusion: system 3 \(-0\.\d+\): got a negative weight"


def train(scores, is_genuine, **options):
    return train_fusion(scores, is_genuine, FusionOptions(**options))


def train_quietly(scores, is_genuine, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(scores, is_genuine, **options)


def objective(fusion, scores, is_genuine):
    """What is minimised, trial by trial, divided by the entropy of the prior."""
    p = fusion.prior
    total = fusion.ridge / 2 * sum(float(w) ** 2 for w in fusion.weights)
    for row, genuine in zip(scores, is_genuine):
        log_odds = (
            sum(w * s for w, s in zip(fusion.weights, row)) + fusion.offset + math.log(p / (1 - p))
        )
        cost = math.log1p(math.exp(-log_odds if genuine else log_odds))
        total += cost * (p / fusion.num_genuine if genuine else (1 - p) / fusion.num_spoof)
    return total / (-p * math.log(p) - (1 - p) * math.log(1 - p))


# ---- closed form


@pytest.mark.parametrize("prior", [0.5, 0.01, 0.9])
def test_scores_with_two_values_become_their_log_likelihood_ratios(prior):
    scores = np.array([[1.0]] * 30 + [[0]] * 10 + [[1]] * 5 + [[0]] * 45)
    fusion = train(scores, np.arange(90) < 40, prior=prior)
    np.testing.assert_allclose(
        apply_fusion(fusion, [[0.0], [1.0]]),
        np.log([(10 / 40) / (45 / 50), (30 / 40) / (5 / 50)]),
        atol=1e-10,
    )


def test_useless_scores_get_weight_zero_and_objective_one():
    scores = np.array([[0.0], [1], [0], [1]])
    fusion = train_quietly(scores, [True, True, False, False], prior=0.2)
    assert [fusion.weights[0], fusion.offset, fusion.objective] == pytest.approx(
        [0, 0, 1], abs=1e-12
    )


# ---- properties


def test_affine_maps_of_the_columns():
    scores, is_genuine = synthetic_set()
    for ridge in (0.0, 0.01):
        expected = train_quietly(scores, is_genuine, ridge=ridge)
        scale = np.array([1.0, -1, 1]) if ridge else np.array([1e-6, -40.0, 1e5])
        mapped = (scores + np.array([1000.0, -3, 50])) * scale
        fusion = train_quietly(mapped, is_genuine, ridge=ridge)
        np.testing.assert_allclose(fusion.weights, expected.weights / scale, rtol=1e-8)
        np.testing.assert_allclose(
            apply_fusion(fusion, mapped), apply_fusion(expected, scores), rtol=0, atol=1e-7
        )
        assert fusion.objective == pytest.approx(expected.objective, abs=1e-12)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.floats(0.001, 0.999),
    st.sampled_from([0.0, 0.1]),
)
def test_no_small_change_of_the_weights_does_better(seed, num_systems, prior, ridge):
    rng = np.random.default_rng(seed)
    is_genuine = rng.random(80) < 0.4
    is_genuine[:2] = [True, False]
    scores = rng.normal(size=(80, num_systems)) + 0.5 * is_genuine[:, None]
    fusion = train_quietly(scores, is_genuine, prior=prior, ridge=ridge)
    assert fusion.objective == pytest.approx(objective(fusion, scores, is_genuine), abs=1e-10)
    for k in range(num_systems + 1):
        for change in (-1e-3, 1e-3):
            weights, offset = fusion.weights.copy(), fusion.offset
            if k < num_systems:
                weights[k] += change
            else:
                offset += change
            other = Fusion(weights, offset, prior, ridge, 0, fusion.num_genuine, fusion.num_spoof)
            assert objective(other, scores, is_genuine) > fusion.objective
    permutation, columns = rng.permutation(80), rng.permutation(num_systems)
    again = train_quietly(
        scores[permutation][:, columns], is_genuine[permutation], prior=prior, ridge=ridge
    )
    np.testing.assert_allclose(again.weights, fusion.weights[columns], rtol=0, atol=1e-9)


def test_objective_at_even_prior_is_cllr_of_the_output():
    scores, is_genuine = synthetic_set()
    fusion = train(scores[:, :2], is_genuine)
    llrs = apply_fusion(fusion, scores[:, :2])
    assert cllr(sort_scores(llrs[is_genuine], llrs[~is_genuine])) == pytest.approx(
        fusion.objective, abs=1e-12
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_trial_weight_is_a_number_of_trials(seed):
    scores, is_genuine = synthetic_set()
    times = np.random.default_rng(seed).integers(0, 4, 500)
    fusion = train_fusion(scores[:, :2], is_genuine, FusionOptions(prior=0.2), times * 0.37)
    repeated = train(
        np.repeat(scores[:, :2], times, axis=0), np.repeat(is_genuine, times), prior=0.2
    )
    np.testing.assert_allclose(
        [*fusion.weights, fusion.offset], [*repeated.weights, repeated.offset], rtol=1e-9
    )
    assert fusion.num_genuine == (times[is_genuine] > 0).sum()


def test_costs_stand_for_a_prior():
    """ASVspoof 5: 0.95 / (0.95 + 0.5)."""
    scores, is_genuine = synthetic_set()
    fusion = train(scores[:, :2], is_genuine, costs=(0.05, 1, 10))
    assert fusion.prior == pytest.approx(0.95 / 1.45, rel=1e-15)
    np.testing.assert_array_equal(
        fusion.weights, train(scores[:, :2], is_genuine, prior=fusion.prior).weights
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05]))
def test_nonnegative_weights_are_the_best_of_all_subsets(seed, ridge):
    """The optimum under the bound is the best of the free fusions of a subset whose weights are positive."""
    rng = np.random.default_rng(seed)
    is_genuine = np.arange(80) < 35
    scores = rng.normal(size=(80, 3)) + rng.uniform(-1, 1, 3) * is_genuine[:, None]
    scores = (
        rng.choice([1, 0.1, 0.01]) * scores + rng.normal(size=(80, 1)) + is_genuine[:, None]
    )  # alike, more or less
    fusion = train_quietly(scores, is_genuine, nonnegative=True, ridge=ridge)
    best = 1.0
    for subset in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
        free = train_quietly(scores[:, subset], is_genuine, ridge=ridge)
        if (free.weights >= 0).all():
            best = min(best, free.objective)
    assert (fusion.weights >= 0).all()
    assert fusion.objective == pytest.approx(best, abs=1e-11)
    assert fusion.objective == pytest.approx(objective(fusion, scores, is_genuine), abs=1e-9)


def test_a_missing_score_counts_as_no_evidence():
    """Each system by itself gives a missing score LLR 0; the fusion is that of the filled columns."""
    scores, is_genuine = synthetic_set()
    holes = np.random.default_rng(0).random((500, 2)) < 0.1
    with_holes = np.where(holes, np.nan, scores[:, :2])
    fusion = train_fusion(with_holes, is_genuine, FusionOptions(prior=0.3), allow_missing=True)
    filled = with_holes.copy()
    for k in range(2):
        alone = train(scores[~holes[:, k], k : k + 1], is_genuine[~holes[:, k]], prior=0.3)
        assert apply_fusion(alone, [[fusion.neutral[k]]]) == pytest.approx(0, abs=1e-12)
        filled[holes[:, k], k] = fusion.neutral[k]
    expected = train(filled, is_genuine, prior=0.3)
    assert expected.neutral is None
    np.testing.assert_array_equal(fusion.weights, expected.weights)
    np.testing.assert_array_equal(apply_fusion(fusion, with_holes), apply_fusion(expected, filled))
    with pytest.raises(ValueError, match="apply_fusion: scores: got NaN"):
        apply_fusion(expected, with_holes)


def test_missing_scores_may_come_later_or_in_one_fold_only():
    """A fusion of complete scores knows what stands for a missing one, if it is asked to; so do all folds if one has a hole."""
    scores, is_genuine = synthetic_set()
    fusion = train_fusion(scores[:, :2], is_genuine, allow_missing=True)
    assert np.isfinite(apply_fusion(fusion, [[np.nan, 0.3], [np.nan, np.nan]])).all()
    holed = scores[:, :2].copy()
    holed[7, 1] = np.nan
    assert np.isfinite(cross_validate(holed, is_genuine, np.arange(500) % 5)).all()
    with pytest.raises(
        ValueError, match="system 1: got scores of one class at most, need both to calibrate it"
    ):
        train_fusion(
            np.where(is_genuine[:, None], np.nan, scores[:, :2]), is_genuine, allow_missing=True
        )


@pytest.mark.parametrize("shift", [0, 1e-9])
def test_a_missing_score_of_a_useless_system_is_its_mean(shift):
    """The same scores in both classes, or nearly: a weight that is but rounding says nothing."""
    scores = np.column_stack([synthetic_set()[0][:, 0], np.resize(np.arange(10.0), 500)])
    scores[:200, 1] += shift
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neutral = train_fusion(
            scores, np.arange(500) < 200, FusionOptions(prior=0.05), allow_missing=True
        ).neutral
    assert neutral[1] == pytest.approx(4.5, abs=1e-6)


def test_a_score_without_weight_may_be_infinite():
    fusion = Fusion(np.array([1.0, 0.0]), 0.5, 0.5, 0, 0.4, 10, 10)
    np.testing.assert_array_equal(apply_fusion(fusion, [[1.0, np.inf], [2, -np.inf]]), [1.5, 2.5])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_folds(seed, num_folds):
    """A speaker is in one fold; no class is spread worse than by its largest speaker's share; order of trials changes nothing."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(20, size=300)
    is_genuine = rng.random(300) < 0.3
    folds = assign_folds(is_genuine, groups, num_folds)
    assert set(folds) == set(range(num_folds))
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups))
    for chosen in (is_genuine, ~is_genuine):
        shares = np.bincount(folds[chosen], minlength=num_folds) / chosen.sum()
        largest = np.bincount(groups[chosen]).max() / chosen.sum()
        assert np.ptp(shares) <= 2 * largest
    order = rng.permutation(300)
    np.testing.assert_array_equal(
        assign_folds(is_genuine[order], groups[order], num_folds), folds[order]
    )


def test_held_out_scores_come_from_the_other_folds():
    scores, is_genuine = synthetic_set()
    folds = assign_folds(is_genuine, np.arange(500) % 25, 5)
    llrs = cross_validate(scores[:, :2], is_genuine, folds)
    for fold in range(5):
        out = folds == fold
        np.testing.assert_array_equal(
            llrs[out], apply_fusion(train(scores[~out, :2], is_genuine[~out]), scores[out, :2])
        )
    flipped = is_genuine.copy()
    flipped[7] = not flipped[7]
    changed = cross_validate(scores[:, :2], flipped, folds) != llrs
    assert not changed[folds == folds[7]].any() and changed[folds != folds[7]].all()


@pytest.mark.parametrize(
    ("is_genuine", "groups"),
    [
        ([True, False] * 4, [1, 1, 2, 2, 3, 3, 4, 4]),
        ([True] * 4 + [False] * 4, [1] * 4 + [2, 3, 4, 5]),
    ],
)
def test_too_few_groups_for_the_folds(is_genuine, groups):
    with pytest.raises(
        ValueError, match=r"assign_folds: groups: got \d for 5 folds, need .* Ask for fewer folds"
    ):
        assign_folds(np.array(is_genuine), np.array(groups), 5)


def test_more_trials_than_a_chunk_count_alike():
    scores, is_genuine = synthetic_set()
    times = CHUNK // 100
    repeated = train(np.tile(scores[:, :2], (times, 1)), np.tile(is_genuine, times))
    np.testing.assert_allclose(
        repeated.weights, train(scores[:, :2], is_genuine).weights, rtol=1e-9
    )
    assert (repeated.num_genuine, repeated.num_spoof) == (200 * times, 300 * times)


# ---- second implementation


@pytest.mark.parametrize(
    ("prior", "ridge"), [(0.5, 0), (0.1, 0), (0.95, 0), (0.5, 0.02), (0.2, 1e-3)]
)
def test_logistic_regression_of_scikit_learn(prior, ridge):
    scores, is_genuine = synthetic_set()
    fusion = train_quietly(scores, is_genuine, prior=prior, ridge=ridge)
    trial_weights = np.where(
        is_genuine, prior / is_genuine.sum(), (1 - prior) / (~is_genuine).sum()
    )
    strength = 1 / ridge if ridge else 1e14
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(scores, is_genuine, sample_weight=trial_weights)
    np.testing.assert_allclose(fusion.weights, model.coef_[0], rtol=1e-6)
    assert fusion.offset == pytest.approx(
        model.intercept_[0] - math.log(prior / (1 - prior)), rel=1e-6
    )


def test_nonnegative_weights_by_lbfgs():
    """The same objective by a plain loop, minimised under the bound."""
    scores, is_genuine = synthetic_set()
    with pytest.warns(UserWarning, match=r"system 3: got weight 0, as any other would be negative"):
        fusion = train(scores, is_genuine, nonnegative=True)

    def cost(w):
        return objective(Fusion(w[:3], w[3], 0.5, 0, 0, 200, 300), scores, is_genuine)

    found = minimize(cost, np.zeros(4), method="L-BFGS-B", bounds=[(0, None)] * 3 + [(None, None)])
    assert fusion.objective <= found.fun + 1e-12 and fusion.objective == pytest.approx(
        found.fun, abs=1e-6
    )
    np.testing.assert_allclose([*fusion.weights, fusion.offset], found.x, atol=2e-3)


# ---- golden


@pytest.mark.parametrize("name", GOLDEN["fusion"])
def test_golden_fusions(name):
    scores, is_genuine = synthetic_set()
    systems, prior = name.split(".p")
    golden = GOLDEN["fusion"][name]
    scores = scores[:, : len(systems)]
    if systems == "123":
        with pytest.warns(UserWarning, match=NEGATIVE):
            fusion = train(scores, is_genuine, prior=float(prior))
    else:
        fusion = train(scores, is_genuine, prior=float(prior))
    np.testing.assert_allclose([*fusion.weights, fusion.offset], golden["w"], rtol=1e-12)
    assert fusion.objective == pytest.approx(golden["objective_normalised"], abs=1e-13)
    assert (fusion.num_genuine, fusion.num_spoof, fusion.prior, fusion.ridge) == (
        200,
        300,
        float(prior),
        0,
    )
    llrs = apply_fusion(fusion, scores)
    assert_figures(
        figures(llrs[is_genuine], llrs[~is_genuine]), golden["metrics"], rel=0, abs=1e-12
    )


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
    with pytest.raises(
        SeparableError,
        match=r"got classes that a weighted sum .* Use --ridge=0\.001 \(or more\) or --auto-ridge",
    ):
        train_quietly(scores, is_genuine, prior=prior)
    with pytest.warns(
        UserWarning, match=r"got classes that a weighted sum .* Trained with ridge 0\.001"
    ):
        fusion = train(scores, is_genuine, auto_ridge=True)
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
    with pytest.raises(SeparableError, match="or a score far outside the rest makes it look so"):
        train_quietly(scores[:, None], is_genuine)


def test_one_overlapping_trial_in_many_is_not_separable():
    scores = np.concatenate([np.linspace(0.9, 9, 5000), np.linspace(-9, 1, 5000)])[:, None]
    fusion = train(scores, np.arange(10000) < 5000, auto_ridge=True)
    assert fusion.ridge == 0 and fusion.weights[0] > 10 and fusion.objective < 0.02


def test_constant_column_has_weight_zero():
    scores, is_genuine = synthetic_set()
    expected = train(scores[:, :1], is_genuine)
    padded = np.column_stack([np.full(500, 0.1), scores[:, 0], np.full(500, -3e7)])
    with pytest.warns(
        UserWarning, match=r"train_fusion: system 1, 3: got the same score for all trials\. "
    ):
        fusion = train(padded, is_genuine)
    np.testing.assert_allclose(fusion.weights, [0, expected.weights[0], 0], rtol=1e-12)
    assert fusion.offset == pytest.approx(expected.offset, rel=1e-12)
    with pytest.warns(UserWarning, match="same score for all"):
        constant = train(np.ones((500, 1)), is_genuine)
    assert (constant.weights[0], constant.offset, constant.objective) == (
        0,
        pytest.approx(0, abs=1e-15),
        pytest.approx(1),
    )


@pytest.mark.parametrize("prior", [0.5, 0.1])
def test_collinear_columns_share_the_weight(prior):
    scores, is_genuine = synthetic_set()
    expected = train(scores[:, :2], is_genuine, prior=prior)
    collinear = np.column_stack([scores[:, 0], scores[:, 1], 5 * scores[:, 0] + 2])
    with pytest.warns(
        UserWarning,
        match=r"train_fusion: systems: got scores that are linear functions of each other\. ",
    ):
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


def test_wrong_sign_is_a_negative_weight():
    scores, is_genuine = synthetic_set()
    with pytest.warns(
        UserWarning,
        match=r"train_fusion: system 1 \(-2\.14\): got a negative weight, need positive ones .* Try the fusion",
    ):
        train(-scores[:, :1], is_genuine)


@pytest.mark.parametrize(
    ("scores", "is_genuine", "message"),
    [
        (
            [[1.0, 2], [3, np.inf]],
            [True, False],
            r"system 2: got inf or NaN, need finite scores\. Leave out",
        ),
        ([[np.nan, 2], [3, 1]], [True, False], r"system 1: got inf or NaN"),
        (
            [[1.0], [2]],
            [True, True],
            r"trials: got 2 genuine, 0 spoof, need both\. Check the labels",
        ),
        ([[1.0], [2]], [False, False], r"trials: got 0 genuine, 2 spoof, need both"),
        (
            [1.0, 2],
            [True, False],
            r"scores, labels: got shapes \(2,\), \(2,\), need \(trials, systems\), \(trials,\)\. Join by id",
        ),
        ([[1.0], [2]], [True], r"scores, labels: got shapes \(2, 1\), \(1,\)"),
    ],
)
def test_training_data_that_cannot_be_used(scores, is_genuine, message):
    with pytest.raises(ValueError, match="train_fusion: " + message):
        train(scores, is_genuine)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prior": 0.0}, "FusionOptions: prior: got 0.0, need more than 0 and less than 1"),
        ({"prior": 1.0}, "prior: got 1.0"),
        ({"ridge": -1.0}, "FusionOptions: ridge: got -1.0, need 0 or a positive number"),
        ({"ridge": math.inf}, "ridge: got inf"),
    ],
)
def test_options_out_of_bounds(setting, message):
    with pytest.raises(ValueError, match=message):
        FusionOptions(**setting)


def test_application():
    fusion = Fusion(np.array([1.0, 2.0]), 0.5, 0.5, 0, 0.3, 10, 10)
    np.testing.assert_array_equal(
        apply_fusion(fusion, np.array([[1.0, 2], [np.inf, 0], [-np.inf, 1]])),
        [5.5, np.inf, -np.inf],
    )
    with pytest.raises(
        ValueError,
        match=r"apply_fusion: systems: got 1, need 2, as in training\. Give one file for each",
    ):
        apply_fusion(fusion, np.ones((3, 1)))
    with pytest.raises(
        ValueError,
        match=r"apply_fusion: scores: got NaN, or inf that other scores undo, need numbers\. Leave out",
    ):
        apply_fusion(fusion, np.array([[np.inf, -np.inf]]))


@pytest.mark.parametrize("train", [train_fusion, train_pav])
@pytest.mark.parametrize("factor", [1e101, 1e-101, 1e-320])
def test_scores_that_no_llr_can_have(train, factor):
    """Their squares leave float64, and weights of 0 or worse came of them."""
    scores = np.array([[2.0], [1.0], [-1.0], [-2.0], [0.5], [-0.5]])
    is_genuine = np.array([True, True, False, False, False, True])
    need = r"need at most 1e\+100, and differences of at least 1e-100; they are no log-likelihood ratios"
    with pytest.raises(
        ValueError, match=rf"^{train.__name__}: system 1: got scores from -[^ ]* to [^ ]*, {need}"
    ):
        train(scores * factor, is_genuine)
    train(scores * 1e99, is_genuine)
