#!/usr/bin/env python3
"""Split a data directory into <data-dir>/split<N>/1 .. /<N> by speaker, or with --per-utt into <data-dir>/split<N>utt/1 .. /<N>.

Every part is a whole data directory of consecutive utterances. By speaker, nobody is in two parts and the parts are about equal;
by utterance, their sizes differ by at most one. The parts are brought up to date at every call; a file that is right already is left alone.

example: utils/split_data.py --per-utt data/train 4
"""

from bisect import bisect_left
from itertools import accumulate, pairwise
from pathlib import Path

from data_dir import Parser, key_maps, read_dir, run, spk2utt, subset, write_dir


def cut_speakers(sizes, num_parts):
    """Numbers of utterances before each part and in all: whole speakers, each cut as near as can be to an equal share."""
    ends, cuts = list(accumulate(sizes, initial=0)), [0]
    for part in range(1, num_parts):
        share = ends[-1] * part / num_parts
        cut = bisect_left(ends, share)
        cut -= cut > 0 and share - ends[cut - 1] <= ends[cut] - share
        cuts.append(min(max(cut, cuts[-1] + 1), len(sizes) - num_parts + part))  # every part gets a speaker
    return [ends[cut] for cut in cuts] + [ends[-1]]


def main():
    """Split one directory."""
    parser = Parser(__doc__)
    parser.add_argument("--per-utt", action="store_true", help="ignore the speakers")
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    parser.add_argument("num_parts", metavar="num-parts", type=int)
    args = parser.parse_args()

    data = read_dir(args.data_dir)
    if args.per_utt:
        utts = sorted(data["utt2spk"])
        most, remedy = len(utts), "one utterance or more in each. Use fewer jobs"
    else:
        speakers = spk2utt(data["utt2spk"])
        groups = [speakers[speaker].split() for speaker in sorted(speakers)]
        utts = [utt for group in groups for utt in group]
        most, remedy = len(groups), "one speaker or more in each. Use fewer jobs or --per-utt"
    if not 1 <= args.num_parts <= most:
        raise ValueError(f"{args.data_dir}: got {args.num_parts} parts to make, need 1 to {most}: {remedy}")
    if args.per_utt:
        size, larger = divmod(most, args.num_parts)
        cuts = [part * size + min(part, larger) for part in range(args.num_parts + 1)]
    else:
        cuts = cut_speakers([len(group) for group in groups], args.num_parts)
    maps = key_maps(data)
    root = args.data_dir / f"split{args.num_parts}{'utt' if args.per_utt else ''}"
    for part, (start, end) in enumerate(pairwise(cuts), 1):
        write_dir(root / str(part), subset(data, maps, utts[start:end]), back_up=False)


run(main)
