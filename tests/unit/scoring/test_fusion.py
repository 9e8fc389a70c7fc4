import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from test_metrics import GOLDEN, assert_figures, figures, synthetic_set

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.fusion import (
    Fusion,
    FusionOptions,
    apply_fusion,
    bounded,
    train_fusion,
)
from sdtools.scoring.metrics import cllr
from sdtools.scoring.roc import sort_scores

NEGATIVE = r"^system 3: negative weight: found -0\.\d+"


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
    """The optimum is the best of the free fusions of all subsets that have positive weights."""
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
    """Each system alone gives a missing score LLR 0; the fusion is that of the filled columns."""
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
    with pytest.raises(SdError) as info:
        apply_fusion(expected, with_holes)
    assert info.value.who == f"scores[{np.flatnonzero(holes.any(axis=1))[0]}]"


def test_missing_scores_may_come_later():
    """A fusion of complete scores knows what replaces a missing one, if it should."""
    scores, is_genuine = synthetic_set()
    fusion = train_fusion(scores[:, :2], is_genuine, allow_missing=True)
    assert np.isfinite(apply_fusion(fusion, [[np.nan, 0.3], [np.nan, np.nan]])).all()


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
    with pytest.warns(SdWarning, match=r"^system 3: .* 0, because it would be negative"):
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
        with pytest.warns(SdWarning, match=NEGATIVE):
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


def test_constant_column_has_weight_zero():
    scores, is_genuine = synthetic_set()
    expected = train(scores[:, :1], is_genuine)
    padded = np.column_stack([np.full(500, 0.1), scores[:, 0], np.full(500, -3e7)])
    with pytest.warns(SdWarning, match=r"^systems 1, 3: .*the same in all trials"):
        fusion = train(padded, is_genuine)
    np.testing.assert_allclose(fusion.weights, [0, expected.weights[0], 0], rtol=1e-12)
    assert fusion.offset == pytest.approx(expected.offset, rel=1e-12)
    with pytest.warns(SdWarning, match="the same in all trials"):
        constant = train(np.ones((500, 1)), is_genuine)
    assert (constant.weights[0], constant.offset, constant.objective) == (
        0,
        pytest.approx(0, abs=1e-15),
        pytest.approx(1),
    )


def test_wrong_sign_is_a_negative_weight():
    scores, is_genuine = synthetic_set()
    with pytest.warns(SdWarning) as caught:
        train(-scores[:, :1], is_genuine)
    warning = caught[0].message
    assert (warning.who, warning.what, warning.got) == ("system 1", "negative weight", "-2.14")
    assert "Try the fusion without it" in warning.hint


@pytest.mark.parametrize(
    "setting", [{"prior": 0.0}, {"prior": 1.0}, {"ridge": -1.0}, {"ridge": math.inf}]
)
def test_options_out_of_bounds(setting):
    with pytest.raises(SdError) as info:
        FusionOptions(**setting)
    ((name, value),) = setting.items()
    assert (info.value.who, info.value.got) == (f"--{name}", value)


def test_application():
    fusion = Fusion(np.array([1.0, 2.0]), 0.5, 0.5, 0, 0.3, 10, 10)
    np.testing.assert_array_equal(
        apply_fusion(fusion, np.array([[1.0, 2], [np.inf, 0], [-np.inf, 1]])),
        [5.5, np.inf, -np.inf],
    )
    assert apply_fusion(fusion, [[1, 2]]) == [5.5]
    for scores in (np.ones((3, 1)), [1, 2], 3):
        with pytest.raises(SdError) as info:
            apply_fusion(fusion, scores)
        assert info.value.got == f"shape {np.shape(scores)}" and "2)" in info.value.need
    with pytest.raises(SdError) as info:
        apply_fusion(fusion, np.array([[1, 2], [np.inf, -np.inf]]))
    assert info.value.who == "scores[1]" and "inf of opposite signs" in info.value.got


def test_bounded_llrs_keep_their_order():
    """As LR -> (LR + e)/(1 + e LR), also where LR has no float."""
    llrs = np.linspace(-20, 20, 401)
    found, e = bounded(llrs, 3.0), np.exp(-3)
    want = np.log((np.exp(llrs) + e) / (1 + e * np.exp(llrs)))
    np.testing.assert_allclose(found, want, atol=1e-12)
    assert (np.diff(found) > 0).all()
    far = apply_fusion(Fusion(np.ones(1), 0, 0.5, 0, 0.4, 1, 1, bound=3.0), [[np.inf], [-1e9], [0]])
    np.testing.assert_allclose(far, [3, -3, 0], atol=1e-9)
