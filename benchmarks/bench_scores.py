"""Times of EER, fusion and intervals, beside what bounds them: sorting, passes, scikit-learn."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from sdtools.scoring import logistic
from sdtools.scoring.fusion import train_fusion
from sdtools.scoring.intervals import eer_interval
from sdtools.scoring.logistic import ClassTrials
from sdtools.scoring.metrics import MetricOptions, eer, evaluate

NUM_SCORES, NUM_TRIALS, NUM_SYSTEMS, NUM_ROUNDS = 10_000_000, 1_000_000, 3, 3


def seconds(function, *args):
    """Least time of some rounds, and the result."""
    times = []
    for _ in range(NUM_ROUNDS):
        start = time.perf_counter()
        result = function(*args)
        times.append(time.perf_counter() - start)
    return min(times), result


def num_passes(scores, is_genuine):
    """Passes over the trials in one training."""
    num, objective = 0, logistic.objective

    def counted(*args):
        nonlocal num
        num += 1
        return objective(*args)

    logistic.objective = counted
    try:
        train_fusion(scores, is_genuine)
    finally:
        logistic.objective = objective
    return num


def bench_metrics(rng):
    genuine, spoof = rng.normal(1, 1, NUM_SCORES // 2), rng.normal(-1, 1, NUM_SCORES // 2)
    sort_sec, _ = seconds(lambda: (np.sort(genuine), np.sort(spoof)))
    eer_sec, _ = seconds(eer, genuine, spoof)
    options = MetricOptions(eer=("interp", "rocch", "asvspoof"))
    all_sec, _ = seconds(evaluate, genuine, spoof, options)
    print(
        f"{NUM_SCORES} scores: EER {eer_sec:.2f} s, all metrics {all_sec:.2f} s; sorting the "
        f"classes one after the other {sort_sec:.2f} s"
    )


def bench_fusion(rng):
    is_genuine = np.arange(NUM_TRIALS) < NUM_TRIALS // 10
    scores = rng.normal(size=(NUM_TRIALS, NUM_SYSTEMS)) + rng.normal(size=(NUM_TRIALS, 1))
    scores += 1.5 * is_genuine[:, None]
    num = num_passes(scores, is_genuine)
    train_sec, ours = seconds(train_fusion, scores, is_genuine)
    classes = [
        ClassTrials(np.vstack([part.T, np.ones(len(part))]), 0.0, np.ones(len(part)))
        for part in (scores[is_genuine], scores[~is_genuine])
    ]
    penalty = np.full(NUM_SYSTEMS + 1, 0.1)
    pass_sec, _ = seconds(logistic.objective, classes, penalty, np.zeros(NUM_SYSTEMS + 1))
    weights = np.where(is_genuine, 0.5 / is_genuine.sum(), 0.5 / (~is_genuine).sum())
    peer = LogisticRegression(C=1e14, solver="newton-cholesky", tol=1e-12)
    peer_sec, _ = seconds(peer.fit, scores, is_genuine, weights)
    worst = np.abs(ours.weights / peer.coef_[0] - 1).max()
    print(
        f"{NUM_TRIALS} trials x {NUM_SYSTEMS} systems: fusion {train_sec:.2f} s, {num} passes of "
        f"{pass_sec:.3f} s; scikit-learn {peer_sec:.2f} s, weights within {worst:.0e}"
    )


def bench_intervals(rng):
    trials = rng.normal(1.5, 1, 1298), rng.normal(-1.5, 1, 12008)
    speakers = rng.integers(24, size=1298), rng.integers(24, size=12008)
    for method in ("interp", "rocch"):
        interval_sec, _ = seconds(eer_interval, *trials, speakers, method)
        print(f"1000 bootstrap replicates on 13306 trials, {method}: {interval_sec:.2f} s")


def main():
    rng = np.random.default_rng(0)
    bench_metrics(rng)
    bench_fusion(rng)
    bench_intervals(rng)


if __name__ == "__main__":
    main()
