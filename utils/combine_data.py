#!/usr/bin/env python3
"""Merge data directories into one: every file that all of them have, sorted.

The other files are named and dropped. An utterance may stand in one source only; a speaker or recording in several if its lines agree.
<dest> loses its utt2spk first and gets the new one last, so that nothing takes a killed run for a finished one.

example: utils/combine_data.py data/train_dev data/train data/dev
"""

from pathlib import Path

from data_dir import Parser, changes, kind_of, read_dir, run, say, write_dir


def merge(name, tables):
    """One table out of `[(source, table)]`."""
    merged, origin = {}, {}
    for source, table in tables:
        for key, value in table.items():
            if key in merged and (kind_of(name) == "utt" or merged[key] != value):
                raise ValueError(
                    f"{source}/{name}: got {key!r}, which is also in {origin[key]}/{name}, need each utterance once"
                    " and equal lines for a speaker or recording. Rename it or leave one source out"
                )
            merged[key] = value
            origin[key] = source
    return merged


def main():
    """Merge the sources into one directory."""
    parser = Parser(__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("sources", metavar="src", nargs="+", type=Path)
    args = parser.parse_args()

    if args.dest.resolve() in [source.resolve() for source in args.sources]:
        raise ValueError(f"{args.dest}: got the destination among the sources, need another directory. Name a new one")
    data = {source: read_dir(source) for source in args.sources}
    merged = {}
    for name in sorted(set().union(*data.values())):
        without = [str(source) for source in data if name not in data[source]]
        if not without:
            merged[name] = merge(name, [(source, data[source][name]) for source in data])
        elif name == "segments":
            raise ValueError(f"{without[0]}: got no file segments, which other sources have, need it in all or none. Add it there")
        else:
            say(f"{args.dest}: no {name}, because it is not in {' '.join(without)}")
    if changes(args.dest, merged):
        (args.dest / "utt2spk").unlink(missing_ok=True)
        write_dir(args.dest, merged)


run(main)
