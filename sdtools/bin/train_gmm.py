"""sd-train-gmm: features of one class -> its diagonal-covariance GMM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import GmmOptions, train_gmm
from sdtools.options import save_settings
from sdtools.tables import table as tables
from sdtools.tables.output import check_output, makes_file


@dataclass(frozen=True)
class TrainOptions:
    """Settings of the command itself."""

    max_memory: float = field(
        default=2.0,
        metadata={"help": "GiB of frames that are kept; what is beyond is read again in each pass"},
    )
    num_threads: int = field(
        default=1, metadata={"help": "threads; the model does not depend on their number"}
    )

    def __post_init__(self):
        if not self.max_memory >= 0 or self.num_threads < 1:
            raise ValueError(
                f"TrainOptions: got --max-memory={self.max_memory} --num-threads={self.num_threads}, need 0 and 1 or more"
            )


COMMAND = Command(
    name="sd-train-gmm",
    summary="Trains a diagonal-covariance GMM by binary splitting and EM on all frames of a table, after deltas and normalisation.\n"
    "The model is Kaldi's DiagGmm; the settings are written to <gmm-out>.conf.",
    positionals=("<feats-rspecifier>", "<gmm-out>"),
    example="sd-train-gmm --num-components=16 scp:data/train/genuine.scp exp/genuine.gmm",
    options=(GmmOptions, PostOptions, TrainOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, gmm_out = context.positionals
    options = context[TrainOptions]
    check_output(gmm_out)
    frames = Frames(
        rspecifier,
        context[PostOptions],
        int(options.max_memory * 2**30),
        context[InputOptions].allow_pipes,
    )
    num_frames, num_components = frames.read(context), context[GmmOptions].num_components
    if num_frames < 10 * num_components:
        context.log.warning(
            f"got {num_frames} frames for {num_components} components: fewer than 10 each. Lower --num-components"
        )
    gmm = train_gmm(
        frames, context[GmmOptions], num_threads=options.num_threads, log=context.log.info
    )
    if makes_file(gmm_out):
        save_settings(f"{gmm_out}.conf", context[GmmOptions], context[PostOptions])
    gmm_io.write_gmm(gmm_out, gmm)
    return 0


class Frames:
    """Post-processed matrices of a table, iterated as often as wanted; those beyond `max_bytes` are read again each time."""

    def __init__(self, rspecifier: str, options: PostOptions, max_bytes: int, allow_pipes: bool):
        self.rspecifier, self.options, self.max_bytes, self.allow_pipes = (
            rspecifier,
            options,
            max_bytes,
            allow_pipes,
        )
        self.kept: dict[str, np.ndarray] = {}
        self.left: set[str] = set()

    def read(self, context: Context) -> int:
        """Number of frames; the first pass, which checks and keeps what fits."""
        num_bytes = num_frames = 0

        def keep(key, feats):
            nonlocal num_bytes, num_frames
            if key in self.kept or key in self.left:
                raise ValueError(
                    "key: got it twice, need each utterance once; lists that overlap. Remove one of its lines"
                )
            num_bytes += feats.nbytes
            num_frames += len(feats)
            if num_bytes <= self.max_bytes:
                self.kept[key] = feats
            else:
                self.left.add(key)

        with tables.open_table(self.rspecifier, allow_pipes=self.allow_pipes) as table:
            context.for_each(table, self._load, keep, total=table.num_entries)
        context.log.info(
            f"{num_frames} frames; {len(self.kept)} of {len(self.kept) + len(self.left)} utterances kept in memory"
        )
        return num_frames

    def _load(self, entry: tables.Entry) -> np.ndarray:
        return postprocess(entry.load().astype(np.float32, copy=False), self.options)

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from self.kept.values()
        if self.left:
            with tables.open_table(self.rspecifier, allow_pipes=self.allow_pipes) as table:
                num_read = 0
                for entry in table:
                    if entry.key in self.left:
                        num_read += 1
                        yield self._load(entry)
            if num_read < len(self.left):
                raise ValueError(
                    f"{self.rspecifier}: second pass: got {num_read} entries, need {len(self.left)}; it is a pipe or has changed. "
                    "Give a file or raise --max-memory"
                )


if __name__ == "__main__":
    raise SystemExit(main())
