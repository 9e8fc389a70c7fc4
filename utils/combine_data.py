#!/usr/bin/env python3
"""Merge data directories into one, sort it, and keep the utterances that all its files have.

A file that is missing in a source is left out. Two exceptions: if only some sources have segments
or utt2uniq, the others count as whole recordings and unique utterances. An utterance may be in one
source only. A speaker or recording may be in several if its lines are equal. The old files of
<dest> are kept in a .backup directory there.

example: utils/combine_data.py data/train_dev data/train data/dev
"""

from pathlib import Path

from data_dir import (
    Data,
    Parser,
    Table,
    fix,
    kind_of,
    need_another,
    read_dir,
    read_table,
    run,
    show,
    write_dir,
)
from messages import Problem, say


def whole_recordings(source: Path, data: Data) -> Table:
    """The table segments for a directory without one."""
    durations = data.get("utt2dur", data.get("reco2dur", {}))
    for utt in data["utt2spk"]:
        if utt not in durations:
            what = f"there is no segment and no duration for {show(utt)}"
            hint = "Add utt2dur, because other sources have segments"
            raise Problem(source, what, hint=hint)
    return {utt: b"%s 0 %s" % (utt, durations[utt]) for utt in data["utt2spk"]}


def merge(name: str, tables: dict[Path, Table]) -> Table:
    """One table from `{source: table}`."""
    merged, origin = {}, {}
    for source, table in tables.items():
        for line, (key, value) in enumerate(table.items(), 1):
            if key in merged and (kind_of(name) == "utt" or merged[key] != value):
                other = f"{origin[key]}/{name}"
                if kind_of(name) == "utt":
                    what = f"the utterance {show(key)} is also in {other}"
                else:
                    what = f"the line of {show(key)} is different in {other}"
                hint = "Rename it or leave one source out"
                raise Problem(f"{source}/{name}:{line}", what, hint=hint)
            merged[key] = value
            origin[key] = source
    return merged


def merge_all(dest: Path, data: dict[Path, Data], names: set[str]) -> Data:
    """The tables that all sources have; `dest` is for messages."""
    merged = {}
    for name in sorted(names, key=lambda name: (name != "utt2spk", name)):
        without = [str(source) for source in data if name not in data[source]]
        if without:
            say(f"{dest}: no {name}, because it is not in {' '.join(without)}")
        else:
            merged[name] = merge(name, {source: data[source][name] for source in data})
    if len(merged.get("frame_shift", ())) > 1:
        shifts = b", ".join(merged.pop("frame_shift")).decode(errors="surrogateescape")
        if "feats.scp" in merged:
            hint = "Compute all features with the same settings"
            what = "frame_shift of the features"
            raise Problem(dest, what, got=shifts, need="one value", hint=hint)
        say(f"{dest}: no frame_shift, because the sources differ: {shifts}")
    return merged


def main() -> None:
    """Merge the sources into one directory."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--extra-files",
        default="",
        metavar="'FILE ...'",
        help="more files to merge; the first column of each is its key",
    )
    parser.add_argument(
        "--skip-fix",
        choices=["true", "false"],
        default="false",
        help="true: keep utterances that are not in all files",
    )
    parser.add_argument("dest", type=Path)
    parser.add_argument("sources", metavar="src", nargs="+", type=Path)
    args = parser.parse_args()

    need_another(args.dest, args.sources)
    extra = [name for name in args.extra_files.split() if not kind_of(name)]
    data = {source: read_dir(source) for source in args.sources}
    for source, tables in data.items():
        for name in extra:
            if (source / name).is_file():
                tables[name] = read_table(source / name)
    names = set(extra).union(*data.values())
    for source, tables in data.items():
        if "segments" in names and "segments" not in tables:
            tables["segments"] = whole_recordings(source, tables)
        if "utt2uniq" in names:
            tables.setdefault("utt2uniq", {utt: utt for utt in tables["utt2spk"]})
    merged = merge_all(args.dest, data, names)
    others = {name: merged.pop(name) for name in extra if name in merged}
    if args.skip_fix == "false":
        merged = fix(args.dest, merged)
    write_dir(args.dest, merged | others)


if __name__ == "__main__":
    run(main)
