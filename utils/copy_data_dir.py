#!/usr/bin/env python3
"""Copy a data directory under other names of its utterances and speakers, and validate the copy.

Recordings of segments keep their names. Where utterances change theirs, utt2uniq gives the names they had, or their utt2uniq.
What <dest> had before is kept in a .backup directory there.

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


def text_without_blanks(text):
    """Bytes of a prefix or suffix."""
    (word,) = (b"." + os.fsencode(text) + b".").split()
    return word[1:-1]


def main():
    """Copy one directory."""
    parser = Parser(__doc__)
    for option, text in OPTIONS.items():
        parser.add_argument(option, default="", metavar="TEXT", help=text, type=str if option == "--validate-opts" else text_without_blanks)
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
    data["utt2spk"] = {utt: args.spk_prefix + speaker + args.spk_suffix for utt, speaker in data["utt2spk"].items()}
    renamed = {"spk": (args.spk_prefix, args.spk_suffix), "utt": (args.utt_prefix, args.utt_suffix)}
    if "segments" not in data:
        renamed["reco"] = renamed["utt"]
    for name, table in data.items():
        prefix, suffix = renamed.get(kind_of(name), (b"", b""))
        data[name] = {prefix + key + suffix: value for key, value in table.items()}
    write_dir(args.dest, data)
    absent = [f"--no-{name.split('.')[0]}" for name in ("feats.scp", "text", "wav.scp") if name not in data]
    validate = [sys.executable, Path(__file__).with_name("validate_data_dir.py"), *absent, *shlex.split(args.validate_opts), args.dest]
    return subprocess.run(validate).returncode


run(main)
