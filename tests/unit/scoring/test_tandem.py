import json
import math
import os
import warnings
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from test_metrics import CASES, operating_points, quietly, slow_asvspoof, synthetic_set

from sdtools.bin import eval_tandem
from sdtools.scoring.metrics import convex_hull, eer, sort_scores
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
    """Weights C0 = 0.9405 / 10 + 0.095 / 5 = 0.11305, C1 = 0.82745, C2 = 0.5 / 2; at threshold 1 a quarter is missed."""
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
    """Accepting 2 of 4 targets, 1 of 4 nontargets and no spoof is best at 3; the costs are over those of accepting all."""
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
    expected = quietly(eer, sort_scores(target, nontarget)).value
    if expected <= 0.5:  # spoofs like targets
        assert t_eer(
            sort_scores(*PERFECT_CM), sort_asv_scores(target, nontarget, target)
        ) == pytest.approx(expected, abs=1e-12)
    expected = quietly(eer, sort_scores(*cm)).value
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
    """The solution of 1 - g T = g N = s S with the least T + N, of those on any segment of one curve and any of the other."""
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
    """t-EER as the challenge's script seeks it: at each ASV threshold the CM threshold of equal errors, prevalence 1/2; of these pairs
    that whose two false alarm rates are nearest."""
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


# ---- the command


UTTS = [f"utt-{i:03d}" for i in range(500)]
TRIALS = synthetic_set()
ASV_LINES = {
    **{("P01", f"T{i}", "bonafide", "target"): s for i, s in enumerate(TRIALS[0][:200, 0] + 1)},
    **{
        ("P02", f"N{i}", "bonafide", "nontarget"): s
        for i, s in enumerate(TRIALS[0][200:400, 0] - 0.5)
    },
    **{("P03", f"S{i}", "A07", "spoof"): s for i, s in enumerate(TRIALS[0][:150, 1])},
}
FORMS = {
    "2019": lambda words, score: [*words[2:], score],
    "speaker": lambda words, score: [words[0], *words[2:], score],
    "speaker and utterance": lambda words, score: [*words, score],
    "key last": lambda words, score: [*words[:2], score, words[3]],
    "2021": lambda words, score: [
        *words[:2],
        "alaw",
        "ita_tx",
        *words[2:],
        "notrim",
        "eval",
        score,
    ],
}


@pytest.fixture
def files(tmp_path):
    """The synthetic set as scores of the CM and, moved, of an ASV, in the current directory."""
    columns, is_genuine = TRIALS
    for k, column in enumerate(columns.T, 1):
        (tmp_path / f"s{k}.txt").write_text(
            "".join(f"{utt} {score}\n" for utt, score in zip(UTTS, column))
        )
    (tmp_path / "utt2label").write_text(
        "".join(f"{utt} {'genuine' if g else 'spoof'}\n" for utt, g in zip(UTTS, is_genuine))
    )
    old = Path.cwd()
    os.chdir(tmp_path)
    write_asv("2019")
    yield tmp_path
    os.chdir(old)


def write_asv(form, path="asv"):
    Path(path).write_text(
        "".join(
            " ".join(FORMS[form](words, str(score))) + "\n" for words, score in ASV_LINES.items()
        )
    )


def fails(argv, capsys):
    """The one line on stderr of a command that must fail."""
    assert eval_tandem.main(["--print-args=false", *argv]) == 1
    captured = capsys.readouterr()
    (error,) = [line for line in captured.err.splitlines() if not line.startswith("WARNING")]
    assert captured.out == "" and error.startswith("ERROR (sd-eval-tandem) ")
    return error


def test_tables_and_json(files, capsys):
    assert eval_tandem.main(["--json=out.json", "asv", "utt2label", "s1.txt", "s3.txt"]) == 0
    captured = capsys.readouterr()
    assert "WARNING" not in captured.err
    assert captured.out.splitlines() == [
        "ASV  target  nontarget  spoof     tau  Pmiss %  Pfa %  Pfa,spf %   a-DCF  threshold",
        "asv     200        200    150  1.3600     3.00   3.50      48.00  0.4423     1.5900",
        "",
        "system  min t-DCF (2019)  min t-DCF (2021)  threshold  t-EER %",
        "s1.txt            0.5070            0.5642     0.3600    13.76",
        "s3.txt            0.9147            0.9246    -0.8800    31.86",
    ]
    figures = json.loads(Path("out.json").read_text())
    assert (figures["asv_scores"], figures["utt2label"], figures["num_dropped"]) == (
        "asv",
        "utt2label",
        0,
    )
    assert figures["options"]["p_target"] == 0.9405 and figures["options"]["tau"] is None
    asv = [
        [s for words, s in ASV_LINES.items() if words[3] == key]
        for key in ("target", "nontarget", "spoof")
    ]
    assert [figures["asv"][f"num_{key}"] for key in ("target", "nontarget", "spoof")] == [
        200,
        200,
        150,
    ]
    assert figures["asv"]["a_dcf"] == pytest.approx(slow_a_dcf(asv, DEFAULTS), abs=1e-12)
    columns, is_genuine = TRIALS
    for k, system in zip((0, 2), figures["systems"]):
        cm = columns[is_genuine, k].tolist(), columns[~is_genuine, k].tolist()
        assert (system["system"], system["num_genuine"], system["num_spoof"]) == (
            f"s{k + 1}.txt",
            200,
            300,
        )
        assert (system["min_tdcf_2019"], system["min_tdcf_2021"]) == pytest.approx(
            slow_t_dcfs(cm, asv, DEFAULTS), abs=1e-12
        )
        assert system["t_eer"] == pytest.approx(nearest_trials(cm, asv), abs=0.005)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_asv_scores(files, capsys, form):
    outputs = []
    for name in ("2019", form):
        write_asv(name)
        assert eval_tandem.main(["asv", "utt2label", "s1.txt"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_scores_on_standard_output_of_a_command_and_other_options(files, capsys):
    """As for ASVspoof 2021, whose keys stand in another file."""
    write_asv("2021")
    Path("key").write_text(
        "".join(line.rsplit(" ", 1)[0] + "\n" for line in Path("asv").read_text().splitlines())
    )
    Path("score").write_text(
        "".join(f"{' '.join(words[:2])} {score}\n" for words, score in ASV_LINES.items())
    )
    argv = ["--tau=1.25", "--c-fa-spoof=5", "--missing=drop", "--json=out.json"]
    outputs = []
    for asv in ("asv", "cut -d' ' -f3 score | paste -d' ' key - | grep ' eval ' |"):
        assert eval_tandem.main([*argv, asv, "utt2label", "s2.txt"]) == 0
        outputs.append([line.split()[-8:] for line in capsys.readouterr().out.splitlines()])
    assert outputs[0] == outputs[1]
    figures = json.loads(Path("out.json").read_text())
    assert figures["asv"]["tau"] == 1.25 and figures["options"]["c_fa_spoof"] == 5


# ---- limits and errors


def test_cm_the_wrong_way_round(files, capsys):
    """No t-EER; accepting or rejecting all is best, the latter at an infinite threshold, a word in JSON."""
    Path("s4.txt").write_text(
        "".join(f"{utt} {-score}\n" for utt, score in zip(UTTS, TRIALS[0][:, 0]))
    )
    for c_miss, threshold in ((1, -4.71), (0.05, "inf")):
        assert (
            eval_tandem.main(
                [f"--c-miss={c_miss}", "--json=out.json", "asv", "utt2label", "s4.txt"]
            )
            == 0
        )
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1].split() == [
            "s4.txt",
            "1.0000",
            "1.0000",
            {1: "-4.7100", 0.05: "inf"}[c_miss],
            "none",
        ]
        assert (
            "WARNING (sd-eval-tandem) s4.txt: no t-EER: no thresholds accept spoofs as often as nontargets; either"
            in captured.err
        )
        (system,) = json.loads(Path("out.json").read_text())["systems"]
        assert (system["t_eer"], system["threshold"]) == (None, threshold)


def test_few_trials_of_the_asv(files, capsys):
    Path("asv").write_text(
        "- target 1\n- target 3\n- nontarget 0\n- nontarget 2\n" + "A01 spoof 3\n" * 30
    )
    assert eval_tandem.main(["asv", "utt2label", "s1.txt"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    said = "WARNING (sd-eval-tandem) asv: {} trials: got 2; with fewer than 30 results are rough"
    assert warned == [said.format("target"), said.format("nontarget")]


def test_warnings_of_the_threshold():
    with pytest.warns(
        UserWarning,
        match=r"tandem: ASV EER above 50 %: got 100.00 %; targets score lower .* Check the keys",
    ) as caught:
        evaluate_asv(sort_asv_scores([0, 1, 2], [3, 4], [1]))
    assert len(caught) == 1
    with pytest.warns(
        UserWarning,
        match=r"tau misled by ties: got an EER of 100.00 % where the ROC has 50.00 %; .* Give --tau",
    ) as caught:
        assert evaluate_asv(sort_asv_scores([5] * 5, [5] * 7, [1])).tau == 5
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_asv(sort_asv_scores([5] * 5, [5] * 7, [1]), TandemOptions(tau=3))


@pytest.mark.parametrize(
    ("asv", "weights"),
    [
        (
            rates(0.1, 0.1, 0),
            r"C1 = 0\.8369, C2 = 0 with the ASV's Pmiss 0\.1, Pfa 0\.1, Pfa,spf 0 at 0\.5",
        ),
        (rates(0.9, 1, 1), r"C1 = -0\.0009\d*, C2 = 0\.5"),
    ],
)
def test_asv_that_leaves_the_t_dcf_undefined(asv, weights):
    with pytest.raises(
        ValueError,
        match=rf"tandem: weights of the CM's errors: got {weights}.*, need both above 0, or the t-DCF is not",
    ):
        min_tdcf(convex_hull(sort_scores([1], [0])), asv, DEFAULTS)


def test_undefined_t_dcf_is_one_line(files, capsys):
    assert ", C2 = 0 with the ASV's Pmiss" in fails(
        ["--tau=6", "asv", "utt2label", "s1.txt"], capsys
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"p_target": 0.9},
            r"p_target, p_nontarget, p_spoof: got 0\.9, 0\.0095, 0\.05, need positive numbers with sum 1\. Set all three",
        ),
        ({"p_target": 1.05, "p_nontarget": -0.1}, r"got 1\.05, -0\.1, 0\.05"),
        ({"p_nontarget": math.nan}, "got 0.9405, nan, 0.05"),
        ({"c_fa": 0.0}, r"c_miss, c_fa, c_fa_spoof: got 1\.0, 0\.0, 10\.0, need positive numbers"),
        ({"c_miss": math.inf}, "got inf, 10.0, 10.0"),
        ({"tau": math.inf}, "tau: got inf, need a finite number"),
    ],
)
def test_options_out_of_bounds(setting, message):
    with pytest.raises(ValueError, match=f"TandemOptions: .*{message}"):
        TandemOptions(**setting)


@pytest.mark.parametrize("k", range(3))
def test_asv_scores_that_have_no_metrics(k):
    name = ("target", "nontarget", "spoof")[k]
    for values, message in (
        ([], r"got shape \(0,\), need a vector"),
        ([1, math.nan], "got NaN, need numbers"),
    ):
        with pytest.raises(ValueError, match=f"^metrics: {name} scores: {message}"):
            sort_asv_scores(*(values if i == k else [0.0] for i in range(3)))


@pytest.mark.parametrize(
    "line",
    [
        "- target",
        "target 1.0",
        "- bonafide 1.0",
        "- target nan",
        "- target high",
        "P01 T1 alaw bonafide target 1.0",
        "",
        "1 - target",
    ],
)
def test_lines_that_are_no_asv_score(files, capsys, line):
    Path("asv").write_text(f"- nontarget 0\n{line}\n- spoof 1\n")
    error = fails(["asv", "utt2label", "s1.txt"], capsys)
    assert (
        f"asv:2: line: got {line!r}, need 3, 4, 5, 9 words, of them a key (target, nontarget or spoof) and a score other than"
        in error
    )


@pytest.mark.parametrize("key", ["target", "nontarget", "spoof"])
def test_class_without_trials(files, capsys, key):
    Path("asv").write_text(
        "".join(f"- {k} 1\n" for k in ("target", "nontarget", "spoof") if k != key)
    )
    assert f"asv: {key} trials: got 0, need one or more. Check the keys" in fails(
        ["asv", "utt2label", "s1.txt"], capsys
    )


def test_utterance_without_a_score_of_the_cm(files, capsys):
    Path("s1.txt").write_text("utt-000 1\n")
    assert "s1.txt: scores: got none for 499 of 500 utterances" in fails(
        ["asv", "utt2label", "s1.txt"], capsys
    )
