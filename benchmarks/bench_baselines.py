"""Real-time factor of the paper's baseline features on one core, and the ratio to one FFT of every frame.

    python benchmarks/bench_baselines.py

A system is a function that makes what takes samples to features; the utterances are of all lengths, prime ones too, and each is new.
The last column sets the time against numpy's FFT of a 512-sample frame every 10 ms, which any short-term feature needs.
"""

import numpy as np
from threadpoolctl import threadpool_limits
from timing import best_of_rounds, machine

from sdtools.features.cqcc import CqccExtractor
from sdtools.features.fdlp import FdlpExtractor
from sdtools.features.modulation import ModulationExtractor
from sdtools.features.subbands import TriangularExtractor

RATE_HZ = 16000
NUM_SAMPLES = (17401, 40000, 47237, 64000, 70001, 100000, 160001)
NUM_ROUNDS = 5


def cqcc():
    """B1."""
    return CqccExtractor(sample_rate_hz=RATE_HZ)


def tc():
    """B2."""
    return FdlpExtractor(sample_rate_hz=RATE_HZ)


def modulation():
    """B3: all three features."""
    return ModulationExtractor(sample_rate_hz=RATE_HZ)


def triangular():
    """CM with triangular filters, all four orders of Table 1."""
    return TriangularExtractor(sample_rate_hz=RATE_HZ)


SYSTEMS = (cqcc, tc, modulation, triangular)


def framewise_fft(samples):
    np.fft.rfft(np.lib.stride_tricks.sliding_window_view(samples, 512)[::160])


def main():
    print(
        f"Baseline features: {machine()}; one core, {len(NUM_SAMPLES)} utterances, best of {NUM_ROUNDS} interleaved rounds"
    )
    rng = np.random.default_rng(0)
    utterances = [0.1 * rng.standard_normal(num_samples) for num_samples in NUM_SAMPLES]
    durations = np.array(NUM_SAMPLES) / RATE_HZ
    print(f"{'system':<12}{'set-up, s':>10}{'RTF':>9}{'slowest RTF':>13}{'times the FFTs':>16}")
    for system in SYSTEMS:
        set_up = best_of_rounds({"set-up": system}, 1)["set-up"]
        extractor = system()
        extractor(utterances[0])  # compiles and imports
        functions = {
            (f, i): lambda f=f, u=u: f(u)
            for i, u in enumerate(utterances)
            for f in (extractor, framewise_fft)
        }
        best = best_of_rounds(functions, NUM_ROUNDS)
        ours, theirs = (
            np.array([best[f, i] for i in range(len(utterances))])
            for f in (extractor, framewise_fft)
        )
        print(
            f"{system.__name__:<12}{set_up:>10.2f}{ours.sum() / durations.sum():>9.4f}{(ours / durations).max():>13.4f}"
            f"{ours.sum() / theirs.sum():>16.1f}"
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
