"""Statistics for normalisation: from tables and files, or from a first pass over the features."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtools.cli.command import Context, InputOptions
from sdtools.errors import SdError, UsageError
from sdtools.features.postprocess import PostOptions, cmvn_stats
from sdtools.tables.input import TABLE, open_input
from sdtools.tables.objects import read_object
from sdtools.tables.random_table import open_random_table
from sdtools.tables.specifiers import parse_rspecifier
from sdtools.tables.table import Entry, open_table


@dataclass(frozen=True)
class StatsOptions:
    """Where the statistics for `--cmvn` come from, and where they go."""

    utt2spk: str = field(
        default="",
        metadata={
            "file": "in",
            "help": "table of speakers, such as ark:data/eval/utt2spk: --cmvn over each speaker",
        },
    )
    cmvn_stats: str = field(
        default="",
        metadata={
            "file": "in",
            "help": "table of statistics for --cmvn, by speaker or utterance; or one file for all",
        },
    )
    write_cmvn_stats: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "table for the statistics before --cmvn, by speaker or utterance",
        },
    )

    def __post_init__(self) -> None:
        if self.cmvn_stats and self.write_cmvn_stats:
            hint = "Leave one out: statistics that are given are not computed again"
            raise UsageError("--cmvn-stats, --write-cmvn-stats", "both are given", hint=hint)
        if self.cmvn_stats and self.utt2spk and not TABLE.match(self.cmvn_stats):
            need = "a table, ark: or scp:, because --utt2spk is given"
            raise UsageError("--cmvn-stats", got=repr(self.cmvn_stats), need=need)

    def check_is_used(self, post: PostOptions) -> None:
        """Refuse statistics and speakers that nothing would use."""
        if self.cmvn_stats and not post.cmvn:
            raise UsageError("--cmvn-stats", "nothing uses the statistics with --cmvn=false")
        if self.utt2spk and not (post.cmvn or self.write_cmvn_stats):
            hint = "Give --write-cmvn-stats or --cmvn=true"
            raise UsageError("--utt2spk", "nothing uses the speakers with --cmvn=false", hint=hint)


def for_each_entry(context: Context, compute: Callable, write: Callable) -> int:
    """`context.for_each` over the table of the first positional, read from its start."""
    allow_pipes = context[InputOptions].allow_pipes
    with open_table(context.positionals[0], allow_pipes=allow_pipes) as table:
        return context.for_each(table, compute, write, total=table.num_entries)


def open_stats(
    context: Context, stack: contextlib.ExitStack, load: Callable[[Entry], np.ndarray]
) -> tuple[Callable[[str], np.ndarray | None], dict[str, np.ndarray]]:
    """Statistics as the options ask for them.

    Parameters
    ----------
    stack
        Closes the tables.
    load
        Function from an entry to its features before normalisation, for a first pass.

    Returns
    -------
    stats_of
        Function from a key to the statistics for it; None stands for those of the utterance.
    by_speaker
        The statistics of a first pass; empty if there was none.
    """
    options, allow_pipes = context[StatsOptions], context[InputOptions].allow_pipes
    by_speaker: dict[str, np.ndarray] = {}

    def open_by_key(name: str, kind: str) -> Callable[[str], Any]:
        return stack.enter_context(open_random_table(name, kind, allow_pipes)).__getitem__

    if options.cmvn_stats and not TABLE.match(options.cmvn_stats):
        with open_input(options.cmvn_stats) as source:
            stats = read_object(source, "matrix")
        return lambda key: stats, by_speaker
    speaker_of = open_by_key(options.utt2spk, "token") if options.utt2spk else str
    if options.cmvn_stats:
        stats_of = open_by_key(options.cmvn_stats, "matrix")
        return lambda key: stats_of(speaker_of(key)), by_speaker
    if not options.utt2spk:
        return lambda key: None, by_speaker
    check_can_be_read_twice(context.positionals[0])
    check_can_be_read_twice(options.utt2spk)
    # Opened again, because its options may allow each key once only, or in order.
    first_speaker_of = open_by_key(options.utt2spk, "token")

    def take(entry: Entry) -> tuple[str, np.ndarray]:
        return first_speaker_of(entry.key), cmvn_stats(load(entry))

    def add(key: str, result: tuple[str, np.ndarray]) -> None:
        by_speaker[result[0]] = by_speaker.get(result[0], 0) + result[1]

    for_each_entry(context, take, add)
    return lambda key: by_speaker[speaker_of(key)], by_speaker


def check_can_be_read_twice(rspecifier: str) -> None:
    """Refuse standard input and the like."""
    name = parse_rspecifier(rspecifier)[2]
    if name in ("", "-") or (os.path.exists(name) and not os.path.isfile(name)):
        need = "a file or a command, because --utt2spk reads twice"
        raise SdError(rspecifier, got="a stream", need=need, hint="Write it to a file first")
