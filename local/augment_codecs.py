#!/usr/bin/env python3
"""Add coded copies of its recordings to each data directory, so that models learn the codecs.

Each recording gets a copy for each codec: encoded, decoded, and written to <data>/coded, under the
name <utterance>-<codec>, with the values of its other tables. utt2coding names the codec.

Example: local/augment_codecs.py --codecs mp3,opus data/train data/dev
"""

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from script import Script

from sdtools.audio.data_dir import write_data_dir
from sdtools.audio.encoding import write_audio
from sdtools.audio.entries import open_audio
from sdtools.errors import SdError
from sdtools.replay.simulation import CODECS, store
from sdtools.tables.script_files import index_pairs, read_scp

CHOICES = CODECS[1:]  # the first one codes nothing
NAMES = {"ogg": "vorbis", "g711": "alaw"}  # as sd-detect calls them


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(augment, argv)


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    help_text = f"some of {','.join(CHOICES)}; 8k: band of a telephone, g711: A-law in that band"
    script.add_argument("--codecs", required=True, help=help_text)
    script.add_argument("data", type=Path, nargs="+", help="with wav.scp and utt2spk")
    return script


def augment(args: Namespace) -> None:
    """Add the copies to each data directory."""
    codecs = args.codecs.split(",")
    if unknown := [codec for codec in codecs if codec not in CHOICES]:
        raise SdError("--codecs", got=repr(unknown[0]), need=f"some of {','.join(CHOICES)}")
    for folder in args.data:
        add_copies(folder, codecs)


def add_copies(folder: Path, codecs: Sequence[str]) -> None:
    """Add copies to one data directory."""
    names = ["wav.scp", *sorted(path.name for path in folder.glob("utt2*"))]
    tables = {name: read_table(folder / name) for name in names}
    utts = list(tables["wav.scp"])
    for name, table in tables.items():
        if missing := [utt for utt in utts if utt not in table]:
            got = f"none for {len(missing)} of {len(utts)} utterances (first {missing[0]})"
            hint = f"Run utils/validate_data_dir.py {folder}"
            raise SdError(folder / name, "lines", got=got, need="one for each", hint=hint)
    tables.setdefault("utt2coding", dict.fromkeys(utts, "-"))
    made = {f"{utt}-{codec}" for utt in utts for codec in codecs}
    if again := sorted(made & set(utts)):
        hint = "Make the data directory again first"
        raise SdError(folder, f"it already has the copy {again[0]}", hint=hint)
    coded = (folder / "coded").resolve()
    coded.mkdir(exist_ok=True)
    with open_audio(f"scp:{folder}/wav.scp", channel=0) as recordings:
        for entry in recordings:
            samples, rate_hz = entry.load()
            samples = samples / max(1.0, abs(samples).max())
            for codec in codecs:
                utt = f"{entry.key}-{codec}"
                path = coded / f"{utt.replace('/', '_')}.wav"
                write_audio(path, store(samples, rate_hz, codec), rate_hz)
                for table in tables.values():
                    table[utt] = table[entry.key]
                tables["wav.scp"][utt] = os.fspath(path)
                tables["utt2coding"][utt] = NAMES.get(codec, codec)
    write_data_dir(folder, tables)
    SCRIPT.note(f"{folder}: {len(made)} copies of {len(utts)} recordings ({', '.join(codecs)})")


def read_table(path: Path) -> dict[str, str]:
    """Key and value of each line."""
    return index_pairs(read_scp(str(path)), str(path))


SCRIPT = command_line()

if __name__ == "__main__":
    main()
