"""sd-post-feats: static features -> what the models see, written: columns, deltas, normalisation."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.errors import UsageError
from sdtools.features.postprocess import (
    PostOptions,
    cmvn_stats,
    normalize,
    parse_columns,
    postprocess,
)
from sdtools.options import save_settings
from sdtools.tables import objects
from sdtools.tables import table as tables
from sdtools.tables.input import TABLE, open_input
from sdtools.tables.random_table import RandomTable, open_random_table
from sdtools.tables.specifiers import parse_rspecifier


@dataclass(frozen=True)
class PostFeatsOptions:
    """Settings of the command itself."""

    select: str = field(
        default="",
        metadata={
            "help": "columns to keep, before all else, in this order, e.g. 0-3,7,9-8; empty: all"
        },
    )
    norm_vars: bool = field(
        default=True, metadata={"help": "--cmvn normalises the variance too, not only the mean"}
    )
    utt2spk: str = field(
        default="",
        metadata={
            "help": "table of speakers, e.g. ark:data/eval/utt2spk: --cmvn over all of a speaker"
        },
    )
    cmvn_stats: str = field(
        default="",
        metadata={
            "help": "table of statistics for --cmvn, by speaker or utterance; or one file for all"
        },
    )
    write_cmvn_stats: str = field(
        default="",
        metadata={"help": "table for the statistics before --cmvn, by speaker or utterance"},
    )

    def __post_init__(self):
        if self.select:
            parse_columns(self.select)
        if self.cmvn_stats and self.write_cmvn_stats:
            raise ValueError(
                "got --cmvn-stats and --write-cmvn-stats, need one: statistics that are given are not taken again"
            )
        if self.cmvn_stats and self.utt2spk and not TABLE.match(self.cmvn_stats):
            raise ValueError(
                f"--cmvn-stats: got {self.cmvn_stats!r}, need ark: or scp: before it with --utt2spk; a plain file is for all"
            )


COMMAND = Command(
    name="sd-post-feats",
    summary="Writes features as the models see them: columns, then deltas, then each dimension with mean 0 and variance 1 over the\n"
    "utterance, over all of a speaker (--utt2spk; reads the table twice) or by Kaldi's statistics (--cmvn-stats), which\n"
    "--write-cmvn-stats writes. Models then take them with --deltas=false --cmvn=false. The settings are written to <archive>.conf.",
    positionals=("<feats-rspecifier>", "<wspecifier>"),
    example="sd-post-feats --utt2spk=ark:data/eval/utt2spk --write-cmvn-stats=ark,scp:feats/cmvn.ark,feats/cmvn.scp "
    "scp:data/eval/feats.scp ark,scp:feats/post.ark,feats/post.scp",
    options=(PostOptions, PostFeatsOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, wspecifier = context.positionals
    options, post = context[PostFeatsOptions], context[PostOptions]
    allow_pipes = context[InputOptions].allow_pipes
    if options.cmvn_stats and not post.cmvn:
        raise UsageError(
            "got --cmvn-stats with --cmvn=false, need one of them: nothing would use the statistics"
        )
    if options.utt2spk and not (post.cmvn or options.write_cmvn_stats):
        raise UsageError(
            "got --utt2spk with --cmvn=false, need --write-cmvn-stats or --cmvn=true: nothing would use the speakers"
        )
    columns = parse_columns(options.select) if options.select else None
    num_dims = None

    def load(entry: tables.Entry) -> np.ndarray:
        """Features before normalisation."""
        nonlocal num_dims
        static = entry.load().astype(np.float32, copy=False)
        feats = postprocess(static, replace(post, cmvn=False), columns)
        if num_dims not in (None, static.shape[1]):
            raise ValueError(
                f"features: dimensions: got {static.shape[1]}, need {num_dims} as before. Give features of one kind"
            )
        num_dims = static.shape[1]
        return feats

    def for_each(compute: Callable, write: Callable) -> int:
        with tables.open_table(rspecifier, allow_pipes=allow_pipes) as table:
            return context.for_each(table, compute, write, total=table.num_entries)

    with contextlib.ExitStack() as stack:

        def by_key(name: str, kind: str) -> RandomTable:
            return stack.enter_context(open_random_table(name, kind, allow_pipes))

        stack.enter_context(
            np.errstate(over="ignore", invalid="ignore")
        )  # process() refuses what comes of it
        writer = stack.enter_context(tables.open_writer(wspecifier))
        stats_writer = (
            stack.enter_context(tables.open_writer(options.write_cmvn_stats))
            if options.write_cmvn_stats
            else None
        )
        speakers = by_key(options.utt2spk, "token") if options.utt2spk else None
        group = speakers.__getitem__ if speakers else str
        stats = None  # by group; None for those of the utterance itself
        if TABLE.match(options.cmvn_stats):
            stats = by_key(options.cmvn_stats, "matrix")
        elif options.cmvn_stats:
            with open_input(options.cmvn_stats) as source:
                stats, group = {"": objects.read_object(source, "matrix")}, lambda key: ""
        elif speakers:
            check_can_be_read_twice(rspecifier)
            check_can_be_read_twice(options.utt2spk)
            first = by_key(
                options.utt2spk, "token"
            )  # of its own, for options that let each key be asked once or in order
            stats = defaultdict(lambda: np.zeros((2, 1)))

            def add(_, result: tuple) -> None:
                stats[result[0]] = stats[result[0]] + result[1]

            for_each(lambda entry: (first[entry.key], cmvn_stats(load(entry))), add)
            for speaker in sorted(stats) if stats_writer else ():
                stats_writer.write(speaker, stats[speaker])

        def process(entry: tables.Entry) -> tuple[np.ndarray, np.ndarray | None]:
            feats = load(entry)
            own_stats = cmvn_stats(feats) if stats_writer and not speakers else None
            if post.cmvn:
                feats = normalize(
                    feats, None if stats is None else stats[group(entry.key)], options.norm_vars
                )
            if not np.isfinite(feats).all():
                raise ValueError(
                    "features: got overflow, need normalised values within float32. Scale the features"
                )
            return feats, own_stats

        def write(key: str, result: tuple) -> None:
            writer.write(key, result[0])
            if result[1] is not None:
                stats_writer.write(key, result[1])

        status = for_each(process, write)
    if writer.path:
        save_settings(f"{writer.path}.conf", post, options)
    return status


def check_can_be_read_twice(rspecifier: str) -> None:
    """Refuse standard input and the like."""
    name = parse_rspecifier(rspecifier)[2]
    if name in ("", "-") or (os.path.exists(name) and not os.path.isfile(name)):
        raise ValueError(
            f"{rspecifier}: got a stream, need a file or a command to read twice for --utt2spk. Write it to a file first"
        )


if __name__ == "__main__":
    raise SystemExit(main())
