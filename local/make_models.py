#!/usr/bin/env python3
"""Make <exp>/<system>/model, a model directory of sd-detect, for trained systems and fusions.

A model is calibrated on the cross-fitted scores of train and dev (local/cross_fit.sh); a fusion,
which has fusion.json, takes its members along. model.json says what each threshold costs, on train
and dev and on eval, and <exp>/<system>/scores/eval_model.txt holds the model's LLRs of eval.
sd-detect repeats the sentence of --note, which tells what the models were trained on.

Example: local/make_models.py --note "Trained on our own recordings." data exp cf_sd6 fusion
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
from make_folds import read_development, read_speakers
from script import Script

from sdtools.audio.decoding import load_audio
from sdtools.audio.entries import AudioOptions
from sdtools.detect.model import write_model
from sdtools.detect.quality import Ranges, measure
from sdtools.errors import SdError, as_sd_error, warn
from sdtools.options import load_settings
from sdtools.scoring.calibration import calibrate, independent_groups
from sdtools.scoring.deployment import Deployment, LabelledLlrs
from sdtools.scoring.experiment import Experiment, SystemFolder
from sdtools.scoring.files import parse_number, read_utt2label, write_scores
from sdtools.scoring.fusion import apply_fusion
from sdtools.scoring.fusion_file import read_fusion
from sdtools.scoring.trials import join_scores
from sdtools.tables.script_files import read_scp
from sdtools.tables.table import open_table

MAX_RECORDINGS = (
    300  # of a class, measured to compare others with; a few minutes of sound are enough
)


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
        seconds = [value for path in durations for value in read_values(path, "float")]
        if len(seconds) != len(labels):
            who, hint = ", ".join(map(str, durations)), "Make the data directories again"
            raise SdError(who, "durations", got=len(seconds), need=len(labels), hint=hint)
        record["hours"] = round(sum(seconds) / 3600, 3)
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


def measure_recordings(folders):
    """Ranges that the sound files of both classes have in common; None without sound files."""
    files = {True: [], False: []}
    for folder in folders:
        if not (folder / "wav.scp").is_file():
            return None
        labels = read_utt2label(f"{folder}/utt2label")
        codings = folder / "utt2coding"
        codecs = dict(read_scp(str(codings))) if codings.is_file() else {}
        for utt, path in read_scp(f"{folder}/wav.scp"):
            if utt in labels and not path.endswith("|"):
                files[labels[utt]].append((path, codecs.get(utt, "-")))
    if not all(files.values()):
        return None
    genuine, spoof = (measure_class(files[label]) for label in (True, False))
    return genuine.common(spoof) if genuine and spoof else None


def measure_class(files):
    """Ranges of sound files and their codecs, of up to `MAX_RECORDINGS` of them."""
    step = -(-len(files) // MAX_RECORDINGS)
    qualities = []
    for path, _ in files[::step]:
        with suppress(SdError):  # a recording that the features skipped, too
            qualities.append(measure(*load_audio(path, channel=0)))
    if not qualities:
        return None
    return Ranges.of(qualities, {codec for _, codec in files} - {"-"})


def make_model(data, experiment, name, options, recordings):
    """Make one model directory, and the scores that it gives eval."""
    system, members = experiment.system(name), [name]
    if system.is_fusion:
        _, members = read_members(system.fusion)
    folders = {member: experiment.system(member) for member in members}
    utts, is_genuine, speakers = read_development(data)
    paths = [str(folder.scores("cross_fit")) for folder in folders.values()]
    scores = join_scores(paths, utts).scores
    fusion, llrs = calibrate(scores, is_genuine, independent_groups(is_genuine, speakers))
    scored = join_scores([str(folder.scores("eval")) for folder in folders.values()])
    eval_llrs = apply_fusion(fusion, scored.scores)
    write_scores(str(system.scores("eval_model")), dict(zip(scored.utts, eval_llrs)))
    dev = LabelledLlrs(llrs, is_genuine, speakers)
    eval_set = read_eval(data, scored.utts, eval_llrs)
    deployment = Deployment.measure(dev, eval_set, options.false_alarm_rate)
    for text in deployment.warnings:
        warn(name, text)
    confs = {member: data / member / "dev" / "conf" / "feats.conf" for member in members}
    about = {
        "name": name,
        "note": options.note,
        "sample_rate_hz": load_settings(confs[members[0]], AudioOptions).sample_rate_hz,
        "trained_on": count_data([data / members[0] / part for part in ("train", "dev")]),
        "deployment": deployment.to_json(),
    }
    if recordings:
        about["recordings"] = asdict(recordings)
    sources = {member: folder.path for member, folder in folders.items()}
    write_model(system.model, sources, confs, fusion, about)


def read_eval(data, utts, llrs):
    """The LLRs of eval with truth and speakers; None if it has no labels."""
    path = data / "eval" / "utt2label"
    if not path.is_file():
        return None
    labels = read_utt2label(str(path))
    labelled = [i for i, utt in enumerate(utts) if utt in labels]
    if len(labelled) < len(utts):
        what = f"{len(utts) - len(labelled)} of {len(utts)} scores have no label and do not count"
        warn(path, what)
    if unscored := sorted(labels.keys() - set(utts)):
        what = f"{len(unscored)} of {len(labels)} utterances have no score and do not count"
        warn(path, f"{what}; the first is {unscored[0]}")
    speaker_of = read_speakers(data / "eval", labels)
    is_genuine = np.array([labels[utts[i]] for i in labelled], bool)
    speakers = np.array([speaker_of[utts[i]] for i in labelled])
    return LabelledLlrs(llrs[labelled], is_genuine, speakers)


def make_models(args: Namespace) -> None:
    """Make a model of each system; problems name it."""
    recordings = measure_recordings([args.data / part for part in ("train", "dev")])
    for name in args.systems:
        try:
            with SCRIPT.warnings(name):
                make_model(args.data, Experiment(args.exp), name, args, recordings)
        except (ValueError, OSError) as error:
            raise as_sd_error(error).within(name) from error


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument("--note", default="", help="a sentence: what the models were trained on")
    script.add_argument(
        "--false-alarm-rate",
        type=parse_number,
        default=0.01,
        help="fraction of the replays that one of the thresholds accepts (0.01)",
    )
    script.add_argument("data", type=Path, help="with {train,dev,eval} and <system>/{train,dev}")
    script.add_argument(
        "exp",
        type=Path,
        help="with <system>/{genuine,spoof}.gmm and <system>/scores/{cross_fit,eval}.txt",
    )
    script.add_argument("systems", nargs="+", metavar="system")
    return script


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make_models, argv)


SCRIPT = command_line()

if __name__ == "__main__":
    main()
