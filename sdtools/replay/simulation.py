"""Replay attacks drawn at random: devices, codec and noise of each copy, and the copy itself."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from math import gcd
from pathlib import Path

import numpy as np
import scipy  # loads its parts at their first use, so --help does not wait for them

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import code
from sdtools.audio.folder import find_sounds
from sdtools.errors import SdError, UsageError
from sdtools.replay.acoustics import check_audible, replay
from sdtools.replay.devices import (
    Chain,
    Loudspeaker,
    Microphone,
    Range,
    Recording,
    Room,
    draw_loudspeaker,
    draw_microphone,
    draw_room,
    uniform,
)

CODECS = ("none", "mp3", "ogg", "opus", "8k", "g711")
TELEPHONE_HZ = 8000
NOISE_SLOPE_DB = (-8, -2)  # per octave
LIVE_DRR_DB = (10, 25)  # people speak close to a telephone; a replay is recorded from farther away


@dataclass(frozen=True)
class SimulationOptions:
    """Number of copies and devices, and the ranges that they are drawn from."""

    copies: int = field(default=1, metadata={"help": "replayed copies of each recording"})
    seed: int = field(default=0, metadata={"help": "another seed gives other devices and copies"})
    num_devices: int = field(
        default=8, metadata={"help": "rooms, loudspeakers and microphones to draw from"}
    )
    loudspeaker_irs: str = field(
        default="",
        metadata={
            "help": "folder of measured impulse responses (sound files) that replace the linear "
            "part of the drawn loudspeakers"
        },
    )
    codecs: tuple[str, ...] = field(
        default=("none",),
        metadata={
            "help": "codecs of the stolen recording, one drawn for each copy; "
            "8k: band of a telephone; g711: A-law in that band",
            "choices": CODECS,
        },
    )
    snr_db: tuple[float, ...] = field(
        default=(20.0, 40.0),
        metadata={"help": "range of the signal-to-noise ratio of the second recording"},
    )
    drr_db: tuple[float, ...] = field(
        default=(1.0, 15.0),
        metadata={"help": "range of the direct-to-reverberant ratio of its rooms"},
    )
    rt60_sec: tuple[float, ...] = field(
        default=(0.15, 0.7), metadata={"help": "range of the reverberation time of its rooms"}
    )

    def __post_init__(self) -> None:
        for name, least in (("copies", 1), ("seed", 0), ("num_devices", 1)):
            if (value := getattr(self, name)) < least:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(option, got=value, need=f"{least} or more")
        for name in ("snr_db", "drr_db", "rt60_sec"):
            bounds = getattr(self, name)
            if len(bounds) != 2 or not bounds[0] <= bounds[1]:
                option, got = f"--{name.replace('_', '-')}", ",".join(map(str, bounds))
                raise UsageError(option, got=got, need="two numbers, the lower one first")
        if not self.codecs:
            raise UsageError("--codecs", got="nothing", need="one or more, for example none")


@dataclass(frozen=True)
class Devices:
    """Rooms E01.., loudspeakers P01.. and microphones R01.. by name."""

    env: dict[str, Room]
    playback: dict[str, Loudspeaker]
    recorder: dict[str, Microphone]


@dataclass(frozen=True)
class Attack:
    """How one replayed copy is made.

    Parameters
    ----------
    codec
        One of `CODECS`, by which the stolen recording is stored.
    noise_seed
        Selects the noise.
    conditions
        Names of the devices and codec, and the signal-to-noise ratio in dB, as words for tables.
    """

    chain: Chain
    codec: str
    noise_seed: tuple[int, ...]
    conditions: dict[str, str]


def simulate_replay(
    samples: np.ndarray,
    sample_rate_hz: int,
    options: SimulationOptions | None = None,
    *,
    key: str = "utt",
    number: int = 1,
    devices: Devices | None = None,
) -> tuple[np.ndarray, Attack]:
    """Return a replayed copy of a recording, and the attack that was drawn for it.

    A codec stores the recording, a loudspeaker plays it in a room, and a microphone records it
    again, with noise. The same seed, key and number give the same copy, here and in
    sd-simulate-replay.

    Parameters
    ----------
    samples
        Shape (num_samples,), full scale is 1.
    sample_rate_hz
        Sample rate.
    options
        What to draw from; the defaults if None.
    key, number
        Name of the recording, and which of its copies to make, from 1.
    devices
        Devices to choose from; drawn by the options if None.

    Returns
    -------
    samples : np.ndarray
        Shape (num_samples,), as many as before, at the same RMS level, peak at most 0.99.
    attack : Attack
        Its `conditions` name devices and codec; its `chain` has their figures.

    Raises
    ------
    SdError
        If the samples are silent or not usable, or a codec does not have this sample rate.

    Examples
    --------
    >>> import numpy as np
    >>> samples = np.sin(np.arange(16000) / 5)
    >>> copy, attack = simulate_replay(samples, 16000, SimulationOptions(seed=1))
    >>> copy.shape, attack.conditions["env"], attack.conditions["snr"]
    ((16000,), 'E02', '23.7')
    >>> round(attack.chain.loudspeaker.low_hz)
    121
    """
    options = options or SimulationOptions()
    devices = devices or devices_of(options, sample_rate_hz)
    attack = draw_attack(options, devices, key, number)
    return apply_attack(attack, samples, sample_rate_hz), attack


def draw_devices(
    rng: np.random.Generator,
    num_devices: int,
    first: int = 1,
    *,
    rt60_sec: Range = (0.15, 0.7),
    drr_db: Range = (1, 15),
) -> Devices:
    """Draw as many rooms, loudspeakers and microphones, numbered from `first`."""
    numbers = [f"{i:02}" for i in range(first, first + num_devices)]
    return Devices(
        {f"E{i}": draw_room(rng, rt60_sec=rt60_sec, drr_db=drr_db) for i in numbers},
        {f"P{i}": draw_loudspeaker(rng) for i in numbers},
        {f"R{i}": draw_microphone(rng) for i in numbers},
    )


def devices_of(options: SimulationOptions, rate_hz: int) -> Devices:
    """Draw the devices of a simulation for recordings of one sample rate.

    Raises
    ------
    SdError
        If the folder of impulse responses has no sound file, or one of them cannot be used.
    """
    rng = np.random.default_rng([options.seed, 1])
    devices = draw_devices(
        rng, options.num_devices, rt60_sec=options.rt60_sec, drr_db=options.drr_db
    )
    if not options.loudspeaker_irs:
        return devices
    try:
        responses = _read_responses(Path(options.loudspeaker_irs), rate_hz)
    except SdError as error:
        raise error.within("--loudspeaker-irs") from None
    drawn = list(devices.playback.values()) * -(-len(responses) // options.num_devices)
    playback = {
        name: replace(loudspeaker, resonances=(), impulse_response=response)
        for loudspeaker, (name, response) in zip(drawn, responses.items())
    }
    return replace(devices, playback=playback)


def _read_responses(folder: Path, rate_hz: int) -> dict[str, tuple[float, ...]]:
    """Impulse responses by the names of their files, resampled, with a peak of 1."""
    responses: dict[str, tuple[float, ...]] = {}
    for path in find_sounds(folder):
        samples, own_hz = load_audio(path, channel=0)
        response = resample(samples, own_hz, rate_hz)
        if not response.any():
            raise SdError(path, "the impulse response is silent", hint="Remove the file")
        name = "".join(path.stem.split())
        if name in responses:
            raise SdError(path, f"a second impulse response named {name}", hint="Rename it")
        responses[name] = tuple((response / np.abs(response).max()).tolist())
    return responses


def draw_recording(
    rng: np.random.Generator, room: Room, microphone: Microphone, snr_db: float
) -> Recording:
    """Draw the slope of the noise of a recording."""
    return Recording(room, microphone, snr_db, uniform(rng, NOISE_SLOPE_DB))


def draw_live_recording(rng: np.random.Generator, snr_db: float) -> Recording:
    """Draw the recording of a person: a near microphone in a room, both used only once."""
    room = draw_room(rng, drr_db=LIVE_DRR_DB)
    return draw_recording(rng, room, draw_microphone(rng), snr_db)


def draw_attack(options: SimulationOptions, devices: Devices, key: str, number: int) -> Attack:
    """Draw copy `number` of a recording; the draw does not depend on other recordings or copies."""
    seed = (options.seed, 2, zlib.crc32(key.encode()), number)
    rng = np.random.default_rng(seed)
    env, playback, recorder = (
        list(some)[rng.integers(len(some))]
        for some in (devices.env, devices.playback, devices.recorder)
    )
    codec = options.codecs[rng.integers(len(options.codecs))]
    snr_db = uniform(rng, options.snr_db)
    second = draw_recording(rng, devices.env[env], devices.recorder[recorder], snr_db)
    conditions = {"env": env, "playback": playback, "recorder": recorder, "codec": codec}
    conditions["snr"] = f"{snr_db:.1f}"
    chain = Chain(None, devices.playback[playback], second)
    return Attack(chain, codec, (*seed, 3), conditions)


def apply_attack(attack: Attack, samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Replayed copy of samples, with parameters, result and errors of `simulate_replay`."""
    samples = check_audible(samples)  # before the codec, which NaN would crash
    samples = samples / max(1.0, np.abs(samples).max())  # lossy recordings exceed full scale
    stored = store(samples, rate_hz, attack.codec)
    return replay(stored, rate_hz, attack.chain, np.random.default_rng(attack.noise_seed))


def store(samples: np.ndarray, rate_hz: int, codec: str) -> np.ndarray:
    """Samples as a codec of `CODECS` gives them back, as many as before, within -1..1.

    Raises
    ------
    SdError
        If the codec does not have this sample rate.
    """
    if codec == "none":
        return samples
    if codec in ("8k", "g711"):
        narrow = resample(samples, rate_hz, TELEPHONE_HZ)
        if codec == "g711":
            narrow = code(narrow / max(1.0, np.abs(narrow).max()), TELEPHONE_HZ, "alaw")
        back = resample(narrow, TELEPHONE_HZ, rate_hz)
    else:
        back = code(samples, rate_hz, codec)
    back = np.pad(back, (0, max(0, len(samples) - len(back))))[: len(samples)]
    return back / max(1.0, np.abs(back).max())


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples at another sample rate."""
    divisor = gcd(from_hz, to_hz)
    return scipy.signal.resample_poly(samples, to_hz // divisor, from_hz // divisor)
