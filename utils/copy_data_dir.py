#!/usr/bin/env python3
"""Copy a data directory with other names of its utterances and speakers, and validate the copy.

Recordings of segments keep their names. If utterances get new names, utt2uniq lists the original
ones. The old files of <dest> are kept in a .backup directory there.

example: utils/copy_data_dir.py --spk-prefix sp0.9- --utt-prefix sp0.9- data/train data/train_sp0.9
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from data_dir import Parser, kind_of, need_another, read_dir, run, write_dir

OPTIONS = {
    "--spk-prefix": "put before every speaker",
    "--spk-suffix": "put after every speaker",
    "--utt-prefix": "put before every utterance; begin it with the prefix of the speakers",
    "--utt-suffix": "put after every utterance",
    "--validate-opts": "more options of validate_data_dir.py",
}


def text_without_blanks(text: str) -> bytes:
    """Bytes of a prefix or suffix."""
    (word,) = (b"." + os.fsencode(text) + b".").split()
    return word[1:-1]


def main() -> int:
    """Copy one directory."""
    parser = Parser(__doc__)
    for option, text in OPTIONS.items():
        kind = str if option == "--validate-opts" else text_without_blanks
        parser.add_argument(option, default="", metavar="TEXT", help=text, type=kind)
    parser.add_argument("src", type=Path)
    parser.add_argument("dest", type=Path)
    words = []
    for word in sys.argv[1:]:  # values may begin with '-'
        if words and words[-1] in OPTIONS:
            words[-1] += f"={word}"
        else:
            words.append(word)
    args = parser.parse_args(words)
    need_another(args.dest, [args.src])
    data = read_dir(args.src)
    if args.utt_prefix or args.utt_suffix:
        data.setdefault("utt2uniq", {utt: utt for utt in data["utt2spk"]})
    for utt, speaker in data["utt2spk"].items():
        data["utt2spk"][utt] = args.spk_prefix + speaker + args.spk_suffix
    affixes = {
        "spk": (args.spk_prefix, args.spk_suffix),
        "utt": (args.utt_prefix, args.utt_suffix),
    }
    if "segments" not in data:
        affixes["reco"] = affixes["utt"]
    for name, table in data.items():
        prefix, suffix = affixes.get(kind_of(name), (b"", b""))
        data[name] = {prefix + key + suffix: value for key, value in table.items()}
    write_dir(args.dest, data)
    absent = [
        f"--no-{name.split('.')[0]}"
        for name in ("feats.scp", "text", "wav.scp")
        if name not in data
    ]
    validate = Path(__file__).with_name("validate_data_dir.py")
    options = [*absent, *shlex.split(args.validate_opts)]
    return subprocess.run([sys.executable, validate, *options, args.dest]).returncode


if __name__ == "__main__":
    run(main)
