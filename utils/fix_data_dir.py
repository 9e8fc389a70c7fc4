#!/usr/bin/env python3
"""Sort the files of a data directory and keep only the utterances that all of them have (vad.scp is cut but does not count).

utt2spk is the authority and spk2utt is derived from it. Of a repeated key the first line stays; a malformed line is dropped.
Whatever changes is first copied to .backup in the directory, or if that is taken to .backup2, .backup3, ...

example: utils/fix_data_dir.py data/train
"""

import shutil
from itertools import count
from pathlib import Path

from data_dir import Parser, byte_order, changes, key_maps, kind_of, read_dir, run, say, subset, write_dir


def back_up(directory, names):
    """Copy files to the first free .backup directory and return that."""
    backup = next(path for n in count(1) if not (path := directory / f".backup{n if n > 1 else ''}").exists())
    backup.mkdir()
    for name in names:
        if (directory / name).exists():
            shutil.copy2(directory / name, backup / name)
    return backup


def main():
    """Fix one directory."""
    parser = Parser(__doc__)
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    directory = parser.parse_args().data_dir

    data = read_dir(directory, lambda message: say(f"{message} (dropped)"))
    utts = sorted(data["utt2spk"], key=byte_order)
    maps, kept = key_maps(data), set(utts)
    for name, table in data.items():
        lost = [utt for utt in utts if maps[kind_of(name)].get(utt) not in table]
        if lost and name != "vad.scp":
            say(f"{directory}/{name}: lacks {len(lost)} utterances: {' '.join(lost)}")
            kept.difference_update(lost)
    if not kept:
        raise ValueError(f"{directory}: got no utterance that is in all files, need at least one. Compare the keys; nothing was changed")
    speakers = [data["utt2spk"][utt] for utt in utts if utt in kept]
    if speakers != sorted(speakers, key=byte_order):
        raise ValueError(
            f"{directory}/utt2spk: got utterances that sort differently from their speakers, need one order for both."
            " Make the speaker and '-' the beginning of every utterance name; nothing was changed"
        )
    fixed = subset(data, maps, sorted(kept, key=byte_order))
    if changed := changes(directory, fixed):
        say(f"{directory}: old files are kept in {back_up(directory, changed)}")
        write_dir(directory, fixed)
    say(f"{directory}: kept " + (f"{len(kept)} utterances out of {len(utts)}" if len(kept) < len(utts) else f"all {len(utts)} utterances"))


run(main)
