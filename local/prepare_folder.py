#!/usr/bin/env python3
"""Make <data>/{train,dev,eval} of your own recordings: two folders, or a table.

Of folders, a speaker is a subfolder, or the part of a file's name before the first '-'. The table
is a CSV with a head: columns file and label (genuine or spoof), and optionally speaker and any
conditions (env, playback, recorder, ...). Each condition becomes utt2<column>. Files are relative
to the folder of the table. No speaker is in two sets. Recordings of another sample rate than 16 kHz
or with several channels are copied to <data>/converted: resampled, first channel.

Example: local/prepare_folder.py --genuine recordings/live --replayed recordings/replayed data
"""

import csv
import os
import re
from argparse import Namespace
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
from script import Script, three_numbers, whole_number

from sdtools.audio.data_dir import write_data_dir
from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.audio.encoding import write_audio
from sdtools.audio.folder import as_word, check_path, name_sounds
from sdtools.errors import SdError, UsageError
from sdtools.replay.simulation import resample
from sdtools.scoring.files import BONAFIDE

SETS = ("train", "dev", "eval")
LABELS = ("genuine", "spoof")
RATE_HZ = 16000
MINUTE_SEC = 60
MAX_NAMES = 20  # of recordings in a message
MIN_SEC = 0.021  # one frame of the recipes, and what resampling may take off
RESERVED = ("spk", "dur", "frames", "coding")  # utt2<column> would be another table
Recordings = dict[str, dict[str, str]]  # {utterance: {"file", "label", "speaker", conditions}}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make, argv)


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument("--genuine", metavar="DIR", help="folder of live recordings")
    script.add_argument("--replayed", metavar="DIR", help="folder of replayed recordings")
    script.add_argument("--csv", metavar="FILE", help="table instead of folders")
    script.add_argument(
        "--split",
        type=three_numbers,
        default="50,20,30",
        help="percent of the recordings for train, dev and eval (default 50,20,30)",
    )
    script.add_argument(
        "--seed", type=whole_number, default=0, help="another seed gives another split"
    )
    script.add_argument("data", type=Path)
    return script


def make(args: Namespace) -> None:
    """Read, split, convert, write."""
    folders = [folder for folder in (args.genuine, args.replayed) if folder]
    if len(folders) != (0 if args.csv else 2):
        need = "either --csv or both --genuine and --replayed"
        raise UsageError("command line", "recordings", need=need, hint="Try --help")
    if args.csv:
        recordings = from_table(os.path.abspath(args.csv))
    else:
        recordings = from_folders(*map(os.path.abspath, folders))
    parts = split(recordings, args.split, args.seed)
    num_converted = convert(recordings, args.data / "converted")
    if num_converted:
        copied = f"{num_converted} of {len(recordings)} recordings were resampled or had channels"
        SCRIPT.note(f"{copied} left out; the copies are in {args.data}/converted")
    for name, utts in parts.items():
        write_set(args.data / name, {utt: recordings[utt] for utt in utts})


def from_folders(genuine: str, replayed: str) -> Recordings:
    """Recordings of two folders."""
    recordings: Recordings = {}
    seen: dict[Path, str] = {}
    for label, folder in zip(LABELS, (genuine, replayed)):
        for key, (path, speaker) in name_sounds(folder).items():
            if seen.setdefault(path.resolve(), label) != label:
                what = "this recording is in the folder of genuine and in that of replayed ones"
                raise SdError(path, what, hint="Move one folder out of the other")
            recordings[f"{key}-{label}"] = {"file": str(path), "label": label, "speaker": speaker}
    return recordings


def read_csv(path: str) -> list[tuple[str, list[str]]]:
    """Place and cells of each line of a CSV that has text."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SdError(path, "text", got=error, need="UTF-8", hint="Save it as UTF-8") from None
    reader = csv.reader(StringIO(text, newline=""))
    try:
        return [
            (f"{path}:{reader.line_num}", cells) for cells in reader if any(map(str.strip, cells))
        ]
    except csv.Error as error:
        need = "cells between commas"
        raise SdError(f"{path}:{reader.line_num}", "line", got=error, need=need) from None


def from_table(path: str) -> Recordings:
    """Recordings of a CSV."""
    (where, columns), *lines = read_csv(path) or [(f"{path}:1", [])]
    if not {"file", "label"} <= set(columns):
        hint = "Name the columns in the first line"
        raise SdError(where, "columns", got=columns, need="file and label", hint=hint)
    for column in columns:
        if not re.fullmatch(r"[a-z][a-z0-9]*", column) or column in RESERVED:
            need = f"a word in small letters other than {' '.join(RESERVED)}"
            raise SdError(where, "column", got=repr(column), need=need, hint="Rename it")
        if columns.count(column) > 1:
            raise SdError(where, f"two columns are named {column}", hint="Rename one of them")
    recordings: Recordings = {}
    num_bonafide = 0
    for where, cells in lines:
        row = parse_line(where, columns, cells)
        num_bonafide += row["label"] == BONAFIDE
        row["label"] = row["label"].replace(BONAFIDE, LABELS[0])
        stem = as_word("_".join(Path(row["file"]).with_suffix("").parts).replace("/", "_"))
        row["speaker"] = re.sub(r"\W", "_", row.get("speaker") or stem)
        utt = f"{row['speaker']}-{stem}"
        row["file"] = os.path.join(os.path.dirname(path), row["file"])
        if utt in recordings:
            got = f"the name {utt} of {recordings[utt]['file']} again"
            raise SdError(where, "file", got=got, hint="Rename or remove one of the files")
        recordings[utt] = row
    if num_bonafide:
        SCRIPT.note(f"{path}: {BONAFIDE!r} is taken as genuine (lines: {num_bonafide})")
    return recordings


def parse_line(where: str, columns: list[str], cells: list[str]) -> dict[str, str]:
    """Cells of a line as words by column; refused if they do not describe a recording."""
    if len(cells) != len(columns):
        raise SdError(where, "number of cells", got=len(cells), need=len(columns))
    row = {}
    for name, cell in zip(columns, cells):
        row[name] = cell.strip() if name == "file" else as_word(cell)
        if not row[name] and name != "speaker":
            hint = "Write - where there is no condition"
            raise SdError(where, name, got="nothing", need="a word", hint=hint)
    if row["label"] not in (*LABELS, BONAFIDE):
        what, got, hint = f"label of {row['file']}", repr(row["label"]), "Correct the line"
        raise SdError(where, what, got=got, need="genuine or spoof", hint=hint)
    if not Path(row["file"]).stem:
        raise SdError(where, "file", got=repr(row["file"]), need="the path of a sound file")
    return row


def split(recordings: Recordings, shares: list[int], seed: int) -> dict[str, list[str]]:
    """Utterances of each set.

    Whole speakers, those with most recordings first, go to the set whose classes lack most.
    """
    sizes: dict[str, np.ndarray] = {}
    for row in recordings.values():
        sizes.setdefault(row["speaker"], np.zeros(2))[LABELS.index(row["label"])] += 1
    total = sum(sizes.values(), np.zeros(2))
    if (total == 0).any():
        got = f"{int(total[0])} genuine and {int(total[1])} replayed"
        raise SdError("recordings", got=got, need="both classes", hint="Check the paths")
    rng = np.random.default_rng(seed)
    order = [sorted(sizes)[i] for i in rng.permutation(len(sizes))]
    order.sort(key=lambda speaker: -(sizes[speaker] / total).sum())
    targets = np.array([shares]).T / sum(shares) * np.ones(2)
    loads, sets = np.zeros((3, 2)), {}
    for speaker in order:
        missing = ((targets - loads).clip(0) / targets) @ (sizes[speaker] > 0)
        chosen = int(np.argmax(missing))
        loads[chosen] += sizes[speaker] / total
        sets[speaker] = SETS[chosen]
    for name, load in zip(SETS, loads):
        if (load == 0).any():
            what = f"no {LABELS[int(np.argmin(load))]} recording is left for this set"
            need = "three speakers or more of each class, because no speaker is in two sets"
            hint = "Name the speakers (subfolders, <speaker>-<name>, a column speaker)"
            got, hint = f"{len(sizes)} speakers", f"{hint}, or record more of them"
            raise SdError(name, what, got=got, need=need, hint=hint)
    parts: dict[str, list[str]] = {name: [] for name in SETS}
    for utt in sorted(recordings):
        parts[sets[recordings[utt]["speaker"]]].append(utt)
    return parts


def check_all(paths: Sequence[str]) -> None:
    """Raise an error that names the recordings which a later stage would refuse."""
    errors = []
    for path in paths:
        try:
            check_recording(path)
        except SdError as error:
            errors.append(error)
    if errors:
        names = [error.who for error in errors[1:MAX_NAMES]] + ["..."] * (len(errors) > MAX_NAMES)
        others = f"{len(errors) - 1} more cannot be used: {', '.join(names)}"
        raise errors[0].within(hint=others if names else "")


def check_recording(path: str) -> None:
    """Read a recording to its end, a minute at a time."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise SdError(path, "this is not a regular file", hint="Remove it")
    duration_sec, need_hz = 0.0, f"{RATE_HZ} Hz or more"
    for window in read_windows(path, MINUTE_SEC):
        duration_sec += len(window.samples) / window.rate_hz
        if window.rate_hz < RATE_HZ:
            got, hint = f"{window.rate_hz} Hz", "Remove the recording"
            raise SdError(path, "sample rate", got=got, need=need_hz, hint=hint)
    if duration_sec < MIN_SEC:
        got, need = f"{duration_sec:.3f} s", f"{MIN_SEC:g} s or more"
        raise SdError(path, "duration", got=got, need=need, hint="Remove the recording")


def convert(recordings: Recordings, folder: Path) -> int:
    """Give every recording a file at 16 kHz with one channel; return how many had to be made."""
    check_all([row["file"] for row in recordings.values()])
    num_converted = 0
    for utt, row in recordings.items():
        row["file"] = check_path(os.path.abspath(row["file"]))
        header = read_header(row["file"])
        if header.is_lossy:
            row["coding"] = header.codec
        if (header.rate_hz, header.num_channels) == (RATE_HZ, 1):
            continue
        samples, rate_hz = load_audio(row["file"], channel=0)
        samples = resample(samples, rate_hz, RATE_HZ)
        folder.mkdir(parents=True, exist_ok=True)
        row["file"] = str((folder / f"{utt.replace('/', '_')}.wav").resolve())
        write_audio(row["file"], samples / max(1.0, np.abs(samples).max()), RATE_HZ)
        num_converted += 1
    if any("coding" in row for row in recordings.values()):
        for row in recordings.values():
            row.setdefault("coding", "-")
    return num_converted


def write_set(folder: Path, recordings: Recordings) -> None:
    """Write the data directory of one set; tables of conditions of an earlier run are removed."""
    file_of = {"file": "wav.scp", "label": "utt2label", "speaker": "utt2spk"}
    tables: dict[str, dict[str, str]] = {}
    for utt, row in recordings.items():
        for column, value in row.items():
            tables.setdefault(file_of.get(column, f"utt2{column}"), {})[utt] = value
    for old in folder.glob("utt2*"):
        if old.name not in tables:
            old.unlink()
    write_data_dir(folder, tables)
    labels = list(tables["utt2label"].values())
    num_genuine, num_speakers = labels.count("genuine"), len(set(tables["utt2spk"].values()))
    counts = f"{num_genuine} genuine, {len(labels) - num_genuine} replayed, {num_speakers} speakers"
    SCRIPT.note(f"{folder.name}: {counts}")


SCRIPT = command_line()

if __name__ == "__main__":
    main()
