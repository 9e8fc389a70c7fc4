#!/usr/bin/env python3
"""Write a part of a data directory, every file cut to it: <num-utts> utterances, or those of a list.

Without a flag the utterances are spread evenly over the directory. The same call picks the same utterances.
What <dest> had before is kept in a .backup directory there.

example: utils/subset_data_dir.py --per-spk data/train 2 data/train_small
"""

from pathlib import Path
from random import Random

from data_dir import Parser, key_maps, need_another, read_dir, run, say, show, spk2utt, subset, write_dir


def spread(items, number):
    """`number` of the items at even distances, or all if there are no more."""
    number = min(number, len(items))
    return [items[place * len(items) // number] for place in range(number)]


def shortest(source, data, utts):
    """The utterances, those with the fewest frames first."""
    lengths = data.get("utt2num_frames") or data.get("utt2dur", {})
    if missing := [utt for utt in utts if utt not in lengths]:
        raise ValueError(
            f"{source}: got no length of {show(missing[0])}, need utt2num_frames or utt2dur of all utterances. Add one of them"
        )
    return sorted(utts, key=lambda utt: float(lengths[utt]))


def whole_speakers(groups, number):
    """Speakers in a random but repeatable order until they have `number` utterances."""
    picked = []
    for group in Random(0).sample(groups, len(groups)):
        if len(picked) >= number:
            break
        picked += group
    return picked


def listed(path, keys):
    """The set of the names in the first column of a list that are in `keys`."""
    names = {line.split(None, 1)[0] for line in path.read_bytes().splitlines() if line.strip()}
    if not names & keys:
        raise ValueError(f"{path}: got {len(names)} names, none of them in the directory, need one or more. Look for another kind of name")
    if others := sorted(names - keys):
        say(f"{path}: {len(others)} of {len(names)} names are not in the directory, the first is {show(others[0])}")
    return names


def main():
    """Write one subset."""
    parser = Parser(__doc__)
    parser.usage = "%(prog)s [flag] src num-utts dest\n       %(prog)s --utt-list FILE | --spk-list FILE src dest"
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--first", action="store_true", help="the first in byte order")
    how.add_argument("--last", action="store_true", help="the last")
    how.add_argument("--per-spk", action="store_true", help="so many of each speaker, spread evenly; all of a speaker with fewer")
    how.add_argument("--shortest", action="store_true", help="the shortest, by utt2num_frames or else utt2dur")
    how.add_argument("--speakers", action="store_true", help="so many or more: all utterances of speakers drawn at random")
    how.add_argument("--utt-list", type=Path, metavar="FILE", help="those whose names are the first column of the file")
    how.add_argument("--spk-list", type=Path, metavar="FILE", help="those of the speakers in the first column of the file")
    parser.add_argument("src", type=Path)
    parser.add_argument("num_utts", metavar="num-utts", nargs="?", type=int)
    parser.add_argument("dest", type=Path)
    args = parser.parse_args()
    if (args.num_utts is None) != bool(args.utt_list or args.spk_list):
        parser.error("got num-utts and a list, or neither: need one of them")

    need_another(args.dest, [args.src])
    data = read_dir(args.src)
    utts = sorted(data["utt2spk"])
    groups = [group.split() for _, group in sorted(spk2utt(data["utt2spk"]).items())]
    number = args.num_utts
    most = number if args.per_spk or args.speakers else len(utts)
    if number is not None and not 1 <= number <= most:
        raise ValueError(f"{args.src}: got {number} utterances to take, need 1 to {len(utts)}, which it has. Ask for fewer")
    if args.utt_list:
        picked = listed(args.utt_list, data["utt2spk"].keys())
    elif args.spk_list:
        speakers = listed(args.spk_list, set(data["utt2spk"].values()))
        picked = [utt for utt in utts if data["utt2spk"][utt] in speakers]
    elif args.per_spk:
        picked = [utt for group in groups for utt in spread(group, number)]
    elif args.speakers:
        picked = whole_speakers(groups, number)
    elif args.shortest:
        picked = shortest(args.src, data, utts)[:number]
    elif args.first:
        picked = utts[:number]
    elif args.last:
        picked = utts[-number:]
    else:
        picked = spread(utts, number)
    picked = set(picked)
    kept = [utt for utt in utts if utt in picked]
    write_dir(args.dest, subset(data, key_maps(data), kept))
    say(f"{args.dest}: {len(kept)} utterances out of {len(utts)}")


run(main)
