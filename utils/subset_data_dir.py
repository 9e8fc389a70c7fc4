#!/usr/bin/env python3
"""Write a part of a data directory: <num-utts> utterances, or those of a list.

Without a flag the utterances are spread evenly over the directory. The same call always takes the
same utterances. The old files of <dest> are kept in a .backup directory there.

example: utils/subset_data_dir.py --per-spk data/train 2 data/train_small
"""

import argparse
from collections.abc import Collection
from pathlib import Path
from random import Random

from data_dir import (
    Data,
    Parser,
    key_maps,
    need_another,
    read_dir,
    report_extra,
    run,
    show,
    spk2utt,
    subset,
    whole_number,
    write_dir,
)
from messages import Problem, say


def spread(items: list, number: int) -> list:
    """`number` of the items at even distances, or all if there are fewer."""
    number = min(number, len(items))
    return [items[place * len(items) // number] for place in range(number)]


def by_length(source: Path, data: Data, utts: list[bytes]) -> list[bytes]:
    """The utterances, the shortest first."""
    lengths = data.get("utt2num_frames") or data.get("utt2dur", {})
    if missing := [utt for utt in utts if utt not in lengths]:
        what = f"the length of {show(missing[0])} is missing"
        hint = "Add utt2num_frames or utt2dur for all utterances"
        raise Problem(source, what, hint=hint)
    return sorted(utts, key=lambda utt: float(lengths[utt]))


def whole_speakers(groups: list[list[bytes]], number: int) -> list[bytes]:
    """Utterances of random but repeatable speakers, `number` or more."""
    picked = []
    for group in Random(0).sample(groups, len(groups)):
        if len(picked) >= number:
            break
        picked += group
    return picked


def listed(path: Path, keys: Collection[bytes]) -> set[bytes]:
    """The first column of a list, which must have at least one of `keys`."""
    names = {line.split(None, 1)[0] for line in path.read_bytes().splitlines() if line.strip()}
    others = sorted(names - set(keys))
    if len(others) == len(names):
        what = f"none of its {len(names)} names is in the directory"
        raise Problem(path, what, hint="Use the names of this directory")
    if others:
        what = f"{len(others)} of {len(names)} names are not in the directory"
        say(f"{path}: {what}, the first is {show(others[0])}")
    return names


def pick(args: argparse.Namespace, data: Data) -> Collection[bytes]:
    """The utterances that the command line asks for."""
    utts, number = sorted(data["utt2spk"]), args.num_utts
    groups = [group.split() for _, group in sorted(spk2utt(data["utt2spk"]).items())]
    if args.utt_list:
        return listed(args.utt_list, data["utt2spk"].keys())
    if args.spk_list:
        speakers = listed(args.spk_list, data["utt2spk"].values())
        return [utt for utt in utts if data["utt2spk"][utt] in speakers]
    most = number if args.per_spk or args.speakers else len(utts)
    if not 1 <= number <= most:
        what, need = "number of utterances to take", f"1 to {len(utts)}"
        raise Problem(args.src, what, got=number, need=need, hint="Ask for fewer")
    if args.per_spk:
        return [utt for group in groups for utt in spread(group, number)]
    if args.speakers:
        return whole_speakers(groups, number)
    if args.shortest:
        return by_length(args.src, data, utts)[:number]
    if args.first:
        return utts[:number]
    if args.last:
        return utts[-number:]
    return spread(utts, number)


def main() -> None:
    """Write one subset."""
    parser = Parser(__doc__)
    parser.usage = (
        "%(prog)s [flag] src num-utts dest\n"
        "       %(prog)s --utt-list FILE | --spk-list FILE src dest"
    )
    how = parser.add_mutually_exclusive_group()
    for option, text in {
        "--first": "the first in byte order",
        "--last": "the last",
        "--per-spk": "this number of each speaker, spread evenly; all if there are fewer",
        "--shortest": "the shortest, by utt2num_frames or, without it, utt2dur",
        "--speakers": "this number or more: all utterances of random speakers",
    }.items():
        how.add_argument(option, action="store_true", help=text)
    text = "the utterances in the first column of the file"
    how.add_argument("--utt-list", type=Path, metavar="FILE", help=text)
    text = "the utterances of the speakers in the first column of the file"
    how.add_argument("--spk-list", type=Path, metavar="FILE", help=text)
    parser.add_argument("src", type=Path)
    parser.add_argument("num_utts", metavar="num-utts", nargs="?", type=whole_number)
    parser.add_argument("dest", type=Path)
    args = parser.parse_args()
    if (args.num_utts is None) != bool(args.utt_list or args.spk_list):
        parser.error("give either num-utts or a list")

    need_another(args.dest, [args.src])
    data = read_dir(args.src)
    picked, utts = set(pick(args, data)), sorted(data["utt2spk"])
    kept = [utt for utt in utts if utt in picked]
    maps = key_maps(data)
    report_extra(args.src, data, maps)
    write_dir(args.dest, subset(data, maps, kept))
    say(f"{args.dest}: {len(kept)} utterances out of {len(utts)}")


if __name__ == "__main__":
    run(main)
