#!/usr/bin/env python3
"""Merge data directories into one and fix that: every file that all of them have, sorted.

The other files are named and dropped, but where only some have segments or utt2uniq, the others count as whole recordings and unique
utterances. An utterance may stand in one source only; a speaker or recording in several if its lines agree. What <dest> had before
stays until the new files are whole, and then in a .backup directory there.

example: utils/combine_data.py data/train_dev data/train data/dev
"""

from pathlib import Path

from data_dir import Parser, fix, kind_of, need_another, read_dir, read_table, run, say, show, write_dir


def whole_recordings(source, data):
    """The table segments of a directory that has none."""
    durations = data.get("utt2dur", data.get("reco2dur", {}))
    if missing := [utt for utt in data["utt2spk"] if utt not in durations]:
        raise ValueError(
            f"{source}: got no file segments, which other sources have, and no utt2dur for {show(missing[0])}, need one of them."
            " Add utt2dur there"
        )
    return {utt: b"%s 0 %s" % (utt, durations[utt]) for utt in data["utt2spk"]}


def merge(name, tables):
    """One table out of `{source: table}`."""
    merged, origin = {}, {}
    for source, table in tables.items():
        for line, (key, value) in enumerate(table.items(), 1):
            if key in merged and (kind_of(name) == "utt" or merged[key] != value):
                raise ValueError(
                    f"{source}/{name}:{line}: got {show(key)}, which is also in {origin[key]}/{name}, need each utterance once"
                    " and equal lines for a speaker or recording. Rename it or leave one source out"
                )
            merged[key] = value
            origin[key] = source
    return merged


def main():
    """Merge the sources into one directory."""
    parser = Parser(__doc__)
    parser.add_argument("--extra-files", default="", metavar="'FILE ...'", help="more files to merge, each keyed by its first column")
    parser.add_argument("--skip-fix", choices=["true", "false"], default="false", help="true: merge inconsistent sources as they are")
    parser.add_argument("dest", type=Path)
    parser.add_argument("sources", metavar="src", nargs="+", type=Path)
    args = parser.parse_args()

    need_another(args.dest, args.sources)
    extra = [name for name in args.extra_files.split() if not kind_of(name)]
    data = {source: read_dir(source) for source in args.sources}
    for source, tables in data.items():
        tables.update({name: read_table(source / name) for name in extra if (source / name).is_file()})
    names = set(extra).union(*data.values())
    for source, tables in data.items():
        if "segments" in names and "segments" not in tables:
            tables["segments"] = whole_recordings(source, tables)
        if "utt2uniq" in names:
            tables.setdefault("utt2uniq", {utt: utt for utt in tables["utt2spk"]})
    merged = {}
    for name in sorted(names, key=lambda name: (name != "utt2spk", name)):
        without = [str(source) for source in data if name not in data[source]]
        if without:
            say(f"{args.dest}: no {name}, because it is not in {' '.join(without)}")
        else:
            merged[name] = merge(name, {source: data[source][name] for source in data})
    if len(merged.get("frame_shift", ())) > 1:
        shifts = b", ".join(merged.pop("frame_shift")).decode(errors="surrogateescape")
        if "feats.scp" in merged:
            raise ValueError(f"{args.dest}: got features with frame_shift {shifts}, need one. Compute them with the same settings")
        say(f"{args.dest}: no frame_shift, because the sources differ: {shifts}")
    others = {name: merged.pop(name) for name in extra if name in merged}
    if args.skip_fix == "false":
        merged = fix(args.dest, merged)
    write_dir(args.dest, merged | others)


run(main)
