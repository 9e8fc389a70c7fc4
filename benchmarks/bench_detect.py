"""sd-detect: processor time a recording, beside its features and scores alone; threads; memory.

    python benchmarks/bench_detect.py [num-recordings]

The model has CF and CM at order 6 and two GMMs of 32 components each, of random numbers. The
recordings are noise of 3 to 4 seconds. The first comparison runs in this process; threads and
memory are those of the command.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import best_of_rounds, machine

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.audio.entries import AudioOptions
from sdtools.cli.loop import one_blas_thread
from sdtools.detect.detection import DetectOptions, judge
from sdtools.detect.lines import line_of
from sdtools.detect.model import load_model, write_model
from sdtools.detect.recordings import Recording
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.front_ends import SubbandOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.features.subbands import SubbandExtractor
from sdtools.gmm.io import write_gmm
from sdtools.gmm.mixture import DiagGmm, llr
from sdtools.options import save_settings
from sdtools.scoring.fusion import Fusion

RATE_HZ = 16000
NUM_COMPONENTS = 32
DIMS = {"cf": 240, "cm": 120}  # with deltas and accelerations
NUM_ALONE = 40  # recordings of the comparison in this process
NUM_ROUNDS = 5


def write_random_model(folder):
    """A fusion of CF and CM."""
    rng = np.random.default_rng(0)
    sources = {}
    for name, dim in DIMS.items():
        sources[name] = folder / "sources" / name
        sources[name].mkdir(parents=True)
        options = SubbandOptions(features=(name,), orders=(6,))
        settings = AudioOptions(), options, FilterBankOptions(), EnvelopeOptions()
        save_settings(sources[name] / "feats.conf", *settings, first=["--kind=subbands"])
        for label in ("genuine", "spoof"):
            means = rng.normal(0, 0.5, (NUM_COMPONENTS, dim))
            weights = np.full(NUM_COMPONENTS, 1 / NUM_COMPONENTS)
            gmm = DiagGmm(weights, means, np.ones_like(means))
            write_gmm(str(sources[name] / f"{label}.gmm"), gmm)
            save_settings(sources[name] / f"{label}.gmm.conf", PostOptions())
    fusion = Fusion(np.array([0.5, 0.5]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    thresholds = {"eer": {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}}
    about = {"sample_rate_hz": RATE_HZ, "thresholds": {"thresholds": thresholds}}
    confs = {name: source / "feats.conf" for name, source in sources.items()}
    write_model(folder / "model", sources, confs, fusion, about)


def write_recordings(folder, num):
    """Noise, and its lists wav.scp and, of 100 recordings, short.scp."""
    rng = np.random.default_rng(1)
    lines = []
    for i in range(num):
        samples = 0.1 * rng.standard_normal(int(rng.uniform(3, 4) * RATE_HZ))
        write_audio(folder / f"{i}.wav", samples, RATE_HZ)
        lines.append(f"u{i:06d} {folder}/{i}.wav\n")
    (folder / "wav.scp").write_text("".join(lines))
    (folder / "short.scp").write_text("".join(lines[:100]))


def compare_alone(folder):
    """Processor time of whole judgements, and of features and scores of the same samples."""
    model, options = load_model(folder / "model"), DetectOptions()
    recordings = [Recording(f"{folder}/{i}.wav") for i in range(NUM_ALONE)]
    samples = [load_audio(recording.file)[0] for recording in recordings]
    extract = SubbandExtractor(sample_rate_hz=RATE_HZ, orders=(6,))
    post = PostOptions()

    def features_and_scores():
        for each in samples:
            feats = extract(each)
            for system in model.systems:
                frames = postprocess(feats[f"{system.name}_sd6"], post)
                llr(system.genuine, system.spoof, frames)

    def judgements():
        for recording in recordings:
            for judgement in judge(model, recording, options):
                line_of(judgement, "jsonl")

    best = best_of_rounds({"whole": judgements, "parts": features_and_scores}, NUM_ROUNDS)
    whole, parts = (1000 * best[name] / NUM_ALONE for name in ("whole", "parts"))
    hour = 3600 / (sum(map(len, samples)) / RATE_HZ / NUM_ALONE)
    print(f"one judgement {whole:.1f} ms of a processor, {whole / parts:.2f} times its parts")
    print(f"an hour of recordings: {whole * hour / 1000:.1f} s")


def detect(folder, num_threads, scp="wav.scp"):
    """Seconds on the clock and of processors, and memory in MB, of the command."""
    words = [f"--num-threads={num_threads}", "--format=jsonl", f"--resume={folder}/out"]
    (folder / "out").unlink(missing_ok=True)
    command = [sys.executable, "-m", "sdtools.bin.detect", *words]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(folder / "model"), f"scp:{folder}/{scp}"], stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    elapsed = time.perf_counter() - start
    return elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    num = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(f"sd-detect: {machine()}; {num} recordings of 3 to 4 s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_random_model(folder)
        write_recordings(folder, num)
        with one_blas_thread():
            compare_alone(folder)
        *_, short_mb = detect(folder, 1, "short.scp")
        rounds = [[detect(folder, num_threads) for num_threads in (1, 2)] for _ in range(2)]
    (one, one_cpu, one_mb), (two, two_cpu, two_mb) = (min(runs) for runs in zip(*rounds))
    print(f"the command: {1000 * one_cpu / num:.1f} ms of a processor a recording, with its start")
    print(f"two threads: {one / two:.2f} times one on the clock, {two_cpu / one_cpu:.2f} the work")
    print(f"memory: {short_mb:.0f} MB for 100, {one_mb:.0f} MB for {num}; two threads {two_mb:.0f}")


if __name__ == "__main__":
    main()
