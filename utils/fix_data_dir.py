#!/usr/bin/env python3
"""Sort the files of a data directory and keep only the utterances that all of them have (vad.scp is cut but does not count).

utt2spk is the authority and spk2utt is derived from it. Of a repeated key the first line stays; a malformed line is dropped.
Whatever changes is first copied to .backup in the directory, or if that is taken to .backup2, .backup3, ...

example: utils/fix_data_dir.py data/train
"""

from pathlib import Path

from data_dir import Parser, fix, read_dir, run, say, write_dir


def main():
    """Fix one directory."""
    parser = Parser(__doc__)
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    directory = parser.parse_args().data_dir
    write_dir(directory, fix(directory, read_dir(directory, lambda message: say(f"{message} (dropped)"))))


run(main)
