"""What every command that computes features from sound shares: options, names of outputs, the loop over recordings."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.audio import decoding as audio
from sdtools.audio.decoding import AudioOptions
from sdtools.cli.command import Context, InputOptions
from sdtools.errors import UsageError
from sdtools.options import save_settings
from sdtools.tables import table as tables

TWO_BYTES = 3
"""Kaldi's compression method that divides a matrix's range into 65,535 steps."""


@dataclass(frozen=True)
class TableOptions:
    """Form of the output, and further outputs; not settings of the features."""

    compress: bool = field(
        default=False,
        metadata={"help": "write 16-bit matrices, Kaldi's compression method 3: half the disk"},
    )
    write_num_frames: str = field(
        default="",
        metadata={"help": "table for the numbers of frames, e.g. ark,t:data/eval/utt2num_frames"},
    )
    write_utt2dur: str = field(
        default="",
        metadata={"help": "table for the durations in seconds, e.g. ark,t:data/eval/utt2dur"},
    )


OPTIONS = (AudioOptions, TableOptions, InputOptions)


def fill(wspecifier: str, **choices: Sequence) -> dict[tuple, str]:
    """`wspecifier` with {name} filled in, for every combination of the choices.

    Raises
    ------
    UsageError
        If two combinations get the same file.
    """
    outputs = {}
    for values in itertools.product(*choices.values()):
        outputs[values] = wspecifier
        for name, value in zip(choices, values):
            outputs[values] = outputs[values].replace(f"{{{name}}}", str(value))
    files = [file for name in outputs.values() for file in name.partition(":")[2].split(",")]
    if len(set(files)) < len(files):
        braces = " and ".join(f"{{{name}}}" for name in choices)
        raise UsageError(
            f"wspecifier: got {wspecifier!r}, need {braces} in each file, or one {' and one '.join(choices)}"
        )
    return outputs


def run(
    context: Context,
    rspecifier: str,
    outputs: Mapping[Hashable, str],
    extractor: Callable[[np.ndarray], Mapping[Hashable, np.ndarray]],
    settings_of: Callable[[Hashable], tuple],
) -> int:
    """Exit status after writing extractor(samples)[name] of every recording to the table outputs[name].

    What settings_of(name) gives, option dataclasses, goes to <archive>.conf.
    """
    options, further = context[AudioOptions], context[TableOptions]
    with contextlib.ExitStack() as stack:
        recordings = stack.enter_context(
            audio.open_audio(
                rspecifier,
                sample_rate_hz=options.sample_rate_hz,
                channel=options.channel,
                allow_pipes=context[InputOptions].allow_pipes,
            )
        )
        num_frames, durations_sec = (  # before the features, so that they appear after them
            stack.enter_context(tables.open_writer(wspecifier, kind)) if wspecifier else None
            for wspecifier, kind in (
                (further.write_num_frames, "int"),
                (further.write_utt2dur, "float"),
            )
        )
        method = TWO_BYTES if further.compress else 0
        writers = {
            name: stack.enter_context(tables.open_writer(wspec, compression_method=method))
            for name, wspec in outputs.items()
        }

        def compute(entry: tables.Entry) -> tuple[Mapping[Hashable, np.ndarray], float]:
            samples, rate_hz = entry.load()
            return extractor(samples), len(samples) / rate_hz

        def write(key: str, result: tuple) -> None:
            feats, duration_sec = result
            for name, writer in writers.items():
                writer.write(key, feats[name])
            if num_frames:
                num_frames.write(key, len(feats[name]))
            if durations_sec:
                durations_sec.write(key, duration_sec)

        status = context.for_each(
            recordings,
            compute,
            write,
            total=recordings.num_entries,
            num_threads=options.num_threads,
        )
    for name, writer in writers.items():
        if writer.path:
            save_settings(f"{writer.path}.conf", options, *settings_of(name))
    return status
