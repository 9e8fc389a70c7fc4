#!/usr/bin/env python3
"""Write the features of each class: <dest>/genuine.scp and <dest>/spoof.scp.

They hold the lines of feats.scp of the data directories, in their order. Every utterance needs a
label, genuine or spoof, in one of the files utt2label; bonafide is taken as genuine. A list that is
right already stays as it is.

example: utils/split_by_label.py data/cf_sd6/train data/cf_sd6/dev exp/cf_sd6
"""

from pathlib import Path

from data_dir import LABELS, Parser, read_table, run, show
from files import write_whole
from messages import Problem


def read_labels(directories: list[Path]) -> dict[bytes, bytes]:
    """`{utterance: label}` of the files utt2label."""
    labels = {}
    for directory in directories:
        path = directory / "utt2label"
        for line, (utt, label) in enumerate(read_table(path).items(), 1):
            if labels.setdefault(utt, label) != label:
                what, hint = f"the utterance {show(utt)} has both labels", "Remove the wrong line"
                raise Problem(f"{path}:{line}", what, hint=hint)
    return labels


def split(directories: list[Path]) -> dict[bytes, bytes]:
    """`{label: lines of feats.scp}`."""
    labels, places, lists = read_labels(directories), {}, dict.fromkeys(LABELS, b"")
    for directory in directories:
        path = directory / "feats.scp"
        if not path.is_file():
            raise Problem(path, "the file does not exist", hint="Compute the features first")
        for line, (utt, value) in enumerate(read_table(path).items(), 1):
            place = f"{path}:{line}"
            if utt not in labels:
                what = f"the utterance {show(utt)} has no label in utt2label"
                raise Problem(place, what, hint="Add the label, or remove the utterance")
            if utt in places:
                what = f"the utterance {show(utt)} is already in {places[utt]}"
                raise Problem(place, what, hint="Remove one of the lines")
            places[utt] = place
            lists[labels[utt]] += utt + b" " + value + b"\n"
    for label, lines in lists.items():
        if not lines:
            what = f"no utterance of feats.scp is labelled {label.decode()}"
            raise Problem(", ".join(map(str, directories)), what, hint="Check utt2label")
    return lists


def main() -> None:
    """Write both lists."""
    parser = Parser(__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("dest", type=Path)
    args = parser.parse_args()
    lists = {
        args.dest / f"{label.decode()}.scp": lines for label, lines in split(args.data).items()
    }
    args.dest.mkdir(parents=True, exist_ok=True)
    old = {path: path.read_bytes() if path.exists() else b"" for path in lists}
    write_whole({path: lines for path, lines in lists.items() if lines != old[path]})


if __name__ == "__main__":
    run(main)
