#!/usr/bin/env python3
"""Make <exp>/<system>/model, a directory with which sd-detect scores recordings, of every system that a recipe trained and scored on dev.

A system of its own is calibrated on its dev scores; a fusion, which has fusion.json, takes its members along. Thresholds are those of the
calibrated dev scores. --note says in one sentence what the models were trained on, and sd-detect repeats it.

Example: local/make_models.py --note "Trained on our own recordings." data exp cf_sd6 cm_sd6 fusion
"""

import argparse
import sys
import warnings
from pathlib import Path

from sdtools.audio.entries import AudioOptions
from sdtools.detect.model import write_model
from sdtools.errors import SdError, printable
from sdtools.options import load_settings
from sdtools.scoring.evaluation import threshold_record
from sdtools.scoring.experiment import Experiment, SystemFolder
from sdtools.scoring.files import read_utt2label
from sdtools.scoring.fusion import FusionOptions, apply_fusion, train_fusion
from sdtools.scoring.fusion_file import read_fusion
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import sort_scores
from sdtools.scoring.trials import read_trials
from sdtools.tables.table import open_table


def table(path, kind):
    """The values of a table in text."""
    with open_table(f"ark:{path}", kind) as entries:
        return [entry.load() for entry in entries]


def counts(sets):
    """What data directories hold: trials of each class, speakers, hours where they are known."""
    labels = [
        value for folder in sets for value in read_utt2label(str(folder / "utt2label")).values()
    ]
    speakers = {value for folder in sets for value in table(folder / "utt2spk", "token")}
    record = {
        "data": [str(folder) for folder in sets],
        "num_genuine": sum(labels),
        "num_spoof": len(labels) - sum(labels),
    }
    record["num_speakers"] = len(speakers)
    if all((folder / "utt2dur").is_file() for folder in sets):
        seconds = sum(value for folder in sets for value in table(folder / "utt2dur", "float"))
        record["hours"] = round(seconds / 3600, 3)
    return record


def make_model(data, exp, name, options):
    """One model directory."""
    dev, members = data / "dev" / "utt2label", [name]
    experiment = Experiment(exp)
    path = experiment.system(name).fusion
    if path.is_file():
        fusion, trained_on = read_fusion(str(path))
        folders = [SystemFolder.of_scores(scores) for scores in trained_on]
        members = [folder.name if folder else "" for folder in folders]
        if {"", ".."} & set(members):
            got, need = " ".join(trained_on), "<exp>/<system>/scores/dev.txt of each system"
            raise SdError(path, "systems", got=got, need=need, hint="Train the fusion again")
    paths = [str(experiment.system(member).scores("dev")) for member in members]
    trials = read_trials(str(dev), paths)
    if not path.is_file():
        fusion = train_fusion(trials.scores, trials.is_genuine, FusionOptions(auto_ridge=True))
    llrs = apply_fusion(fusion, trials.scores)
    of_class = sort_scores(llrs[trials.is_genuine], llrs[~trials.is_genuine])
    confs = {member: data / member / "dev" / "conf" / "feats.conf" for member in members}
    about = {
        "name": name,
        "note": options.note,
        "sample_rate_hz": load_settings(confs[members[0]], AudioOptions).sample_rate_hz,
        "trained_on": counts([data / members[0] / part for part in ("train", "dev")]),
        "calibrated_on": counts([data / members[0] / "dev"]),
        "thresholds": threshold_record(
            str(dev), ", ".join(paths), of_class, MetricOptions(), options.false_alarm_rate
        ),
    }
    write_model(
        experiment.system(name).model,
        {member: experiment.system(member).path for member in members},
        confs,
        fusion,
        about,
    )


def main():
    """Read, calibrate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--note", default="", help="what the models were trained on, a sentence")
    parser.add_argument(
        "--false-alarm-rate",
        type=float,
        default=0.01,
        help="of dev, that one threshold lets pass (0.01)",
    )
    parser.add_argument("data", type=Path, help="with dev/utt2label and <system>/{train,dev}")
    parser.add_argument(
        "exp", type=Path, help="with <system>/{genuine,spoof}.gmm and <system>/scores/dev.txt"
    )
    parser.add_argument("systems", nargs="+", metavar="system")
    options = parser.parse_args()
    warnings.showwarning = lambda message, *_, **__: print(
        f"{Path(__file__).name}: {name}: {message}", file=sys.stderr
    )
    try:
        for name in options.systems:
            make_model(options.data, options.exp, name, options)
    except (ValueError, OSError) as error:
        sys.exit(printable(f"{Path(__file__).name}: {name}: {error}"))


if __name__ == "__main__":
    main()
