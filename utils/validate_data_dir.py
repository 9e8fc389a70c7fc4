#!/usr/bin/env python3
"""Check a data directory: files, form of every line, byte order (LC_ALL=C), equal keys, spk2utt.

It does not read audio or archives. Problems go to stderr with file and line; status 1 if there is
any.

example: utils/validate_data_dir.py --no-feats --no-text data/train
"""

import argparse
import codecs
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from data_dir import Parser, Table, key_maps, kind_of, read_dir, read_table, run, show, spk2utt
from messages import Problem, say

# blanks of Unicode; symbols of language models
FORBIDDEN_IN_TEXT = r"[^\S \t\x1c-\x1f]|(?<!\S)(?:<s>|</s>|#0)(?!\S)"
# control characters, bytes that are not UTF-8
NON_PRINT = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\udc80-\udcff]"
PLAIN_ASCII = bytes(range(0x20, 0x7F)) + b"\t\n"
MAX_PROBLEMS_SHOWN = 20
FIX = "Run fix_data_dir.py"


def check_order(path: Path, table: Table) -> Iterator[Problem]:
    """Check the order of the keys of a well-formed file, and its end."""
    for line, (previous, key) in enumerate(pairwise(table), 2):
        if key < previous:
            what, need = f"{show(key)} comes after {show(previous)}", "byte order (LC_ALL=C)"
            yield Problem(f"{path}:{line}", what, need=need, hint=FIX)
            break
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        what = "the last line has no newline; the file may be cut off"
        yield Problem(f"{path}:{len(table)}", what, hint=f"Write it again or {FIX.lower()}")
    # Our programs skip these two, Kaldi's do not.
    if codecs.BOM_UTF8 in content:
        where = content[: content.index(codecs.BOM_UTF8)].count(b"\n") + 1
        what = "the line begins with a byte order mark, which an editor has written"
        yield Problem(f"{path}:{where}", what, hint=FIX)
    if content.count(b"\n") > len(table):
        yield Problem(f"{path}:{len(table) + 1}", "the last line is empty", hint=FIX)


def check_keys(path: Path, table: Table, needed: list[bytes]) -> Iterator[Problem]:
    """Check that the keys of a table are those of the sorted list `needed`."""
    if list(table) == needed:
        return
    missing = [key for key in needed if key not in table]
    extra = sorted(table.keys() - set(needed))
    if missing:
        what = f"there is no line for {show(missing[0])} ({len(missing)} missing)"
        yield Problem(path, what, hint=f"Add it, or {FIX.lower()}, which removes the utterance")
    if extra:
        line = list(table).index(extra[0]) + 1
        what = f"{show(extra[0])} is not in utt2spk or segments ({len(extra)} extra)"
        hint = f"Correct the keys, or {FIX.lower()}, which removes the line"
        yield Problem(f"{path}:{line}", what, hint=hint)


def check_speakers(
    directory: Path, utt2spk: Table, inverse: Table, sort: bool
) -> Iterator[Problem]:
    """Check the order of the speakers, and spk2utt."""
    for line, (previous, speaker) in enumerate(pairwise(utt2spk.values()), 2):
        if sort and speaker < previous:
            what = f"speaker {show(speaker)} comes after {show(previous)}"
            need = "speakers in the order of their utterances"
            hint = "Begin every utterance name with the speaker and '-', or give --no-spk-sort"
            yield Problem(f"{directory}/utt2spk:{line}", what, need=need, hint=hint)
            break
    derived = spk2utt(utt2spk)
    for speaker in {**derived, **inverse}:
        if inverse.get(speaker, b"").split() != derived.get(speaker, b"").split():
            what = f"the utterances of {show(speaker)} are different in utt2spk"
            yield Problem(f"{directory}/spk2utt", what, hint="Run utt2spk_to_spk2utt.py")
            break


def check_text(path: Path, non_print: bool) -> Iterator[Problem]:
    """Check the characters of the file text."""
    content, symbols = path.read_bytes(), (b"<s>", b"</s>", b"#0")
    if not content.translate(None, PLAIN_ASCII) and not any(s in content for s in symbols):
        return  # a quick answer for most files
    forbidden = FORBIDDEN_IN_TEXT if non_print else f"{FORBIDDEN_IN_TEXT}|{NON_PRINT}"
    for number, line in enumerate(content.split(b"\n"), 1):
        if bad := re.search(forbidden, line.decode(errors="surrogateescape")):
            got, need = repr(bad[0]), "words in UTF-8 between spaces, without <s> </s> #0"
            hint = "Correct the line"
            yield Problem(f"{path}:{number}", "text", got=got, need=need, hint=hint)


def check_files(directory: Path, args: argparse.Namespace) -> Iterator[Problem]:
    """Check that the necessary files are there."""
    optional = {
        name
        for name, no in (
            ("feats.scp", args.no_feats),
            ("text", args.no_text),
            ("wav.scp", args.no_wav),
        )
        if no
    }
    if (directory / "segments").exists():
        optional.discard("wav.scp")
    for name in ("utt2spk", "spk2utt", "text", "wav.scp", "feats.scp"):
        if name not in optional and not (directory / name).is_file():
            without = "" if "2" in name else f", or give --no-{name.split('.')[0]}"
            hint = f"Prepare it{without}"
            yield Problem(directory / name, "this file is missing", hint=hint)


def problems(directory: Path, args: argparse.Namespace) -> Iterator[Problem]:
    """All problems of a data directory; those that would cause others end the search."""
    yield from check_files(directory, args)
    if not (directory / "utt2spk").is_file() or not (directory / "spk2utt").is_file():
        return
    malformed = []
    try:
        data = read_dir(directory, malformed.append)
    except Problem as problem:
        malformed.append(problem)
    inverse = read_table(directory / "spk2utt", malformed.append)
    yield from malformed
    if malformed:
        return  # the checks below count lines and compare whole tables
    if args.no_text:
        data.pop("text", None)
    for name, table in {**data, "spk2utt": inverse}.items():
        yield from check_order(directory / name, table)
    needed = {kind: sorted(set(keys.values())) for kind, keys in key_maps(data).items()}
    for name, table in data.items():
        yield from check_keys(directory / name, table, needed[kind_of(name)])
    yield from check_speakers(directory, data["utt2spk"], inverse, not args.no_spk_sort)
    if "text" in data:
        yield from check_text(directory / "text", args.non_print)


def main() -> int:
    """Check one directory."""
    parser = Parser(__doc__)
    for option, text in {
        "--no-feats": "feats.scp may be missing; if it is there, it is checked",
        "--no-wav": "wav.scp may be missing; if it is there, it is checked",
        "--no-text": "text may be missing, or may belong to other utterances",
        "--non-print": "text may contain control characters and bytes that are not UTF-8",
        "--no-spk-sort": "utt2spk need not be sorted by speaker as well",
    }.items():
        parser.add_argument(option, action="store_true", help=text)
    parser.add_argument("data_dir", metavar="data-dir", type=Path)
    args = parser.parse_args()
    if not args.data_dir.is_dir():
        raise Problem(args.data_dir, "there is no such directory", hint="Check the path")

    found = list(problems(args.data_dir, args))
    for problem in found[:MAX_PROBLEMS_SHOWN]:
        say(problem)
    if found:
        say(f"{args.data_dir}: {len(found)} problems. Correct those above and check again.")
        return 1
    if len(read_table(args.data_dir / "spk2utt")) == 1:
        say(f"{args.data_dir}: warning: only one speaker; a split by speaker is not possible")
    print(f"{parser.prog}: Successfully validated data-directory {args.data_dir}")
    return 0


if __name__ == "__main__":
    run(main)
