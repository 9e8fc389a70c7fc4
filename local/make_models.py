#!/usr/bin/env python3
"""Make <exp>/<system>/model, a model directory of sd-detect, for trained systems and fusions.

A system is calibrated on its dev scores; a fusion, which has fusion.json, takes its members along.
The thresholds are those of the calibrated dev scores. sd-detect repeats the sentence of --note,
which tells what the models were trained on.

Example: local/make_models.py --note "Trained on our own recordings." data exp cf_sd6 fusion
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdtools.audio.entries import AudioOptions
from sdtools.cli.process import warnings_to
from sdtools.detect.model import write_model
from sdtools.errors import SdError, as_sd_error
from sdtools.options import load_settings
from sdtools.scoring.evaluation import threshold_record
from sdtools.scoring.experiment import Experiment, SystemFolder
from sdtools.scoring.files import read_utt2label
from sdtools.scoring.fusion import Fusion, FusionOptions, apply_fusion, train_fusion
from sdtools.scoring.fusion_file import read_fusion
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import sort_scores
from sdtools.scoring.trials import read_trials
from sdtools.tables.table import open_table


def read_values(path, kind):
    """The values of a table in text."""
    with open_table(f"ark:{path}", kind) as entries:
        return [entry.load() for entry in entries]


def count_data(folders):
    """Trials of each class, speakers and, if all durations are known, hours of data directories."""
    labels = [
        label for folder in folders for label in read_utt2label(f"{folder}/utt2label").values()
    ]
    speakers = {name for folder in folders for name in read_values(folder / "utt2spk", "token")}
    record = {
        "data": [str(folder) for folder in folders],
        "num_genuine": sum(labels),
        "num_spoof": len(labels) - sum(labels),
        "num_speakers": len(speakers),
    }
    durations = [folder / "utt2dur" for folder in folders]
    if all(path.is_file() for path in durations):
        seconds = sum(value for path in durations for value in read_values(path, "float"))
        record["hours"] = round(seconds / 3600, 3)
    return record


def read_members(path):
    """A fusion and the names of its systems, whose folders must be beside its own."""
    fusion, trained_on = read_fusion(str(path))
    folders = [SystemFolder.of_scores(scores) for scores in trained_on]
    members = [folder.name if folder else "" for folder in folders]
    if {"", ".."} & set(members):
        got, need = " ".join(trained_on), "<exp>/<system>/scores/dev.txt of each system"
        raise SdError(path, "systems", got=got, need=need, hint="Train the fusion again")
    return fusion, members


def make_model(data, experiment, name, options):
    """Make one model directory."""
    system, labels = experiment.system(name), str(data / "dev" / "utt2label")
    fusion: Fusion | None = None
    members = [name]
    if system.is_fusion:
        fusion, members = read_members(system.fusion)
    folders = {member: experiment.system(member) for member in members}
    paths = [str(folder.scores("dev")) for folder in folders.values()]
    trials = read_trials(labels, paths)
    if fusion is None:
        fusion = train_fusion(trials.scores, trials.is_genuine, FusionOptions(auto_ridge=True))
    llrs = apply_fusion(fusion, trials.scores)
    scores = sort_scores(llrs[trials.is_genuine], llrs[~trials.is_genuine])
    confs = {member: data / member / "dev" / "conf" / "feats.conf" for member in members}
    about = {
        "name": name,
        "note": options.note,
        "sample_rate_hz": load_settings(confs[members[0]], AudioOptions).sample_rate_hz,
        "trained_on": count_data([data / members[0] / part for part in ("train", "dev")]),
        "calibrated_on": count_data([data / members[0] / "dev"]),
        "thresholds": threshold_record(
            labels, ", ".join(paths), scores, MetricOptions(), options.false_alarm_rate
        ),
    }
    sources = {member: folder.path for member, folder in folders.items()}
    write_model(system.model, sources, confs, fusion, about)


def make_model_or_exit(name, options):
    """Make a model; problems go to stderr with the name of the system."""
    place = f"{Path(__file__).name}: {name}"
    try:
        with warnings_to(
            lambda warning: print(as_sd_error(warning).within(place), file=sys.stderr)
        ):
            make_model(options.data, Experiment(options.exp), name, options)
    except (ValueError, OSError) as error:
        sys.exit(str(as_sd_error(error).within(place)))


def main():
    """Read, calibrate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--note", default="", help="a sentence: what the models were trained on")
    parser.add_argument(
        "--false-alarm-rate",
        type=float,
        default=0.01,
        help="fraction of dev's replays that one of the thresholds accepts (0.01)",
    )
    parser.add_argument("data", type=Path, help="with dev/utt2label and <system>/{train,dev}")
    parser.add_argument(
        "exp", type=Path, help="with <system>/{genuine,spoof}.gmm and <system>/scores/dev.txt"
    )
    parser.add_argument("systems", nargs="+", metavar="system")
    options = parser.parse_args()
    for name in options.systems:
        make_model_or_exit(name, options)


if __name__ == "__main__":
    main()
