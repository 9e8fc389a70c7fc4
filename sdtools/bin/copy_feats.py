"""sd-copy-feats: a table of features -> the same in another form."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.errors import SdError, UsageError
from sdtools.tables.table import Entry, open_table, open_writer


@dataclass(frozen=True)
class CopyOptions:
    """Settings of the command itself."""

    compress: bool = field(
        default=False, metadata={"help": "write compressed matrices, which lose digits"}
    )
    compression_method: int = field(
        default=1,
        metadata={
            "help": "1 auto; 2 8 bits by column; 16 bits over 3 min..max, 4 integers; "
            "8 bits over 5 min..max, 6 0..255, 7 0..1"
        },
    )
    write_num_frames: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "table for the numbers of frames, e.g. ark,t:data/eval/utt2num_frames",
        },
    )

    def __post_init__(self) -> None:
        if not 1 <= self.compression_method <= 7:
            raise UsageError("--compression-method", got=self.compression_method, need="1 to 7")


COMMAND = Command(
    name="sd-copy-feats",
    summary="Copies matrices: 'ark,t:' writes text, 'ark,scp:' an archive with its script file,\n"
    "--compress=true Kaldi's compressed forms. float64 stays so, unless compressed.\n"
    "A script file may cut ranges: 'key file:byte[first:last,first:last]'.\n"
    "Compression refuses a matrix without frames, and values that are not finite.",
    positionals=("<feats-rspecifier>", "<wspecifier>"),
    example="sd-copy-feats --compress=true --write-num-frames=ark,t:data/eval/utt2num_frames "
    "scp:data/eval/feats.scp ark,scp:feats/eval.1.ark,feats/eval.1.scp",
    options=(CopyOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop over keys, count, return."""
    rspecifier, wspecifier = context.positionals
    options = context[CopyOptions]
    method = options.compression_method if options.compress else 0

    def load(entry: Entry) -> np.ndarray:
        feats = entry.load()
        if method and not (feats.size and np.isfinite(feats).all()):
            got = "a value that is not finite" if feats.size else "0 frames"
            hint = "Remove the utterance, or copy without --compress"
            raise SdError("features", got=got, need="finite values to compress", hint=hint)
        return feats

    with contextlib.ExitStack() as stack:
        allow_pipes = context[InputOptions].allow_pipes
        table = stack.enter_context(open_table(rspecifier, allow_pipes=allow_pipes))
        counts = None
        if options.write_num_frames:
            counts = stack.enter_context(open_writer(options.write_num_frames, "int"))
        writer = stack.enter_context(open_writer(wspecifier, compression_method=method))

        def write(key: str, feats: np.ndarray) -> None:
            if writer.write(key, feats) and counts:
                counts.write(key, len(feats))

        return context.for_each(table, load, write, total=table.num_entries)


if __name__ == "__main__":
    raise SystemExit(main())
