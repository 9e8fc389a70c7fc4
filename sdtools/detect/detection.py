"""Recordings through a model: what is judged, how, and what it means in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from sdtools.audio import decoding as audio
from sdtools.detect import quality
from sdtools.detect.model import Model
from sdtools.errors import SdError
from sdtools.scoring.json_files import to_word
from sdtools.tables.input import read_scp


@dataclass(frozen=True)
class DetectOptions:
    """How to decide, and what is taken."""

    threshold: str = field(
        default="eer",
        metadata={
            "help": "which of the model's thresholds decides; --info shows them",
            "choices": ("eer", "bayes", "false_alarm"),
        },
    )
    prior: float = field(
        default=0.5, metadata={"help": "probability that a recording is genuine before it is heard"}
    )
    channel: int | None = field(
        default=None, metadata={"help": "channel to judge, from 0; default: each"}
    )
    window_sec: float = field(
        default=30.0,
        metadata={"help": "longer recordings are judged in windows of this length at most"},
    )
    allow_pipes: bool = field(
        default=False,
        metadata={"help": "run the commands that stand in the lines of scp:<script-file>"},
    )
    allow_narrowband: bool = field(
        default=False, metadata={"help": "judge recordings of a lower rate than the model's, too"}
    )

    def __post_init__(self):
        if not 0 < self.prior < 1:
            raise ValueError(f"--prior: got {self.prior}, need more than 0 and less than 1")
        if not 1 <= self.window_sec <= 3600:
            raise ValueError(f"--window-sec: got {self.window_sec}, need 1 to 3600")


def expand(names: Sequence[str]) -> Iterator[str]:
    """The recordings that words of a command line stand for: sound files, those of a folder, lines of scp:<script-file>.

    Raises
    ------
    SdError
        A folder without sound files, a script file that cannot be read.
    """
    for name in names:
        if name.startswith("scp:"):
            yield from (value for _, value in read_scp(name[4:]))
        elif not name:
            raise SdError(
                "sound file: got an empty name, need a path. Is a variable of the shell empty?"
            )
        elif Path(name).is_dir():
            yield from map(str, audio.find_sounds(name))
        else:
            yield name


def judge(model: Model, path: str, options: DetectOptions) -> Iterator[dict]:
    """What there is to say of each window and channel of a recording: a path, or - for standard input.

    Raises
    ------
    SdError
        A sound that cannot be read, a rate below the model's, a channel that is not there.
    """
    for start_sec, total_sec, samples, rate_hz in audio.read_windows(
        path, options.window_sec, options.allow_pipes
    ):
        if rate_hz < model.sample_rate_hz and not options.allow_narrowband:
            need = f"{model.sample_rate_hz} or more, as the model was trained on. Say --allow-narrowband=true to judge it nevertheless"
            raise SdError(f"{path}: sample rate: got {rate_hz} Hz, need {need}")
        num_channels = samples.shape[1]
        if options.channel is not None and not 0 <= options.channel < num_channels:
            raise SdError(
                f"{path}: channel: got {options.channel}, need 0..{num_channels - 1}. Choose one that the sound has"
            )
        for channel in range(num_channels) if options.channel is None else [options.channel]:
            place = {
                "file": path,
                "channel": channel if num_channels > 1 else None,
                "start_sec": start_sec,
                "total_sec": total_sec,
            }
            yield {**place, **_judge_samples(model, samples[:, channel], rate_hz, options)}


def threshold_of(model: Model, name: str) -> float:
    """A threshold of the model.

    Raises
    ------
    ValueError
        The model has none of that name.
    """
    thresholds = model.about["thresholds"]["thresholds"]
    if name not in thresholds:
        raise ValueError(
            f"{model.path}: threshold: got {name}, need one of {' '.join(thresholds)}. Choose it"
        )
    return float(thresholds[name]["threshold"])


def _judge_samples(model: Model, samples: np.ndarray, rate_hz: int, options: DetectOptions) -> dict:
    """LLR, decision and posterior, or why there is none, and doubts."""
    measured = quality.measure(samples, rate_hz)
    doubts = measured.doubts(model.sample_rate_hz)
    if rate_hz != model.sample_rate_hz:
        from scipy.signal import resample_poly

        divisor = math.gcd(rate_hz, model.sample_rate_hz)
        samples = resample_poly(samples, model.sample_rate_hz // divisor, rate_hz // divisor)
        doubts.append(
            f"resampled from {rate_hz / 1000:g} kHz, whose filter the model has not heard"
        )
    result = {
        "llr": None,
        "decision": None,
        "posterior": None,
        "no_say": measured.no_say,
        "doubts": doubts,
        **asdict(measured),
    }
    if measured.no_say:
        return result
    llr = model.score(samples)
    threshold = threshold_of(model, options.threshold)
    log_odds = llr + math.log(options.prior) - math.log1p(-options.prior)
    posterior = 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
    decision = "genuine" if llr >= threshold else "replayed"
    return {
        **result,
        "llr": llr,
        "decision": decision,
        "posterior": posterior,
        "threshold": to_word(threshold),
        "prior": options.prior,
    }


def sentence(result: dict) -> str:
    """The judgement of a window and channel in a line of words."""
    place = _place(result)
    if result["no_say"]:
        return f"{place}: no score, {result['no_say']}"
    llr = result["llr"]
    times = f"{math.exp(abs(llr)):.3g}" if abs(llr) < 700 else "more than 1e+304"
    sure = f"{times} times as probable if {'spoken live' if llr >= 0 else 'replayed'}"
    numbers = f"LLR {llr:+.2f}, threshold {float(result['threshold']):+.2f}, P(genuine) {result['posterior']:.3f} at prior {result['prior']:g}"
    doubts = "".join(f"; {doubt}" for doubt in result["doubts"])
    return f"{place}: {result['decision']} ({numbers}): {sure}{doubts}"


def summary_line(results: Sequence[dict]) -> str:
    """What the windows of one recording say together."""
    judged = [result for result in results if result["llr"] is not None]
    if not judged:
        return f"{results[0]['file']}: none of {len(results)} windows could be judged"
    num_genuine = sum(result["decision"] == "genuine" for result in judged)
    lowest = min(judged, key=lambda result: result["llr"])
    return (
        f"{results[0]['file']}: {num_genuine} of {len(judged)} judged windows genuine, {len(results) - len(judged)} without score; "
        f"lowest LLR {lowest['llr']:+.2f} at {_clock(lowest['start_sec'])}"
    )


def _place(result: dict) -> str:
    """File, and channel and time where there are several."""
    channel = "" if result["channel"] is None else f" [channel {result['channel']}]"
    start, end = result["start_sec"], result["start_sec"] + result["duration_sec"]
    time = f" {_clock(start)}-{_clock(end)}" if start or end < result["total_sec"] - 1e-3 else ""
    return f"{result['file']}{channel}{time}"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    seconds = round(seconds, 1)
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{seconds % 60:04.1f}"
