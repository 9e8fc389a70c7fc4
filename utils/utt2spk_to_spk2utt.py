#!/usr/bin/env python3
"""Turn utt2spk (a file, or stdin) into spk2utt on stdout, both keys in byte order.

example: utils/utt2spk_to_spk2utt.py data/train/utt2spk > data/train/spk2utt
"""

import sys

from data_dir import Parser, read_table, render, run, spk2utt


def main() -> None:
    """Read all of utt2spk, then write."""
    parser = Parser(__doc__)
    parser.add_argument("utt2spk", nargs="?", default="/dev/stdin")
    utt2spk = read_table(parser.parse_args().utt2spk, form="utt2spk")
    sys.stdout.buffer.write(render(spk2utt(utt2spk)))


if __name__ == "__main__":
    run(main)
