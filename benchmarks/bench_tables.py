"""Time of reading features and script files, beside plain reads of the same bytes, on one core.

    python benchmarks/bench_tables.py --num-utts=100000 --folder=/tmp

Writes num-utts matrices of 300 x 80 float32 (9.6 GB for 100000) into the folder and removes them.
The rounds are warm if the page cache holds the archive; rounds of the readers alternate.
"""

import argparse
import os
import tempfile
import time

import numpy as np

from sdtools.tables.script_files import index_pairs, read_scp
from sdtools.tables.table import open_table, open_writer

SHAPE = (300, 80)
NUM_LINES = 1_000_000
NUM_ROUNDS = 3


def write(folder, num_utts):
    """Write feats.ark and feats.scp; return the bytes of one entry."""
    feats = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with open_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as writer:
        for i in range(num_utts):
            writer.write(f"utt{i:07d}", feats)
    return os.path.getsize(f"{folder}/feats.ark") // num_utts


def read_table(rspecifier):
    with open_table(rspecifier) as table:
        for entry in table:
            entry.load()


def read_objects(path, num_bytes):
    """Plain reads of whole entries, each into a new array."""
    with open(path, "rb", 0) as file:
        while file.readinto(np.empty(num_bytes, np.uint8)):
            pass


def read_buffer(path):
    """Plain reads into one buffer of 1 MB."""
    buffer = bytearray(1 << 20)
    with open(path, "rb", 0) as file:
        while file.readinto(buffer):
            pass


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def bench_features(folder, num_utts):
    num_bytes = write(folder, num_utts)
    ark, scp = f"{folder}/feats.ark", f"{folder}/feats.scp"
    readers = {
        "plain, new arrays": (read_objects, ark, num_bytes),
        "plain, one buffer": (read_buffer, ark),
        "scp:feats.scp": (read_table, f"scp:{scp}"),
        "ark:feats.ark": (read_table, f"ark:{ark}"),
    }
    rounds = [
        {name: seconds(*reader) for name, reader in readers.items()} for _ in range(NUM_ROUNDS)
    ]
    best = {name: min(times[name] for times in rounds) for name in readers}
    shape = f"{SHAPE[0]} x {SHAPE[1]} float32"
    print(f"{num_utts} utterances x {shape} in order, best of {NUM_ROUNDS} alternating rounds")
    print(f"{'':<20}{'us/utt':>8}{'GB/s':>7}{'to new arrays':>15}{'to one buffer':>15}")
    for name, time_sec in best.items():
        rate = num_bytes * num_utts / time_sec / 1e9
        row = f"{name:<20}{time_sec / num_utts * 1e6:>8.1f}{rate:>7.1f}"
        for plain in ("plain, new arrays", "plain, one buffer"):
            row += f"{time_sec / best[plain]:>15.2f}"
        print(row)


def bench_script(path):
    with open(path, "w", encoding="utf-8") as file:
        for i in range(NUM_LINES):
            archive = f"feats/raw_cf_sd0.{i // 1000}.ark"
            file.write(f"spk{i // 10:05d}-utt{i:07d} {archive}:{i * 96032}\n")
    in_order = seconds(read_scp, path)
    by_key = in_order + seconds(index_pairs, read_scp(path), path)
    times = f"opened in {in_order:.2f} s, by key in {by_key:.2f} s"
    print(f"script file of {NUM_LINES} lines: {times}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-utts", type=int, default=5000)
    parser.add_argument("--folder", help="where to write, by default where temporary files go")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        bench_features(folder, args.num_utts)
        bench_script(f"{folder}/lines.scp")


if __name__ == "__main__":
    main()
