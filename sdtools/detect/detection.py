"""Judging recordings with a model: which recordings, how, and the result in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdtools.audio.decoding import read_windows
from sdtools.audio.folder import find_sounds
from sdtools.detect.model import Model
from sdtools.detect.policy import BAYES, Policy
from sdtools.detect.quality import Quality, measure
from sdtools.errors import SdError, UsageError, as_sd_error
from sdtools.scoring.json_files import to_word
from sdtools.tables.input import read_scp


@dataclass(frozen=True)
class DetectOptions:
    """How to decide, and which recordings are taken."""

    threshold: str = field(
        default=BAYES,
        metadata={
            "help": "what decides: prior and costs, or a threshold of the model, see --info",
            "choices": (BAYES, "eer", "false_alarm"),
        },
    )
    prior: float = field(
        default=0.5,
        metadata={"help": "probability, before listening, that a recording is genuine"},
    )
    costs: tuple[float, ...] = field(
        default=(1.0, 1.0),
        metadata={"help": "Cmiss,Cfa: of rejecting genuine speech, of accepting a replay"},
    )
    channel: int | None = field(
        default=None, metadata={"help": "channel to judge, from 0; default: each"}
    )
    window_sec: float = field(
        default=30.0,
        metadata={"help": "longer recordings are judged in windows of at most this length"},
    )
    allow_pipes: bool = field(
        default=False, metadata={"help": "run the commands in the lines of scp:<script-file>"}
    )
    allow_narrowband: bool = field(
        default=False,
        metadata={"help": "also judge recordings of a lower sample rate than the model's"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise UsageError("--prior", got=self.prior, need="more than 0 and less than 1")
        costs = ",".join(f"{cost:g}" for cost in self.costs)
        if len(self.costs) != 2 or not all(0 < cost < math.inf for cost in self.costs):
            raise UsageError("--costs", got=costs, need="Cmiss,Cfa, two positive numbers")
        if self.threshold != BAYES and self.costs != (1.0, 1.0):
            got, hint = f"also --costs={costs}", "Leave out one of them"
            raise UsageError(f"--threshold={self.threshold}", got=got, need="no costs", hint=hint)
        if not 1 <= self.window_sec <= 3600:
            raise UsageError("--window-sec", got=self.window_sec, need="1 to 3600")

    def policy(self, model: Model) -> Policy:
        """How this model decides.

        Raises
        ------
        SdError
            If the model lacks the threshold.
        """
        if self.threshold == BAYES:
            return Policy.bayes(self.prior, (self.costs[0], self.costs[1]))
        return Policy(self.threshold, model.threshold(self.threshold), self.prior)


@dataclass(frozen=True)
class Segment:
    """One window and channel of a recording.

    Parameters
    ----------
    file
        Its path.
    channel
        From 0; None if there is only one.
    start_sec
        Where the window begins.
    total_sec
        Length of the whole recording.
    """

    file: str
    channel: int | None
    start_sec: float
    total_sec: float


@dataclass(frozen=True)
class Judgement:
    """What the model finds in one segment.

    Parameters
    ----------
    segment, quality
        The segment, and its figures.
    doubts
        Why the judgement is less reliable than usual.
    llr
        Calibrated log-likelihood ratio; None if the segment cannot be judged.
    policy
        How the LLR becomes a decision.
    """

    segment: Segment
    quality: Quality
    doubts: list[str]
    llr: float | None
    policy: Policy

    @property
    def decision(self) -> str | None:
        """`genuine` or `replayed`; None without an LLR."""
        return None if self.llr is None else self.policy.decide(self.llr)

    @property
    def posterior(self) -> float | None:
        """Probability that the segment is genuine; None without an LLR."""
        return None if self.llr is None else self.policy.posterior(self.llr)

    def to_json(self) -> dict[str, Any]:
        """The judgement as `--json` writes it."""
        record = {
            **asdict(self.segment),
            "llr": self.llr,
            "decision": self.decision,
            "posterior": self.posterior,
            "unusable_reason": self.quality.unusable_reason,
            "doubts": self.doubts,
            **asdict(self.quality),
        }
        if self.llr is not None:
            policy = self.policy
            costs = list(policy.costs) if policy.name == BAYES else None
            record |= {"policy": policy.name, "threshold": to_word(policy.threshold)}
            record |= {"prior": policy.prior, "costs": costs}
        return record


def find_recordings(names: Sequence[str]) -> Iterator[str]:
    """The recordings that sound files, folders and scp:<script-file> stand for.

    Raises
    ------
    SdError
        If a folder has no sound files, or a script file cannot be read.
    """
    for name in names:
        if name.startswith("scp:"):
            yield from (value for _, value in read_scp(name[4:]))
        elif not name:
            hint = "Check whether a variable of the shell is empty"
            raise UsageError("sound file", "the name is empty", hint=hint)
        elif Path(name).is_dir():
            yield from map(str, find_sounds(name))
        else:
            yield name


def judge(model: Model, path: str, options: DetectOptions) -> Iterator[Judgement]:
    """Judge each window and channel of a recording.

    Parameters
    ----------
    path
        A sound file, or - for standard input.

    Raises
    ------
    SdError
        If the sound cannot be read, has too low a rate, or lacks the channel.
    """
    windows = read_windows(path, options.window_sec, options.allow_pipes)
    for window in windows:
        model.check_rate(path, window.rate_hz, options.allow_narrowband)
        num_channels = window.samples.shape[1]
        channels: Sequence[int] = range(num_channels)
        if options.channel is not None:
            if options.channel not in channels:
                need = f"0..{num_channels - 1}"
                raise SdError(path, "channel", got=options.channel, need=need)
            channels = [options.channel]
        for channel in channels:
            index = channel if num_channels > 1 else None
            segment = Segment(path, index, window.start_sec, window.total_sec)
            samples = window.samples[:, channel]
            yield _judge_segment(model, segment, samples, window.rate_hz, options)


def _judge_segment(
    model: Model, segment: Segment, samples: np.ndarray, rate_hz: int, options: DetectOptions
) -> Judgement:
    """Judge samples (num_samples,) unless they cannot be used."""
    quality = measure(samples, rate_hz)
    doubts = quality.doubts(model.sample_rate_hz)
    if doubt := model.doubt_of_rate(rate_hz):
        doubts.append(doubt)
    llr = None
    if not quality.unusable_reason:
        try:
            llr = model.score_unchecked(samples, rate_hz)
        except ValueError as error:
            raise as_sd_error(error).within(segment.file) from error
    return Judgement(segment, quality, doubts, llr, options.policy(model))


def sentence(judgement: Judgement) -> str:
    """A judgement as one line of words."""
    place, llr = _place(judgement), judgement.llr
    if llr is None:
        return f"{place}: no score, {judgement.quality.unusable_reason}"
    times = f"{math.exp(abs(llr)):.3g}" if abs(llr) < 700 else "more than 1e+304"
    policy = judgement.policy
    has_costs = policy.name == BAYES and policy.costs != (1.0, 1.0)
    costs = f", costs {policy.costs[0]:g},{policy.costs[1]:g}" if has_costs else ""
    numbers = (
        f"LLR {llr:+.2f}, {policy.name} threshold {policy.threshold:+.2f}, "
        f"P(genuine) {judgement.posterior:.3f} at prior {policy.prior:g}{costs}"
    )
    evidence = f"{times} times as probable if {'spoken live' if llr >= 0 else 'replayed'}"
    further = "".join(f"; {text}" for text in (policy.reason(llr), *judgement.doubts) if text)
    return f"{place}: {judgement.decision} ({numbers}): {evidence}{further}"


def summary_line(judgements: Sequence[Judgement]) -> str:
    """The judgements of the windows of one recording as one line."""
    file = judgements[0].segment.file
    scored = [(j.llr, j) for j in judgements if j.llr is not None]
    if not scored:
        return f"{file}: none of {len(judgements)} windows could be judged"
    num_genuine = sum(j.decision == "genuine" for _, j in scored)
    llr, lowest = min(scored, key=lambda pair: pair[0])
    return (
        f"{file}: {num_genuine} of {len(scored)} judged windows genuine, "
        f"{len(judgements) - len(scored)} without score; "
        f"lowest LLR {llr:+.2f} at {_clock(lowest.segment.start_sec)}"
    )


def _place(judgement: Judgement) -> str:
    """File, and channel and time if there are several."""
    segment = judgement.segment
    channel = "" if segment.channel is None else f" [channel {segment.channel}]"
    start_sec, end_sec = segment.start_sec, segment.start_sec + judgement.quality.duration_sec
    is_whole = not start_sec and end_sec >= segment.total_sec - 1e-3
    time = "" if is_whole else f" {_clock(start_sec)}-{_clock(end_sec)}"
    return f"{segment.file}{channel}{time}"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    Examples
    --------
    >>> _clock(3725.04)
    '1:02:05.0'
    """
    seconds = round(seconds, 1)
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{seconds % 60:04.1f}"
