"""sd-copy-feats: a table of features -> the same in another form: text, binary, compressed, with or without a script file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.tables import table as tables


@dataclass(frozen=True)
class CopyOptions:
    """Settings of the command itself."""

    compress: bool = field(
        default=False, metadata={"help": "write compressed matrices, which lose digits"}
    )
    compression_method: int = field(
        default=1,
        metadata={
            "help": "1 auto; 2 8 bits by column; 16 bits over 3 min..max, 4 integers; 8 bits over 5 min..max, 6 0..255, 7 0..1"
        },
    )
    write_num_frames: str = field(
        default="",
        metadata={"help": "table for the numbers of frames, e.g. ark,t:data/eval/utt2num_frames"},
    )

    def __post_init__(self):
        if not 1 <= self.compression_method <= 7:
            raise ValueError(f"--compression-method: got {self.compression_method}, need 1 to 7")


COMMAND = Command(
    name="sd-copy-feats",
    summary="Copies matrices: 'ark,t:' writes text, 'ark,scp:' an archive with its script file, --compress=true Kaldi's compressed\n"
    "forms; float64 stays so, unless compressed. A script file may cut ranges: 'key file:byte[first:last,first:last]'.\n"
    "Compression refuses what it would corrupt: a matrix without frames, values that are not finite.",
    positionals=("<feats-rspecifier>", "<wspecifier>"),
    example="sd-copy-feats --compress=true --write-num-frames=ark,t:data/eval/utt2num_frames scp:data/eval/feats.scp "
    "ark,scp:feats/eval.1.ark,feats/eval.1.scp",
    options=(CopyOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, wspecifier = context.positionals
    options = context[CopyOptions]

    def load(entry: tables.Entry) -> np.ndarray:
        feats = entry.load()
        if options.compress and not (feats.size and np.isfinite(feats).all()):
            got = "a value that is not finite" if feats.size else "0 frames"
            raise ValueError(
                f"features: got {got}, need finite values to compress. Drop the utterance or copy without --compress"
            )
        return feats

    with contextlib.ExitStack() as stack:
        table = stack.enter_context(
            tables.open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes)
        )
        method = options.compression_method if options.compress else 0
        counts = (
            stack.enter_context(tables.open_writer(options.write_num_frames, "int"))
            if options.write_num_frames
            else None
        )
        writer = stack.enter_context(tables.open_writer(wspecifier, compression_method=method))

        def write(key, feats):
            if writer.write(key, feats) and counts:
                counts.write(key, len(feats))

        return context.for_each(table, load, write, total=table.num_entries)


if __name__ == "__main__":
    raise SystemExit(main())
