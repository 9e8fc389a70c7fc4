"""Trials: the scores of several systems, joined by utterance, with labels, speakers, conditions."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sdtools.errors import SdError, warn
from sdtools.scoring.conversion import renaming
from sdtools.scoring.files import (
    LABELS,
    check_complete,
    check_num_trials,
    read_pairs,
    read_scores,
    read_utt2label,
)

MAX_NAMES = 10  # of utterances in a message


@dataclass(frozen=True)
class JoinOptions:
    """What happens to utterances that a score file lacks."""

    missing: str = field(
        default="error",
        metadata={
            "help": "an utterance without a score ends the command, or is left out",
            "choices": ("error", "drop"),
        },
    )


@dataclass(frozen=True)
class FusionJoinOptions:
    """`JoinOptions` of the commands that fuse scores."""

    missing: str = field(
        default="error",
        metadata={
            "help": "an utterance that a system did not score ends the command, is left out, or "
            "has LLR 0 of this system",
            "choices": ("error", "drop", "zero"),
        },
    )


class Joined(NamedTuple):
    """Scores of the same utterances by several systems.

    `utts` are sorted; `scores` are (num_utts, num_systems) float64, NaN if missing ones are zero.
    """

    utts: list[str]
    scores: np.ndarray
    num_dropped: int


@dataclass(frozen=True)
class Trials:
    """Labelled utterances and their scores, as in `Joined`; `is_genuine` is (num_utts,) bool."""

    utts: list[str]
    scores: np.ndarray
    is_genuine: np.ndarray
    num_dropped: int

    def by_class(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Scores of the genuine and of the spoof trials, for each system."""
        return [(llrs[self.is_genuine], llrs[~self.is_genuine]) for llrs in self.scores.T]

    def check_finite(self, paths: Sequence[str]) -> None:
        """Refuse infinite scores; `paths` are the files of the systems.

        Raises
        ------
        SdError
            With file and utterance.
        """
        for trial, system in np.argwhere(np.isinf(self.scores)):
            what, got = f"score of {self.utts[trial]}", self.scores[trial, system]
            hint = "Leave out or repair this trial"
            raise SdError(paths[system], what, got=got, need="a finite number", hint=hint)


def join_scores(
    paths: Sequence[str], utts: Iterable[str] | None = None, missing: str = "error"
) -> Joined:
    """Join one score file per system by utterance.

    Parameters
    ----------
    paths
    utts
        Default: the utterances of all files.
    missing
        As in `FusionJoinOptions`.

    Raises
    ------
    SdError
        As `read_scores`; if a file lacks an utterance, unless `missing` is `drop` or `zero`; if no
        utterance is left.

    Notes
    -----
    Utterances are sorted, so that results do not depend on the order of any file
    (`test_score_commands.py::test_order_of_lines_changes_no_byte`). Warns of scores without a label
    and of what is dropped.
    """
    utts = None if utts is None else set(utts)
    systems = [read_scores(path, utts or ()) for path in paths]
    wanted = set().union(*systems) if utts is None else utts
    present = wanted.intersection(*systems)
    if missing == "zero":
        present = wanted.intersection(set().union(*systems))
    for path, system in zip(paths, systems):
        _check_missing(path, system, wanted, present, missing)
        if extra := len(system.keys() - wanted):
            warn(path, f"{extra} of {len(system)} scores have no label and are ignored")
    if not present:
        need = "some with a label and a score of each system"
        hint = "Check that the files belong together"
        raise SdError(" ".join(paths), "utterances", got="none", need=need, hint=hint)
    num_dropped = len(wanted) - len(present)
    if num_dropped:
        lack = "have no score of any system" if missing == "zero" else "lack a score"
        warn("scores", f"dropped {num_dropped} of {len(wanted)} utterances, which {lack}")
    ordered = sorted(present)
    scores = np.array([[system.get(utt, math.nan) for utt in ordered] for system in systems]).T
    return Joined(ordered, scores, num_dropped)


def _check_missing(
    path: str, system: Mapping[str, float], wanted: set[str], present: set[str], missing: str
) -> None:
    """Refuse, or warn of, the utterances that one file lacks."""
    lacking = sorted(wanted - system.keys())
    if lacking and missing == "error":
        first = " ".join(lacking[:MAX_NAMES]) + " ..." * (len(lacking) > MAX_NAMES)
        got = f"none for {len(lacking)} of {len(wanted)} utterances ({first})"
        hint = "Check that scoring has ended, or use --missing=drop"
        if others := sorted(system.keys() - wanted):  # perhaps the same under other names
            got += f", but some for others ({others[0]})"
            hint = renaming(path, others[0], wanted)
            hint = hint or "Give labels and scores of the same set, with the same names"
        raise SdError(path, "scores", got=got, need="one for each", hint=hint)
    if missing != "zero":
        return
    if not present & system.keys():
        hint = "Check that the files belong together"
        need = "some of labelled utterances"
        raise SdError(path, "scores", got="none", need=need, hint=hint)
    if num_filled := len(present - system.keys()):
        what = f"{num_filled} of {len(wanted)} utterances have no score, which counts as LLR 0"
        warn(path, what, stacklevel=3)


def read_trials(utt2label: str, paths: Sequence[str], missing: str = "error") -> Trials:
    """Labels and the scores of one file per system.

    Raises
    ------
    SdError
        If a class has no trials; as `join_scores` and `read_utt2label`.

    Notes
    -----
    Warns of fewer than 30 trials in a class and of fewer than 3 distinct scores of a system.
    """
    labels = read_utt2label(utt2label)
    joined = join_scores(paths, labels, missing)
    is_genuine = np.array([labels[utt] for utt in joined.utts])
    for label, value in LABELS.items():
        num_trials = int((is_genuine == value).sum())
        check_num_trials(utt2label, label, num_trials, "Check the labels")
    for path, column in zip(paths, joined.scores.T):
        if not ((column > np.nanmin(column)) & (column < np.nanmax(column))).any():
            hint = "Check that these are scores, not decisions"
            warn(path, "distinct scores", got="1 or 2", need="3 or more", hint=hint)
    return Trials(joined.utts, joined.scores, is_genuine, joined.num_dropped)


def read_conditions(utt2label: str, column: str, utts: Sequence[str]) -> dict[str, np.ndarray]:
    """The indices in `utts` of the utterances of each condition, in sorted order of the conditions.

    Parameters
    ----------
    utt2label
        Labels, beside which the table `utt2<column>` is read.
    column
        Such as `env`.
    utts
        Other utterances in the table are ignored.

    Raises
    ------
    SdError
        If the labels are not a plain file, or the table does not exist or lacks an utterance; with
        file and line: if a line is not `utterance condition`, or an utterance comes twice.
    """
    if not os.path.isfile(utt2label):
        need = f"a plain file, because --by={column} reads utt2{column} beside it"
        raise SdError(utt2label, "labels", need=need, hint="Write them to a file")
    path = os.path.join(os.path.dirname(utt2label), f"utt2{column}")
    if not os.path.isfile(path):
        hint = f"Write it beside {utt2label}, or correct --by"
        raise SdError(path, "no such file", hint=hint)
    table = read_pairs(path, str, "an utterance and a condition", "Correct the table")
    hint = f"Complete the table, or leave {column} out of --by"
    check_complete(path, "conditions", table, utts, hint)
    indices: dict[str, list[int]] = {}
    for index, utt in enumerate(utts):
        indices.setdefault(table[utt], []).append(index)
    return {condition: np.array(indices[condition]) for condition in sorted(indices)}


def read_speakers(utt2label: str, utts: Sequence[str]) -> np.ndarray | None:
    """A number for the speaker of each utterance, (num_utts,), from `utt2spk` beside `utt2label`.

    None, with a warning, if speakers are unknown. They are unknown, too, where every utterance has
    its own speaker: toolkits write this when they have no speakers.
    """
    path = os.path.join(os.path.dirname(utt2label), "utt2spk")
    hint = "Speakers are unknown"
    if not (os.path.isfile(utt2label) and os.path.isfile(path)):
        warn(path, "no such file", hint=hint)
        return None
    try:
        by_speaker = read_conditions(utt2label, "spk", utts)
    except SdError as error:
        warn(error.who, error.what, got=error.got, need=error.need, hint=hint)
        return None
    if len(by_speaker) == len(utts):
        warn(path, "every utterance has its own speaker", hint=hint)
        return None
    numbers = np.empty(len(utts), int)
    for number, indices in enumerate(by_speaker.values()):
        numbers[indices] = number
    return numbers
