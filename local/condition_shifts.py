#!/usr/bin/env python3
"""Print how far codecs, bands, levels, silence, lengths and rates move the LLRs of a model.

Each recording is judged as it is and under each condition. The table shows the median shift of the
LLR, the median and the 90th percentile of its size, the share of changed decisions, and the share
of recordings that sd-detect doubts.

Example: local/condition_shifts.py exp/fusion/model scp:data/eval/wav.scp
"""

import itertools
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.signal import firwin, lfilter
from script import Script, whole_number

from sdtools.audio.decoding import load_audio
from sdtools.detect.detection import find_all_doubts
from sdtools.detect.model import load_model
from sdtools.detect.quality import measure
from sdtools.detect.recordings import find_recordings
from sdtools.errors import SdError
from sdtools.replay.simulation import CODECS, resample, store

Samples = np.ndarray
LOSSY = {"mp3": "mp3", "ogg": "vorbis", "opus": "opus", "g711": "alaw"}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(compare, argv)


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument(
        "--num", type=whole_number, default=40, help="recordings to take (%(default)s)"
    )
    script.add_argument("model", help="model directory")
    script.add_argument("recordings", nargs="+", help="sound files, folders or scp:<script-file>")
    return script


def compare(args: Namespace) -> None:
    """Judge each recording under each condition, print the table."""
    model = load_model(args.model)
    rate_hz = model.sample_rate_hz
    llrs: dict[str, list[float]] = {}
    are_doubted: dict[str, list[bool]] = {}
    for recording in itertools.islice(find_recordings(args.recordings)[0], args.num):
        samples, own_hz = load_audio(recording.file, channel=0)
        if own_hz != rate_hz:
            raise SdError(recording.file, "sample rate", got=f"{own_hz} Hz", need=f"{rate_hz} Hz")
        for name, changed, changed_hz in conditions(samples, rate_hz):
            llrs.setdefault(name, []).append(model.score_unchecked(changed, changed_hz))
            codec = LOSSY.get(name.removeprefix("codec "), "")
            doubts = find_all_doubts(model, measure(changed, changed_hz), changed_hz, codec)
            are_doubted.setdefault(name, []).append(bool(doubts))
    if not llrs:
        raise SdError("recordings", got="none", need="one or more")
    before = np.array(llrs.pop("as it is"))
    print(f"{len(before)} recordings, LLR {np.median(before):+.2f} in the median")
    doubted = np.mean(are_doubted["as it is"])
    print(f"as they are, sd-detect doubts {doubted:.0%} of them")
    print("\n| condition | median shift | median size | 90 % size | decisions changed | doubted |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, values in llrs.items():
        shift = np.array(values) - before
        size, high = np.percentile(np.abs(shift), [50, 90])
        changed = np.mean((np.array(values) >= 0) != (before >= 0))
        words = f"{np.median(shift):+.2f} | {size:.2f} | {high:.2f} | {changed:.0%}"
        print(f"| {name} | {words} | {np.mean(are_doubted[name]):.0%} |")


def conditions(samples: Samples, rate_hz: int) -> Iterator[tuple[str, Samples, int]]:
    """Names, samples and sample rates of a recording under each condition."""
    yield "as it is", samples, rate_hz
    changes: dict[str, Callable[[Samples], Samples]] = {}
    for codec in CODECS[1:]:
        changes[f"codec {codec}"] = lambda x, codec=codec: store(x, rate_hz, codec)
    for band_hz in (7000, 6000, 5000, 3400):
        changes[f"nothing above {band_hz / 1000:g} kHz"] = lambda x, hz=band_hz: lfilter(
            firwin(255, hz, fs=rate_hz), 1, x
        )
    for level_db in (-20, -40, -50, -60):
        changes[f"level {level_db} dB, 16 bits"] = lambda x, db=level_db: (
            np.round(x * 10 ** (db / 20) * 32768) / 32768
        )
    for gain_db in (6, 12, 20):
        changes[f"clipped by {gain_db} dB"] = lambda x, db=gain_db: np.clip(
            x / np.abs(x).max() * 10 ** (db / 20), -1, 1
        )
    for zeros_sec in (0.1, 0.25, 0.5, 1):
        changes[f"{zeros_sec:g} s of zeros on both sides"] = lambda x, sec=zeros_sec: np.pad(
            x, int(sec * rate_hz)
        )
    for length_sec in (2, 1, 0.5):
        changes[f"first {length_sec:g} s"] = lambda x, sec=length_sec: x[: int(sec * rate_hz)]
    for name, change in changes.items():
        yield name, change(samples), rate_hz
    for other_hz in (22050, 44100, 48000):
        name = f"resampled to {other_hz / 1000:g} kHz and back"
        yield name, resample(samples, rate_hz, other_hz), other_hz


SCRIPT = command_line()

if __name__ == "__main__":
    main()
