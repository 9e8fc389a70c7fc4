#!/usr/bin/env python3
"""Make Kaldi data directories from ASVspoof 2017 Version 2.0, or from a corpus of the same layout.

Reads <corpus-root>/protocol_V2/ASVspoof2017_V2_{train.trn,dev.trl,eval.trl}.txt and writes wav.scp, utt2spk, spk2utt, utt2label,
utt2phrase, utt2env, utt2playback and utt2recorder to <data-dir>/{train,dev,eval}. Utterance ids are <speaker>-<file>. Nothing is
written before all three protocols are found correct and all their sound files are there.

Example: local/prepare_asvspoof2017.py /corpora/ASVspoof2017_V2 data
"""

import argparse
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

SETS = {"train": ("T", "trn"), "dev": ("D", "trl"), "eval": ("E", "trl")}
COLUMNS = ("file", "label", "speaker", "phrase", "environment", "playback", "recorder")
COLUMN_OF = {
    "utt2spk": "speaker",
    "utt2label": "label",
    "utt2phrase": "phrase",
    "utt2env": "environment",
    "utt2playback": "playback",
    "utt2recorder": "recorder",
}


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line and exits with 1, as Kaldi's scripts do."""

    def error(self, message):  # noqa: D102
        sys.exit(f"{Path(__file__).name}: {message}. Try --help")


def main(argv=None):
    """Run the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("corpus", metavar="<corpus-root>", type=Path)
    parser.add_argument("data", metavar="<data-dir>", type=Path)
    args = parser.parse_args(argv)
    try:
        tables = {name: read_set(args.corpus.resolve(), name) for name in SETS}
        for name, files in tables.items():
            write_set(args.data / name, files)
    except (ValueError, OSError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    for name, files in tables.items():
        labels = list(files["utt2label"].values())
        print(f"{Path(__file__).name}: {name}: {labels.count('genuine')} genuine, {labels.count('spoof')} replayed", file=sys.stderr)


def read_set(corpus, name):
    """Tables of a set, {file name: {key: value}}, from its protocol and its folder of sound files."""
    letter, suffix = SETS[name]
    protocol = corpus / "protocol_V2" / f"ASVspoof2017_V2_{name}.{suffix}.txt"
    folder = corpus / f"ASVspoof2017_V2_{name}"
    rows, missing = {}, []
    for number, line in enumerate(protocol.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        row = parse_line(line, letter, f"{protocol}:{number}")
        if row["file"] in rows:
            raise ValueError(f"{protocol}:{number}: file: got {row['file']} again, need each once. Remove the line")
        rows[row["file"]] = row
        if not (folder / row["file"]).is_file():
            missing.append(folder / row["file"])
    if not rows:
        raise ValueError(f"{protocol}: got no line, need one for each utterance. Unpack protocol_V2 again")
    if missing:
        raise ValueError(f"{missing[0]}: got nothing, nor {len(missing) - 1} others of {protocol.name}. Unpack {folder.name} again")
    utts = {f"{row['speaker']}-{Path(row['file']).stem}": row for row in rows.values()}
    tables = {table: {utt: row[column] for utt, row in utts.items()} for table, column in COLUMN_OF.items()}
    tables["wav.scp"] = {utt: folder / row["file"] for utt, row in utts.items()}
    of_speaker = defaultdict(list)
    for utt in sorted(utts):
        of_speaker[utts[utt]["speaker"]].append(utt)
    tables["spk2utt"] = {speaker: " ".join(some) for speaker, some in of_speaker.items()}
    return tables


def parse_line(line, letter, where):
    """One line of a protocol as {column: value}."""
    fields = line.split()
    if len(fields) != len(COLUMNS):
        raise ValueError(
            f"{where}: columns: got {len(fields)}, need {len(COLUMNS)} ({' '.join(COLUMNS)}); likely a protocol of another version."
            " Use those of Version 2.0"
        )
    row = dict(zip(COLUMNS, fields))
    need = {"file": rf"{letter}_\d+\.wav", "label": "genuine|spoof", "speaker": r"\w+", "phrase": r"\w+"}
    need |= dict.fromkeys(COLUMNS[4:], "-" if row["label"] == "genuine" else r"\w+")
    for column, pattern in need.items():
        if not re.fullmatch(pattern, row[column], re.ASCII):
            raise ValueError(f"{where}: {column}: got {row[column]}, need {pattern} where the label is {row['label']}. Correct the line")
    return row


def write_set(folder, tables):
    """Write the tables, sorted in byte order, each to a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        temporary = folder / f".{name}.tmp{os.getpid()}"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.writelines(f"{key} {table[key]}\n" for key in sorted(table))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, folder / name)
        finally:
            temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
