"""What rooms, loudspeakers and microphones do to samples.

Samples are mono, full scale is 1. Every step keeps the number of samples and the RMS level, and has
the direct sound at delay zero. So neither level nor length nor timing separates a replayed
recording from a live one.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads its parts at their first use, so --help does not wait for them

from sdtools.errors import SdError
from sdtools.features.samples import check_samples
from sdtools.replay.devices import Chain, Loudspeaker, Microphone, Recording, Room

PEAK_LIMIT = 0.99  # louder results are scaled down to this peak, never clipped


def room_response(room: Room, rate_hz: int) -> np.ndarray:
    """Impulse response of a room: the direct sound, then Gaussian noise that decays exponentially.

    Returns
    -------
    np.ndarray
        Shape (num_taps,). The first tap is 1; the energy of the others is 10^(-drr_db/10), exactly.

    Notes
    -----
    The tail is the model of Polack (1988).
    """
    start = max(1, round(room.predelay_sec * rate_hz))
    t = np.arange(max(1, round(room.rt60_sec * rate_hz))) / rate_hz
    tail = np.random.default_rng(room.seed).standard_normal(len(t)) * 10 ** (-3 * t / room.rt60_sec)
    response = np.zeros(start + len(t))
    response[0] = 1.0
    response[start:] = tail * np.sqrt(10 ** (-room.drr_db / 10) / np.sum(tail**2))
    return response


def record(
    samples: np.ndarray, rate_hz: int, recording: Recording, rng: np.random.Generator
) -> np.ndarray:
    """Record a sound in a room by a microphone, with background noise.

    Parameters, result and errors are those of `replay`.
    """
    samples = check_audible(samples)
    response = room_response(recording.room, rate_hz)
    sound = scipy.signal.fftconvolve(samples, response)[: len(samples)]
    noise = _noise(len(sound), rate_hz, recording.noise_slope_db, rng)
    sound += noise * _rms(sound) * 10 ** (-recording.snr_db / 20)
    filters = device_filters(recording.microphone, rate_hz, low_order=1)
    return _same_level(scipy.signal.sosfilt(filters, sound), samples)


def play(samples: np.ndarray, rate_hz: int, loudspeaker: Loudspeaker) -> np.ndarray:
    """Play a sound by a loudspeaker; the result is that on its axis in free field.

    Parameters, result and errors are those of `replay`.

    Notes
    -----
    The force is u (1 + a2 u - a3 u^2 - loss d^2) for drive u and excursion d; the linear part
    follows. All terms are of third degree or less and computed at twice the sample rate, so nothing
    folds back below half the original one: a sine gains its stated harmonics and nothing else.
    """
    samples = check_audible(samples)
    num_samples = scipy.fft.next_fast_len(len(samples), real=True)
    drive = scipy.fft.irfft(scipy.fft.rfft(samples, num_samples), 2 * num_samples)
    drive /= np.max(np.abs(drive))
    second, third = loudspeaker.thd2_percent / 100, loudspeaker.thd3_percent / 100
    low_pass = scipy.signal.butter(2, loudspeaker.low_hz, fs=2 * rate_hz, output="sos")
    excursion = scipy.signal.sosfilt(low_pass, drive)
    gain = 1 + (2 * second * drive - 4 * third * drive**2) / (1 + 3 * third)
    force = drive * (gain - loudspeaker.force_loss * excursion**2)
    force = scipy.fft.irfft(scipy.fft.rfft(force)[: num_samples // 2 + 1], num_samples)
    force = force[: len(samples)]
    response = loudspeaker.impulse_response
    if response is None:
        sound = scipy.signal.sosfilt(device_filters(loudspeaker, rate_hz, low_order=2), force)
    else:
        start = int(np.argmax(np.abs(response)))
        sound = scipy.signal.fftconvolve(force, response)[start : start + len(samples)]
    return _same_level(sound, samples)


def replay(samples: np.ndarray, rate_hz: int, chain: Chain, rng: np.random.Generator) -> np.ndarray:
    """Record a sound (unless it is a recording already), play it, and record it again.

    Parameters
    ----------
    samples
        Shape (num_samples,), full scale is 1.
    rate_hz
        Sample rate.
    rng
        Draws the noises.

    Returns
    -------
    np.ndarray
        Shape (num_samples,). Same RMS as the input, scaled down where its peak would pass 0.99.

    Raises
    ------
    SdError
        If the samples are not one finite channel with sound.
    """
    first = samples if chain.first is None else record(samples, rate_hz, chain.first, rng)
    second = record(play(first, rate_hz, chain.loudspeaker), rate_hz, chain.second, rng)
    return _same_level(second, check_audible(samples))


def device_filters(device: Loudspeaker | Microphone, rate_hz: int, low_order: int) -> np.ndarray:
    """Second-order sections of a device's band limits and resonances, shape (num_sections, 6)."""
    sections = [scipy.signal.butter(low_order, device.low_hz, "highpass", fs=rate_hz, output="sos")]
    if device.high_hz < rate_hz / 2:
        sections.append(scipy.signal.butter(2, device.high_hz, fs=rate_hz, output="sos"))
    for bump in device.resonances:
        if bump.centre_hz < rate_hz / 2:
            # H(s) = (s^2 + g s/q + 1) / (s^2 + s/q + 1) by the bilinear transform
            k, gain = np.tan(np.pi * bump.centre_hz / rate_hz), 10 ** (bump.gain_db / 20)
            b, a = (
                [1 + g * k / bump.q + k**2, 2 * k**2 - 2, 1 - g * k / bump.q + k**2]
                for g in (gain, 1)
            )
            sections.append(np.divide([[*b, *a]], a[0]))
    return np.concatenate(sections)


def _noise(num_samples: int, rate_hz: int, slope_db: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of unit RMS, level below 50 Hz and sloping above."""
    size = scipy.fft.next_fast_len(num_samples, real=True)
    octaves = np.log2(np.maximum(scipy.fft.rfftfreq(size, 1 / rate_hz), 50))
    spectrum = scipy.fft.rfft(rng.standard_normal(size)) * 10 ** (slope_db * octaves / 20)
    noise = scipy.fft.irfft(spectrum, size)[:num_samples]
    return noise / _rms(noise)


def _rms(samples: np.ndarray) -> np.floating:
    return np.sqrt(np.mean(np.square(samples)))


def _same_level(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Samples at the RMS level of the reference, or lower where their peak would pass the limit."""
    return samples * min(_rms(reference) / _rms(samples), PEAK_LIMIT / np.max(np.abs(samples)))


def check_audible(samples: np.ndarray) -> np.ndarray:
    """Samples in float64; refuses silence, and all that `check_samples` refuses."""
    samples = check_samples(samples)
    if not samples.any():
        raise SdError("samples", "they are digital silence", hint="Leave this recording out")
    return samples
