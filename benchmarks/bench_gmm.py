"""Rates of an EM pass and of scoring, against the time of their float32 matrix products alone and against scikit-learn, on one core."""

import os
import platform
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sdtools.gmm import DiagGmm, accumulate, log_likelihood, update

NUM_FRAMES, DIM, NUM_COMPONENTS, NUM_ROUNDS = 100_000, 120, 512, 8


def seconds(function):
    """Processor time, which other work on the machine disturbs less than the clock."""
    start = time.process_time()
    function()
    return time.process_time() - start


def best_of_rounds(functions, num_rounds):
    """Least time of each function by name; the rounds take them in turn, so that a slow spell of the machine meets all of them."""
    times = [{name: seconds(function) for name, function in functions.items()} for _ in range(num_rounds)]
    return {name: min(one_round[name] for one_round in times) for name in functions}


def scikit_learn_fit(frames, gmm, num_passes):
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = {"weights_init": gmm.weights, "means_init": gmm.means, "precisions_init": 1 / gmm.variances}
    start = {name: values.astype(np.float32) for name, values in start.items()}
    GaussianMixture(len(gmm.weights), covariance_type="diag", max_iter=num_passes, tol=0, **start).fit(frames)


def main():
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    print(f"machine: {model}, {os.cpu_count()} cores; one BLAS thread, processor time")
    print(f"{NUM_FRAMES} frames x {DIM}, {NUM_COMPONENTS} components, float32")

    rng = np.random.default_rng(0)
    centres = 0.5 * rng.standard_normal((NUM_COMPONENTS, DIM))
    frames = (centres[rng.integers(NUM_COMPONENTS, size=NUM_FRAMES)] + rng.standard_normal((NUM_FRAMES, DIM))).astype(np.float32)
    gmm = DiagGmm(np.full(NUM_COMPONENTS, 1 / NUM_COMPONENTS), centres, np.ones_like(centres))
    terms, rows = np.hstack([frames, frames**2]), rng.standard_normal((2 * DIM, NUM_COMPONENTS)).astype(np.float32)
    scores, sums = np.empty((NUM_FRAMES, NUM_COMPONENTS), np.float32), np.empty((NUM_COMPONENTS, 2 * DIM), np.float32)
    accumulate(gmm, frames[:1000])  # compiles
    with threadpool_limits(1):
        best = best_of_rounds(
            {
                "product": lambda: np.matmul(terms, rows, out=scores),
                "second product": lambda: np.matmul(scores.T, terms, out=sums),
                "pass": lambda: update(accumulate(gmm, frames)),
                "scoring": lambda: log_likelihood(gmm, frames),
            },
            NUM_ROUNDS,
        )
        peer = best_of_rounds({n: lambda n=n: scikit_learn_fit(frames, gmm, n) for n in (1, 3)}, 2)
    bound = best["product"] + best["second product"]
    scikit_learn = (peer[3] - peer[1]) / 2  # start-up and the last E step cancel
    print(f"EM pass: {best['pass']:.3f} s; its two products alone {bound:.3f} s: {bound / best['pass']:.1%} of the bound")
    print(
        f"scoring: {best['scoring']:.3f} s; its product alone {best['product']:.3f} s: {best['product'] / best['scoring']:.1%} of the bound"
    )
    print(f"scikit-learn EM pass: {scikit_learn:.3f} s, {scikit_learn / best['pass']:.2f} times ours")


if __name__ == "__main__":
    main()
