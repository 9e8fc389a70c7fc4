"""Real-time factor of the baseline features on one core, and the ratio to one FFT of every frame.

    python benchmarks/bench_baselines.py

The utterances have many lengths, prime ones too, and each is new. The last column compares with
numpy's FFT of a 512-sample frame every 10 ms, which any short-term feature needs.
"""

import numpy as np
from threadpoolctl import threadpool_limits
from timing import best_of_rounds, machine

from sdtools.features.cqcc import CqccExtractor
from sdtools.features.fdlp import FdlpExtractor
from sdtools.features.lfcc import LfccExtractor
from sdtools.features.modulation import ModulationExtractor
from sdtools.features.subbands import TriangularExtractor

RATE_HZ = 16000
NUM_SAMPLES = (17401, 40000, 47237, 64000, 70001, 100000, 160001)
NUM_ROUNDS = 5
EXTRACTORS = {
    "lfcc": LfccExtractor,
    "cqcc": CqccExtractor,  # B1
    "tc": FdlpExtractor,  # B2
    "modulation": ModulationExtractor,  # B3, all three features
    "triangular": TriangularExtractor,  # CM, all four orders of Table 1
}


def framewise_fft(samples):
    np.fft.rfft(np.lib.stride_tricks.sliding_window_view(samples, 512)[::160])


def compare(name, utterances):
    """Print one row for an extractor."""

    def make():
        return EXTRACTORS[name](sample_rate_hz=RATE_HZ)

    set_up = best_of_rounds({"set-up": make}, 1)["set-up"]
    extractor = make()
    extractor(utterances[0])  # compiles and imports
    functions = {
        (f, i): lambda f=f, u=u: f(u)
        for i, u in enumerate(utterances)
        for f in (extractor, framewise_fft)
    }
    best = best_of_rounds(functions, NUM_ROUNDS)
    ours = np.array([best[extractor, i] for i in range(len(utterances))])
    theirs = np.array([best[framewise_fft, i] for i in range(len(utterances))])
    durations = np.array(NUM_SAMPLES) / RATE_HZ
    print(
        f"{name:<12}{set_up:>10.2f}{ours.sum() / durations.sum():>9.4f}"
        f"{(ours / durations).max():>13.4f}{ours.sum() / theirs.sum():>16.1f}"
    )


def main():
    print(
        f"Baseline features: {machine()}; one core, {len(NUM_SAMPLES)} utterances, "
        f"best of {NUM_ROUNDS} interleaved rounds"
    )
    rng = np.random.default_rng(0)
    utterances = [0.1 * rng.standard_normal(num_samples) for num_samples in NUM_SAMPLES]
    print(f"{'system':<12}{'set-up, s':>10}{'RTF':>9}{'slowest RTF':>13}{'times the FFTs':>16}")
    for name in EXTRACTORS:
        compare(name, utterances)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
