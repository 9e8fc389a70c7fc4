import math
import re
import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from test_metrics import CASES, operating_points, quietly, slow_asvspoof

from sdtools.errors import SdError
from sdtools.scoring.equal_error_rate import TiesWarning, WrongWayWarning
from sdtools.scoring.metrics import eer
from sdtools.scoring.roc import convex_hull, sort_scores
from sdtools.scoring.tandem import (
    Asv,
    TandemOptions,
    evaluate_asv,
    evaluate_tandem,
    min_tdcf,
    sort_asv_scores,
    t_eer,
)

DEFAULTS = TandemOptions()
OTHERS = TandemOptions(p_target=0.5, p_nontarget=0.2, p_spoof=0.3, c_miss=2, c_fa=3, c_fa_spoof=0.5)
FEW = st.lists(st.integers(-3, 3), min_size=1, max_size=6)
ASV = st.tuples(FEW, FEW, FEW)
CM = st.tuples(FEW, FEW)
PERFECT_CM = [2, 3, 4], [-1, 0, 1, 1]


def evaluate(cm, asv, options=DEFAULTS):
    """(Asv, Tandem) of plain lists."""
    scores = sort_asv_scores(*asv)
    alone = evaluate_asv(scores, options)
    return alone, evaluate_tandem(*cm, scores, alone, options)


def rates(p_miss, p_false_alarm, p_false_alarm_spoof):
    return Asv(10, 10, 10, 0.5, p_miss, p_false_alarm, p_false_alarm_spoof, 1, 0)


# ---- closed form


def test_t_dcf_made_by_hand():
    """At threshold 1 a quarter is missed.

    Weights C0 = 0.9405 / 10 + 0.095 / 5 = 0.11305, C1 = 0.82745, C2 = 0.5 / 2.
    """
    hull = convex_hull(sort_scores([0, 1, 2, 3], [0, 0, 0]))
    expected = 0.82745 / 4 / 0.25, (0.11305 + 0.82745 / 4) / (0.11305 + 0.25), 1
    assert min_tdcf(hull, rates(0.1, 0.2, 0.5), DEFAULTS) == pytest.approx(expected, abs=1e-15)
    cheap = TandemOptions(
        c_miss=0.1
    )  # C0 = 0.028405, C1 = 0.065645, least where all spoofs are rejected
    hull = convex_hull(sort_scores([0, 0, 0, 2], [0, 1, -1, -2]))
    expected = 0.75, (0.028405 + 0.75 * 0.065645) / (0.028405 + 0.065645), 2
    assert min_tdcf(hull, rates(0.1, 0.2, 0.5), cheap) == pytest.approx(expected, abs=1e-15)


def test_a_dcf_made_by_hand():
    """Best at 3: accepts 2 of 4 targets, 1 of 4 nontargets, no spoof; over the cost of all."""
    asv = evaluate_asv(
        sort_asv_scores([1, 2, 3, 4], [0, 0, 2, 5], [-1, 2.5]),
        TandemOptions(0.5, 0.25, 0.25, 1, 1, 2),
    )
    assert (asv.a_dcf, asv.a_dcf_threshold) == (
        pytest.approx((0.5 / 2 + 0.25 / 4) / 0.5, abs=1e-15),
        3,
    )
    asv = quietly(evaluate_asv, sort_asv_scores([1, 2], [3], [3]), DEFAULTS)
    assert (asv.a_dcf, asv.a_dcf_threshold) == (1, 1)  # accept all
    asv = quietly(evaluate_asv, sort_asv_scores([1, 2], [3], [3]), TandemOptions(c_miss=0.1))
    assert (asv.a_dcf, asv.a_dcf_threshold) == (1, math.inf)  # reject all


@CASES
@given(ASV)
def test_perfect_cm_leaves_the_cost_of_the_asv(asv):
    alone = quietly(evaluate_asv, sort_asv_scores(*asv))
    c0 = 0.9405 * alone.p_miss + 0.095 * alone.p_false_alarm
    least = min(0.9405 - c0, 0.5 * alone.p_false_alarm_spoof)
    if least > 0:
        _, tandem = quietly(evaluate, PERFECT_CM, asv)
        assert (tandem.min_tdcf_2019, tandem.threshold) == (0, 2)
        assert tandem.min_tdcf_2021 == pytest.approx(c0 / (c0 + least), abs=1e-12)


def test_useless_cm_costs_one():
    asv = [1, 2, 3, 4], [0, 0, 2, 5], [2, 2.5]
    for cm in (([5] * 4, [5] * 3), ([0, 1], [2, 3])):
        _, tandem = quietly(evaluate, cm, asv)
        assert (tandem.min_tdcf_2019, tandem.min_tdcf_2021) == (1, pytest.approx(1, abs=1e-15))
        assert tandem.threshold == min(cm[0])  # accepts all: C2 < C1
        _, tandem = quietly(
            evaluate, cm, asv, TandemOptions(p_target=0.25, p_nontarget=0.01, p_spoof=0.74)
        )
        assert (tandem.min_tdcf_2019, tandem.threshold) == (1, math.inf)


@CASES
@given(CM, CM)
def test_t_eer_of_a_perfect_system_is_the_eer_of_the_other(cm, asv):
    target, nontarget = asv
    expected = quietly(eer, target, nontarget).value
    if expected <= 0.5:  # spoofs like targets
        assert t_eer(
            sort_scores(*PERFECT_CM), sort_asv_scores(target, nontarget, target)
        ) == pytest.approx(expected, abs=1e-12)
    expected = quietly(eer, *cm).value
    if expected <= 0.5:
        assert t_eer(sort_scores(*cm), sort_asv_scores([3, 4], [0, 1, 1], [3, 5])) == pytest.approx(
            expected, abs=1e-12
        )


def test_large_gaussian_sample_has_the_figures_of_the_formulas():
    quantiles = norm.ppf((np.arange(50_000) + 0.5) / 50_000)
    asv, tandem = evaluate(
        (quantiles + 2.2, quantiles), (quantiles + 3, quantiles, quantiles + 1.8)
    )
    assert asv.tau == pytest.approx(1.5, abs=1e-3)
    assert [asv.p_miss, asv.p_false_alarm] == pytest.approx([norm.sf(1.5)] * 2, abs=1e-4)
    assert asv.p_false_alarm_spoof == pytest.approx(norm.sf(-0.3), abs=1e-3)
    c0 = 0.9405 * norm.sf(1.5) + 0.095 * norm.sf(1.5)
    c1, c2 = 0.9405 - c0, 0.5 * norm.sf(-0.3)
    least = minimize_scalar(lambda t: c1 * norm.cdf(t - 2.2) + c2 * norm.sf(t), bounds=(-3, 5))
    assert tandem.min_tdcf_2019 == pytest.approx(least.fun / min(c1, c2), abs=1e-3)
    assert tandem.min_tdcf_2021 == pytest.approx((c0 + least.fun) / (c0 + min(c1, c2)), abs=1e-3)
    assert tandem.threshold == pytest.approx(least.x, abs=0.05)
    least = minimize_scalar(
        lambda t: 0.9405 * norm.cdf(t - 3) + 0.095 * norm.sf(t) + 0.5 * norm.sf(t - 1.8),
        bounds=(-3, 6),
    )
    assert asv.a_dcf == pytest.approx(
        least.fun / 0.595, abs=1e-3
    ) and asv.a_dcf_threshold == pytest.approx(least.x, abs=0.05)

    def excess(tau):
        v = norm.sf(tau - 3) + norm.sf(tau)
        return norm.sf(norm.isf(1 / v) + 2.2) * norm.sf(tau - 1.8) - norm.sf(tau) / v

    tau = brentq(excess, -3, 1.4999)
    assert tandem.t_eer == pytest.approx(norm.sf(tau) / (norm.sf(tau - 3) + norm.sf(tau)), abs=1e-4)


# ---- second implementations, straight from the definitions


def slow_t_dcfs(cm, asv, options):
    """(2019, 2021) by loops over all thresholds, None where not defined."""
    target, nontarget, spoof = asv
    tau = slow_asvspoof(target, nontarget)[1]
    p_miss, p_fa, p_fa_spoof = (
        np.mean(np.less(target, tau)),
        np.mean(np.less_equal(tau, nontarget)),
        np.mean(np.less_equal(tau, spoof)),
    )
    c1 = (
        options.p_target * (options.c_miss - options.c_miss * p_miss)
        - options.p_nontarget * options.c_fa * p_fa
    )
    c2 = options.c_fa_spoof * options.p_spoof * p_fa_spoof
    c0 = options.p_target * options.c_miss * p_miss + options.p_nontarget * options.c_fa * p_fa
    if c1 <= 0 or c2 <= 0:
        return None
    form_2019 = min(
        (c1 * float(miss) + c2 * float(fa)) / min(c1, c2) for miss, fa in operating_points(*cm)
    )
    form_2021 = min(
        (c0 + c1 * float(miss) + c2 * float(fa)) / (c0 + min(c1, c2))
        for miss, fa in operating_points(*cm)
    )
    return form_2019, form_2021


def slow_a_dcf(asv, options):
    """By a loop over all thresholds, accepting and rejecting all among them."""
    target, nontarget, spoof = asv
    costs = []
    for threshold in [*target, *nontarget, *spoof, math.inf]:
        miss, fa, fa_spoof = (
            np.mean(np.less(target, threshold)),
            *(np.mean(np.less_equal(threshold, s)) for s in (nontarget, spoof)),
        )
        costs.append(
            options.c_miss * options.p_target * miss + options.c_fa * options.p_nontarget * fa
        )
        costs[-1] += options.c_fa_spoof * options.p_spoof * fa_spoof
    accept_all = options.c_fa * options.p_nontarget + options.c_fa_spoof * options.p_spoof
    return min(costs) / min(accept_all, options.c_miss * options.p_target)


def accepted(*classes):
    """[fraction accepted of each class] from none to all."""
    thresholds = sorted(set().union(*classes), reverse=True)
    return [
        (Fraction(0),) * len(classes),
        *(tuple(Fraction(sum(s >= t for s in c), len(c)) for c in classes) for t in thresholds),
    ]


def slow_t_eer(cm, asv):
    """The solution of 1 - g T = g N = s S with the least T + N on any segments of the curves."""
    solutions = []
    for (t0, n0, s0), (t1, n1, s1) in pairwise(accepted(*asv)):
        for (g0, c0), (g1, c1) in pairwise(accepted(*cm)):
            v0, v1 = t0 + n0, t1 + n1
            if g1 == 0:
                continue
            first, last = max(v0, 1 / g1), min(v1, 1 / g0) if g0 else v1
            if first > last:
                continue

            def at(v, v0=v0, v1=v1, n0=n0, n1=n1, s0=s0, s1=s1, g0=g0, g1=g1, c0=c0, c1=c1):
                """(gN, least and largest s S - g N)"""
                x, y = (
                    [(v - v0) / (v1 - v0)] if v1 > v0 else [0, 1],
                    [(1 / v - g0) / (g1 - g0)] if g1 > g0 else [0, 1],
                )
                products = [(c0 + b * (c1 - c0)) * (s0 + a * (s1 - s0)) for a in x for b in y]
                rate = (n0 + x[0] * (n1 - n0)) / v
                return rate, min(products) - rate, max(products) - rate

            ends = [(v, *at(v)) for v in (first, last)]
            solutions += [(v, rate) for v, rate, low, high in ends if low <= 0 <= high]
            if first < last and ends[0][2] * ends[1][2] < 0:
                a, b = float(first), float(last)
                for _ in range(60):
                    middle = (a + b) / 2
                    a, b = (middle, b) if (at(middle)[1] < 0) == (ends[0][2] < 0) else (a, middle)
                solutions.append((a, at(a)[0]))
    return float(min(solutions)[1]) if solutions else None


@CASES
@given(CM, ASV)
def test_every_metric_follows_its_definition(cm, asv):
    scores = sort_asv_scores(*asv)
    for options in (DEFAULTS, OTHERS):
        alone = quietly(evaluate_asv, scores, options)
        assert alone.tau == slow_asvspoof(*asv[:2])[1]
        assert alone.a_dcf == pytest.approx(slow_a_dcf(asv, options), abs=1e-12)
        expected = slow_t_dcfs(cm, asv, options)
        if expected:
            *both, threshold = min_tdcf(convex_hull(sort_scores(*cm)), alone, options)
            assert both == pytest.approx(expected, abs=1e-12) and max(both) <= 1 + 1e-12
            miss, fa = np.mean(np.less(cm[0], threshold)), np.mean(np.less_equal(threshold, cm[1]))
            c1 = (
                options.p_target * options.c_miss * (1 - alone.p_miss)
                - options.p_nontarget * options.c_fa * alone.p_false_alarm
            )
            c2 = options.p_spoof * options.c_fa_spoof * alone.p_false_alarm_spoof
            assert (c1 * miss + c2 * fa) / min(c1, c2) == pytest.approx(both[0], abs=1e-12)
    assert t_eer(sort_scores(*cm), scores) == pytest.approx(slow_t_eer(cm, asv), abs=1e-12)


def nearest_trials(cm, asv):
    """The t-EER as the challenge's script finds it.

    At each ASV threshold it takes the CM threshold of equal errors, prevalence 1/2; of these pairs
    the one whose two false alarm rates are nearest.
    """
    target, nontarget, spoof = (
        [np.mean(np.greater(s, t)) for t in np.sort(np.concatenate(asv))] for s in asv
    )
    g, s = (
        np.array([np.mean(np.greater(scores, t)) for t in np.sort(np.concatenate(cm))])
        for scores in cm
    )
    best, found = math.inf, None
    for p_target, p_nontarget, p_spoof in zip(target, nontarget, spoof):
        if 1 - p_target < (p_nontarget + p_spoof) / 2:
            k = np.argmin(np.abs(1 - g * p_target - (g * p_nontarget + s * p_spoof) / 2))
            distance = abs(p_nontarget / p_spoof - s[k] / g[k])
            if distance < best:
                best, found = distance, p_spoof * s[k]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_t_eer_of_many_scores_is_that_of_the_challenge(seed):
    rng = np.random.default_rng(seed)
    cm, asv = (
        (rng.normal(1.5, 1, 400), rng.normal(0, 1, 500)),
        (rng.normal(3, 1, 300), rng.normal(0, 1, 400), rng.normal(2, 1, 500)),
    )
    assert t_eer(sort_scores(*cm), sort_asv_scores(*asv)) == pytest.approx(
        nearest_trials(cm, asv), abs=0.01
    )


# ---- properties


@CASES
@given(CM, ASV, st.integers(0, 100))
def test_order_alone_counts(cm, asv, seed):
    """Monotone maps, other orders and more of the same change nothing."""
    rng = np.random.default_rng(seed)
    if slow_t_dcfs(cm, asv, DEFAULTS) is None:
        return
    _, expected = quietly(evaluate, cm, asv)
    mapped = (
        [rng.permutation(np.exp(np.array(s, float))) for s in cm],
        [rng.permutation(np.array(s, float) ** 3 - 5) for s in asv],
    )
    assert quietly(evaluate, *mapped)[1].t_eer == pytest.approx(expected.t_eer, abs=1e-12)
    for name in ("min_tdcf_2019", "min_tdcf_2021"):
        assert getattr(quietly(evaluate, *mapped)[1], name) == pytest.approx(
            getattr(expected, name), abs=1e-12
        )
    repeated = t_eer(
        sort_scores(np.tile(cm[0], 3), np.tile(cm[1], 2)),
        sort_asv_scores(*(np.tile(s, k) for k, s in enumerate(asv, 1))),
    )
    assert repeated == pytest.approx(expected.t_eer, abs=1e-12)


def test_other_threshold_of_the_asv():
    scores = sort_asv_scores([1, 2, 3, 4], [0, 0, 2, 5], [2, 2.5])
    asv = evaluate_asv(scores, TandemOptions(tau=2.5))
    assert (asv.tau, asv.p_miss, asv.p_false_alarm, asv.p_false_alarm_spoof) == (
        2.5,
        0.5,
        0.25,
        0.5,
    )
    assert asv.a_dcf == evaluate_asv(scores).a_dcf


def test_warnings_of_the_threshold():
    with pytest.warns(WrongWayWarning) as caught:
        evaluate_asv(sort_asv_scores([0, 1, 2], [3, 4], [1]))
    (warning,) = (w.message for w in caught)
    assert (warning.who, warning.got) == ("ASV", "100.00 %") and "Check the keys" in warning.hint
    with pytest.warns(TiesWarning) as caught:
        assert evaluate_asv(sort_asv_scores([5] * 5, [5] * 7, [1])).tau == 5
    (warning,) = (w.message for w in caught)
    assert warning.got == "100.00 % where the ROC has 50.00 %" and "--tau" in warning.hint
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_asv(sort_asv_scores([5] * 5, [5] * 7, [1]), TandemOptions(tau=3))


@pytest.mark.parametrize(
    ("asv", "weights"),
    [
        (
            rates(0.1, 0.1, 0),
            r"C1 = 0\.8369, C2 = 0 with Pmiss 0\.1, Pfa 0\.1 and Pfa,spf 0 of the ASV at 0\.5",
        ),
        (rates(0.9, 1, 1), r"C1 = -0\.0009\d*, C2 = 0\.5"),
    ],
)
def test_asv_that_leaves_the_t_dcf_undefined(asv, weights):
    with pytest.raises(SdError) as info:
        min_tdcf(convex_hull(sort_scores([1], [0])), asv, DEFAULTS)
    assert re.match(weights, info.value.got) and info.value.need.startswith("both above 0")


@pytest.mark.parametrize(
    ("setting", "who", "got"),
    [
        ({"p_target": 0.9}, "--p-target", "0.9, 0.0095, 0.05"),
        ({"p_target": 1.05, "p_nontarget": -0.1}, "--p-target", "1.05, -0.1, 0.05"),
        ({"p_nontarget": math.nan}, "--p-target", "0.9405, nan, 0.05"),
        ({"c_fa": 0.0}, "--c-miss", "1.0, 0.0, 10.0"),
        ({"c_miss": math.inf}, "--c-miss", "inf, 10.0, 10.0"),
        ({"tau": math.inf}, "--tau", math.inf),
    ],
)
def test_options_out_of_bounds(setting, who, got):
    with pytest.raises(SdError) as info:
        TandemOptions(**setting)
    assert info.value.who.startswith(who) and info.value.got == got


@pytest.mark.parametrize("k", range(3))
def test_asv_scores_that_have_no_metrics(k):
    name = ("target", "nontarget", "spoof")[k]
    for values, who, got in (([], name, "none"), ([1, math.nan], f"{name}[1]", "NaN")):
        with pytest.raises(SdError) as info:
            sort_asv_scores(*(values if i == k else [0.0] for i in range(3)))
        assert (info.value.who, info.value.got) == (who, got)
