"""Judging recordings with a model: which recordings, how, and the result in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sdtools.audio.decoding import read_windows
from sdtools.audio.streaming import parse_raw
from sdtools.detect.model import Model
from sdtools.detect.policy import BAYES, Policy
from sdtools.detect.quality import Quality, find_doubts, measure
from sdtools.detect.recordings import Recording
from sdtools.errors import SdError, UsageError, as_sd_error
from sdtools.scoring.json_files import to_word


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
    shift_sec: float | None = field(
        default=None,
        metadata={"help": "time from one window to the next; then windows have equal lengths"},
    )
    raw: str = field(
        default="",
        metadata={"help": "form of standard input without a header, such as s16le,16000,1"},
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
        if self.shift_sec is not None and not 0 < self.shift_sec <= self.window_sec:
            need = f"more than 0 and at most --window-sec, {self.window_sec:g}"
            raise UsageError("--shift-sec", got=self.shift_sec, need=need)
        if self.raw:
            parse_raw(self.raw)

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
    recording
        Its file, and key if it has one.
    channel
        From 0; None if there is only one.
    start_sec
        Where the window begins.
    total_sec
        Length of the whole recording; None of a stream that goes on.
    rate_hz, codec, is_lossy
        Sample rate and codec of the recording, and whether that loses a part of the sound.
    """

    recording: Recording
    channel: int | None
    start_sec: float
    total_sec: float | None
    rate_hz: int = 0
    codec: str = ""
    is_lossy: bool = False


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
    def span_sec(self) -> tuple[float, float]:
        """Where the segment begins and ends."""
        return self.segment.start_sec, self.segment.start_sec + self.quality.duration_sec

    @property
    def is_whole(self) -> bool:
        """Whether the segment is the whole recording."""
        (start_sec, end_sec), total_sec = self.span_sec, self.segment.total_sec
        return not start_sec and total_sec is not None and end_sec >= total_sec - 1e-3

    @property
    def decision(self) -> str | None:
        """`genuine` or `replayed`; None without an LLR."""
        return None if self.llr is None else self.policy.decide(self.llr)

    @property
    def posterior(self) -> float | None:
        """Probability that the segment is genuine; None without an LLR."""
        return None if self.llr is None else self.policy.posterior(self.llr)

    def to_json(self) -> dict[str, Any]:
        """The judgement as `--format=jsonl` writes it."""
        segment = self.segment
        record = {
            **segment.recording._asdict(),
            "channel": segment.channel,
            "start_sec": segment.start_sec,
            "total_sec": segment.total_sec,
            "rate_hz": segment.rate_hz,
            "codec": segment.codec,
            "is_lossy": segment.is_lossy,
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


def judge(model: Model, recording: Recording, options: DetectOptions) -> Iterator[Judgement]:
    """Judge each window and channel of a recording, as soon as it has been read.

    Raises
    ------
    SdError
        If the sound cannot be read, has too low a rate, or lacks the channel.
    """
    path = recording.file
    windows = read_windows(
        path,
        options.window_sec,
        options.allow_pipes,
        shift_sec=options.shift_sec,
        raw=parse_raw(options.raw) if options.raw else None,
    )
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
            facts = window.rate_hz, window.codec, window.is_lossy
            segment = Segment(recording, index, window.start_sec, window.total_sec, *facts)
            samples = window.samples[:, channel]
            yield _judge_segment(model, segment, samples, window.rate_hz, options)


def judge_at_once(
    model: Model, recording: Recording, options: DetectOptions
) -> Iterator[Judgement]:
    """Do the same as `judge`, but now, in the thread that calls; an error comes in its place."""
    judgements: list[Judgement] = []
    error = None
    try:
        for judgement in judge(model, recording, options):
            judgements.append(judgement)
    except (ValueError, OSError, ArithmeticError) as e:
        error = e

    def given() -> Iterator[Judgement]:
        yield from judgements
        if error:
            raise error

    return given()


def find_all_doubts(model: Model, quality: Quality, rate_hz: int, codec: str) -> list[str]:
    """What to doubt in a score of this model, for a recording of this rate and lossy codec."""
    doubts = find_doubts(quality, model.sample_rate_hz, codec, model.recordings)
    further = model.doubt_of_rate(rate_hz), model.doubt_of_silence(quality.digital_silence)
    return [*doubts, *filter(None, further)]


def _judge_segment(
    model: Model, segment: Segment, samples: np.ndarray, rate_hz: int, options: DetectOptions
) -> Judgement:
    """Judge samples (num_samples,) unless they cannot be used."""
    quality = measure(samples, rate_hz)
    doubts = find_all_doubts(model, quality, rate_hz, segment.codec if segment.is_lossy else "")
    if model.deployment and (failures := model.deployment.failures):
        doubts.append(f"the model's calibration failed its eval ({failures[0]})")
    llr = None
    if not quality.unusable_reason:
        try:
            llr = model.score_unchecked(samples, rate_hz)
        except ValueError as error:
            raise as_sd_error(error).within(segment.recording.file) from error
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


class Summary:
    """What the windows of one recording say together."""

    def __init__(self) -> None:
        self.num_windows = self.num_scored = self.num_genuine = 0
        self.last: Judgement | None = None
        self.lowest: Judgement | None = None
        self.lowest_llr = math.inf

    @property
    def is_of_several(self) -> bool:
        """Whether there are several windows, one after the other."""
        return self.last is not None and self.last.segment.start_sec > 0

    def add(self, judgement: Judgement) -> None:
        """Take one more window into account."""
        self.num_windows += 1
        self.last = judgement
        if judgement.llr is None:
            return
        self.num_scored += 1
        self.num_genuine += judgement.decision == "genuine"
        if judgement.llr < self.lowest_llr:
            self.lowest, self.lowest_llr = judgement, judgement.llr

    def line(self, name: str) -> str:
        """One line of words; `name` is the recording's."""
        if self.lowest is None:
            return f"{name}: none of {self.num_windows} windows could be judged"
        return (
            f"{name}: {self.num_genuine} of {self.num_scored} judged windows genuine, "
            f"{self.num_windows - self.num_scored} without score; "
            f"lowest LLR {self.lowest_llr:+.2f} at {_clock(self.lowest.segment.start_sec)}"
        )


def _place(judgement: Judgement) -> str:
    """Name of the recording, and channel and time if there are several."""
    segment, (start_sec, end_sec) = judgement.segment, judgement.span_sec
    channel = "" if segment.channel is None else f" [channel {segment.channel}]"
    time = "" if judgement.is_whole else f" {_clock(start_sec)}-{_clock(end_sec)}"
    return f"{segment.recording.name}{channel}{time}"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    Examples
    --------
    >>> _clock(3725.04)
    '1:02:05.0'
    """
    seconds = round(seconds, 1)
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{seconds % 60:04.1f}"
