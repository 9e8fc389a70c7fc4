"""Policies: decision, posterior and evidence in words never contradict each other."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtools.detect.detection import Judgement, Segment, sentence
from sdtools.detect.policy import Policy, logit
from sdtools.detect.quality import Quality
from sdtools.detect.recordings import Recording

SEGMENT, QUALITY = (
    Segment(Recording("a.wav"), None, 0.0, 2.0),
    Quality(2.0, -20.0, 0.0, 1.0, 8000.0, 0.0),
)
PRIORS = st.floats(1e-6, 1 - 1e-6) | st.just(0.5)
COSTS = st.just((1.0, 1.0)) | st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
LLRS = st.floats(-30, 30) | st.just(0.0)
OTHER = {"genuine": "replayed", "replayed": "genuine"}


@st.composite
def policies(draw):
    prior = draw(PRIORS)
    if draw(st.booleans()):
        return Policy.bayes(prior, draw(COSTS))
    return Policy(draw(st.sampled_from(["eer", "false_alarm"])), draw(LLRS), prior)


def words(policy, llr):
    return sentence(Judgement(SEGMENT, QUALITY, [], llr, policy))


@pytest.mark.parametrize(
    ("prior", "costs", "threshold"),
    [(0.5, (1, 1), 0), (0.5, (1, 10), math.log(10)), (0.9, (1, 1), -math.log(9)), (0.5, (7, 7), 0)],
)
def test_bayes_thresholds(prior, costs, threshold):
    assert Policy.bayes(prior, costs).threshold == pytest.approx(threshold, abs=1e-12)


@given(PRIORS, COSTS, LLRS)
def test_the_decision_of_bayes_costs_least(prior, costs, llr):
    policy = Policy.bayes(prior, costs)
    genuine = policy.posterior(llr)
    loss = {"replayed": genuine * costs[0], "genuine": (1 - genuine) * costs[1]}
    decision = policy.decide(llr)
    assert loss[decision] <= loss[OTHER[decision]] * (1 + 1e-9) + 1e-12


@given(policies(), LLRS)
def test_words_do_not_contradict_each_other(policy, llr):
    """Parsed from the line as a reader would: an odd decision has its reason, no other has one."""
    text = words(policy, llr)
    form = (
        r"a\.wav: (genuine|replayed) \(LLR ([-+.\d]+), (\w+) threshold ([-+.\d]+), P\(genuine\) "
        r"([.\d]+) at prior [^):]*\): ([-+.\de]+) times as probable if (spoken live|replayed)"
        r"(; .*)?"
    )
    decision, shown, name, threshold, posterior, times, evident, reason = re.fullmatch(
        form, text
    ).groups()
    evident = "genuine" if evident == "spoken live" else evident
    assert name == policy.name and float(times) >= 1
    assert abs(math.log(float(times)) - abs(llr)) <= 0.01  # of three digits
    assert (float(shown) >= float(threshold)) == (decision == "genuine") or (
        float(shown) == float(threshold)
    )
    assert (float(shown) >= 0) == (evident == "genuine") or abs(float(shown)) < 0.01
    assert float(posterior) == pytest.approx(
        1 / (1 + math.exp(-llr - logit(policy.prior))), abs=1e-3
    )
    probable = "genuine" if llr + logit(policy.prior) >= 0 else "replayed"
    assert (float(posterior) >= 0.5) == (probable == "genuine") or float(posterior) == 0.5
    assert bool(reason) == (len({decision, evident, probable}) > 1)
    if reason and decision == probable:
        assert reason == f"; the prior outweighs this, so {decision}"
    elif reason and name == "bayes":
        error = "miss" if decision == "genuine" else "false alarm"
        assert reason.startswith(f"; {probable} is more probable, but a {error} costs ")
    elif reason:
        need = f"; {probable} is more probable at this prior, but the {name} threshold decides"
        assert reason == need


@given(PRIORS, LLRS)
def test_with_equal_costs_the_more_probable_class_is_chosen(prior, llr):
    policy = Policy.bayes(prior, (1.0, 1.0))
    posterior = policy.posterior(llr)
    assert posterior == 0.5 or (posterior > 0.5) == (policy.decide(llr) == "genuine")


@pytest.mark.parametrize(
    ("policy", "llr", "end"),
    [
        (Policy.bayes(0.5, (1, 1)), 1.2, ": 3.32 times as probable if spoken live"),
        (Policy.bayes(0.99, (1, 1)), -1.7, "; the prior outweighs this, so genuine"),
        (
            Policy.bayes(0.5, (1, 10)),
            1.2,
            "; genuine is more probable, but a false alarm costs 10 times as much",
        ),
        (
            Policy("eer", 4.2, 0.5),
            3,
            "; genuine is more probable at this prior, but the eer threshold decides",
        ),
    ],
)
def test_reasons(policy, llr, end):
    assert words(policy, llr).endswith(end)


def test_costs_are_shown_if_they_are_not_equal():
    assert "at prior 0.5, costs 1,10)" in words(Policy.bayes(0.5, (1.0, 10.0)), 1)
    assert "costs" not in words(Policy.bayes(0.5, (1.0, 1.0)), 1)


def test_far_scores_have_a_posterior():
    policy = Policy.bayes(0.5, (1, 1))
    assert policy.posterior(-1e6) == 0 and policy.posterior(1e6) == 1
