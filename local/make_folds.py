#!/usr/bin/env python3
"""Divide train and dev of a system into folds by speaker, for cross-fitting; print their number.

Writes <out>/<fold>/feats.scp and utt2label, the recordings of all other folds, for training, and
<out>/<fold>/held_out.scp, those of the fold. Features are not copied. Five folds, or as many as
there are speakers.

Example: local/make_folds.py data/cf_sd6 exp/cf_sd6/folds
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from script import Script

from sdtools.errors import SdError
from sdtools.scoring.calibration import NUM_FOLDS, independent_groups, spread_folds
from sdtools.scoring.files import check_complete, read_pairs, read_utt2label
from sdtools.tables.output import open_output
from sdtools.tables.script_files import index_pairs, read_scp


class Development(NamedTuple):
    """Utterances of train and dev in sorted order, truth and speaker of each, (num_utts,)."""

    utts: list[str]
    is_genuine: np.ndarray
    speakers: np.ndarray


def read_development(data: Path) -> Development:
    """Labels and speakers of `data`/{train,dev}."""
    labels: dict[str, bool] = {}
    speakers: dict[str, str] = {}
    for name in ("train", "dev"):
        of_set = read_utt2label(f"{data}/{name}/utt2label")
        if again := sorted(labels.keys() & of_set.keys()):
            what = f"the utterance {again[0]} is also in train"
            raise SdError(data / name, what, hint="Remove one of them")
        labels |= of_set
        speakers |= read_speakers(data / name, of_set)
    utts = sorted(labels)
    is_genuine = np.array([labels[utt] for utt in utts])
    return Development(utts, is_genuine, np.array([speakers[utt] for utt in utts]))


def read_speakers(folder: Path, utts: Iterable[str]) -> dict[str, str]:
    """The speakers of a data directory, which must know that of each of `utts`."""
    path, hint = str(folder / "utt2spk"), "Correct the table"
    speakers = read_pairs(path, str, "an utterance and a speaker", hint)
    check_complete(path, "speakers", speakers, sorted(utts), hint)
    return speakers


def make(args: Namespace) -> None:
    """Read, divide, write."""
    utts, is_genuine, speakers = read_development(args.data)
    feats: dict[str, str] = {}
    for name in ("train", "dev"):
        path = f"{args.data}/{name}/feats.scp"
        feats |= index_pairs(read_scp(path), path)
    if unlabelled := sorted(feats.keys() - set(utts)):
        what, hint = f"{unlabelled[0]} has features and no label", "Add the label"
        raise SdError(args.data, what, hint=hint)
    if missing := [utt for utt in utts if utt not in feats]:
        hint = "Compute the features again"
        raise SdError(args.data, f"{missing[0]} has a label and no features", hint=hint)
    folds = spread_folds(is_genuine, independent_groups(is_genuine, speakers), NUM_FOLDS)
    num_folds = int(folds.max()) + 1
    for fold in range(num_folds):
        tables: dict[str, list[str]] = {"feats.scp": [], "utt2label": [], "held_out.scp": []}
        for utt, genuine, fold_of_utt in zip(utts, is_genuine, folds):
            if fold_of_utt == fold:
                tables["held_out.scp"].append(f"{utt} {feats[utt]}")
            else:
                tables["feats.scp"].append(f"{utt} {feats[utt]}")
                tables["utt2label"].append(f"{utt} {'genuine' if genuine else 'spoof'}")
        folder = args.out / str(fold + 1)
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in tables.items():
            write_if_new(folder / name, "".join(f"{line}\n" for line in lines))
    for old in args.out.glob("[0-9]*"):
        if not 1 <= int(old.name) <= num_folds:
            shutil.rmtree(old)
    print(num_folds)


def write_if_new(path: Path, text: str) -> None:
    """Leave a file that is right already, so that a launcher that resumes skips its jobs."""
    if not path.is_file() or path.read_text() != text:
        with open_output(str(path)) as file:
            file.write(text.encode())


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument("data", type=Path, help="with {train,dev}/{feats.scp,utt2label,utt2spk}")
    script.add_argument("out", type=Path)
    return script


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make, argv)


SCRIPT = command_line()

if __name__ == "__main__":
    main()
