"""What a recording is like before it is scored: whether it can be judged, and what to doubt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sdtools.errors import SdError
from sdtools.features.samples import num_frames
from sdtools.features.silence import FrameGrid, find_silence
from sdtools.scoring.json_files import Fields

FRAME_SEC = 0.02
SPECTRUM_SEC = 0.032
SILENCE_DBFS = -70.0
MIN_SEC, SHORT_SEC = 0.2, 1.0
MIN_SPEECH_SHARE, LOW_SPEECH_SHARE = 0.02, 0.2
QUIET_DBFS = -50.0
MAX_CLIPPED = 0.001
BAND_DB = -60.0
NARROW_SHARE = 0.7
RANGES = ("duration_sec", "level_dbfs", "bandwidth_hz")
USUAL_LEVEL_DB, USUAL_BAND = 25.0, 0.85  # below the training recordings, from which scores move


@dataclass(frozen=True)
class Quality:
    """Figures of one recording.

    Parameters
    ----------
    duration_sec
        Length.
    level_dbfs
        RMS level without the offset, in dB relative to full scale.
    clipped
        Share of the samples in runs of three or more at the peak, if that is near full scale.
    sounding
        Share of the frames of 20 ms above `SILENCE_DBFS`.
    bandwidth_hz
        Highest frequency within `BAND_DB` of the strongest.
    digital_silence
        Share of the frames of 20 ms every 10 ms that `find_silence` finds.
    """

    duration_sec: float
    level_dbfs: float
    clipped: float
    sounding: float
    bandwidth_hz: float
    digital_silence: float

    @property
    def unusable_reason(self) -> str:
        """Why the recording cannot be judged; empty if it can."""
        if self.duration_sec < MIN_SEC:
            return f"too short: {self.duration_sec:.2f} s, need {MIN_SEC:g} s"
        if self.digital_silence == 1:
            return "digital silence throughout"
        if self.sounding < MIN_SPEECH_SHARE:
            return f"silence: {100 * self.sounding:.0f} % of it is above {SILENCE_DBFS:g} dBFS"
        return ""


@dataclass(frozen=True)
class Ranges:
    """Figures of the recordings that a model was trained on: their 1st and 99th percentiles.

    A recording outside the range of either class is unusual, so a model has the common ranges.

    Parameters
    ----------
    num_recordings
        How many were measured.
    duration_sec, level_dbfs, bandwidth_hz
        As in `Quality`.
    codecs
        Lossy codecs among them.
    """

    num_recordings: int
    duration_sec: tuple[float, float]
    level_dbfs: tuple[float, float]
    bandwidth_hz: tuple[float, float]
    codecs: tuple[str, ...]

    @classmethod
    def of(cls, qualities: Sequence[Quality], codecs: Iterable[str]) -> Ranges:
        """Ranges of measured recordings.

        Examples
        --------
        >>> Ranges.of([Quality(s, -20.0, 0.0, 1.0, 7900.0, 0.0) for s in (2, 3)], []).duration_sec
        (2.01, 2.99)
        """
        pairs = {}
        for name in RANGES:
            low, high = np.percentile([getattr(quality, name) for quality in qualities], (1, 99))
            pairs[name] = (round(float(low), 3), round(float(high), 3))
        return cls(len(qualities), **pairs, codecs=tuple(sorted(set(codecs))))

    def common(self, other: Ranges) -> Ranges:
        """What is usual in both: a band that only replays have tells nothing of live speech."""
        pairs = {}
        for name in RANGES:
            (low, high), (low2, high2) = getattr(self, name), getattr(other, name)
            pairs[name] = (max(low, low2), min(high, high2))
        codecs = tuple(codec for codec in self.codecs if codec in other.codecs)
        return Ranges(self.num_recordings + other.num_recordings, **pairs, codecs=codecs)

    @classmethod
    def from_json(cls, fields: Fields) -> Ranges:
        """The ranges as model.json has them.

        Raises
        ------
        SdError
            If a field is missing or of another kind.
        """
        pairs = {}
        for name in RANGES:
            numbers = fields.numbers(name)
            if len(numbers) != 2:
                raise SdError(fields.place(name), got=f"{len(numbers)} numbers", need="2")
            pairs[name] = (numbers[0], numbers[1])
        codecs = tuple(fields.texts("codecs"))
        return cls(fields.integer("num_recordings"), **pairs, codecs=codecs)


def find_doubts(
    quality: Quality, sample_rate_hz: int, codec: str, usual: Ranges | None
) -> list[str]:
    """Why a score is less reliable than on recordings like the model's own.

    docs/conditions.md measures what each condition does to scores.

    Parameters
    ----------
    quality
        Of the recording.
    sample_rate_hz
        Of the model.
    codec
        Lossy codec of the recording; empty if there is none.
    usual
        Of the training recordings; None if they are unknown.
    """
    shortest_sec, quietest_dbfs = SHORT_SEC, QUIET_DBFS
    narrowest_hz = NARROW_SHARE * sample_rate_hz / 2
    codecs: tuple[str, ...] = ()
    of_length = of_level = of_band = of_codec = ""
    if usual:
        shortest_sec = usual.duration_sec[0]
        quietest_dbfs = usual.level_dbfs[0] - USUAL_LEVEL_DB
        usual_hz = min(usual.bandwidth_hz[0], sample_rate_hz / 2)
        narrowest_hz = USUAL_BAND * usual_hz
        codecs = usual.codecs
        of_codec = "; not in training"
        of_length = f"; in training {shortest_sec:.1f} s or more"
        of_level = f"; in training {usual.level_dbfs[0]:.0f} or more"
        of_band = f"; in training up to {usual_hz / 1000:.1f} kHz or more"
    doubts = []
    if quality.duration_sec < shortest_sec:
        doubts.append(f"short ({quality.duration_sec:.2f} s{of_length})")
    if quality.clipped > MAX_CLIPPED:
        doubts.append(f"clipped ({100 * quality.clipped:.1f} % of samples)")
    if quality.level_dbfs < quietest_dbfs:
        doubts.append(f"quiet ({quality.level_dbfs:.0f} dBFS{of_level})")
    if quality.sounding < LOW_SPEECH_SHARE:
        doubts.append(f"mostly silence ({100 * quality.sounding:.0f} % of it is sound)")
    if quality.bandwidth_hz < narrowest_hz:
        band = f"nothing above {quality.bandwidth_hz / 1000:.1f} kHz"
        doubts.append(f"narrow-band ({band}{of_band})")
    if codec and codec not in codecs:
        doubts.append(f"lossy codec ({codec}{of_codec})")
    return doubts


def measure(samples: np.ndarray, sample_rate_hz: int) -> Quality:
    """Measure a recording.

    Parameters
    ----------
    samples : (num_samples,)
        Within -1..1.
    sample_rate_hz
        Their rate.

    Notes
    -----
    The bandwidth is that of the mean power spectrum of frames of 32 ms with Hann windows. A file
    that was resampled from 8 kHz holds nothing but rounding noise above 4 kHz.

    Examples
    --------
    >>> sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> quality = measure(sine, 16000)
    >>> round(quality.level_dbfs, 2), quality.clipped, quality.unusable_reason
    (-9.03, 0.0, '')
    """
    if not len(samples):
        return Quality(0.0, -200.0, 0.0, 0.0, 0.0, 0.0)
    clipped = _are_clipped(samples).mean()
    samples = samples - samples.mean()
    size = max(1, int(FRAME_SEC * sample_rate_hz))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    is_sounding = (frames**2).mean(axis=1) > 10 ** (SILENCE_DBFS / 10)
    return Quality(
        duration_sec=len(samples) / sample_rate_hz,
        level_dbfs=float(10 * np.log10(max(np.mean(samples**2), 1e-20))),
        clipped=float(clipped),
        sounding=float(is_sounding.mean()) if len(frames) else 0.0,
        bandwidth_hz=_bandwidth_hz(samples, sample_rate_hz),
        digital_silence=_digital_silence(samples, max(2, size)),
    )


def _are_clipped(samples: np.ndarray) -> np.ndarray:
    """Which samples are in a run of three or more at a peak near full scale, (num_samples,)."""
    peak = np.abs(samples).max()
    at_peak = np.abs(samples) >= 0.9999 * peak if peak > 0.5 else np.zeros(len(samples), bool)
    runs = at_peak[2:] & at_peak[1:-1] & at_peak[:-2]
    clipped = np.zeros(len(samples), bool)
    for shift in range(3):
        clipped[shift : shift + len(runs)] |= runs
    return clipped


def _digital_silence(samples: np.ndarray, size: int) -> float:
    """Share of digital silence in frames of this size; 0 if the sound is too short."""
    grid = FrameGrid(size, size // 2)
    num = num_frames(len(samples), grid.length, grid.shift)
    return float(find_silence(samples, grid, num).mean()) if num else 0.0


def _bandwidth_hz(samples: np.ndarray, sample_rate_hz: int) -> float:
    """Highest frequency within `BAND_DB` of the strongest; 0 if the sound is too short."""
    size = 2 ** max(1, round(math.log2(SPECTRUM_SEC * sample_rate_hz)))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.zeros(size // 2 + 1)
    for start in range(0, len(frames), 1024):
        windowed = frames[start : start + 1024] * np.hanning(size)
        power += (np.abs(np.fft.rfft(windowed)) ** 2).sum(axis=0)
    in_band = np.flatnonzero(power > power.max() * 10 ** (BAND_DB / 10))
    return float(in_band[-1] * sample_rate_hz / size) if len(in_band) else 0.0
