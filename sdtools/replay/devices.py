"""Simulated replay: first room and microphone, loudspeaker, playback room, second microphone, noise.

Samples are mono, full scale is 1. Every step keeps the number of samples and the RMS level, and has the direct sound at delay zero, so
that neither level nor length nor timing tells a replayed recording from a live one. Devices check their figures: ValueError.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts at their first use: --help does not wait for them

PEAK_LIMIT = 0.99
"""Louder results are scaled down to this peak, never clipped."""


def _check(device, **bounds):
    """Raise unless every named figure of the device lies within its bounds."""
    for name, (low, high) in bounds.items():
        if not low <= getattr(device, name) <= high:
            got = f"{type(device).__name__}: {name}: got {getattr(device, name):g}"
            raise ValueError(
                f"{got}, need {low:g} to {high:g}. Set a figure that a device can have"
            )


@dataclass(frozen=True)
class Resonance:
    """One bump (positive gain) or notch (negative gain) of a frequency response."""

    centre_hz: float
    gain_db: float
    q: float


@dataclass(frozen=True)
class Loudspeaker:
    """Loudspeaker and amplifier; the loudest sample of a recording drives them to the stated distortion.

    Attributes
    ----------
    low_hz, high_hz : float
        -3 dB limits, 12 dB per octave outside; above half the sample rate `high_hz` does nothing. The cone resonates at `low_hz`.
    resonances : tuple of Resonance
        Cabinet and cone break-up.
    thd2_percent, thd3_percent : float
        Harmonics of a sine as large as the loudest sample, in percent of its fundamental; the third compresses. No memory.
    force_loss : float
        Share of the force on the cone that is lost at full excursion, 0 to 1. Excursion is the drive low-passed at `low_hz`, full at bass
        as large as the loudest sample: a non-linearity with memory, by which bass modulates all that is above it.
    impulse_response : sequence of float or None
        Measured at the sample rate in use; takes the place of `high_hz`, `resonances` and the high-pass at `low_hz`.
    """

    low_hz: float
    high_hz: float
    resonances: tuple[Resonance, ...] = ()
    thd2_percent: float = 0.0
    thd3_percent: float = 0.0
    force_loss: float = 0.0
    impulse_response: tuple[float, ...] | None = None

    def __post_init__(self):
        _check(
            self,
            low_hz=(1, 2000),
            high_hz=(1000, np.inf),
            thd2_percent=(0, 50),
            thd3_percent=(0, 30),
            force_loss=(0, 1),
        )
        if (
            self.impulse_response is not None
            and not 0 < np.max(np.abs(self.impulse_response)) < np.inf
        ):
            raise ValueError(
                "Loudspeaker: impulse_response: got silence, NaN or infinity, need a response. Leave this loudspeaker out"
            )


@dataclass(frozen=True)
class Room:
    """Room with source and microphone at fixed places."""

    rt60_sec: float  # in which the tail falls by 60 dB
    drr_db: float  # energy of the direct sound over that of the tail
    predelay_sec: float  # between the direct sound and the beginning of the tail
    seed: int  # which of all tails with these figures

    def __post_init__(self):
        _check(self, rt60_sec=(0.01, 10), drr_db=(-40, 200), predelay_sec=(0, 1))


@dataclass(frozen=True)
class Microphone:
    """Microphone and its recorder: -3 dB limits, 6 dB per octave below and 12 above, and bumps between."""

    low_hz: float
    high_hz: float
    resonances: tuple[Resonance, ...] = ()

    def __post_init__(self):
        _check(self, low_hz=(1, 2000), high_hz=(1000, np.inf))


@dataclass(frozen=True)
class Recording:
    """One act of recording."""

    room: Room
    microphone: Microphone
    snr_db: float  # energy of the sound, over the whole utterance, over that of the noise, both before the microphone
    noise_slope_db: float = -3.0  # per octave, above 50 Hz; 0 is white, -3 pink

    def __post_init__(self):
        _check(self, snr_db=(-40, 200), noise_slope_db=(-30, 30))


@dataclass(frozen=True)
class Chain:
    """A replay attack; `first` is None where the samples to be replayed are a recording already."""

    first: Recording | None
    loudspeaker: Loudspeaker
    second: Recording


def room_response(room, rate_hz):
    """Impulse response of a room: the direct sound, then Gaussian noise that decays exponentially.

    Parameters
    ----------
    room : Room
    rate_hz : float

    Returns
    -------
    ndarray, shape (num_taps,)
        First tap 1; the energy of the others is 10^(-drr_db/10), exactly.

    Notes
    -----
    The tail is the model of Polack (1988). Reverberation time and energy ratio hold: test_room_has_the_stated_decay_and_ratio.
    """
    start = max(1, round(room.predelay_sec * rate_hz))
    t = np.arange(max(1, round(room.rt60_sec * rate_hz))) / rate_hz
    tail = np.random.default_rng(room.seed).standard_normal(len(t)) * 10 ** (-3 * t / room.rt60_sec)
    response = np.zeros(start + len(t))
    response[0] = 1.0
    response[start:] = tail * np.sqrt(10 ** (-room.drr_db / 10) / np.sum(tail**2))
    return response


def record(samples, rate_hz, recording, rng):
    """Recording of a sound in a room by a microphone, with background noise; parameters and result as of `replay`.

    Raises
    ------
    ValueError
        If the samples are not one finite, non-silent channel in [-1, 1].
    """
    samples = _checked(samples)
    sound = scipy.signal.fftconvolve(samples, room_response(recording.room, rate_hz))[
        : len(samples)
    ]
    sound += (
        _noise(len(sound), rate_hz, recording.noise_slope_db, rng)
        * _rms(sound)
        * 10 ** (-recording.snr_db / 20)
    )
    return _same_level(
        scipy.signal.sosfilt(_filters(recording.microphone, rate_hz, low_order=1), sound), samples
    )


def play(samples, rate_hz, loudspeaker):
    """Sound of a loudspeaker, on its axis in free field; parameters and result as of `replay`.

    Raises
    ------
    ValueError
        If the samples are not one finite, non-silent channel in [-1, 1].

    Notes
    -----
    The linear part follows u (1 + a2 u - a3 u^2 - loss d^2): a polynomial of the drive u, and a force that falls with the excursion d.
    All terms are of third degree or less and are computed at twice the sample rate, so that nothing folds back below half the original
    one: a sine gains its stated harmonics and nothing else, test_sine_gains_the_stated_harmonics_and_nothing_else.
    """
    samples = _checked(samples)
    num_samples = scipy.fft.next_fast_len(len(samples), real=True)
    drive = scipy.fft.irfft(scipy.fft.rfft(samples, num_samples), 2 * num_samples)
    drive /= np.max(np.abs(drive))
    second, third = loudspeaker.thd2_percent / 100, loudspeaker.thd3_percent / 100
    excursion = scipy.signal.sosfilt(
        scipy.signal.butter(2, loudspeaker.low_hz, fs=2 * rate_hz, output="sos"), drive
    )
    gain = 1 + (2 * second * drive - 4 * third * drive**2) / (1 + 3 * third)
    force = drive * (gain - loudspeaker.force_loss * excursion**2)
    force = scipy.fft.irfft(scipy.fft.rfft(force)[: num_samples // 2 + 1], num_samples)[
        : len(samples)
    ]
    if loudspeaker.impulse_response is None:
        sound = scipy.signal.sosfilt(_filters(loudspeaker, rate_hz, low_order=2), force)
    else:
        start = int(np.argmax(np.abs(loudspeaker.impulse_response)))
        sound = scipy.signal.fftconvolve(force, loudspeaker.impulse_response)[
            start : start + len(samples)
        ]
    return _same_level(sound, samples)


def replay(samples, rate_hz, chain, rng):
    """Replayed copy of a sound: recorded (unless it is a recording already), played by a loudspeaker, recorded again.

    Parameters
    ----------
    samples : array_like, shape (num_samples,)
        In [-1, 1].
    rate_hz : float
    chain : Chain
    rng : numpy.random.Generator
        Draws the noises.

    Returns
    -------
    ndarray, shape (num_samples,)
        Same RMS as the input, scaled down where its peak would pass 0.99.

    Raises
    ------
    ValueError
        If the samples are not one finite, non-silent channel in [-1, 1].
    """
    first = samples if chain.first is None else record(samples, rate_hz, chain.first, rng)
    return _same_level(
        record(play(first, rate_hz, chain.loudspeaker), rate_hz, chain.second, rng),
        _checked(samples),
    )


def draw_loudspeaker(
    rng,
    low_hz=(120, 500),
    high_hz=(5000, 12000),
    thd_percent=(1, 6),
    force_loss=(0.1, 0.8),
    ripple_db=(2, 7),
):
    """Random Loudspeaker, uniform within the ranges (frequencies on a log scale): from telephone to desktop loudspeaker."""
    return Loudspeaker(
        low_hz=_log_uniform(rng, low_hz),
        high_hz=_log_uniform(rng, high_hz),
        resonances=_draw_resonances(
            rng, num=(3, 7), gain_db=ripple_db, q=(1.5, 8), centre_hz=(300, 7000)
        ),
        thd2_percent=rng.uniform(*thd_percent),
        thd3_percent=rng.uniform(*thd_percent),
        force_loss=rng.uniform(*force_loss),
    )


def draw_room(rng, rt60_sec=(0.15, 0.7), drr_db=(1, 15), predelay_sec=(0.001, 0.006)):
    """Random Room, uniform within the ranges (the reverberation time on a log scale): from a car to a large office."""
    return Room(
        _log_uniform(rng, rt60_sec),
        rng.uniform(*drr_db),
        rng.uniform(*predelay_sec),
        int(rng.integers(2**32)),
    )


def draw_microphone(rng, low_hz=(50, 250), high_hz=(6500, 16000), ripple_db=(1, 4)):
    """Random Microphone, uniform within the ranges (frequencies on a log scale): from headset to telephone."""
    resonances = _draw_resonances(
        rng, num=(1, 4), gain_db=ripple_db, q=(0.7, 3), centre_hz=(300, 7000)
    )
    return Microphone(_log_uniform(rng, low_hz), _log_uniform(rng, high_hz), resonances)


def _draw_resonances(rng, num, gain_db, q, centre_hz):
    return tuple(
        Resonance(
            _log_uniform(rng, centre_hz),
            rng.choice([-1, 1]) * rng.uniform(*gain_db),
            rng.uniform(*q),
        )
        for _ in range(rng.integers(num[0], num[1] + 1))
    )


def _log_uniform(rng, bounds):
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _filters(device, rate_hz, low_order):
    """Second-order sections of a device's band limits and resonances."""
    sections = [scipy.signal.butter(low_order, device.low_hz, "highpass", fs=rate_hz, output="sos")]
    if device.high_hz < rate_hz / 2:
        sections.append(scipy.signal.butter(2, device.high_hz, fs=rate_hz, output="sos"))
    for bump in device.resonances:
        if (
            bump.centre_hz < rate_hz / 2
        ):  # H(s) = (s^2 + g s/q + 1) / (s^2 + s/q + 1) by the bilinear transform
            k, gain = np.tan(np.pi * bump.centre_hz / rate_hz), 10 ** (bump.gain_db / 20)
            b, a = (
                [1 + g * k / bump.q + k**2, 2 * k**2 - 2, 1 - g * k / bump.q + k**2]
                for g in (gain, 1)
            )
            sections.append(np.divide([[*b, *a]], a[0]))
    return np.concatenate(sections)


def _noise(num_samples, rate_hz, slope_db, rng):
    """Gaussian noise of unit RMS, level below 50 Hz and sloping above."""
    size = scipy.fft.next_fast_len(num_samples, real=True)
    octaves = np.log2(np.maximum(scipy.fft.rfftfreq(size, 1 / rate_hz), 50))
    noise = scipy.fft.irfft(
        scipy.fft.rfft(rng.standard_normal(size)) * 10 ** (slope_db * octaves / 20), size
    )[:num_samples]
    return noise / _rms(noise)


def _rms(samples):
    return np.sqrt(np.mean(np.square(samples)))


def _same_level(samples, reference):
    """Samples at the RMS level of the reference, or lower where their peak would pass the limit."""
    return samples * min(_rms(reference) / _rms(samples), PEAK_LIMIT / np.max(np.abs(samples)))


def _checked(samples):
    """Samples in float64."""
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 1 or not len(samples):
        raise ValueError(
            f"replay: samples: got shape {samples.shape}, need (num_samples,). Choose one channel"
        )
    peak = np.max(np.abs(samples))
    if not 0 < peak <= 1:
        raise ValueError(
            f"replay: samples: got peak {peak:g}, need above 0 up to 1; likely digital silence, NaN or 16-bit integers."
            " Drop the utterance or divide by full scale"
        )
    return samples
