#!/usr/bin/env python3
"""Split a data directory into <data-dir>/split<N>/1 .. /<N>, each a whole data directory.

Each speaker is in one part, and the parts have about the same number of utterances. With --per-utt
the parts are <data-dir>/split<N>utt/1 .. /<N> and their sizes differ by at most one. Utterances
keep their order. Every call updates the parts; files that are right already stay as they are.

example: utils/split_data.py --per-utt data/train 4
"""

from bisect import bisect_left
from itertools import accumulate, pairwise
from pathlib import Path

from data_dir import (
    Parser,
    key_maps,
    read_dir,
    report_extra,
    run,
    spk2utt,
    subset,
    whole_number,
    write_dir,
)
from messages import Problem


def cut_speakers(sizes: list[int], num_parts: int) -> list[int]:
    """Numbers of utterances before each part, and of all.

    `sizes` are the numbers of utterances of the speakers. Each cut is between two speakers, as
    near as possible to an equal share.
    """
    ends, cuts = list(accumulate(sizes, initial=0)), [0]
    for part in range(1, num_parts):
        share = ends[-1] * part / num_parts
        cut = bisect_left(ends, share)
        cut -= cut > 0 and share - ends[cut - 1] <= ends[cut] - share
        last = len(sizes) - num_parts + part  # so that every part gets a speaker
        cuts.append(min(max(cut, cuts[-1] + 1), last))
    return [ends[cut] for cut in cuts] + [ends[-1]]


def main() -> None:
    """Split one directory."""
    parser = Parser(__doc__)
    parser.add_argument("--per-utt", action="store_true", help="ignore the speakers")
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    parser.add_argument("num_parts", metavar="num-parts", type=whole_number)
    args = parser.parse_args()

    data = read_dir(args.data_dir)
    if args.per_utt:
        utts = sorted(data["utt2spk"])
        most, unit, hint = len(utts), "utterances", "Use fewer jobs"
    else:
        groups = [group.split() for _, group in sorted(spk2utt(data["utt2spk"]).items())]
        utts = [utt for group in groups for utt in group]
        most, unit, hint = len(groups), "speakers", "Use fewer jobs or --per-utt"
    if not 1 <= args.num_parts <= most:
        need = f"1 to {most}, the number of {unit}"
        raise Problem(args.data_dir, "number of parts", got=args.num_parts, need=need, hint=hint)
    if args.per_utt:
        size, larger = divmod(most, args.num_parts)
        cuts = [part * size + min(part, larger) for part in range(args.num_parts + 1)]
    else:
        cuts = cut_speakers([len(group) for group in groups], args.num_parts)
    maps = key_maps(data)
    report_extra(args.data_dir, data, maps)
    root = args.data_dir / f"split{args.num_parts}{'utt' if args.per_utt else ''}"
    for part, (start, end) in enumerate(pairwise(cuts), 1):
        write_dir(root / str(part), subset(data, maps, utts[start:end]), back_up=False)


if __name__ == "__main__":
    run(main)
