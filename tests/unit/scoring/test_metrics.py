import json
import math
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from sdtools.errors import SdError, SdWarning
from sdtools.scoring import metrics
from sdtools.scoring.equal_error_rate import EER_METHODS, TiesWarning, WrongWayWarning
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import convex_hull, pav_llrs, sort_scores

GOLDEN = json.loads((Path(__file__).parent / "golden" / "score_golden.json").read_text())
EQUAL_COSTS = {f"p{p}": MetricOptions(p_spoof=1 - p, c_miss=1, c_fa=1) for p in (0.01, 0.1, 0.5)}
COSTS = {**EQUAL_COSTS, "asvspoof5": MetricOptions()}
SMALL = st.lists(st.integers(-4, 4), min_size=1, max_size=12)
CASES = settings(deadline=None, max_examples=150, derandomize=True)


def synthetic_set():
    """Scores (500, 3) and labels of the golden file's recipe."""
    x = 2017

    def gauss():
        nonlocal x
        total = -6.0
        for _ in range(12):
            x = (1103515245 * x + 12345) % 2**31
            total += x / 2**31
        return total

    scores = []
    for i in range(500):
        latent = gauss()
        scores.append([round(a * (i < 200) + 0.6 * latent + 0.8 * gauss(), 2) for a in (2, 1.5, 1)])
    return np.array(scores), np.arange(500) < 200


def figures(genuine, spoof):
    """All metrics under the golden file's names."""
    scores = sort_scores(genuine, spoof)
    hull = convex_hull(scores)
    names = {"eer_interp": "interp", "eer_rocch": "rocch", "eer_det": "asvspoof"}
    return {
        **{name: metrics.sorted_eer(scores, method).value for name, method in names.items()},
        "cllr": metrics.cllr(scores),
        "min_cllr": metrics.min_cllr(hull),
        "n_pav_blocks": len(hull.thresholds) - 1,
        "mindcf": {name: metrics.min_dcf(hull, options) for name, options in COSTS.items()},
        "actdcf": {name: metrics.act_dcf(scores, options) for name, options in COSTS.items()},
    }


def assert_figures(got, expected, **tolerance):
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, **tolerance), name


def quietly(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


# ---- closed form


def test_large_gaussian_sample_has_the_error_rates_of_the_formulas():
    quantiles = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    scores = sort_scores(2 * quantiles + 2, 2 * quantiles - 2)  # LLRs: mean +-2, variance 4
    assert metrics.sorted_eer(scores).value == pytest.approx(norm.sf(1), abs=1e-5)
    assert metrics.sorted_eer(scores).threshold == pytest.approx(0, abs=1e-4)
    assert metrics.sorted_eer(scores, "rocch").value == pytest.approx(norm.sf(1), abs=1e-5)
    hull = convex_hull(scores)
    assert metrics.min_cllr(hull) == pytest.approx(metrics.cllr(scores), abs=1e-4)
    for options in COSTS.values():
        assert metrics.min_dcf(hull, options) == pytest.approx(
            metrics.act_dcf(scores, options), abs=1e-3
        )


def test_effective_prior():
    assert MetricOptions().effective_prior == pytest.approx(0.95 / 1.45, abs=1e-15)
    assert MetricOptions(p_spoof=0.3, c_miss=2, c_fa=2).effective_prior == pytest.approx(
        0.7, abs=1e-15
    )


def test_softplus_is_stable():
    x = np.array([-np.inf, -1e4, -40, 0, 1, 710, 1e4, np.inf])
    expected = [0, 0, math.exp(-40), math.log(2), math.log1p(math.e), 710, 1e4, np.inf]
    np.testing.assert_allclose(metrics.softplus(x), expected, rtol=1e-15)


def test_breakdown_of_conditions_made_by_hand():
    """Below all four genuine scores, in their middle, above them all."""
    genuine, spoof = np.array([4, 1, 3, 2]), np.array([0, 2.5, 5, 0.5, 2.5, 6])
    conditions = {"E1": np.array([0, 3]), "E2": np.array([1, 4]), "E3": np.array([2, 5])}
    got = quietly(metrics.breakdown, genuine, spoof, conditions, ("interp", "rocch"))
    assert list(got) == ["E1", "E2", "E3"] and all(
        (c.num_genuine, c.num_spoof) == (4, 2) for c in got.values()
    )
    assert [[e.method for e in c.eer] for c in got.values()] == [["interp", "rocch"]] * 3
    assert [e.value for c in got.values() for e in c.eer] == pytest.approx(
        [0, 0, 0.5, 1 / 3, 1, 0.5], abs=1e-15
    )
    assert got["E1"].eer[0].threshold == 1


# ---- second implementations, straight from the definitions


def operating_points(genuine, spoof):
    """[(Pmiss, Pfa)] of every distinct score and of reject-all."""
    points = [
        (
            Fraction(sum(g < t for g in genuine), len(genuine)),
            Fraction(sum(s >= t for s in spoof), len(spoof)),
        )
        for t in sorted({*genuine, *spoof})
    ]
    return [*points, (Fraction(1), Fraction(0))]


def slow_interp(genuine, spoof):
    points = operating_points(genuine, spoof)
    k = next(k for k, (miss, fa) in enumerate(points) if miss >= fa)
    (miss0, fa0), (miss1, fa1) = points[k - 1], points[k]
    share = (fa0 - miss0) / ((fa0 - miss0) + (miss1 - fa1))
    return miss0 + share * (miss1 - miss0)


def slow_rocch(genuine, spoof):
    """Least error at Pmiss = Pfa of any mixture of two operating points."""
    points = operating_points(genuine, spoof)
    best = Fraction(1)
    for miss0, fa0 in points:
        for miss1, fa1 in points:
            if miss0 <= fa0 and miss1 >= fa1:
                width = (fa0 - miss0) + (miss1 - fa1)
                share = (fa0 - miss0) / width if width else 0
                best = min(best, miss0 + share * (miss1 - miss0))
    return best


def slow_asvspoof(genuine, spoof):
    """(EER, threshold) by rejecting trial after trial."""
    trials = sorted([(g, 0) for g in genuine] + [(s, 1) for s in spoof])
    best, threshold = (1.0, 0.0, 1.0), trials[0][0] - 0.001
    for k in range(1, len(trials) + 1):
        num_spoof = sum(label for _, label in trials[:k])
        miss, fa = (k - num_spoof) / len(genuine), (len(spoof) - num_spoof) / len(spoof)
        if abs(miss - fa) < best[0]:
            best, threshold = (abs(miss - fa), miss, fa), trials[k - 1][0]
    return (best[1] + best[2]) / 2, threshold


def slow_pav(genuine, spoof):
    """Genuine fraction at each distinct score by the max-min formula of isotonic regression."""
    groups = [
        (sum(g == t for g in genuine), sum(s == t for s in spoof))
        for t in sorted({*genuine, *spoof})
    ]

    def fraction(a, b):
        num_genuine, num_spoof = (sum(column) for column in zip(*groups[a : b + 1]))
        return Fraction(num_genuine, num_genuine + num_spoof)

    size = range(len(groups))
    return [max(min(fraction(a, b) for b in size[i:]) for a in size[: i + 1]) for i in size], groups


def slow_min_cllr(genuine, spoof):
    fit, groups = slow_pav(genuine, spoof)
    prior = Fraction(len(genuine), len(spoof))
    total = 0
    for p, (num_genuine, num_spoof) in zip(fit, groups):
        if num_genuine:
            total += num_genuine / len(genuine) * math.log2(1 + (1 - p) / p * prior)
        if num_spoof:
            total += num_spoof / len(spoof) * math.log2(1 + p / (1 - p) / prior)
    return total / 2


@CASES
@given(SMALL, SMALL)
def test_every_metric_follows_its_definition(genuine, spoof):
    got = quietly(figures, genuine, spoof)
    assert got["eer_interp"] == pytest.approx(float(slow_interp(genuine, spoof)), abs=1e-12)
    assert got["eer_rocch"] == pytest.approx(float(slow_rocch(genuine, spoof)), abs=1e-12)
    assert quietly(metrics.eer, genuine, spoof, "asvspoof")[:2] == slow_asvspoof(genuine, spoof)
    assert got["min_cllr"] == pytest.approx(slow_min_cllr(genuine, spoof), abs=1e-12)
    assert got["n_pav_blocks"] == len(set(slow_pav(genuine, spoof)[0]))
    cllr = (
        np.mean([math.log2(1 + math.exp(-g)) for g in genuine])
        + np.mean([math.log2(1 + math.exp(s)) for s in spoof])
    ) / 2
    assert got["cllr"] == pytest.approx(cllr, abs=1e-12)
    for name, options in COSTS.items():
        p = options.effective_prior
        costs = [
            float((p * miss + (1 - p) * fa) / min(p, 1 - p))
            for miss, fa in operating_points(genuine, spoof)
        ]
        assert got["mindcf"][name] == pytest.approx(min(costs), abs=1e-12)
        miss, fa = (
            np.mean([g < -math.log(p / (1 - p)) for g in genuine]),
            np.mean([s >= -math.log(p / (1 - p)) for s in spoof]),
        )
        assert got["actdcf"][name] == pytest.approx(
            (p * miss + (1 - p) * fa) / min(p, 1 - p), abs=1e-12
        )


@CASES
@given(
    SMALL, st.lists(st.tuples(st.integers(-4, 4), st.sampled_from("abcd")), min_size=1, max_size=20)
)
def test_breakdown_is_evaluation_of_subsets(genuine, trials):
    spoof, names = np.array([score for score, _ in trials]), np.array([name for _, name in trials])
    conditions = {name: np.flatnonzero(names == name) for name in sorted(set(names))}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = metrics.breakdown(genuine, spoof, conditions, EER_METHODS)
    options = MetricOptions(eer=EER_METHODS)
    subsets = {
        name: quietly(metrics.evaluate, genuine, spoof[names == name], options)
        for name in conditions
    }
    assert got == {
        name: metrics.Condition(m.num_genuine, m.num_spoof, m.eer) for name, m in subsets.items()
    }
    above = [name for name, m in subsets.items() if m.eer[0].value > 0.5]
    warned = [w.message for w in caught if isinstance(w.message, WrongWayWarning)]
    what = f"EER above 50 % in {len(above)} of {len(conditions)} conditions"
    expected = [(" ".join(above), what)] if above else []
    assert [(warning.who, warning.what) for warning in warned] == expected


# ---- properties


@CASES
@given(SMALL, SMALL, st.integers(0, 100))
def test_order_metrics_survive_monotone_maps_permutation_and_duplication(genuine, spoof, seed):
    rng = np.random.default_rng(seed)
    order_only = ("eer_interp", "eer_rocch", "min_cllr", "mindcf", "n_pav_blocks")
    expected = {
        name: value
        for name, value in quietly(figures, genuine, spoof).items()
        if name in order_only
    }
    genuine, spoof = np.array(genuine, float), np.array(spoof, float)
    assert_figures(quietly(figures, np.exp(genuine), np.exp(spoof)), expected, abs=1e-12)
    assert_figures(quietly(figures, genuine**3 - 5, spoof**3 - 5), expected, abs=1e-12)
    shuffled = quietly(figures, rng.permutation(genuine), rng.permutation(spoof))
    assert_figures(shuffled, expected, abs=0)
    assert shuffled["cllr"] == metrics.cllr(sort_scores(genuine, spoof))
    assert_figures(quietly(figures, np.tile(genuine, 3), np.tile(spoof, 2)), expected, abs=1e-12)


@CASES
@given(SMALL, SMALL)
def test_inequalities_and_symmetry(genuine, spoof):
    got = quietly(figures, genuine, spoof)
    assert 0 <= got["eer_rocch"] <= min(got["eer_interp"], 0.5) + 1e-12
    assert 0 <= got["min_cllr"] <= min(got["cllr"], 1) + 1e-12
    for name in COSTS:
        assert 0 <= got["mindcf"][name] <= min(got["actdcf"][name], 1) + 1e-12
    mirrored = quietly(figures, [-s for s in spoof], [-g for g in genuine])
    assert_figures(
        mirrored,
        {name: got[name] for name in ("eer_interp", "eer_rocch", "cllr", "min_cllr")},
        abs=1e-12,
    )


def test_cllr_of_pav_llrs_is_min_cllr():
    scores, is_genuine = synthetic_set()
    hull = convex_hull(sort_scores(scores[is_genuine, 1], scores[~is_genuine, 1]))
    llrs = pav_llrs(hull)[np.searchsorted(hull.thresholds[1:-1], scores[:, 1], side="right")]
    assert metrics.cllr(sort_scores(llrs[is_genuine], llrs[~is_genuine])) == pytest.approx(
        metrics.min_cllr(hull), abs=1e-12
    )


# ---- golden


def test_the_synthetic_set_is_that_of_the_golden_file():
    scores, is_genuine = synthetic_set()
    np.testing.assert_allclose(scores.sum(axis=0), GOLDEN["sum_per_system"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal([is_genuine[-1], *scores[-1]], GOLDEN["last_row"])


@pytest.mark.parametrize("k", range(3))
def test_golden_figures(k):
    scores, is_genuine = synthetic_set()
    got = figures(scores[is_genuine, k], scores[~is_genuine, k])
    assert_figures(got, GOLDEN["reference"][f"s{k + 1}"], rel=0, abs=1e-12)
    bosaris = GOLDEN["octave"][f"s{k + 1}"]
    assert got["eer_rocch"] == pytest.approx(bosaris["rocch_eer"], abs=1e-12)
    assert got["cllr"] == pytest.approx(bosaris["cllr"], abs=1e-12)
    assert got["min_cllr"] == pytest.approx(bosaris["min_cllr"], abs=2e-8)
    np.testing.assert_allclose(list(got["mindcf"].values()), bosaris["mindcf"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(list(got["actdcf"].values()), bosaris["actdcf"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", GOLDEN["edge_cases"], ids=lambda case: f"{case['g']}-{case['s']}")
def test_golden_edge_cases(case):
    genuine, spoof = (np.array(case[name], float) for name in "gs")
    got = quietly(figures, genuine, spoof)
    for name in case.keys() - {"g", "s"}:
        assert got[name] == pytest.approx(
            float(case[name]), rel=1e-9, abs=5e-7 if "cllr" in name else 1e-12
        ), name


def test_evaluate_gathers_the_single_metrics():
    scores, is_genuine = synthetic_set()
    genuine, spoof = scores[is_genuine, 0], scores[~is_genuine, 0]
    expected = GOLDEN["reference"]["s1"]
    got = metrics.evaluate(genuine, spoof, MetricOptions(eer=("rocch", "interp", "asvspoof")))
    assert [eer.method for eer in got.eer] == ["rocch", "interp", "asvspoof"]
    assert [eer.value for eer in got.eer] == pytest.approx(
        [expected[f"eer_{name}"] for name in ("rocch", "interp", "det")], abs=1e-12
    )
    got = metrics.evaluate(genuine, spoof)
    assert (got.num_genuine, got.num_spoof, [eer.method for eer in got.eer]) == (
        200,
        300,
        ["interp"],
    )
    assert [got.cllr, got.min_cllr] == pytest.approx(
        [expected["cllr"], expected["min_cllr"]], abs=1e-12
    )
    assert [got.min_dcf, got.act_dcf] == pytest.approx(
        [expected["mindcf"]["asvspoof5"], expected["actdcf"]["asvspoof5"]], abs=1e-12
    )


def test_breakdown_warns_once_of_all_conditions():
    """Twelve above the genuine scores, one tied with them, one below."""
    conditions = {f"E{k:02d}": np.arange(3 * k, 3 * k + 3) for k in range(14)}
    spoof = np.repeat([1, 0, -1], [36, 3, 3])
    with pytest.warns(SdWarning) as caught:
        metrics.breakdown(np.zeros(5), spoof, conditions, ("asvspoof", "interp"))
    found = {type(w.message): (w.message.who, w.message.what) for w in caught}
    assert len(caught) == 2 and found == {
        WrongWayWarning: (
            "E00 E01 E02 E03 E04 E05 E06 E07 E08 E09 ...",
            "EER above 50 % in 12 of 14 conditions",
        ),
        TiesWarning: ("E12", "asvspoof EER misled by ties in 1 of 14 conditions"),
    }


@pytest.mark.parametrize(
    ("genuine", "spoof", "method", "who"),
    [
        ([np.nan], [1, 2], "interp", "genuine[0]"),
        ([1], [1, np.nan], "interp", "spoof of E2[0]"),
        ([], [1, 2], "interp", "genuine"),
        ([1], [1, 2], "det", "eer"),
    ],
)
def test_scores_that_have_no_breakdown(genuine, spoof, method, who):
    with pytest.raises(SdError) as info:
        metrics.breakdown(genuine, spoof, {"E1": np.array([0]), "E2": np.array([1])}, (method,))
    assert info.value.who == who


def test_condition_without_trials():
    with pytest.raises(SdError) as info:
        metrics.breakdown([1.0], [0.0], {"E1": np.array([], int)})
    assert (info.value.who, info.value.got) == ("spoof of E1", "none")


@pytest.mark.parametrize(
    ("setting", "who", "got"),
    [
        ({"eer": ()}, "--eer", "''"),
        ({"eer": ("rocch", "interp", "rocch")}, "--eer", "'rocch,interp,rocch'"),
        ({"p_spoof": 1.0}, "--p-spoof", 1.0),
        ({"c_miss": 0.0}, "--c-miss, --c-fa", "0.0 and 10.0"),
        ({"c_fa": math.inf}, "--c-miss, --c-fa", "1.0 and inf"),
    ],
)
def test_options_out_of_bounds(setting, who, got):
    with pytest.raises(SdError) as info:
        MetricOptions(**setting)
    assert (info.value.who, info.value.got) == (who, got)


def test_unknown_eer():
    with pytest.raises(SdError) as info:
        metrics.evaluate([1], [0], MetricOptions(eer=("det",)))
    assert (info.value.what, info.value.got) == ("method", "'det'")


# ---- thresholds


@CASES
@given(SMALL, SMALL, st.floats(0, 1))
def test_thresholds_keep_what_they_promise(genuine, spoof, rate):
    scores = sort_scores(genuine, spoof)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = metrics.thresholds(scores, MetricOptions(), rate)
        assert found["eer"] == metrics.sorted_eer(scores).threshold
    assert found["bayes"] == pytest.approx(-math.log(0.95 / 0.5), abs=1e-15)
    t = found["false_alarm"]
    assert np.mean(np.array(spoof) >= t) <= rate
    lower = [s for s in {*genuine, *spoof} if s < t]
    assert not lower or np.mean(np.array(spoof) >= max(lower)) > rate


def test_spoofs_that_no_threshold_rejects():
    scores = sort_scores([1, 2, 3], [0, np.inf, np.inf, -1])
    assert metrics.thresholds(scores, MetricOptions(), 0.5)["false_alarm"] == 1
    with pytest.raises(SdError) as info:
        metrics.thresholds(scores, MetricOptions(), 0.4)
    assert (info.value.got, info.value.need) == ("0.5", "at most 0.4")


def test_a_rate_that_is_none():
    with pytest.raises(SdError) as info:
        metrics.thresholds(sort_scores([1], [0]), MetricOptions(), 1.5)
    assert (info.value.what, info.value.got) == ("false-alarm rate", 1.5)
