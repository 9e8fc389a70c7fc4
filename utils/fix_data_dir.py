#!/usr/bin/env python3
"""Sort the files of a data directory and keep only the utterances that all of them have.

vad.scp does not count. spk2utt is derived from utt2spk. If a key appears twice, the first line
stays. Lines that are not valid are dropped. Files that change are first copied to .backup in the
directory; if that exists, to .backup2, .backup3, ...

example: utils/fix_data_dir.py data/train
"""

from pathlib import Path

from data_dir import Parser, fix, read_dir, run, write_dir
from messages import Problem, say


def drop(problem: Problem) -> None:
    """Report a line that is left out."""
    problem.hint = "The line is dropped"
    say(problem)


def main() -> None:
    """Fix one directory."""
    parser = Parser(__doc__)
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    directory = parser.parse_args().data_dir
    write_dir(directory, fix(directory, read_dir(directory, drop)))


if __name__ == "__main__":
    run(main)
