#!/usr/bin/env python3
"""Check a data directory: files that must be there, form of every line, byte order (LC_ALL=C), equal keys, utt2spk against spk2utt.

Reads no audio and no archive. All problems go to stderr with file and line; status 1 if there is any.

example: utils/validate_data_dir.py --no-feats --no-text data/train
"""

import re
from itertools import pairwise
from pathlib import Path

from data_dir import Parser, byte_order, fields, key_maps, kind_of, read_dir, read_table, run, say, spk2utt

# Unicode blanks other than space and tab, control characters, bytes that are not UTF-8
FORBIDDEN_IN_TEXT = re.compile("[^\\S \t]|[\x00-\x08\x0e-\x1f\x7f-\x9f]|[\udc80-\udcff]|(?<!\\S)(<s>|</s>|#0)(?!\\S)")
MAX_PROBLEMS_SHOWN = 20


def check_order(path, table):
    """Problems with the order of the keys of a well-formed file, and with its end."""
    for line, (previous, key) in enumerate(pairwise(table), 2):
        if byte_order(key) < byte_order(previous):
            yield f"{path}:{line}: got {key!r} after {previous!r}, need byte order (LC_ALL=C). Run fix_data_dir.py"
            break
    if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        yield f"{path}:{len(table)}: got no newline at the end, need one; the file may be cut off. Write it again or run fix_data_dir.py"


def check_keys(path, table, needed):
    """Problems with the keys of a table, which must be those of the dictionary `needed`."""
    missing, extra = [key for key in needed if key not in table], [key for key in table if key not in needed]
    if missing:
        yield f"{path}: got no line for {missing[0]!r} (missing: {len(missing)}), need the keys of the directory. Run fix_data_dir.py"
    if extra:
        line = list(table).index(extra[0]) + 1
        yield f"{path}:{line}: got {extra[0]!r} (extra: {len(extra)}), need the keys of the directory. Run fix_data_dir.py"


def check_speakers(directory, utt2spk, inverse, sort):
    """Problems between utt2spk and spk2utt."""
    for line, (previous, speaker) in enumerate(pairwise(utt2spk.values()), 2):
        if sort and byte_order(speaker) < byte_order(previous):
            yield (
                f"{directory}/utt2spk:{line}: got speaker {speaker!r} after {previous!r}, need the order of the speakers to be that of"
                " the utterances. Make the speaker and '-' the beginning of every utterance name, or give --no-spk-sort"
            )
            break
    derived = spk2utt(utt2spk)
    wrong = [speaker for speaker in {**derived, **inverse} if fields(inverse.get(speaker, "")) != fields(derived.get(speaker, ""))]
    if wrong:
        yield f"{directory}/spk2utt: got other utterances than utt2spk for {wrong[0]!r}, need its inverse. Run utt2spk_to_spk2utt.py"


def check_text(path):
    """Problems with the characters of the file text."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if bad := FORBIDDEN_IN_TEXT.search(line.rstrip("\n")):
                yield f"{path}:{number}: got {bad[0]!r}, need words in UTF-8 between spaces and no <s> </s> #0. Correct the line"


def problems(directory, args):
    """All problems of a data directory, those that hide others first."""
    optional = {name for name, no in (("feats.scp", args.no_feats), ("text", args.no_text), ("wav.scp", args.no_wav)) if no}
    if (directory / "segments").exists():
        optional.discard("wav.scp")
    for name in ("utt2spk", "spk2utt", "text", "wav.scp", "feats.scp"):
        if name not in optional and not (directory / name).is_file():
            flag = "" if name.endswith(("spk", "utt")) else f", or give --no-{name.split('.')[0]} if that is meant"
            yield f"{directory}/{name}: got no such file, need it. Prepare it{flag}"
    if not (directory / "utt2spk").is_file() or not (directory / "spk2utt").is_file():
        return
    malformed = []
    data = read_dir(directory, malformed.append)
    inverse = read_table(directory / "spk2utt", malformed.append)
    yield from malformed
    if malformed:
        return  # the checks below count lines and compare whole tables
    for name, table in {**data, "spk2utt": inverse}.items():
        yield from check_order(directory / name, table)
    maps = key_maps(data)
    for name, table in data.items():
        keys = maps[kind_of(name)]
        yield from check_keys(directory / name, table, dict.fromkeys(keys[utt] for utt in data["utt2spk"] if utt in keys))
    yield from check_speakers(directory, data["utt2spk"], inverse, not args.no_spk_sort)
    if "text" in data:
        yield from check_text(directory / "text")


def main():
    """Check one directory."""
    parser = Parser(__doc__)
    for name in ("feats", "text", "wav"):
        parser.add_argument(f"--no-{name}", action="store_true", help="the file may be absent; if it is there it is checked")
    parser.add_argument("--no-spk-sort", action="store_true", help="utt2spk need not be sorted by speaker as well")
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    args = parser.parse_args()
    if not args.data_dir.is_dir():
        raise ValueError(f"{args.data_dir}: got no such directory, need a data directory. Check the path")

    found = list(problems(args.data_dir, args))
    for problem in found[:MAX_PROBLEMS_SHOWN]:
        say(problem)
    if found:
        say(f"{args.data_dir}: got {len(found)} problems, need none. Correct what is listed above")
        return 1
    if len(read_table(args.data_dir / "spk2utt")) == 1:
        say(f"{args.data_dir}: warning: only one speaker; nothing can be split or compared by speaker")
    print(f"{parser.prog}: Successfully validated data-directory {args.data_dir}")
    return 0


run(main)
