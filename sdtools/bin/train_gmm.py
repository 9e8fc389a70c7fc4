"""sd-train-gmm: features of one class -> its diagonal-covariance GMM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_is_static
from sdtools.errors import SdError, UsageError, warn
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm.io import write_gmm
from sdtools.gmm.mixture import check_frames
from sdtools.gmm.training import GmmOptions, PassRecord, train_gmm, warn_of_equal_models
from sdtools.options import save_settings
from sdtools.tables.output import check_output, makes_file
from sdtools.tables.table import Entry, open_table


@dataclass(frozen=True)
class TrainOptions:
    """Settings of the command itself."""

    max_memory: float = field(
        default=2.0,
        metadata={"help": "GiB of frames to keep in memory; the rest is read again in each pass"},
    )
    num_threads: int = field(
        default=1, metadata={"help": "threads; the model does not depend on their number"}
    )

    def __post_init__(self) -> None:
        if not self.max_memory >= 0:
            raise UsageError("--max-memory", got=self.max_memory, need="0 or more")
        if self.num_threads < 1:
            raise UsageError("--num-threads", got=self.num_threads, need="1 or more")


COMMAND = Command(
    name="sd-train-gmm",
    summary="Trains a diagonal-covariance GMM by binary splitting and EM on all frames of a\n"
    "table, after deltas and normalisation. The model is Kaldi's DiagGmm; the settings are\n"
    "written to <gmm-out>.conf.",
    positionals=("<feats-rspecifier>", "<gmm-out>"),
    example="sd-train-gmm --num-components=16 scp:data/train/genuine.scp exp/genuine.gmm",
    options=(GmmOptions, PostOptions, TrainOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read the frames, train, write the settings and the model."""
    rspecifier, gmm_out = context.positionals
    options, gmm_options = context[TrainOptions], context[GmmOptions]
    check_output(gmm_out)
    check_is_static(rspecifier, context[PostOptions])
    warn_of_equal_models(gmm_options, context[PostOptions])
    frames = Frames(context, rspecifier, int(options.max_memory * 2**30))
    num_frames, num_components = frames.read(), gmm_options.num_components
    if num_frames < 10 * num_components:
        need, hint = f"at least {10 * num_components}, 10 per component", "Lower --num-components"
        warn(rspecifier, "number of frames", got=num_frames, need=need, hint=hint)

    def report(record: PassRecord) -> None:
        for line in (record, *record.reseeded):
            context.log.info(line)

    training = train_gmm(frames, gmm_options, num_threads=options.num_threads, on_pass=report)
    if makes_file(gmm_out):
        save_settings(f"{gmm_out}.conf", gmm_options, context[PostOptions])
    write_gmm(gmm_out, training.gmm)
    return 0


class Frames:
    """Post-processed matrices of a table, which can be iterated again and again.

    Those beyond `max_bytes` are read again each time.
    """

    def __init__(self, context: Context, rspecifier: str, max_bytes: int):
        self.context, self.rspecifier, self.max_bytes = context, rspecifier, max_bytes
        self.allow_pipes = context[InputOptions].allow_pipes
        self.kept: dict[str, np.ndarray] = {}
        self.left: set[str] = set()
        self.dim: int | None = None

    def read(self) -> int:
        """Check all frames and keep those that fit; return their number."""
        num_bytes = num_frames = 0

        def keep(key: str, feats: np.ndarray) -> None:
            nonlocal num_bytes, num_frames
            if key in self.kept or key in self.left:
                hint = "Remove one of its lines"
                raise SdError("key", "this utterance occurs twice", hint=hint)
            self.dim = feats.shape[1]
            num_bytes += feats.nbytes
            num_frames += len(feats)
            if num_bytes <= self.max_bytes:
                self.kept[key] = feats
            else:
                self.left.add(key)

        with open_table(self.rspecifier, allow_pipes=self.allow_pipes) as table:
            self.context.for_each(table, self._load, keep, total=table.num_entries)
        num_kept, num_left = len(self.kept), len(self.left)
        kept = f"{num_kept} of {num_kept + num_left} utterances kept in memory"
        self.context.log.info(f"{num_frames} frames; {kept}")
        return num_frames

    def _load(self, entry: Entry) -> np.ndarray:
        feats = entry.load().astype(np.float32, copy=False)
        return check_frames(postprocess(feats, self.context[PostOptions]), self.dim)

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from self.kept.values()
        if self.left:
            num_read = 0
            with open_table(self.rspecifier, allow_pipes=self.allow_pipes) as table:
                for entry in table:
                    if entry.key in self.left:
                        num_read += 1
                        yield self._load(entry)
            if num_read < len(self.left):
                need, hint = f"{len(self.left)}", "Give a file that stays, or raise --max-memory"
                what = "number of entries when read again"
                raise SdError(self.rspecifier, what, got=num_read, need=need, hint=hint)


if __name__ == "__main__":
    raise SystemExit(main())
