"""What the commands that compute features from sound share.

Every one of them is a front end of `sdtools.features.front_ends` and this loop over recordings.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass

import numpy as np

from sdtools.audio.entries import AudioOptions, open_audio
from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_files
from sdtools.errors import SdError, UsageError
from sdtools.features.front_ends import FRONT_ENDS, FrontEnd, Output
from sdtools.features.silence import SilenceOptions, without_silence
from sdtools.options import config_lines, flag_name, save_settings
from sdtools.tables.table import Entry, open_writer

TWO_BYTES = 3  # Kaldi's compression method that divides a matrix's range into 65,535 steps


@dataclass(frozen=True)
class TableOptions:
    """Form of the output, and further outputs; not settings of the features."""

    compress: bool = field(
        default=False,
        metadata={"help": "write 16-bit matrices, Kaldi's compression method 3: half the disk"},
    )
    write_num_frames: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "table for the numbers of frames, such as ark,t:utt2num_frames",
        },
    )
    write_utt2dur: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "table for the durations in seconds, such as ark,t:utt2dur",
        },
    )


def feature_command(
    name: str, kinds: Sequence[str], example: str, kind: str | None = None
) -> Command:
    """The command `name`, which computes features of `kind`; by default of the first of `kinds`."""
    kind = kind or kinds[0]
    front_end = FRONT_ENDS[kind]
    metadata = {"help": "front end to use", "choices": tuple(kinds)}
    kind_options = make_dataclass(
        "KindOptions", [("kind", str, field(default=kind, metadata=metadata))], frozen=True
    )
    summary = (
        f"{front_end.summary}\n{{system}}, {{feature}} and {{order}} in the wspecifier stand for "
        "the name of each output, its feature\nand its order. The settings are written to "
        "<archive>.conf."
    )
    options = (
        *(kind_options, *front_end.options, SilenceOptions),
        *(AudioOptions, TableOptions, InputOptions),
    )
    return Command(name, summary, ("<wav-rspecifier>", "<wspecifier>"), example, options)


def run_feature_command(
    command: Command, kinds: Sequence[str], argv: Sequence[str] | None = None
) -> int:
    """Run a command of `feature_command`; return its exit status.

    `--kind`, on the command line or in a .conf file, selects one of `kinds`; default: the first.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    kind = _asked_kind(argv, kinds)
    command = feature_command(command.name, kinds, command.example, kind)
    return command.run(lambda context: _body(context, FRONT_ENDS[kind]), argv)


def _asked_kind(argv: Sequence[str], kinds: Sequence[str]) -> str:
    """The last `--kind` among the flags and in the .conf files; the first of `kinds` by default."""
    words = []
    for word in argv:
        if word.startswith("--config="):
            with contextlib.suppress(UsageError):  # the command reports it
                words += [line for _, line in config_lines(word.split("=", 1)[1])]
        words.append(word)
    asked = [word.partition("=")[2] for word in words if flag_name(word) == "kind"]
    return asked[-1] if asked and asked[-1] in kinds else kinds[0]


def fill(wspecifier: str, outputs: Sequence[Output]) -> dict[str, str]:
    """By output, `wspecifier` with {system}, {feature} and {order} filled in.

    Raises
    ------
    UsageError
        If two outputs get the same file, or a placeholder does not exist.
    """
    names = {}
    for output in outputs:
        names[output.name] = wspecifier
        for placeholder, value in output.placeholders.items():
            names[output.name] = names[output.name].replace(f"{{{placeholder}}}", value)
        if unknown := re.search(r"\{\w*\}", names[output.name]):
            need = " or ".join(f"{{{placeholder}}}" for placeholder in output.placeholders)
            raise UsageError(wspecifier, "placeholder", got=unknown[0], need=need)
    files = [file for name in names.values() for file in name.partition(":")[2].split(",")]
    if len(set(files)) < len(files):
        hint = "Write {system} into the name of each file, or compute one output only"
        what = f"{len(outputs)} outputs would share a file"
        raise UsageError(wspecifier, what, hint=hint)
    return names


def _body(context: Context, front_end: FrontEnd) -> int:
    """Compute and write the outputs of a front end."""
    rspecifier, wspecifier = context.positionals
    options = tuple(context[cls] for cls in front_end.options)
    extractor = front_end.make(options, context[AudioOptions].sample_rate_hz)
    outputs = front_end.outputs(options, extractor)
    archives = fill(wspecifier, outputs)
    check_files([rspecifier], list(archives.values()))
    silence = context[SilenceOptions]
    extract = without_silence(extractor) if silence.skip_digital_silence else extractor
    written, status = write_features(context, rspecifier, archives, extract)
    for output in outputs:
        if path := written[output.name]:
            kind = [f"--kind={front_end.kind}"]
            settings = context[AudioOptions], *output.options, silence
            save_settings(f"{path}.conf", *settings, first=kind)
    return status


def write_features(
    context: Context,
    rspecifier: str,
    archives: Mapping[str, str],
    extractor: Callable[[np.ndarray], Mapping[str, np.ndarray]],
) -> tuple[dict[str, str | None], int]:
    """Write `extractor(samples)[name]` of every recording to the table `archives[name]`.

    Returns
    -------
    written
        By name, the path of the archive; None if the output is not a file.
    status
        Exit status.
    """
    options, further = context[AudioOptions], context[TableOptions]
    for name in (further.write_num_frames, further.write_utt2dur):
        if unknown := re.search(r"\{\w*\}", name):
            what, hint = "this table is of all systems", "Leave the placeholder out"
            raise UsageError(name, what, got=unknown[0], hint=hint)
    with contextlib.ExitStack() as stack:
        recordings = stack.enter_context(
            open_audio(
                rspecifier,
                sample_rate_hz=options.sample_rate_hz,
                channel=options.channel,
                allow_pipes=context[InputOptions].allow_pipes,
            )
        )
        num_frames, durations_sec = (  # opened first, so that they appear after the features
            stack.enter_context(open_writer(name, kind)) if name else None
            for name, kind in ((further.write_num_frames, "int"), (further.write_utt2dur, "float"))
        )
        method = TWO_BYTES if further.compress else 0
        writers = {
            name: stack.enter_context(open_writer(archive, compression_method=method))
            for name, archive in archives.items()
        }

        def compute(entry: Entry) -> tuple[Mapping[str, np.ndarray], float]:
            samples, rate_hz = entry.load()
            feats = extractor(samples)
            if not all(np.isfinite(matrix).all() for matrix in feats.values()):
                hint = "Check the options"
                raise SdError("features", "a value is infinite or not a number", hint=hint)
            return feats, len(samples) / rate_hz

        def write(key: str, result: tuple[Mapping[str, np.ndarray], float]) -> None:
            feats, duration_sec = result
            for name, writer in writers.items():
                writer.write(key, feats[name])
            if num_frames:
                num_frames.write(key, len(feats[name]))
            if durations_sec:
                durations_sec.write(key, duration_sec)

        total, num_threads = recordings.num_entries, options.num_threads
        status = context.for_each(recordings, compute, write, total=total, num_threads=num_threads)
    return {name: writer.path for name, writer in writers.items()}, status
