"""Feature extraction against plain scipy, other toolkits and the machine's own bound.

    python benchmarks/bench_extraction.py

One core, then two threads. The plain form is what one would write first: scipy.signal.lfilter for
each of the 80 filters, np.diff, np.fft.rfft of every frame. The bound is the time of the matrix
products that the folded frames need, at the rate of a large float32 product. The other toolkits
compute other features from as many frames; `pip install -e '.[bench]'` (make bench-full) installs
them.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.signal
from threadpoolctl import threadpool_limits
from timing import best_of_rounds, machine

from sdtools.features import envelope
from sdtools.features.differentiation import differentiate
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, design
from sdtools.features.samples import num_frames
from sdtools.features.subbands import SubbandExtractor

RATE_HZ = 16000
DURATION_SEC = 4.0
NUM_ROUNDS = 10
NUM_UTTS = 32  # for two threads


def plain(samples, orders, bank_options=FilterBankOptions(), options=EnvelopeOptions()):
    """CF and CM by scipy's lfilter, numpy's differences and FFT, in float64."""
    bank, freqs_hz = design(bank_options, RATE_HZ), options.freqs_hz(RATE_HZ)
    filters = zip(bank.numerators, bank.denominators)
    bands = np.stack([scipy.signal.lfilter(b, a, samples) for b, a in filters], axis=1)
    for order in orders:
        magnitudes = envelope.spectrum(differentiate(bands, order), options, RATE_HZ)
        envelope.centroid_frequency(magnitudes, freqs_hz, options.magnitude_floor)
        cm = envelope.centroid_magnitude(magnitudes, freqs_hz)
        envelope.magnitude_cepstrum(cm, options.num_ceps, options.magnitude_floor)


def other_toolkits(samples):
    """Functions by name, of those that are installed."""
    try:
        import librosa
        from spafe.features.lfcc import lfcc
    except ImportError:
        print("spafe and librosa are not installed: pip install -e '.[bench]'")
        return {}
    return {
        "spafe LFCC": lambda: lfcc(samples, fs=RATE_HZ),
        "librosa CQT": lambda: librosa.cqt(samples, sr=RATE_HZ),
    }


def compare(samples, orders, peers):
    """Print one row for these orders, and the ratios to the other toolkits."""
    extractor = SubbandExtractor(sample_rate_hz=RATE_HZ, orders=orders)
    square = np.ones((1024, 1024), np.float32)
    functions = {
        "ours": lambda: extractor(samples),
        "plain": lambda: plain(samples, orders),
        "product": lambda: np.matmul(square, square),
        **peers,
    }
    best_of_rounds(functions, 1)  # compiles
    best = best_of_rounds(functions, NUM_ROUNDS)
    ours, times_faster = best["ours"], best["plain"] / best["ours"]
    frames = num_frames(len(samples), extractor.length, extractor.shift)
    flops = 2 * extractor.bases.size * 80 * frames * len(orders)
    bound = best["product"] * flops / (2 * 1024**3)
    print(
        f"{','.join(map(str, orders)):<10}{ours / DURATION_SEC:>9.4f}"
        f"{best['plain'] / DURATION_SEC:>11.3f}{times_faster:>14.1f}"
        f"{bound / DURATION_SEC:>11.4f}{bound / ours:>15.0%}"
    )
    for name in peers:
        print(f"  {name}: RTF {best[name] / DURATION_SEC:.4f}, {best[name] / ours:.1f} times ours")


def compare_threads(samples):
    """Print how much faster two threads are than one."""
    extractor = SubbandExtractor(sample_rate_hz=RATE_HZ)
    utts = [samples + 0.001 * i for i in range(NUM_UTTS)]
    with ThreadPoolExecutor(2) as pool:
        threads = {
            "one": lambda: [extractor(utt) for utt in utts],
            "two": lambda: list(pool.map(extractor, utts)),
        }
        best = best_of_rounds(threads, NUM_ROUNDS, time.perf_counter)
    print(f"two threads by utterance, orders 0,2,4,6: {best['one'] / best['two']:.2f} times one")


def main():
    print(
        f"Feature extraction: {machine()}; one core, {DURATION_SEC:g} s utterances, "
        f"best of {NUM_ROUNDS} interleaved rounds"
    )
    samples = 0.1 * np.random.default_rng(0).standard_normal(int(DURATION_SEC * RATE_HZ))
    peers = other_toolkits(samples)
    titles = ("RTF", "plain RTF", "times faster", "bound RTF", "share of bound")
    widths = (9, 11, 14, 11, 16)
    print(f"{'orders':<10}" + "".join(f"{t:>{w}}" for t, w in zip(titles, widths)))
    for orders in ((6,), (0, 2, 4, 6)):
        compare(samples, orders, peers)
    compare_threads(samples)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
