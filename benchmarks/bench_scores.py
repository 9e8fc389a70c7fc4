"""EER of ten million scores, fusion of a million trials of three systems, an interval on 13,306 trials: against what bounds them."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from sdtools.scoring import fusion
from sdtools.scoring.intervals import eer_interval
from sdtools.scoring.metrics import MetricOptions, eer, evaluate, sort_scores

NUM_SCORES, NUM_TRIALS, NUM_SYSTEMS, NUM_ROUNDS = 10_000_000, 1_000_000, 3, 3


def seconds(function, *args):
    """Least time of some rounds, and the result."""
    times = []
    for _ in range(NUM_ROUNDS):
        start = time.perf_counter()
        result = function(*args)
        times.append(time.perf_counter() - start)
    return min(times), result


def main():
    rng = np.random.default_rng(0)
    genuine, spoof = rng.normal(1, 1, NUM_SCORES // 2), rng.normal(-1, 1, NUM_SCORES // 2)
    sort_sec, _ = seconds(lambda: (np.sort(genuine), np.sort(spoof)))
    eer_sec, _ = seconds(lambda: eer(sort_scores(genuine, spoof)))
    all_sec, _ = seconds(
        evaluate, genuine, spoof, MetricOptions(eer=("interp", "rocch", "asvspoof"))
    )
    print(
        f"{NUM_SCORES} scores: EER {eer_sec:.2f} s, all metrics {all_sec:.2f} s; sorting the classes one after the other {sort_sec:.2f} s"
    )

    is_genuine = np.arange(NUM_TRIALS) < NUM_TRIALS // 10
    scores = (
        rng.normal(size=(NUM_TRIALS, NUM_SYSTEMS))
        + rng.normal(size=(NUM_TRIALS, 1))
        + 1.5 * is_genuine[:, None]
    )
    num_passes, objective = 0, fusion._objective

    def counted(*args):
        nonlocal num_passes
        num_passes += 1
        return objective(*args)

    fusion._objective = counted
    fusion.train_fusion(scores, is_genuine)
    fusion._objective = objective
    train_sec, ours = seconds(fusion.train_fusion, scores, is_genuine)
    classes = [
        (np.ascontiguousarray(np.vstack([part.T, np.ones(len(part))])), 0.0, np.ones(len(part)))
        for part in (scores[is_genuine], scores[~is_genuine])
    ]
    pass_sec, _ = seconds(
        objective, classes, np.zeros(NUM_SYSTEMS + 1), np.full(NUM_SYSTEMS + 1, 0.1)
    )
    weights = np.where(is_genuine, 0.5 / is_genuine.sum(), 0.5 / (~is_genuine).sum())
    peer = LogisticRegression(C=1e14, solver="newton-cholesky", tol=1e-12)
    peer_sec, _ = seconds(peer.fit, scores, is_genuine, weights)
    worst = np.abs(ours.weights / peer.coef_[0] - 1).max()
    print(
        f"{NUM_TRIALS} trials x {NUM_SYSTEMS} systems: fusion {train_sec:.2f} s, {num_passes} passes of {pass_sec:.3f} s; scikit-learn "
        f"{peer_sec:.2f} s, weights within {worst:.0e}"
    )

    trials = rng.normal(1.5, 1, 1298), rng.normal(-1.5, 1, 12008)
    speakers = rng.integers(24, size=1298), rng.integers(24, size=12008)
    for method in ("interp", "rocch"):
        print(
            f"1000 bootstrap replicates on 13306 trials, {method}: {seconds(eer_interval, trials, speakers, method)[0]:.2f} s"
        )


if __name__ == "__main__":
    main()
