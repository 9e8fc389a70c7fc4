#!/usr/bin/env python3
"""Check a data directory: files that must be there, form of every line, byte order (LC_ALL=C), equal keys, utt2spk against spk2utt.

Reads no audio and no archive. All problems go to stderr with file and line; status 1 if there is any.

example: utils/validate_data_dir.py --no-feats --no-text data/train
"""

import re
from itertools import pairwise
from pathlib import Path

from data_dir import Parser, key_maps, kind_of, read_dir, read_table, run, say, show, spk2utt

FORBIDDEN_IN_TEXT = r"[^\S \t\x1c-\x1f]|(?<!\S)(?:<s>|</s>|#0)(?!\S)"  # blanks of Unicode; symbols of language models
NON_PRINT = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\udc80-\udcff]"  # control characters, bytes that are not UTF-8
PLAIN_ASCII = bytes(range(0x20, 0x7F)) + b"\t\n"
MAX_PROBLEMS_SHOWN = 20


def check_order(path, table):
    """Problems with the order of the keys of a well-formed file, and with its end."""
    keys = list(table)
    if keys != sorted(keys):
        line, previous, key = next((line, *pair) for line, pair in enumerate(pairwise(keys), 2) if pair[1] < pair[0])
        yield f"{path}:{line}: got {show(key)} after {show(previous)}, need byte order (LC_ALL=C). Run fix_data_dir.py"
    if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        yield f"{path}:{len(table)}: got no newline at the end, need one; the file may be cut off. Write it again or run fix_data_dir.py"


def check_keys(path, table, needed):
    """Problems with the keys of a table, which must be those of the sorted list `needed`."""
    if list(table) == needed:
        return
    missing, extra = [key for key in needed if key not in table], sorted(table.keys() - set(needed))
    if missing:
        yield f"{path}: got no line for {show(missing[0])} (missing: {len(missing)}), need the keys of the directory. Run fix_data_dir.py"
    if extra:
        line = list(table).index(extra[0]) + 1
        yield f"{path}:{line}: got {show(extra[0])} (extra: {len(extra)}), need the keys of the directory. Run fix_data_dir.py"


def check_speakers(directory, utt2spk, inverse, sort):
    """Problems between utt2spk and spk2utt."""
    for line, (previous, speaker) in enumerate(pairwise(utt2spk.values()), 2):
        if sort and speaker < previous:
            yield (
                f"{directory}/utt2spk:{line}: got speaker {show(speaker)} after {show(previous)}, need the speakers in the order of their"
                " utterances. Make the speaker and '-' the beginning of every utterance name, or give --no-spk-sort"
            )
            break
    derived = spk2utt(utt2spk)
    wrong = [speaker for speaker in {**derived, **inverse} if inverse.get(speaker, b"").split() != derived.get(speaker, b"").split()]
    if wrong:
        yield f"{directory}/spk2utt: got other utterances than utt2spk for {show(wrong[0])}, need its inverse. Run utt2spk_to_spk2utt.py"


def check_text(path, non_print):
    """Problems with the characters of the file text."""
    content = path.read_bytes()
    if not content.translate(None, PLAIN_ASCII) and not any(symbol in content for symbol in (b"<s>", b"</s>", b"#0")):
        return  # most of the time, and then quickly
    forbidden = re.compile(FORBIDDEN_IN_TEXT if non_print else f"{FORBIDDEN_IN_TEXT}|{NON_PRINT}")
    for number, line in enumerate(content.split(b"\n"), 1):
        if bad := forbidden.search(line.decode(errors="surrogateescape")):
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
    if args.no_text:
        data.pop("text", None)
    for name, table in {**data, "spk2utt": inverse}.items():
        yield from check_order(directory / name, table)
    needed = {kind: list(dict.fromkeys(sorted(keys.values()))) for kind, keys in key_maps(data).items()}
    for name, table in data.items():
        yield from check_keys(directory / name, table, needed[kind_of(name)])
    yield from check_speakers(directory, data["utt2spk"], inverse, not args.no_spk_sort)
    if "text" in data:
        yield from check_text(directory / "text", args.non_print)


def main():
    """Check one directory."""
    parser = Parser(__doc__)
    for name in ("feats", "wav"):
        parser.add_argument(f"--no-{name}", action="store_true", help=f"{name}.scp may be absent; if it is there it is checked")
    parser.add_argument("--no-text", action="store_true", help="text may be absent, or be of other utterances")
    parser.add_argument("--non-print", action="store_true", help="text may have control characters and bytes that are not UTF-8")
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
