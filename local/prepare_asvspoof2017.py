#!/usr/bin/env python3
"""Make Kaldi data directories of ASVspoof 2017, Version 2.0 or 1, or a corpus of the same layout.

Finds the protocols and the folders of sound files in <corpus-root>, else in a folder of it, else in
the folder above. Writes wav.scp, utt2spk, spk2utt, utt2label, utt2phrase, utt2env, utt2playback and
utt2recorder to <data-dir>/{train,dev,eval}, without the tables whose column the protocol lacks.
Utterance ids are <speaker>-<file>, or <file> where no speaker is given. Nothing is written before
all three protocols and the headers of all their sound files are checked.

  protocols    ASVspoof2017_V2_{train.trn,dev.trl,eval.trl}.txt; of Version 1
               ASVspoof2017_{train.trn,dev.trl,eval_v2_key.trl}.txt, or
               KEY_ASVspoof2017_eval_V2.trl; .trn or .trl, with .txt or without; beside the sets or
               in protocol_V2/, protocol/, labels/
  columns      file label speaker phrase environment playback recorder, or the first 1, 2, 3 or 4 of
               them, or file phrase
  sound files  WAV or FLAC, 16 kHz, in ASVspoof2017_V2_train/ (of Version 1 ASVspoof2017_train/ or
               ASVspoof2017_train_dev/wav/train/), also once more in a folder of that name, or
               wav/train/; dev and eval likewise

Example: local/prepare_asvspoof2017.py /corpora/ASVspoof2017_V2 data
"""

import os
import re
import struct
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from script import Script

from sdtools.audio.data_dir import write_data_dir
from sdtools.audio.folder import describe_left_out
from sdtools.errors import SdError
from sdtools.scoring.files import BONAFIDE

RATE_HZ = 16000
MAX_HEADER_BYTES = 1 << 20  # before the samples
SETS = {"train": "T", "dev": "D", "eval": "E"}
SUFFIXES = (".flac", ".wav")
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
SOUND_FOLDERS = {  # the first version is preferred
    "Version 2.0": ("ASVspoof2017_V2_{0}", "ASVspoof2017_V2_{0}/ASVspoof2017_V2_{0}", "wav/{0}"),
    "Version 1": (
        "ASVspoof2017_{0}",
        "ASVspoof2017_{0}/ASVspoof2017_{0}",
        "ASVspoof2017_train_dev/wav/{0}",
        "wav/{0}",
    ),
}
TABLE_OF = {  # by column of a protocol
    "label": "utt2label",
    "speaker": "utt2spk",
    "phrase": "utt2phrase",
    "environment": "utt2env",
    "playback": "utt2playback",
    "recorder": "utt2recorder",
}
COLUMNS = ("file", *TABLE_OF)
FORMS = {number: COLUMNS[:number] for number in (1, 2, 3, 4, 7)}  # by the number of columns
Row = dict[str, str]  # a line of a protocol by column, with "place" and "stem"


class Found(NamedTuple):
    """Protocols and folders of sound files of one set."""

    protocols: list[Path]
    folders: list[Path]


class Corpus(NamedTuple):
    """What one folder holds of one version."""

    version: str
    root: Path
    sets: dict[str, Found]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make, argv)


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument("corpus", metavar="<corpus-root>", type=Path)
    script.add_argument("data", metavar="<data-dir>", type=Path)
    return script


def make(args: Namespace) -> None:
    """Find, check, write; notes come last, so that an error is the only line."""
    notes: list[str] = []
    version, _, sets = find_corpus(args.corpus.resolve(), notes)
    lists = {name: read_protocol(found.protocols[0], name, notes) for name, found in sets.items()}
    check_lists(lists, notes)
    tables = {}
    for name, found in sets.items():
        sounds = find_sounds(found.folders[0], lists[name], name, notes)
        tables[name] = make_tables(lists[name], sounds)
        labels = [row["label"] for row in lists[name]]
        notes.append(f"{name}: {counts(labels, WHOLE[version][name])}")
    for name in SETS:
        folder = args.data / name
        write_data_dir(folder, tables[name])
        for absent in set(TABLE_OF.values()) - tables[name].keys():  # of an earlier run
            (folder / absent).unlink(missing_ok=True)
    for note in notes:
        SCRIPT.note(note)


def find_corpus(root: Path, notes: list[str]) -> Corpus:
    """The corpus at, below or above a folder."""
    if "\n" in str(root):
        raise SdError(root, "wav.scp cannot hold a name of several lines", hint="Rename the folder")
    if not root.is_dir():
        raise SdError(root, "there is no such directory", hint="Check the path")
    below = distinct(path for path in sorted(root.iterdir()) if path.is_dir())
    every: list[Corpus] = []
    for level in ([root], below, [root.parent]):
        here = [look(base, version) for version in SOUND_FOLDERS for base in level]
        every += here
        if whole := [corpus for corpus in here if all(map(all, corpus.sets.values()))]:
            break
    else:
        raise incomplete(max(every, key=count_parts))
    first = whole[0]
    if len(whole) > 1 and whole[1].version == first.version:
        what = f"the same version is in {whole[1].root}"
        raise SdError(first.root, what, hint="Give one of the two folders")
    others = "".join(
        f", {corpus.version} in {corpus.root} is not"
        for corpus in whole
        if corpus.version != first.version
    )
    if others or first.root != root or first.version != "Version 2.0":
        notes.append(f"{first.root}: {first.version} is used{others}")
    for name, found in first.sets.items():
        for what, paths in zip(("protocol", "folder of sound files"), found):
            if len(paths) > 1:
                hint = "Move one of them away"
                got = f"also {paths[1]}"
                raise SdError(paths[0], f"{what} of {name}", got=got, need="one", hint=hint)
    return first


def look(base: Path, version: str) -> Corpus:
    """What a folder holds of a version."""
    sets, protocols = {}, defaultdict(list)
    patterns = ("*", *(f"{folder}/*" for folder in PROTOCOL_FOLDERS))
    paths = (path for pattern in patterns for path in sorted(base.glob(pattern)))
    for path in distinct(path for path in paths if PROTOCOL.fullmatch(path.name)):
        key, v2, name, key_too = PROTOCOL.fullmatch(path.name).groups()  # type: ignore[union-attr]
        if path.is_file() and bool(v2) == (version == "Version 2.0"):
            protocols[name.lower(), bool(key or key_too)].append(path)
    for name in SETS:
        folders = distinct(base / pattern.format(name) for pattern in SOUND_FOLDERS[version])
        folders = [
            folder
            for folder in folders
            if any(path.suffix.lower() in SUFFIXES for path in folder.glob("*"))
        ]
        # A key has the labels that a list may lack.
        sets[name] = Found(protocols[name, True] or protocols[name, False], folders)
    return Corpus(version, base, sets)


def distinct(paths: Iterable[Path]) -> list[Path]:
    """The paths, each file and folder once; links can give it several."""
    return list({os.path.realpath(path): path for path in paths}.values())


def count_parts(corpus: Corpus) -> int:
    """How many of the three protocols and three folders are there."""
    return sum(bool(paths) for found in corpus.sets.values() for paths in found)


def incomplete(corpus: Corpus) -> SdError:
    """The error for the folder that holds most of a corpus: what is missing there."""
    name = next(name for name, found in corpus.sets.items() if not all(found))
    folders = [pattern.format(name) for pattern in SOUND_FOLDERS[corpus.version]]
    if corpus.sets[name].protocols:
        what, hint = f"sound files of {name}", f"Unpack {folders[0]} there"
        need = f"them in {' or '.join(folders)}"
        return SdError(corpus.root, what, got="none", need=need, hint=hint)
    need = f"{folders[0]}.{'trn' if name == 'train' else 'trl'}.txt there or in one of "
    need += " ".join(PROTOCOL_FOLDERS)
    hint = "Unpack the protocols there"
    if not count_parts(corpus):
        hint = f"Give the folder that holds {folders[0]}; --help tells more"
    return SdError(corpus.root, f"protocol of {name}", got="none", need=need, hint=hint)


def read_protocol(path: Path, name: str, notes: list[str]) -> list[Row]:
    """Lines of the protocol of a set; the value of columns that it lacks is `-`."""
    rows: list[Row] = []
    num_bonafide = 0
    columns: tuple[str, ...] = ()
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        columns = columns or FORMS.get(len(fields), COLUMNS)
        if not rows and len(fields) == 2 and re.fullmatch(r"S\d+", fields[1]):
            columns = ("file", "phrase")  # the list of eval that participants got
        if fields[1:2] == [BONAFIDE]:
            fields[1] = "genuine"
            num_bonafide += 1
        rows.append(parse_line(fields, columns, f"{path}:{number}", name))
    if num_bonafide:
        notes.append(f"{path}: {BONAFIDE!r} is taken as genuine (lines: {num_bonafide})")
    if not rows:
        raise SdError(path, "the protocol has no lines", hint="Unpack the protocols again")
    labels = {row["label"] for row in rows}
    need = ""
    if name == "eval" and len(labels) > 1 and "-" in labels:
        need = "a label on every line or on none"
    elif name != "eval" and labels != {"genuine", "spoof"}:
        need = f"genuine and spoof in {name}"
    if need:
        got, hint = " ".join(sorted(labels)), "Use a whole protocol with labels"
        raise SdError(path, "labels", got=got, need=need, hint=hint)
    return rows


def parse_line(fields: list[str], columns: tuple[str, ...], place: str, name: str) -> Row:
    """One line of the protocol of a set."""
    if len(fields) != len(columns):
        need, hint = f"{len(columns)} ({' '.join(columns)})", "Unpack the protocols again"
        raise SdError(place, "number of columns", got=len(fields), need=need, hint=hint)
    row = dict.fromkeys(COLUMNS, "-") | dict(zip(columns, fields))
    known = r"\w+" if row["label"] != "-" else r"\w+|-"
    device = "-" if row["label"] == "genuine" else known
    label = "genuine|spoof|-" if name == "eval" else "genuine|spoof"
    forms = (r"[TDE]_\d+(\.wav|\.flac)?", label, known, known, device, device, device)
    for column, form in zip(COLUMNS, forms):
        if column in columns and not re.fullmatch(form, row[column], re.ASCII):
            where = "" if column in ("file", "label") else f" where the label is {row['label']}"
            what = column if column == "file" else f"{column} of {row['file']}"
            hint = "Correct the line"
            raise SdError(place, what, got=row[column], need=f"{form}{where}", hint=hint)
    return row | {"place": place, "stem": row["file"].split(".")[0]}


def check_lists(lists: dict[str, list[Row]], notes: list[str]) -> None:
    """Check the three protocols against each other."""
    first: dict[str, str] = {}
    for row in (row for rows in lists.values() for row in rows):
        if row["stem"] in first:
            what = f"the file {row['file']} is also in {first[row['stem']]}"
            raise SdError(row["place"], what, hint="Remove one line")
        first[row["stem"]] = row["place"]
    for name, rows in lists.items():
        for row in rows:
            if row["file"][0] != SETS[name]:
                other = next(other for other in SETS if SETS[other] == row["file"][0])
                need, hint = f"{SETS[name]}_ in {name}", f"Do not swap {name} and {other}"
                raise SdError(row["place"], "file", got=row["file"], need=need, hint=hint)
    speakers = {name: {row["speaker"] for row in rows} - {"-"} for name, rows in lists.items()}
    for one, other in combinations(SETS, 2):
        if both := sorted(speakers[one] & speakers[other]):
            what = f"{len(both)} speakers are in both, for example {both[0]}"
            notes.append(f"warning: {one} and {other}: {what}; the original corpus has none")


def find_sounds(folder: Path, rows: list[Row], name: str, notes: list[str]) -> dict[str, Path]:
    """Sound files of a set by stem, all there and of the right sample rate."""
    sounds: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.is_dir() or PROTOCOL.fullmatch(path.name):
            continue
        if suffix not in SUFFIXES:
            left_out[str(path)] = suffix or "without suffix"
            continue
        if path.stem in sounds:  # the .wav, which comes last, is taken
            left_out[str(sounds[path.stem])] = "a second time, in another format"
        sounds[path.stem] = path
    if what := describe_left_out(left_out, folder):
        notes.append(f"{folder}: {what}")
    missing = [row["file"] for row in rows if row["stem"] not in sounds]
    again = f"Unpack {folder.name} again"
    if missing:
        hint = f"{again}, or give the folder of {name}" if len(missing) == len(rows) else again
        got = f"no {missing[0]}, and {len(missing) - 1} others are missing"
        need = f"the {len(rows)} files of the protocol"
        raise SdError(folder, f"sound files of {name}", got=got, need=need, hint=hint)
    extra = sorted(sounds.keys() - {row["stem"] for row in rows})
    if extra:
        what = f"the protocol does not list {len(extra)} sound files"
        notes.append(f"warning: {folder}: {what}, for example {sounds[extra[0]].name}")
    sounds = {row["stem"]: sounds[row["stem"]] for row in rows}
    wrong = [(path, defect) for path in sounds.values() if (defect := find_defect(path))]
    if wrong:
        path, (what, got, need) = wrong[0]
        num_alike = sum(defect == wrong[0][1] for _, defect in wrong) - 1
        hint = f"{num_alike} others of {name} are like it. {again}"
        raise SdError(path, what, got=got, need=need, hint=hint)
    return sounds


def find_defect(path: Path) -> tuple[str, str, str] | None:
    """What is wrong with a sound file by its header, what was found, and what is needed."""
    with open(path, "rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(21)
        rate_hz, at = 0, 12
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            while at + 8 < size and at < MAX_HEADER_BYTES:
                file.seek(at)
                chunk, length, third_word = struct.unpack("<4sI4xI", file.read(16).ljust(16, b"\0"))
                if chunk == b"data":
                    is_unknown = length == 0xFFFFFFFF
                    if at + 8 + length > size and not is_unknown:
                        need = f"{length} bytes by the header"
                        return "samples are cut off", f"{size - at - 8} bytes", need
                    break
                rate_hz = third_word if chunk == b"fmt " else rate_hz
                at += 8 + length + length % 2
            else:
                rate_hz = 0
        elif head[:4] == b"fLaC" and size > 42:
            rate_hz = int.from_bytes(head[18:21], "big") >> 4  # 20 bits
        elif size > 42:
            return "header", "neither WAV nor FLAC", "one of them"
    if rate_hz == RATE_HZ:
        return None
    if not rate_hz:
        return "samples", f"none in {size} bytes", "some"
    return "sample rate", f"{rate_hz} Hz", f"{RATE_HZ} Hz"


def make_tables(rows: list[Row], sounds: dict[str, Path]) -> dict[str, dict[str, object]]:
    """Tables of a set, {file name: {utterance: value}}."""
    tables: dict[str, dict[str, object]] = {"wav.scp": {}, "utt2spk": {}}
    for row in rows:
        stem, speaker = row["stem"], row["speaker"]
        utt = stem if speaker == "-" else f"{speaker}-{stem}"
        tables["wav.scp"][utt] = sounds[stem]
        for column, table in TABLE_OF.items():
            tables.setdefault(table, {})[utt] = row[column]
        tables["utt2spk"][utt] = stem if speaker == "-" else speaker
    return {name: table for name, table in tables.items() if set(table.values()) != {"-"}}


def counts(labels: list[str], whole: tuple[int, int]) -> str:
    """How many utterances a set has, and how many the whole corpus has if that differs."""
    if "-" in labels:
        got, all_of_it = str(len(labels)), str(sum(whole))
        text = f"{got} utterances without labels: they can be scored, not evaluated"
    else:
        num_genuine, num_spoof = labels.count("genuine"), labels.count("spoof")
        got, all_of_it = f"{num_genuine}, {num_spoof}", f"{whole[0]}, {whole[1]}"
        text = f"{num_genuine} genuine, {num_spoof} replayed"
    return text if got == all_of_it else f"{text}; the whole corpus has {all_of_it}"


SCRIPT = command_line()

if __name__ == "__main__":
    main()
