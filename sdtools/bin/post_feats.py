"""sd-post-feats: static features -> what the models see: columns, deltas, normalisation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_is_static
from sdtools.cli.statistics import StatsOptions, for_each_entry, open_stats
from sdtools.errors import SdError
from sdtools.features.postprocess import (
    PostOptions,
    cmvn_stats,
    normalize,
    parse_columns,
    postprocess,
)
from sdtools.options import save_settings
from sdtools.tables.table import Entry, open_writer


@dataclass(frozen=True)
class PostFeatsOptions:
    """Settings of the command itself."""

    select: str = field(
        default="",
        metadata={"help": "columns to keep, in this order, such as 0-3,7,9-8; empty for all"},
    )
    norm_vars: bool = field(
        default=True, metadata={"help": "--cmvn normalises the variance too, not only the mean"}
    )

    def __post_init__(self) -> None:
        if self.select:
            parse_columns(self.select)


COMMAND = Command(
    name="sd-post-feats",
    summary="Writes features as the models see them: selected columns, then deltas, then each"
    " dimension with mean 0\nand variance 1. These are taken over the utterance, over all"
    " utterances of a speaker (--utt2spk, which\nreads the table twice), or from Kaldi's"
    " statistics (--cmvn-stats), which --write-cmvn-stats writes. Then\ntrain and score with"
    " --deltas=false --cmvn=false. The settings are written to <archive>.conf.",
    positionals=("<feats-rspecifier>", "<wspecifier>"),
    example="sd-post-feats --utt2spk=ark:data/eval/utt2spk"
    " --write-cmvn-stats=ark,scp:feats/cmvn.ark,feats/cmvn.scp"
    " scp:data/eval/feats.scp ark,scp:feats/post.ark,feats/post.scp",
    options=(PostOptions, PostFeatsOptions, StatsOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Open, take the statistics of speakers if asked, normalise and write every key."""
    options, post, stats = context[PostFeatsOptions], context[PostOptions], context[StatsOptions]
    stats.check_is_used(post)
    check_is_static(context.positionals[0], post)
    load = loader(options, post)
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(over="ignore", invalid="ignore"))  # `process` checks
        writer = stack.enter_context(open_writer(context.positionals[1]))
        stats_writer = None
        if stats.write_cmvn_stats:
            stats_writer = stack.enter_context(open_writer(stats.write_cmvn_stats))
        stats_of, by_speaker = open_stats(context, stack, load)
        if stats_writer:
            for speaker in sorted(by_speaker):
                stats_writer.write(speaker, by_speaker[speaker])

        def process(entry: Entry) -> tuple[np.ndarray, np.ndarray | None]:
            feats = load(entry)
            own_stats = cmvn_stats(feats) if stats_writer and not by_speaker else None
            if post.cmvn:
                feats = normalize(feats, stats_of(entry.key), options.norm_vars)
            if not np.isfinite(feats).all():
                raise SdError("features", "float32 overflows", hint="Scale the features down")
            return feats, own_stats

        def write(key: str, result: tuple[np.ndarray, np.ndarray | None]) -> None:
            writer.write(key, result[0])
            if stats_writer and result[1] is not None:
                stats_writer.write(key, result[1])

        status = for_each_entry(context, process, write)
    if writer.path:
        save_settings(f"{writer.path}.conf", post, options, stats)
    return status


def loader(options: PostFeatsOptions, post: PostOptions) -> Callable[[Entry], np.ndarray]:
    """Function from an entry to its features before normalisation."""
    columns = parse_columns(options.select) if options.select else None
    num_dims = None

    def load(entry: Entry) -> np.ndarray:
        nonlocal num_dims
        static = entry.load().astype(np.float32, copy=False)
        feats = postprocess(static, replace(post, cmvn=False), columns)
        if num_dims not in (None, static.shape[1]):
            got, need = static.shape[1], f"{num_dims} as before"
            hint = "Give features of one kind"
            raise SdError("features", "dimensions", got=got, need=need, hint=hint)
        num_dims = static.shape[1]
        return feats

    return load


if __name__ == "__main__":
    raise SystemExit(main())
