"""Start-up: --help of each command, and jobs of one utterance, compiled before or not.

    python benchmarks/bench_startup.py

Time on the clock, the least of some runs; the process and Python's own start are part of it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import best_of_rounds, machine

from sdtools.audio.encoding import write_audio
from sdtools.tables.table import open_writer

NUM_ROUNDS = 5
BIN = Path(sys.executable).parent


def run(*words, **env):
    subprocess.run(
        [BIN / words[0], *words[1:]], check=True, capture_output=True, env={**os.environ, **env}
    )


def main():
    print(f"Start-up: {machine()}; seconds on the clock, best of {NUM_ROUNDS} rounds")
    commands = sorted(path.name for path in BIN.glob("sd-*"))
    helps = best_of_rounds(
        {name: lambda name=name: run(name, "--help") for name in commands},
        NUM_ROUNDS,
        time.perf_counter,
    )
    for name, seconds in helps.items():
        print(f"{name + ' --help':<40}{seconds:>6.2f}")
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        write_audio(f"{folder}/a.wav", 0.1 * rng.standard_normal(64000).clip(-9, 9), 16000)
        Path(folder, "wav.scp").write_text(f"a {folder}/a.wav\n")
        with open_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as writer:
            writer.write("a", rng.standard_normal((400, 120)).astype(np.float32))
        jobs = {
            "sd-compute-feats, one utterance": (
                "sd-compute-feats",
                f"scp:{folder}/wav.scp",
                f"ark:{folder}/{{feature}}{{order}}.ark",
            ),
            "sd-train-gmm, one utterance": (
                "sd-train-gmm",
                "--num-components=16",
                f"scp:{folder}/feats.scp",
                f"{folder}/gmm",
            ),
            "sd-score-gmm, one utterance": (
                "sd-score-gmm",
                f"{folder}/gmm",
                f"{folder}/gmm",
                f"scp:{folder}/feats.scp",
                f"{folder}/txt",
            ),
        }
        for name, words in jobs.items():
            cold = best_of_rounds(
                {name: lambda words=words: run(*words, NUMBA_CACHE_DIR=f"{folder}/{words[0]}")},
                1,
                time.perf_counter,
            )
            warm = best_of_rounds(
                {name: lambda words=words: run(*words)}, NUM_ROUNDS, time.perf_counter
            )
            print(f"{name:<40}{warm[name]:>6.2f}  without compiled loops {cold[name]:.2f}")


if __name__ == "__main__":
    main()
