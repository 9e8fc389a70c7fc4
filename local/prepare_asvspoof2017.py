#!/usr/bin/env python3
"""Make Kaldi data directories from ASVspoof 2017, Version 2.0 or Version 1, or from a corpus of the same layout.

Finds the protocols and the folders of sound files in <corpus-root>, or else in a folder of it, or else in the folder above, and writes
wav.scp, utt2spk, spk2utt, utt2label, utt2phrase, utt2env, utt2playback and utt2recorder to <data-dir>/{train,dev,eval}; a table whose
column the protocol lacks is left out. Utterance ids are <speaker>-<file>, or <file> where no speaker is given. Nothing is written
before all three protocols are found correct and the headers of all their sound files are read.

  protocols    ASVspoof2017_V2_{train.trn,dev.trl,eval.trl}.txt; of Version 1 ASVspoof2017_{train.trn,dev.trl,eval_v2_key.trl}.txt, or
               KEY_ASVspoof2017_eval_V2.trl; .trn or .trl, with .txt or without; beside the sets or in protocol_V2/, protocol/, labels/
  columns      file label speaker phrase environment playback recorder, or the first 1, 2, 3 or 4 of them, or file phrase
  sound files  WAV or FLAC, 16 kHz, in ASVspoof2017_V2_train/ (of Version 1 ASVspoof2017_train/ or ASVspoof2017_train_dev/wav/train/),
               also once more in a folder of that name, or wav/train/; dev and eval likewise

Example: local/prepare_asvspoof2017.py /corpora/ASVspoof2017_V2 data
"""

import argparse
import os
import re
import struct
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path

RATE_HZ = 16000
MAX_HEADER_BYTES = 1 << 20  # before the samples
SETS = {"train": "T", "dev": "D", "eval": "E"}
WHOLE = {  # genuine and replayed utterances
    "Version 2.0": {"train": (1507, 1507), "dev": (760, 950), "eval": (1298, 12008)},
    "Version 1": {"train": (1508, 1508), "dev": (760, 950), "eval": (1298, 12008)},
}
PROTOCOL = re.compile(
    r"(KEY_)?ASVspoof2017_(V2_)?(train|dev|eval)(?:_V2)?(_key)?\.tr[nl](?:\.txt)?", re.IGNORECASE
)
PROTOCOL_FOLDERS = (
    "[Pp]rotocol*",
    "[Pp]rotocol*/[Pp]rotocol*",
    "[Ll]abels",
    "ASVspoof2017_eval",
    "ASVspoof2017_[te]*/[Pp]rotocol",
)
SOUND_FOLDERS = {  # of the version that is taken where both are, and of the other
    "Version 2.0": ("ASVspoof2017_V2_{0}", "ASVspoof2017_V2_{0}/ASVspoof2017_V2_{0}", "wav/{0}"),
    "Version 1": (
        "ASVspoof2017_{0}",
        "ASVspoof2017_{0}/ASVspoof2017_{0}",
        "ASVspoof2017_train_dev/wav/{0}",
        "wav/{0}",
    ),
}
COLUMNS = ("file", "label", "speaker", "phrase", "environment", "playback", "recorder")
FORMS = {number: COLUMNS[:number] for number in (1, 2, 3, 4, 7)}  # by the number of columns
TABLES = (
    "utt2label",
    "utt2spk",
    "utt2phrase",
    "utt2env",
    "utt2playback",
    "utt2recorder",
)  # of the columns but file


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line and exits with 1, as Kaldi's scripts do."""

    def error(self, message):  # noqa: D102
        sys.exit(f"{Path(__file__).name}: {message}. Try --help")


def main(argv=None):
    """Run the command line."""
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("corpus", metavar="<corpus-root>", type=Path)
    parser.add_argument("data", metavar="<data-dir>", type=Path)
    args = parser.parse_args(argv)
    notes = []  # shown when all is written; if anything is wrong, that is the only line
    try:
        version, found = find_corpus(args.corpus.resolve(), notes)
        lists = {name: read_protocol(protocol, name) for name, (protocol, _) in found.items()}
        check_lists(lists, notes)
        tables = {}
        for name, (_, folder) in found.items():
            tables[name] = make_tables(lists[name], find_sounds(folder, lists[name], name, notes))
            notes.append(count(name, [row["label"] for row in lists[name]], WHOLE[version][name]))
        for name in SETS:
            write_set(args.data / name, tables[name])
    except (OSError, ValueError) as error:
        message = (
            f"{error.filename or 'input/output'}: {error.strerror}"
            if isinstance(error, OSError)
            else str(error)
        )
        sys.exit(
            f"{Path(__file__).name}: "
            + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
        )
    for note in notes:
        print(f"{Path(__file__).name}: {note}", file=sys.stderr)


def find_corpus(root, notes):
    """Version of the corpus, and protocol and folder of sound files of each set, {set: (path, path)}."""
    if "\n" in str(root):
        raise ValueError(
            f"{str(root)!r}: corpus root: got a name of several lines, need one that wav.scp can hold. Rename the folder"
        )
    if not root.is_dir():
        raise ValueError(
            f"{root}: corpus root: got no such directory, need the one that holds the sets. Check the path"
        )
    every = []
    for level in (
        [root],
        distinct(path for path in sorted(root.iterdir()) if path.is_dir()),
        [root.parent],
    ):
        looks = [
            (version, base, look(base, version)) for version in SOUND_FOLDERS for base in level
        ]
        whole = [look for look in looks if all(map(all, look[2].values()))]
        every += looks
        if whole:
            break
    else:
        raise ValueError(
            lack(
                *max(
                    every,
                    key=lambda look: sum(
                        bool(paths) for pair in look[2].values() for paths in pair
                    ),
                )
            )
        )
    version, base, found = whole[0]
    if len(whole) > 1 and whole[1][0] == version:
        raise ValueError(
            f"{base}: corpus root: got the same version in {whole[1][1]}, need one. Give one of the two"
        )
    others = [f", {other} in {place} is not" for other, place, _ in whole if other != version]
    if others or base != root or version != "Version 2.0":
        notes.append(f"{base}: {version} is taken{''.join(others)}")
    for name, pair in found.items():
        for what, paths in zip(("protocol", "folder of sound files"), pair):
            if len(paths) > 1:
                raise ValueError(
                    f"{paths[0]}: {what} of {name}: got also {paths[1]}, need one. Move away the one that is not meant"
                )
    return version, {
        name: (protocols[0], folders[0]) for name, (protocols, folders) in found.items()
    }


def look(base, version):
    """What a folder has of a version of the corpus, {set: (protocols, folders with sound files)}."""
    found, protocols = {}, defaultdict(list)
    paths = (
        path
        for pattern in ("*", *(f"{folder}/*" for folder in PROTOCOL_FOLDERS))
        for path in sorted(base.glob(pattern))
    )
    for path in distinct(
        path for path in paths if PROTOCOL.fullmatch(path.name) and path.is_file()
    ):
        key, v2, name, key_too = PROTOCOL.fullmatch(path.name).groups()
        if bool(v2) == (version == "Version 2.0"):
            protocols[name.lower(), bool(key or key_too)].append(path)
    for name in SETS:
        folders = distinct(base / pattern.format(name) for pattern in SOUND_FOLDERS[version])
        folders = [
            folder
            for folder in folders
            if any(path.suffix in (".wav", ".flac") for path in folder.glob("*"))
        ]
        found[name] = (
            protocols[name, True] or protocols[name, False],
            folders,
        )  # a key has the labels that a list lacks
    return found


def distinct(paths):
    """The paths, but only one of those that links make the same."""
    return list({os.path.realpath(path): path for path in paths}.values())


def lack(version, base, found):
    """Message: what is missing where most of a corpus was found."""
    name = next(name for name, pair in found.items() if not all(pair))
    folders = [pattern.format(name) for pattern in SOUND_FOLDERS[version]]
    if found[name][0]:
        return f"{base}: sound files of {name}: got none, need them in {' or '.join(folders)}. Unpack {folders[0]} there"
    need = f"{folders[0]}.{'trn' if name == 'train' else 'trl'}.txt there or in one of {' '.join(PROTOCOL_FOLDERS)}"
    do = (
        "Unpack the protocols there"
        if any(map(any, found.values()))
        else f"Give the folder that holds {folders[0]}; --help says more"
    )
    return f"{base}: protocol of {name}: got none, need {need}; likely not the root of the corpus. {do}"


def read_protocol(path, name):
    """Lines of a protocol as {column: value}, and the place of the line; `-` is the value of columns that the protocol lacks."""
    rows, columns = [], None
    for number, line in enumerate(
        path.read_text(encoding="utf-8-sig", errors="replace").split("\n"), 1
    ):
        fields = line.split()
        if not fields:
            continue
        columns = columns or FORMS.get(len(fields), COLUMNS)
        if not rows and len(fields) == 2 and re.fullmatch(r"S\d+", fields[1]):
            columns = ("file", "phrase")  # the list of eval that participants got
        rows.append(parse_line(fields, columns, f"{path}:{number}", name))
    if not rows:
        raise ValueError(
            f"{path}: lines: got none, need one for each utterance. Unpack the protocols again"
        )
    labels = {row["label"] for row in rows}
    if (len(labels) > 1 and "-" in labels) if name == "eval" else labels != {"genuine", "spoof"}:
        need = (
            "a label on every line or on none" if name == "eval" else f"genuine and spoof in {name}"
        )
        raise ValueError(
            f"{path}: labels: got {' '.join(sorted(labels))}, need {need}. Use a whole protocol with labels"
        )
    return rows


def parse_line(fields, columns, place, name):
    """One line of a protocol."""
    if len(fields) != len(columns):
        need = f"{len(columns)} ({' '.join(columns)}); likely a line cut off"
        raise ValueError(
            f"{place}: columns: got {len(fields)}, need {need}. Unpack the protocols again"
        )
    row = dict.fromkeys(COLUMNS, "-") | dict(zip(columns, fields))
    known = r"\w+" if row["label"] != "-" else r"\w+|-"
    device = "-" if row["label"] == "genuine" else known
    label = "genuine|spoof|-" if name == "eval" else "genuine|spoof"
    need = dict(
        zip(COLUMNS, (r"[TDE]_\d+(\.wav|\.flac)?", label, known, known, device, device, device))
    )
    for column in columns:
        if not re.fullmatch(need[column], row[column], re.ASCII):
            where = "" if column in ("file", "label") else f" where the label is {row['label']}"
            raise ValueError(
                f"{place}: {column}: got {row[column]}, need {need[column]}{where}. Correct the line"
            )
    return row | {"place": place, "stem": row["file"].split(".")[0]}


def check_lists(lists, notes):
    """Check the three protocols against each other."""
    first = {}
    for row in (row for rows in lists.values() for row in rows):
        if row["stem"] in first:
            raise ValueError(
                f"{row['place']}: file: got {row['file']} again after {first[row['stem']]}, need each once. Remove one line"
            )
        first[row["stem"]] = row["place"]
    for name, rows in lists.items():
        for row in rows:
            if row["file"][0] != SETS[name]:
                cause = f"likely {name} and {next(other for other in SETS if SETS[other] == row['file'][0])} are swapped"
                raise ValueError(
                    f"{row['place']}: file: got {row['file']}, need {SETS[name]}_ in {name}; {cause}. Compare the protocols"
                )
    speakers = {name: {row["speaker"] for row in rows} - {"-"} for name, rows in lists.items()}
    for one, other in combinations(SETS, 2):
        if both := sorted(speakers[one] & speakers[other]):
            notes.append(
                f"warning: {one} and {other}: got {len(both)} speakers in both, first {both[0]}; the corpus has none"
            )


def find_sounds(folder, rows, name, notes):
    """Sound files of a set, {stem: path}, all there and of the right rate."""
    files = [
        file
        for file in sorted(os.listdir(folder))
        if file.endswith((".flac", ".wav")) and not file.startswith(".")
    ]
    sounds = {
        file.rpartition(".")[0]: folder / file for file in files
    }  # the last of two is the .wav
    missing = [row for row in rows if row["stem"] not in sounds]
    if missing:
        lost = f"got none for {missing[0]['file']} and {len(missing) - 1} others of {len(rows)}, need all that the protocol lists"
        cause = "; likely the folder of another set" if len(missing) == len(rows) else ""
        raise ValueError(
            f"{folder}: sound files of {name}: {lost}{cause}. Unpack {folder.name} again"
        )
    extra = sorted(sounds.keys() - {row["stem"] for row in rows})
    if extra:
        notes.append(
            f"warning: {folder}: got {len(extra)} sound files that the protocol does not list, first {sounds[extra[0]].name}"
        )
    sounds = {row["stem"]: sounds[row["stem"]] for row in rows}
    wrong = [(path, what) for path in sounds.values() if (what := defect(path))]
    if wrong:
        alike = sum(what == wrong[0][1] for _, what in wrong) - 1
        raise ValueError(
            f"{wrong[0][0]}: {wrong[0][1]}; likewise {alike} others of {name}. Unpack {folder.name} again"
        )
    return sounds


def defect(path):
    """What is wrong with a sound file by its header: no samples, neither WAV nor FLAC, or another sampling rate; empty if nothing is."""
    with open(path, "rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(21)
        rate_hz, at = 0, 12
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            while at + 8 < size and at < MAX_HEADER_BYTES:
                file.seek(at)
                chunk, length, third_word = struct.unpack("<4sI4xI", file.read(16).ljust(16, b"\0"))
                if chunk == b"data":
                    if (
                        at + 8 + length > size and length < 0xFFFFFFFF
                    ):  # the largest number: a length that was not known
                        return f"samples: got {size - at - 8} bytes, need {length} by the header; likely a file cut off"
                    break
                rate_hz = third_word if chunk == b"fmt " else rate_hz
                at += 8 + length + length % 2
            else:
                rate_hz = 0
        elif head[:4] == b"fLaC" and size > 42:
            rate_hz = int.from_bytes(head[18:21], "big") >> 4  # 20 bits
        elif size > 42:
            return "header: got neither WAV nor FLAC, need one of them"
    if rate_hz == RATE_HZ:
        return ""
    return (
        f"sampling rate: got {rate_hz} Hz, need {RATE_HZ} Hz"
        if rate_hz
        else f"samples: got none in {size} bytes, need some"
    )


def make_tables(rows, sounds):
    """Tables of a set, {file name: {key: value}}."""
    utts = {
        row["stem"] if row["speaker"] == "-" else f"{row['speaker']}-{row['stem']}": row
        for row in rows
    }
    tables = {
        table: {utt: row[column] for utt, row in utts.items()}
        for table, column in zip(TABLES, COLUMNS[1:])
    }
    tables = {
        table: values
        for table, values in tables.items()
        if table == "utt2spk" or set(values.values()) != {"-"}
    }
    tables["utt2spk"] = {
        utt: utt if speaker == "-" else speaker for utt, speaker in tables["utt2spk"].items()
    }
    tables["wav.scp"] = {utt: sounds[row["stem"]] for utt, row in utts.items()}
    of_speaker = defaultdict(list)
    for utt in sorted(utts):
        of_speaker[tables["utt2spk"][utt]].append(utt)
    return tables | {"spk2utt": {speaker: " ".join(some) for speaker, some in of_speaker.items()}}


def count(name, labels, whole):
    """Line that says how many utterances a set has, and how many the whole corpus has if that differs."""
    got = (labels.count("genuine"), labels.count("spoof"))
    text = f"{name}: {got[0]} genuine, {got[1]} replayed"
    if "-" in labels:
        got, whole = len(labels), sum(whole)
        text = f"{name}: {got} utterances without labels: they can be scored, not evaluated"
    return text if got == whole else f"{text}; the whole corpus has {str(whole).strip('()')}"


def write_set(folder, tables):
    """Write the tables, sorted in byte order, each to a temporary name first; remove those of an earlier run that this one lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        temporary = folder / f".{name}.tmp"  # of a killed run, too
        try:
            with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{key} {table[key]}\n" for key in sorted(table))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, folder / name)
        finally:
            temporary.unlink(missing_ok=True)
    for name in set(TABLES) - tables.keys():
        (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
