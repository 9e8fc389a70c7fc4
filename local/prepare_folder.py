#!/usr/bin/env python3
"""Make <data>/{train,dev,eval} of one's own recordings: two folders, genuine and replayed, or a table.

The table is a CSV with a head: columns file and label (genuine or spoof), and if they are known speaker and any conditions (env, playback,
recorder, ...), each of which becomes utt2<column>; files are relative to its folder. Of folders, a speaker is a subfolder, or what stands
before the first '-' of a file's name. No speaker is in two sets. Recordings of another rate than 16 kHz, or with several channels, are
copied to <data>/converted: resampled, first channel.

Example: local/prepare_folder.py --genuine recordings/live --replayed recordings/replayed data
"""

import argparse
import csv
import os
import re
import sys
from io import StringIO
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.audio.folder import as_word, check_path, find_sounds, name_sound
from sdtools.errors import printable
from sdtools.tables.output import open_output

SETS = ("train", "dev", "eval")
LABELS = ("genuine", "spoof")
RATE_HZ = 16000
RESERVED = ("spk", "dur", "frames")  # utt2<column> would be another table


def fail(message):
    """End with a one-line message."""
    sys.exit(printable(f"{Path(__file__).name}: {message}"))


def from_folders(genuine, replayed):
    """Recordings of two folders: {utterance: {"file", "label", "speaker"}}."""
    recordings, seen = {}, {}
    for label, folder in zip(LABELS, (genuine, replayed)):
        for path in find_sounds(folder):
            if seen.setdefault(path.resolve(), label) != label:
                raise ValueError(
                    f"{path}: folders: got it as genuine and as replayed, need folders apart. Move one out of the other"
                )
            key, speaker = name_sound(path, folder)
            utt = f"{key}-{label}"
            if utt in recordings:
                raise ValueError(
                    f"{path}: name: got {utt} as of {recordings[utt]['file']}, need one name for each file. Rename one"
                )
            recordings[utt] = {"file": str(path), "label": label, "speaker": speaker}
    return recordings


def read_csv(path):
    """Columns of a CSV, and place and cells of each of its lines."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except ValueError as error:
        raise ValueError(
            f"{path}: text: got '{error}', need UTF-8. Save it again as such"
        ) from None
    reader = csv.DictReader(StringIO(text, newline=""))
    try:
        return reader.fieldnames or [], [(f"{path}:{reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f"{path}:{reader.line_num}: line: got '{error}', need cells between commas. Correct it"
        ) from None


def from_table(path):
    """The same from a CSV; further columns are conditions."""
    recordings, (columns, rows) = {}, read_csv(path)
    if not {"file", "label"} <= set(columns):
        raise ValueError(
            f"{path}:1: head: got {columns}, need columns file and label. Name them in the first line"
        )
    for column in columns:
        if not re.fullmatch(r"[a-z][a-z0-9]*", column) or column in RESERVED:
            raise ValueError(
                f"{path}:1: head: got column {column!r}, need a word in small letters, none of {' '.join(RESERVED)}. Rename it"
            )
    for where, row in rows:
        if None in row or None in row.values():
            raise ValueError(
                f"{where}: line: got another number of cells, need {len(columns)}. Correct it"
            )
        row = {
            name: as_word(value) if name != "file" else value.strip() for name, value in row.items()
        }
        if empty := [name for name, value in row.items() if not value and name != "speaker"]:
            raise ValueError(
                f"{where}: {empty[0]}: got nothing, need a word in every cell; '-' for none. Correct it"
            )
        if row["label"] not in LABELS:
            raise ValueError(
                f"{where}: label: got {row['label']!r}, need genuine or spoof. Correct it"
            )
        if not Path(row["file"]).stem:
            raise ValueError(
                f"{where}: file: got {row['file']!r}, need the path of a sound file. Correct it"
            )
        stem = as_word("_".join(Path(row["file"]).with_suffix("").parts).replace("/", "_"))
        row["speaker"] = re.sub(r"\W", "_", row.get("speaker") or stem)
        utt = f"{row['speaker']}-{stem}"
        if utt in recordings:
            raise ValueError(
                f"{where}: file: got the name of {recordings[utt]['file']} again, need each once. Rename or remove one"
            )
        recordings[utt] = {**row, "file": os.path.join(os.path.dirname(path), row["file"])}
    return recordings


def split(recordings, shares, seed):
    """{set: [utterances]}: whole speakers, those with most recordings first, each to the set whose classes lack most."""
    sizes = {}
    for row in recordings.values():
        sizes.setdefault(row["speaker"], np.zeros(2))[LABELS.index(row["label"])] += 1
    total = sum(sizes.values())
    if (total == 0).any():
        raise ValueError(
            f"recordings: got {int(total[0])} genuine, {int(total[1])} replayed, need both. Check the paths"
        )
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
            lack = LABELS[int(np.argmin(load))]
            raise ValueError(
                f"{name}: got no {lack} recording from {len(sizes)} speakers, need some in every set, and no speaker in two: three "
                "speakers or more of each class. Say who speaks (subfolders, <speaker>-<name>, a column speaker), or record more"
            )
    parts = {name: [] for name in SETS}
    for utt in sorted(recordings):
        parts[sets[recordings[utt]["speaker"]]].append(utt)
    return parts


def convert(recordings, folder):
    """Give every recording a file at 16 kHz with one channel; the number of those that had to be made."""
    num_converted = 0
    for utt, row in recordings.items():
        row["file"] = check_path(os.path.abspath(row["file"]))
        if os.path.exists(row["file"]) and not os.path.isfile(row["file"]):
            raise ValueError(f"{row['file']}: sound: got no regular file, need one. Take it out")
        try:
            info = soundfile.info(row["file"])
        except (soundfile.SoundFileError, OSError) as error:
            raise ValueError(
                f"{row['file']}: sound: got '{error}', need a format that libsndfile reads. Take it out"
            ) from None
        if info.samplerate < RATE_HZ:
            raise ValueError(
                f"{row['file']}: sample rate: got {info.samplerate} Hz, need {RATE_HZ} or more. Take it out"
            )
        if (info.samplerate, info.channels) == (RATE_HZ, 1):
            continue
        samples, rate_hz = load_audio(row["file"], channel=0)
        divisor = gcd(rate_hz, RATE_HZ)
        samples = resample_poly(samples, RATE_HZ // divisor, rate_hz // divisor)
        folder.mkdir(parents=True, exist_ok=True)
        row["file"] = str((folder / f"{utt.replace('/', '_')}.wav").resolve())
        write_audio(row["file"], samples / max(1.0, np.abs(samples).max()), RATE_HZ)
        num_converted += 1
    return num_converted


def write_table(path, rows):
    """A table of a data directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_output(str(path)) as file:
        file.write("".join(f"{key} {value}\n" for key, value in rows).encode())


def main():
    """Read, split, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--genuine", metavar="DIR", help="folder of live recordings")
    parser.add_argument("--replayed", metavar="DIR", help="folder of replayed recordings")
    parser.add_argument("--csv", metavar="FILE", help="table instead of folders")
    parser.add_argument(
        "--split",
        default="50,20,30",
        help="percent of the recordings for train, dev, eval (default 50,20,30)",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another split")
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    shares = args.split.split(",")
    if len(shares) != 3 or not all(share.isdecimal() and int(share) for share in shares):
        fail(f"--split: got {args.split}, need three numbers of 1 or more, as in 50,20,30")
    if bool(args.csv) == bool(args.genuine or args.replayed) or bool(args.genuine) != bool(
        args.replayed
    ):
        fail(
            "got neither --csv nor --genuine and --replayed, or both, need one of them. Try --help"
        )
    args.csv, args.genuine, args.replayed = (
        path and os.path.abspath(path) for path in (args.csv, args.genuine, args.replayed)
    )
    try:
        recordings = from_table(args.csv) if args.csv else from_folders(args.genuine, args.replayed)
        parts = split(recordings, list(map(int, shares)), args.seed)
        num_converted = convert(recordings, args.data / "converted")
        if num_converted:
            what = f"{num_converted} of {len(recordings)} were resampled or had channels left out"
            print(f"{Path(__file__).name}: {what}: {args.data}/converted")
        columns = {name for row in recordings.values() for name in row} - {
            "file",
            "label",
            "speaker",
        }
        for name, utts in parts.items():
            folder = args.data / name
            tables = {
                "wav.scp": "file",
                "utt2label": "label",
                "utt2spk": "speaker",
                **{f"utt2{column}": column for column in columns},
            }
            for old in folder.glob("utt2*"):  # of an earlier run
                if old.name not in tables:
                    old.unlink()
            for table, column in tables.items():
                write_table(folder / table, ((utt, recordings[utt][column]) for utt in utts))
            speakers = sorted({recordings[utt]["speaker"] for utt in utts})
            spk2utt = (
                (speaker, " ".join(utt for utt in utts if recordings[utt]["speaker"] == speaker))
                for speaker in speakers
            )
            write_table(folder / "spk2utt", spk2utt)
            num_genuine = sum(recordings[utt]["label"] == "genuine" for utt in utts)
            print(
                f"{Path(__file__).name}: {name}: {num_genuine} genuine, {len(utts) - num_genuine} replayed, {len(speakers)} speakers"
            )
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        fail(error)


if __name__ == "__main__":
    main()
