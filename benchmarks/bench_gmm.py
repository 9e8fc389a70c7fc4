"""Rates of an EM pass and of scoring on one core.

    python benchmarks/bench_gmm.py

They are compared with the time of their float32 matrix products alone, and with scikit-learn. A
pass leaves out of its second product the posteriors that do not count, so it may take less time
than both products. Where the frames come from the mixture, as here at first, that is almost all
but one posterior per frame. Where the components are ten times as wide, it is none.
"""

import warnings
from functools import reduce

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from timing import best_of_rounds, machine

from sdtools.gmm.mixture import DiagGmm, log_likelihood
from sdtools.gmm.statistics import accumulate
from sdtools.gmm.training import update

NUM_FRAMES, DIM, NUM_COMPONENTS, NUM_ROUNDS = 100_000, 120, 512, 8
UTTERANCE = 310  # frames, the mean of ASVspoof 2017


def scikit_learn_fit(frames, gmm, num_passes):
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = {
        "weights_init": gmm.weights,
        "means_init": gmm.means,
        "precisions_init": 1 / gmm.variances,
    }
    start = {name: values.astype(np.float32) for name, values in start.items()}
    GaussianMixture(
        len(gmm.weights), covariance_type="diag", max_iter=num_passes, tol=0, **start
    ).fit(frames)


def main():
    print(f"GMM: {machine()}")
    print(f"one BLAS thread, processor time, best of {NUM_ROUNDS} interleaved rounds")
    print(f"{NUM_FRAMES} frames x {DIM}, {NUM_COMPONENTS} components, float32")

    rng = np.random.default_rng(0)
    centres = 0.5 * rng.standard_normal((NUM_COMPONENTS, DIM))
    frames = (
        centres[rng.integers(NUM_COMPONENTS, size=NUM_FRAMES)]
        + rng.standard_normal((NUM_FRAMES, DIM))
    ).astype(np.float32)
    weights = np.full(NUM_COMPONENTS, 1 / NUM_COMPONENTS)
    gmm, wide = (
        DiagGmm(weights, centres, np.full_like(centres, variance)) for variance in (1, 100)
    )
    utterances = [frames[start : start + UTTERANCE] for start in range(0, NUM_FRAMES, UTTERANCE)]
    terms, rows = (
        np.hstack([frames, frames**2]),
        rng.standard_normal((2 * DIM, NUM_COMPONENTS)).astype(np.float32),
    )
    scores, sums = (
        np.empty((NUM_FRAMES, NUM_COMPONENTS), np.float32),
        np.empty((NUM_COMPONENTS, 2 * DIM), np.float32),
    )
    accumulate(gmm, frames[:1000])  # compiles
    with threadpool_limits(1):
        best = best_of_rounds(
            {
                "product": lambda: np.matmul(terms, rows, out=scores),
                "second product": lambda: np.matmul(scores.T, terms, out=sums),
                "pass": lambda: update(accumulate(gmm, frames)),
                "pass by utterance": lambda: update(
                    reduce(lambda stats, utt: accumulate(gmm, utt, stats), utterances, None)
                ),
                "pass, all posteriors count": lambda: update(accumulate(wide, frames)),
                "scoring": lambda: log_likelihood(gmm, frames),
            },
            NUM_ROUNDS,
        )
        peer = best_of_rounds({n: lambda n=n: scikit_learn_fit(frames, gmm, n) for n in (1, 3)}, 2)
    bound = best["product"] + best["second product"]
    scikit_learn = (peer[3] - peer[1]) / 2  # start-up and the last E step cancel
    print(f"two products alone: {bound:.3f} s")
    for name in ("pass", "pass by utterance", "pass, all posteriors count"):
        print(f"EM {name}: {best[name]:.3f} s: {bound / best[name]:.1%} of the bound")
    share = best["product"] / best["scoring"]
    print(f"scoring: {best['scoring']:.3f} s: {share:.1%} of the bound, its product alone")
    print(
        f"scikit-learn EM pass: {scikit_learn:.3f} s, {scikit_learn / best['pass']:.2f} times ours"
    )


if __name__ == "__main__":
    main()
