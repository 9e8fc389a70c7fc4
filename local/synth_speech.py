"""Source-filter synthesiser of varied speakers: babble with the acoustics of speech.

Glottal pulses (Rosenberg, 1971) and breath pass formants that move from phone to phone; fricatives
and bursts are filtered noise. The phones belong to no language, and nothing can be understood.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, signal

Rng = np.random.Generator
Tracks = dict[str, np.ndarray]  # by name, shape (num_frames,)
RATE_HZ = 16000
HOP = 80  # samples, 5 ms: one frame of the tracks
FFT_SIZE = 10 * HOP  # the narrowest formant, 50 Hz, decays by 54 dB in the 40 ms after a frame
DELAY = np.exp(-2j * np.pi * np.arange(FFT_SIZE // 2 + 1) / FFT_SIZE)  # z^-1 at every bin
NUM_PHRASES = 10

# What a phone sets, and over how many frames it is smoothed into the next: coarticulation.
SMOOTHING = {
    "f1": 15,
    "f2": 15,
    "f3": 15,
    "voice": 11,
    "breath": 7,
    "frication": 3,
    "centre": 5,
    "bandwidth": 5,
    "nasal": 5,
    "stress": 31,
}
SILENT: dict[str, float] = {
    "f1": 500,
    "f2": 1500,
    "f3": 2500,
    "voice": 0,
    "breath": 0,
    "frication": 0,
    "centre": 3000,
    "bandwidth": 3000,
    "nasal": 0,
}

# F1, F2, F3 in Hz of a vocal tract of 17.5 cm
VOWELS = [
    (290, 2250, 2950),
    (420, 2050, 2650),
    (560, 1800, 2500),
    (690, 1650, 2450),
    (730, 1150, 2450),
]
VOWELS += [
    (560, 850, 2450),
    (430, 800, 2400),
    (320, 850, 2300),
    (500, 1450, 2450),
    (300, 1750, 2200),
]
GLIDES = [(360, 1300, 2700), (420, 1300, 1600), (300, 700, 2200), (270, 2200, 3000)]
NASALS = [(270, 1000, 2200), (270, 1400, 2400), (270, 1900, 2700)]
# Formants, then centre and bandwidth of the noise in Hz; for fricatives also the amplitudes of
# noise and voice
STOPS = [
    ((250, 800, 2200), 900, 1200),
    ((250, 1750, 2650), 4000, 2500),
    ((250, 2100, 2300), 2000, 900),
]
FRICATIVES = [
    ((340, 1000, 2300), 6000, 6000, 0.25, 0.0),
    ((300, 1700, 2600), 6200, 1800, 0.8, 0.0),
    ((300, 1800, 2500), 3200, 1500, 0.7, 0.0),
    ((300, 1000, 2300), 5000, 6000, 0.15, 0.4),
    ((280, 1700, 2600), 5800, 2000, 0.4, 0.4),
]


@dataclass(frozen=True)
class Speaker:
    """What is the same in all utterances of a speaker.

    The shares are of the glottal cycle, of its length and of its amplitude.
    """

    f0_hz: float
    f0_range_octaves: float
    tract_scale: float  # of the formants' frequencies
    high_formants_hz: tuple[float, ...]
    bandwidth_scale: float
    open_share: float
    jitter_share: float
    shimmer_share: float
    tilt_hz: float
    breathiness: float
    rate: float


def draw_speaker(rng: Rng) -> Speaker:
    """Draw a speaker: women and men, slow and fast, bright and dull, clear and breathy."""
    woman = rng.random() < 0.5
    scale = rng.normal(1.16 if woman else 1.0, 0.05)
    return Speaker(
        f0_hz=(205 if woman else 118) * np.exp(rng.normal(0, 0.14)),
        f0_range_octaves=rng.uniform(0.15, 0.5),
        tract_scale=scale,
        high_formants_hz=tuple(scale * (np.array([3500, 4500, 5500]) + rng.normal(0, 120, 3))),
        bandwidth_scale=rng.uniform(0.8, 1.5),
        open_share=rng.uniform(0.5, 0.8),
        jitter_share=rng.uniform(0.003, 0.012),
        shimmer_share=rng.uniform(0.02, 0.08),
        tilt_hz=np.exp(rng.uniform(np.log(1500), np.log(6000))),
        breathiness=rng.uniform(0.02, 0.15),
        rate=rng.uniform(0.85, 1.2),
    )


def synthesise(speaker: Speaker, phrase: int, rng: Rng) -> np.ndarray:
    """One utterance at 16 kHz.

    Parameters
    ----------
    phrase
        The same number gives the same phones.
    rng
        How it is said this time.

    Returns
    -------
    np.ndarray
        Shape (num_samples,): two to four seconds of any level, with up to 0.3 s of silence at
        either end.
    """
    tracks = _tracks(speaker, _phones(phrase, rng), rng)
    pulses, flow = _glottis(speaker, tracks["stress"], rng)
    voice, breath, frication = (
        np.repeat(tracks[name], HOP) for name in ("voice", "breath", "frication")
    )
    throat_noise, mouth_noise = rng.standard_normal((2, len(pulses)))
    throat = voice * pulses + (speaker.breathiness * voice * flow + 0.4 * breath) * throat_noise
    return _vocal_tract(speaker, tracks, throat, 1.2 * frication * mouth_noise)


def _phones(phrase: int, rng: Rng) -> list[dict[str, float]]:
    """Phones of a phrase with duration "sec" and targets.

    Only the silences around the phrase are new each time.
    """
    fixed = np.random.default_rng(phrase)
    num_syllables = fixed.integers(8, 12)
    pause_after = fixed.integers(3, num_syllables - 2)
    phones: list[dict[str, float]] = [SILENT | {"sec": rng.uniform(0.08, 0.3), "stress": 0}]

    def add(sec: float, formants: Sequence[float], **targets: float) -> None:
        phones.append(
            SILENT
            | dict(zip(("f1", "f2", "f3"), formants))
            | {"sec": sec, "stress": stress}
            | targets
        )

    for i in range(num_syllables):
        stress = fixed.choice([-0.5, 0, 1])
        vowel = VOWELS[fixed.integers(len(VOWELS))]
        onset = fixed.choice(
            ["t", "d", "s", "n", "l", "h", ""], p=[0.22, 0.14, 0.24, 0.14, 0.14, 0.06, 0.06]
        )
        if onset in ("t", "d"):
            formants, centre, bandwidth = STOPS[fixed.integers(len(STOPS))]
            noise = {"centre": centre, "bandwidth": bandwidth}
            add(0.06, formants, voice=0.12 if onset == "d" else 0)
            add(0.01, formants, frication=1, **noise)
            add(0.005 if onset == "d" else 0.03, formants, breath=0.5, frication=0.1, **noise)
        elif onset == "s":
            formants, centre, bandwidth, frication, voice = FRICATIVES[
                fixed.integers(len(FRICATIVES))
            ]
            noise = {"centre": centre, "bandwidth": bandwidth, "frication": frication}
            add(fixed.uniform(0.07, 0.13), formants, voice=voice, breath=0.05, **noise)
        elif onset == "n":
            add(0.07, NASALS[fixed.integers(len(NASALS))], voice=0.5, nasal=1)
        elif onset == "l":
            add(0.06, GLIDES[fixed.integers(len(GLIDES))], voice=0.6)
        elif onset == "h":
            add(0.06, vowel, breath=0.6)
        add(fixed.uniform(0.07, 0.13) * (1.4 if stress > 0 else 1), vowel, voice=1 + 0.3 * stress)
        if fixed.random() < 0.25:
            add(0.06, NASALS[fixed.integers(len(NASALS))], voice=0.45, nasal=1)
        if i == pause_after:
            add(fixed.uniform(0.08, 0.3), vowel)
    return [*phones, SILENT | {"sec": rng.uniform(0.08, 0.3), "stress": 0}]


def _tracks(speaker: Speaker, phones: list[dict[str, float]], rng: Rng) -> Tracks:
    """Targets of the phones, in the speaker's time and vocal tract, as smooth tracks."""
    sec = (
        np.array([phone["sec"] for phone in phones])
        * np.exp(rng.normal(0, 0.15, len(phones)))
        / speaker.rate
    )
    num_frames = np.maximum(1, np.round(sec * RATE_HZ / HOP)).astype(int)
    tracks = {}
    for name, width in SMOOTHING.items():
        targets = np.array([phone[name] for phone in phones], dtype=float)
        if name in ("f1", "f2", "f3"):
            targets *= speaker.tract_scale * np.exp(rng.normal(0, 0.05, len(phones)))
        elif name in ("voice", "breath", "frication"):
            targets *= np.exp(rng.normal(0, 0.3, len(phones)))
        tracks[name] = _smooth(np.repeat(targets, num_frames), width)
    return tracks


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    """Weighted mean over an odd number of frames."""
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), window / window.sum(), "valid")


def _glottis(speaker: Speaker, stress: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the glottal flow, of unit RMS, and the flow, 0 to 1; shape (num_samples,)."""
    time = np.linspace(0, 1, len(stress))
    octaves = speaker.f0_range_octaves * (
        0.5 - time + 0.5 * stress + 0.6 * _smooth(rng.standard_normal(len(time)), 41)
    )
    cycles = np.cumsum(speaker.f0_hz * 2 ** np.repeat(octaves, HOP)) / RATE_HZ
    marks = np.arange(int(cycles[-1]) + 2)
    cycles += np.interp(cycles, marks, speaker.jitter_share * rng.standard_normal(len(marks)))
    cycle = np.clip(cycles.astype(int), 0, marks[-1])
    phase = (cycles - np.floor(cycles)) / speaker.open_share
    flow = np.where(
        phase < 0.65,
        0.5 - 0.5 * np.cos(np.pi * phase / 0.65),
        np.cos(np.pi / 2 * (np.minimum(phase, 1) - 0.65) / 0.35),
    )
    pulses = (
        np.diff(flow, prepend=0)
        * (1 + speaker.shimmer_share * rng.standard_normal(len(marks)))[cycle]
    )
    pole = np.exp(-2 * np.pi * speaker.tilt_hz / RATE_HZ)
    pulses = signal.lfilter([1 - pole], [1, -pole], pulses)
    return pulses / np.sqrt(np.mean(pulses**2)), flow


def _vocal_tract(
    speaker: Speaker, tracks: Tracks, throat: np.ndarray, mouth: np.ndarray
) -> np.ndarray:
    """Sum of the sources in throat and mouth, each through filters that move with the tracks."""
    window = signal.windows.hann(2 * HOP, sym=False)
    throat, mouth = (
        np.lib.stride_tricks.sliding_window_view(np.pad(x, (HOP, 0)), 2 * HOP)[::HOP]
        for x in (throat, mouth)
    )
    out = np.zeros((len(throat) + FFT_SIZE // HOP, HOP))
    for i in range(0, len(throat), 32):  # overlap-add; few frames at a time stay in the cache
        here = {name: track[i : i + 32] for name, track in tracks.items()}
        spectra = fft.rfft(throat[i : i + 32] * window, FFT_SIZE) * _throat_response(speaker, here)
        spectra += fft.rfft(mouth[i : i + 32] * window, FFT_SIZE) * _frication_response(here)
        blocks = fft.irfft(spectra).reshape(len(spectra), -1, HOP)
        for k in range(blocks.shape[1]):
            out[i + k : i + k + len(blocks)] += blocks[:, k]
    return out[1 : len(throat) + 1].ravel()


def _throat_response(speaker: Speaker, tracks: Tracks) -> np.ndarray:
    """Formants in cascade, shape (num_frames, num_bins); nasals: wider, and an antiformant."""
    inverse = _inverse_resonator(1200 * speaker.tract_scale, 150)
    response = 1 + tracks["nasal"][:, None] * (inverse - 1)
    for f_hz in speaker.high_formants_hz:
        response = response / _inverse_resonator(f_hz, 0.06 * f_hz * speaker.bandwidth_scale)
    for name, bandwidth_hz in (("f1", 60), ("f2", 90), ("f3", 130)):
        response /= _inverse_resonator(
            tracks[name], bandwidth_hz * speaker.bandwidth_scale * (1 + tracks["nasal"])
        )
    return response


def _frication_response(tracks: Tracks) -> np.ndarray:
    """One broad resonance, of unit gain at its pole's angle, and a zero at 0 Hz.

    Shape (num_frames, num_bins).
    """
    turn = np.exp(-2j * np.pi * tracks["centre"][:, None] / RATE_HZ)
    return (1 - DELAY) / _inverse_resonator(tracks["centre"], tracks["bandwidth"], turn)


def _inverse_resonator(
    f_hz: float | np.ndarray, bandwidth_hz: float | np.ndarray, unit_at: float | np.ndarray = 1
) -> np.ndarray:
    """1 / H of two-pole resonators, shape (num_frames or 1, num_bins).

    |H| is 1 at the z^-1 `unit_at`, by default at 0 Hz.
    """
    pole = np.exp(np.pi * np.atleast_1d(2j * f_hz - bandwidth_hz) / RATE_HZ)[:, None]
    return (
        (1 - pole * DELAY)
        * (1 - pole.conj() * DELAY)
        / np.abs((1 - pole * unit_at) * (1 - pole.conj() * unit_at))
    )
