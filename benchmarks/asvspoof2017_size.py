"""Time, memory and disk of egs/asvspoof2017/sd on a made corpus of the real size.

    python benchmarks/asvspoof2017_size.py /tmp/size --scales=0.125,0.25,0.5,1

The corpus has 18,030 utterances, 15.6 h, times the scale. They come from a corpus of
local/prepare_mini_replay.py, repeated to other lengths at other levels, each with its own noise at
-90 dBFS. Only times mean anything here, not error rates. The default is the headline experiment: CF
and CM at 6 differentiations, 512 components, both fusions. --systems=all --orders=0,2,4,6 gives all
rows of both tables. Outputs stay in the folder (7 GB at scale 1, all rows 23 GB) until the next
run.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import soundfile
from timing import machine

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 16000
NUM_UTTS = {"train": (1507, 1507), "dev": (760, 950), "eval": (1298, 12008)}  # genuine and spoof
MEAN_SEC = 15.6 * 3600 / 18030
STAGES = ["data directories", "validation", "features", "GMMs", "scores", "fusion", "evaluation"]


def write_utterance(source, target, seed):
    """A recording of another length, level and noise, from the samples of another file."""
    rng = np.random.default_rng(seed)
    samples = soundfile.read(source)[0]
    num_samples = int(RATE_HZ * MEAN_SEC * rng.uniform(0.5, 1.5))
    start = rng.integers(len(samples))
    samples = np.take(samples, np.arange(start, start + num_samples), mode="wrap") * rng.uniform(
        0.5, 1
    )
    soundfile.write(
        target,
        samples + 10 ** (-90 / 20) * rng.standard_normal(num_samples),
        RATE_HZ,
        subtype="PCM_16",
    )


def make_corpus(source, corpus, scale):
    """Make sound files and protocols in the layout of Version 2.0.

    Each utterance has the speaker and devices of its source.
    """
    (corpus / "protocol_V2").mkdir(parents=True)
    for name, num_utts in NUM_UTTS.items():
        folder = f"ASVspoof2017_V2_{name}"
        protocol = f"protocol_V2/{folder}.{'trn' if name == 'train' else 'trl'}.txt"
        rows = [line.split() for line in (source / protocol).read_text().splitlines()]
        (corpus / folder).mkdir()
        lines, tasks = [], []
        for label, number in zip(("genuine", "spoof"), num_utts):
            of_class = [row for row in rows if row[1] == label]
            for i in range(round(scale * number)):
                row = of_class[i % len(of_class)]
                new = f"{name[0].upper()}_{1000001 + len(lines)}.wav"
                lines.append(" ".join([new, *row[1:]]))
                tasks.append(
                    joblib.delayed(write_utterance)(
                        source / folder / row[0], corpus / folder / new, [len(lines), *num_utts]
                    )
                )
        joblib.Parallel(2)(tasks)
        (corpus / protocol).write_text("\n".join(lines) + "\n")


def run_stage(recipe, stage, options):
    """Seconds of a stage on the clock and of processors; its output goes to stage<N>.log."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with open(recipe / f"stage{stage}.log", "w") as log:
        start, start_cpu = time.perf_counter(), cpu_seconds()
        subprocess.run(
            ["./run.sh", "--stage", str(stage), "--stop-stage", str(stage), *options],
            cwd=recipe,
            env=env,
            stdout=log,
            check=True,
        )
    return time.perf_counter() - start, cpu_seconds() - start_cpu


def cpu_seconds():
    """Processor time of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def gigabytes(folder):
    """Size of the files in a folder."""
    return (
        sum(
            path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        / 1e9
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        type=Path,
        help="where to work; made, and what an earlier run left there is removed",
    )
    parser.add_argument(
        "--scales", default="1", help="sizes of the corpus, 1 for that of ASVspoof 2017"
    )
    parser.add_argument("--systems", default="cf,cm,cfcm,fusion")
    parser.add_argument("--orders", default="6")
    parser.add_argument("--compress", action="store_true", help="features of 16 bits")
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    for name in ("egs", "corpus"):
        shutil.rmtree(args.folder / name, ignore_errors=True)
    for name in ("utils", "local"):
        (args.folder / name).unlink(missing_ok=True)
        (args.folder / name).symlink_to(ROOT / name)
    source = args.folder / "source"
    subprocess.run([sys.executable, ROOT / "local/prepare_mini_replay.py", source], check=True)
    print(
        f"{machine()}; --systems={args.systems} --orders={args.orders} --compress={args.compress}"
    )
    print("seconds on the clock (of processors)")
    print(
        "scale  utts  hours"
        + "".join(f"{name:>18}" for name in [*STAGES, "all"])
        + "  memory    data     exp",
        flush=True,
    )
    recipe = args.folder / "egs/asvspoof2017/sd"
    for scale in map(float, args.scales.split(",")):
        for old in (args.folder / "egs", args.folder / "corpus"):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(
            ROOT / "egs/asvspoof2017/sd",
            recipe,
            symlinks=True,
            ignore=shutil.ignore_patterns("data", "exp"),
        )
        make_corpus(source, args.folder / "corpus", scale)
        options = [
            "--corpus",
            str(args.folder / "corpus"),
            "--systems",
            args.systems,
            "--orders",
            args.orders,
        ]
        options += ["--deploy", "none", "--compress", str(args.compress).lower()]
        seconds = [run_stage(recipe, stage, options) for stage in range(len(STAGES))]
        num_utts = sum(round(scale * number) for numbers in NUM_UTTS.values() for number in numbers)
        hours = sum(path.stat().st_size for path in (args.folder / "corpus").glob("*/*.wav")) / (
            2 * RATE_HZ * 3600
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        sizes = "".join(f"{gigabytes(recipe / name):>5.1f} GB" for name in ("data", "exp"))
        seconds.append(tuple(map(sum, zip(*seconds))))
        columns = "".join(f"{clock:>9.1f} ({cpu:5.0f})" for clock, cpu in seconds)
        print(f"{scale:<5g}{num_utts:>6}{hours:>7.2f}{columns}{peak:>5.2f} GB{sizes}", flush=True)


if __name__ == "__main__":
    main()
