"""Rooms, loudspeakers and microphones by their figures, and drawing them at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdtools.errors import SdError

Range = tuple[float, ...]  # the lower and the upper bound


def _check(device: object, **bounds: Range) -> None:
    """Refuse a figure of a device outside its bounds."""
    for name, (low, high) in bounds.items():
        value = getattr(device, name)
        if not low <= value <= high:
            who, need = type(device).__name__, f"{low:g} to {high:g}"
            raise SdError(who, name, got=f"{value:g}", need=need)


@dataclass(frozen=True)
class Resonance:
    """One bump (positive gain) or notch (negative gain) of a frequency response."""

    centre_hz: float
    gain_db: float
    q: float


@dataclass(frozen=True)
class Loudspeaker:
    """Loudspeaker with its amplifier. Distortion is that of the loudest sample of a recording.

    Parameters
    ----------
    low_hz, high_hz
        -3 dB limits, 12 dB per octave outside. The cone resonates at `low_hz`. `high_hz` has no
        effect above half the sample rate.
    resonances
        Those of cabinet and cone.
    thd2_percent, thd3_percent
        Second and third harmonic of a sine as large as the loudest sample, in percent of its
        fundamental. The third one compresses. Without memory.
    force_loss
        Share of the force on the cone that is lost at full excursion, 0 to 1. The excursion is the
        drive after a low-pass at `low_hz`; it is full for bass as large as the loudest sample. This
        is distortion with memory: bass modulates everything above it.
    impulse_response
        Measured at the sample rate in use. Replaces `high_hz`, `resonances` and the high-pass at
        `low_hz`.
    """

    low_hz: float
    high_hz: float
    resonances: tuple[Resonance, ...] = ()
    thd2_percent: float = 0.0
    thd3_percent: float = 0.0
    force_loss: float = 0.0
    impulse_response: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check(self, low_hz=(1, 2000), high_hz=(1000, np.inf), force_loss=(0, 1))
        _check(self, thd2_percent=(0, 50), thd3_percent=(0, 30))
        response = self.impulse_response
        if response is not None and not 0 < np.max(np.abs(response)) < np.inf:
            what, hint = "the impulse response is silent or not finite", "Remove this loudspeaker"
            raise SdError("Loudspeaker", what, hint=hint)


@dataclass(frozen=True)
class Room:
    """Room with source and microphone at fixed places.

    Parameters
    ----------
    rt60_sec
        Time in which the tail falls by 60 dB.
    drr_db
        Energy of the direct sound over that of the tail.
    predelay_sec
        Time between the direct sound and the beginning of the tail.
    seed
        Selects one of all tails with these figures.
    """

    rt60_sec: float
    drr_db: float
    predelay_sec: float
    seed: int

    def __post_init__(self) -> None:
        _check(self, rt60_sec=(0.01, 10), drr_db=(-40, 200), predelay_sec=(0, 1))


@dataclass(frozen=True)
class Microphone:
    """Microphone and its recorder: -3 dB limits, 6 dB per octave below, 12 above, resonances."""

    low_hz: float
    high_hz: float
    resonances: tuple[Resonance, ...] = ()

    def __post_init__(self) -> None:
        _check(self, low_hz=(1, 2000), high_hz=(1000, np.inf))


@dataclass(frozen=True)
class Recording:
    """One act of recording.

    Parameters
    ----------
    snr_db
        Energy of the sound over that of the noise, of the whole utterance, before the microphone.
    noise_slope_db
        Slope of the noise per octave above 50 Hz; 0 is white, -3 pink.
    """

    room: Room
    microphone: Microphone
    snr_db: float
    noise_slope_db: float = -3.0

    def __post_init__(self) -> None:
        _check(self, snr_db=(-40, 200), noise_slope_db=(-30, 30))


@dataclass(frozen=True)
class Chain:
    """A replay attack; `first` is None where the samples to replay are a recording already."""

    first: Recording | None
    loudspeaker: Loudspeaker
    second: Recording


def draw_loudspeaker(
    rng: np.random.Generator,
    *,
    low_hz: Range = (120, 500),
    high_hz: Range = (5000, 12000),
    thd_percent: Range = (1, 6),
    force_loss: Range = (0.1, 0.8),
    ripple_db: Range = (2, 7),
) -> Loudspeaker:
    """Draw a loudspeaker, from telephone to desktop.

    Figures are uniform within the ranges, frequencies on a logarithmic scale.
    """
    return Loudspeaker(
        low_hz=_log_uniform(rng, low_hz),
        high_hz=_log_uniform(rng, high_hz),
        resonances=_draw_resonances(rng, num=(3, 7), gain_db=ripple_db, q=(1.5, 8)),
        thd2_percent=uniform(rng, thd_percent),
        thd3_percent=uniform(rng, thd_percent),
        force_loss=uniform(rng, force_loss),
    )


def draw_room(
    rng: np.random.Generator,
    *,
    rt60_sec: Range = (0.15, 0.7),
    drr_db: Range = (1, 15),
    predelay_sec: Range = (0.001, 0.006),
) -> Room:
    """Draw a room, from a car to a large office; the reverberation time on a logarithmic scale."""
    return Room(
        _log_uniform(rng, rt60_sec),
        uniform(rng, drr_db),
        uniform(rng, predelay_sec),
        int(rng.integers(2**32)),
    )


def draw_microphone(
    rng: np.random.Generator,
    *,
    low_hz: Range = (50, 250),
    high_hz: Range = (6500, 16000),
    ripple_db: Range = (1, 4),
) -> Microphone:
    """Draw a microphone, from headset to telephone; frequencies on a logarithmic scale."""
    resonances = _draw_resonances(rng, num=(1, 4), gain_db=ripple_db, q=(0.7, 3))
    return Microphone(_log_uniform(rng, low_hz), _log_uniform(rng, high_hz), resonances)


def _draw_resonances(
    rng: np.random.Generator, num: tuple[int, int], gain_db: Range, q: Range
) -> tuple[Resonance, ...]:
    """Bumps and notches between 300 and 7000 Hz."""
    return tuple(
        Resonance(
            _log_uniform(rng, (300, 7000)),
            float(rng.choice([-1, 1])) * uniform(rng, gain_db),
            uniform(rng, q),
        )
        for _ in range(rng.integers(num[0], num[1] + 1))
    )


def uniform(rng: np.random.Generator, bounds: Range) -> float:
    """A number within bounds."""
    low, high = bounds
    return float(rng.uniform(low, high))


def _log_uniform(rng: np.random.Generator, bounds: Range) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))
