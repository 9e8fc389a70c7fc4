"""What a recording is like, before a detector is asked about it: where it has no say, and what to doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FRAME_SEC = 0.02
SILENCE_DBFS = -70.0
MIN_SEC, SHORT_SEC = 0.2, 1.0
MIN_SPEECH_SHARE, LOW_SPEECH_SHARE = 0.02, 0.2
QUIET_DBFS = -50.0
MAX_CLIPPED = 0.001
BAND_DB = -60.0
NARROW_SHARE = 0.7


@dataclass(frozen=True)
class Quality:
    """Figures of one recording; levels in dB relative to full scale."""

    duration_sec: float
    level_dbfs: float
    clipped: (
        float  # share of samples in runs of three or more at the peak, if that is near full scale
    )
    sounding: float  # share of frames of 20 ms above SILENCE_DBFS
    bandwidth_hz: float  # highest frequency within BAND_DB of the strongest

    @property
    def no_say(self) -> str:
        """Why the recording cannot be judged; empty if it can."""
        if self.duration_sec < MIN_SEC:
            return f"too short: {self.duration_sec:.2f} s, need {MIN_SEC:g} s"
        if self.sounding < MIN_SPEECH_SHARE:
            return f"silence: {100 * self.sounding:.0f} % of it is above {SILENCE_DBFS:g} dBFS"
        return ""

    def doubts(self, sample_rate_hz: int) -> list[str]:
        """What makes a score less reliable than those of the data that a model of this rate was tried on."""
        doubts = []
        if self.duration_sec < SHORT_SEC:
            doubts.append(f"short ({self.duration_sec:.2f} s)")
        if self.clipped > MAX_CLIPPED:
            doubts.append(f"clipped ({100 * self.clipped:.1f} % of samples)")
        if self.level_dbfs < QUIET_DBFS:
            doubts.append(f"quiet ({self.level_dbfs:.0f} dBFS)")
        if self.sounding < LOW_SPEECH_SHARE:
            doubts.append(f"mostly silence ({100 * self.sounding:.0f} % sounds)")
        if self.bandwidth_hz < NARROW_SHARE * sample_rate_hz / 2:
            doubts.append(f"narrow-band (nothing above {self.bandwidth_hz / 1000:.1f} kHz)")
        return doubts


def measure(samples: np.ndarray, rate_hz: int) -> Quality:
    """Quality of samples (num_samples,) within -1..1 at rate_hz.

    Notes
    -----
    The bandwidth is that of the mean power spectrum of frames of 32 ms, Hann windows; a file that was resampled from 8 kHz has nothing
    above 4 kHz but rounding (`test_quality.py::test_bandwidth`).
    """
    peak = np.abs(samples).max(initial=0)
    at_peak = np.abs(samples) >= 0.9999 * peak if peak > 0.5 else np.zeros(len(samples), bool)
    runs = at_peak[2:] & at_peak[1:-1] & at_peak[:-2]
    clipped = np.zeros(len(samples), bool)
    for shift in range(3):
        clipped[shift : shift + len(runs)] |= runs
    samples = samples - samples.mean() if len(samples) else samples  # an offset is no sound
    power = np.mean(samples**2) if len(samples) else 0.0
    size = max(1, int(FRAME_SEC * rate_hz))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    frame_power = (frames**2).mean(axis=1)
    window = 2 ** max(1, round(math.log2(0.032 * rate_hz)))
    num_windows = len(samples) // window
    spectrum = np.zeros(window // 2 + 1)
    for start in range(0, num_windows, 1024):
        part = samples[start * window : min(start + 1024, num_windows) * window].reshape(
            -1, window
        ) * np.hanning(window)
        spectrum += (np.abs(np.fft.rfft(part)) ** 2).sum(axis=0)
    in_band = np.flatnonzero(spectrum > spectrum.max() * 10 ** (BAND_DB / 10))
    return Quality(
        duration_sec=len(samples) / rate_hz,
        level_dbfs=float(10 * np.log10(max(power, 1e-20))),
        clipped=float(clipped.mean()) if len(samples) else 0.0,
        sounding=float((frame_power > 10 ** (SILENCE_DBFS / 10)).mean()) if len(frames) else 0.0,
        bandwidth_hz=float(in_band[-1] * rate_hz / window) if len(in_band) else 0.0,
    )
