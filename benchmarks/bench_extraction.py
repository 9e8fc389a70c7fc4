"""Feature extraction against plain scipy and against the machine's own bound, in one run on one core.

    python benchmarks/bench_extraction.py

The plain form is what one would write first: scipy.signal.lfilter for each of the 80 filters, np.diff, np.fft.rfft of every frame.
The bound is the time of the two matrix products that the folded frames need, at the rate of a large float32 product.
"""

import platform
import time
from pathlib import Path

import numpy as np
import scipy.signal
from threadpoolctl import threadpool_limits

from sdtools import envelope
from sdtools.differentiation import differentiate
from sdtools.envelope import EnvelopeOptions
from sdtools.filterbank import FilterBankOptions, design
from sdtools.subbands import SubbandExtractor

RATE_HZ = 16000
DURATION_SEC = 4.0
NUM_ROUNDS = 10


def plain(samples, orders, bank_options=FilterBankOptions(), options=EnvelopeOptions()):  # noqa: B008 - frozen
    """CF and CM by scipy's lfilter, numpy's differences and FFT, in float64."""
    bank, freqs_hz = design(bank_options, RATE_HZ), options.freqs_hz(RATE_HZ)
    bands = np.stack([scipy.signal.lfilter(b, a, samples) for b, a in zip(bank.numerators, bank.denominators)], axis=1)
    for order in orders:
        magnitudes = envelope.spectrum(differentiate(bands, order), options, RATE_HZ)
        envelope.centroid_frequency(magnitudes, freqs_hz, options.magnitude_floor)
        cm = envelope.centroid_magnitude(magnitudes, freqs_hz)
        envelope.magnitude_cepstrum(cm, options.num_ceps, options.magnitude_floor)


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    print(f"Feature extraction: {cpu}, one core, {DURATION_SEC:g} s utterances, best of {NUM_ROUNDS} interleaved rounds")
    samples = 0.1 * np.random.default_rng(0).standard_normal(int(DURATION_SEC * RATE_HZ))
    square = np.ones((1024, 1024), np.float32)
    num_frames = envelope.num_frames(len(samples), 320, 160)
    print(f"{'orders':<10}{'RTF':>9}{'plain RTF':>11}{'times faster':>14}{'bound RTF':>11}{'share of bound':>16}")
    for orders in ((6,), (0, 2, 4, 6)):
        extractor = SubbandExtractor(FilterBankOptions(), EnvelopeOptions(), RATE_HZ, orders=orders)
        extractor(samples)  # compiles
        plain(samples, orders)
        ours, theirs, product = [], [], []
        for _ in range(NUM_ROUNDS):
            ours.append(seconds(extractor, samples))
            theirs.append(seconds(plain, samples, orders))
            product.append(seconds(np.matmul, square, square))
        flops = 2 * extractor.bases.size * 80 * num_frames * len(orders)
        bound = min(product) * flops / (2 * 1024**3)
        name = ",".join(map(str, orders))
        print(
            f"{name:<10}{min(ours) / DURATION_SEC:>9.4f}{min(theirs) / DURATION_SEC:>11.3f}{min(theirs) / min(ours):>14.1f}"
            f"{bound / DURATION_SEC:>11.4f}{bound / min(ours):>15.0%}"
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
