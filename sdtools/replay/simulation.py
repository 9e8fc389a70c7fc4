"""Replay attacks drawn at random: which devices, codecs and noise a copy of an utterance gets, and the copy itself."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy  # loads its parts at their first use: --help does not wait for them
import soundfile

from sdtools.audio import decoding as audio
from sdtools.replay import devices as replay

BLOCK_FRAMES = 1 << 16
CODECS = ("none", "mp3", "ogg", "8k")


@dataclass(frozen=True)
class SimulationOptions:
    """What is drawn, and from which ranges."""

    copies: int = field(default=1, metadata={"help": "replayed copies of each recording"})
    seed: int = field(default=0, metadata={"help": "another seed, other devices and copies"})
    num_devices: int = field(
        default=8, metadata={"help": "rooms, loudspeakers and microphones to draw from"}
    )
    loudspeaker_irs: str = field(
        default="",
        metadata={
            "help": "folder of measured impulse responses (sound files) that replace the drawn loudspeakers' linear part"
        },
    )
    codecs: tuple[str, ...] = field(
        default=("none",),
        metadata={
            "help": "how the stolen recording is stored, drawn for each copy; 8k: band of a telephone",
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

    def __post_init__(self):
        for name, least in (("copies", 1), ("seed", 0), ("num_devices", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"--{name.replace('_', '-')}: got {getattr(self, name)}, need {least} or more"
                )
        for name in ("snr_db", "drr_db", "rt60_sec"):
            if len(bounds := getattr(self, name)) != 2 or not bounds[0] <= bounds[1]:
                raise ValueError(
                    f"--{name.replace('_', '-')}: got {','.join(map(str, bounds))}, need two numbers, the lower first"
                )
        if not self.codecs:
            raise ValueError("--codecs: got none, need one or more; 'none' is one")


@dataclass(frozen=True)
class Devices:
    """Rooms E01.., loudspeakers P01.. and microphones R01.. by name."""

    env: dict[str, replay.Room]
    playback: dict[str, replay.Loudspeaker]
    recorder: dict[str, replay.Microphone]


@dataclass(frozen=True)
class Copy:
    """One copy: its attack, its codec, the seed of its noise, and its conditions by table."""

    chain: replay.Chain
    codec: str
    seed: tuple[int, ...]
    conditions: dict[str, str]


def draw_devices(options: SimulationOptions, rate_hz: int) -> Devices:
    """All devices of a simulation, for recordings of one rate.

    Raises
    ------
    ValueError
        A folder of impulse responses without one, or with a file that is none.
    """
    rng = np.random.default_rng([options.seed, 1])
    number = options.num_devices
    rooms = [
        replay.draw_room(rng, rt60_sec=options.rt60_sec, drr_db=options.drr_db)
        for _ in range(number)
    ]
    loudspeakers = [replay.draw_loudspeaker(rng) for _ in range(number)]
    microphones = [replay.draw_microphone(rng) for _ in range(number)]
    names = [f"P{i:02}" for i in range(1, number + 1)]
    if options.loudspeaker_irs:
        responses = _read_responses(Path(options.loudspeaker_irs), rate_hz)
        drawn = loudspeakers * -(-len(responses) // number)
        loudspeakers = [
            replay.Loudspeaker(
                d.low_hz, d.high_hz, (), d.thd2_percent, d.thd3_percent, d.force_loss, response
            )
            for d, response in zip(drawn, responses.values())
        ]
        names = list(responses)
    return Devices(
        {f"E{i:02}": room for i, room in enumerate(rooms, 1)},
        dict(zip(names, loudspeakers)),
        {f"R{i:02}": microphone for i, microphone in enumerate(microphones, 1)},
    )


def _read_responses(folder: Path, rate_hz: int) -> dict[str, tuple[float, ...]]:
    """Impulse responses by the names of their files, at the wanted rate."""
    responses = {}
    for path in audio.find_sounds(folder):
        try:
            samples, own_hz = soundfile.read(path, always_2d=True)
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{path}: impulse response: got '{error}', need a sound file. Take it out of --loudspeaker-irs"
            ) from None
        divisor = np.gcd(own_hz, rate_hz)
        response = scipy.signal.resample_poly(samples[:, 0], rate_hz // divisor, own_hz // divisor)
        name = "".join(path.stem.split())
        if name in responses:
            raise ValueError(
                f"{path}: impulse response: got {name} again, need each name once. Rename the file"
            )
        responses[name] = tuple((response / max(np.abs(response).max(), 1e-12)).tolist())
    return responses


def plan(options: SimulationOptions, devices: Devices, utt: str, number: int) -> Copy:
    """What copy `number` of an utterance goes through; depends on nothing else that is simulated."""
    seed = (options.seed, 2, zlib.crc32(utt.encode()), number)
    rng = np.random.default_rng(seed)
    env, playback, recorder = (
        list(some)[rng.integers(len(some))]
        for some in (devices.env, devices.playback, devices.recorder)
    )
    codec = options.codecs[rng.integers(len(options.codecs))]
    snr_db = float(rng.uniform(*options.snr_db))
    second = replay.Recording(
        devices.env[env], devices.recorder[recorder], snr_db, float(rng.uniform(-8, -2))
    )
    conditions = {
        "utt2env": env,
        "utt2playback": playback,
        "utt2recorder": recorder,
        "utt2codec": codec,
        "utt2snr": f"{snr_db:.1f}",
    }
    return Copy(
        replay.Chain(None, devices.playback[playback], second), codec, (*seed, 3), conditions
    )


def make(copy: Copy, samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """The replayed copy of samples (num_samples,) within -1..1: as many, at the same level.

    Raises
    ------
    ValueError
        Silence.
    """
    stored = store(samples, rate_hz, copy.codec)
    return replay.replay(stored, rate_hz, copy.chain, np.random.default_rng(copy.seed))


def store(samples: np.ndarray, rate_hz: int, codec: str) -> np.ndarray:
    """Samples as they come back from a codec of `CODECS`, as many as before, within -1..1."""
    if codec == "none":
        return samples
    if codec == "8k":
        divisor = np.gcd(8000, rate_hz)
        back = scipy.signal.resample_poly(
            scipy.signal.resample_poly(samples, 8000 // divisor, rate_hz // divisor),
            rate_hz // divisor,
            8000 // divisor,
        )
    else:
        buffer = io.BytesIO()
        kind = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS")}[codec]
        try:
            with soundfile.SoundFile(
                buffer, "w", rate_hz, 1, format=kind[0], subtype=kind[1]
            ) as sound:
                for start in range(
                    0, len(samples), BLOCK_FRAMES
                ):  # libvorbis overflows on millions at once
                    sound.write(samples[start : start + BLOCK_FRAMES])
            buffer.seek(0)
            back = soundfile.read(buffer)[0]
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"codec {codec} at {rate_hz} Hz: got '{error}', need a rate that it has. Leave it out of --codecs"
            ) from None
    back = np.pad(back, (0, max(0, len(samples) - len(back))))[: len(samples)]
    return back / max(1.0, np.abs(back).max())
