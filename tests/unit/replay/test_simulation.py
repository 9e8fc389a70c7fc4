"""Simulated attacks: what is drawn depends on seed, utterance and number alone, and the copy is what its figures say."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.replay import devices as replay
from sdtools.replay import simulation
from sdtools.replay.simulation import CODECS, SimulationOptions, draw_devices, make, plan, store

RATE_HZ = 16000


def speech(seconds=1.0, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))


def test_devices_are_within_the_ranges():
    options = SimulationOptions(num_devices=30, drr_db=(3, 4), rt60_sec=(0.2, 0.3))
    devices = draw_devices(options, RATE_HZ)
    assert [len(some) for some in (devices.env, devices.playback, devices.recorder)] == [30, 30, 30]
    assert all(
        3 <= room.drr_db <= 4 and 0.2 <= room.rt60_sec <= 0.3 for room in devices.env.values()
    )
    assert (
        draw_devices(options, RATE_HZ)
        == devices
        != draw_devices(SimulationOptions(num_devices=30, seed=1), RATE_HZ)
    )


@settings(deadline=None, max_examples=20)
@given(
    utt=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    number=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_copy_depends_on_seed_utterance_and_number(utt, number, seed):
    options = SimulationOptions(seed=seed, codecs=CODECS, snr_db=(10, 12))
    devices = draw_devices(options, RATE_HZ)
    copy = plan(options, devices, utt, number)
    assert (
        copy == plan(options, devices, utt, number)
        and copy.seed != plan(options, devices, utt, number + 1).seed
    )
    assert (
        10 <= copy.chain.second.snr_db <= 12
        and copy.conditions["utt2snr"] == f"{copy.chain.second.snr_db:.1f}"
    )
    assert copy.chain.second.room == devices.env[copy.conditions["utt2env"]]
    assert (
        copy.chain.loudspeaker == devices.playback[copy.conditions["utt2playback"]]
        and copy.chain.first is None
    )


def test_all_codecs_and_devices_come_up():
    options = SimulationOptions(codecs=CODECS, num_devices=3)
    devices = draw_devices(options, RATE_HZ)
    copies = [plan(options, devices, f"u{i}", 1).conditions for i in range(100)]
    assert {c["utt2codec"] for c in copies} == set(CODECS)
    assert {c["utt2playback"] for c in copies} == {"P01", "P02", "P03"}


def test_a_copy_is_the_replay_of_what_was_stored():
    options = SimulationOptions()
    copy = plan(options, draw_devices(options, RATE_HZ), "u", 1)
    samples = speech()
    np.testing.assert_array_equal(
        make(copy, samples, RATE_HZ),
        replay.replay(samples, RATE_HZ, copy.chain, np.random.default_rng(copy.seed)),
    )
    with pytest.raises(ValueError, match="replay: samples: got peak 0"):
        make(copy, 0 * samples, RATE_HZ)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_length_and_low_band(codec):
    """A tone at 1 kHz survives each; one at 6 kHz does not survive a telephone."""
    t = np.arange(RATE_HZ) / RATE_HZ
    for tone_hz in (1000, 6000):
        tone = 0.5 * np.sin(2 * np.pi * tone_hz * t)
        back = store(tone, RATE_HZ, codec)
        assert len(back) == len(tone) and np.abs(back).max() <= 1
        level = (
            np.abs(np.fft.rfft(back[2000:14000] * np.hanning(12000)))[
                int(tone_hz * 12000 / RATE_HZ)
            ]
            / np.abs(np.fft.rfft(tone[2000:14000] * np.hanning(12000)))[
                int(tone_hz * 12000 / RATE_HZ)
            ]
        )
        assert (
            level < 0.01 if (codec, tone_hz) == ("8k", 6000) else level == pytest.approx(1, abs=0.1)
        )


def test_a_long_recording_and_a_rate_that_a_codec_lacks():
    """Millions of samples at once are too many for libvorbis."""
    x = speech(200)
    assert len(store(x, RATE_HZ, "ogg")) == len(x)
    with pytest.raises(
        ValueError,
        match=r"codec mp3 at 96000 Hz: got '.*', need a rate that it has\. Leave it out of --codecs",
    ):
        store(speech(), 96000, "mp3")


def test_measured_loudspeakers(tmp_path):
    """Responses at another rate, one of them stereo, take the place of the drawn ones, whose distortion stays."""
    for name, channels in (("a b.wav", 1), ("c.flac", 2)):
        response = np.zeros((441, channels))
        response[100] = 0.5
        soundfile.write(tmp_path / name, response, 44100)
    options = SimulationOptions(loudspeaker_irs=str(tmp_path), num_devices=1)
    devices = draw_devices(options, RATE_HZ)
    assert list(devices.playback) == ["ab", "c"]
    for loudspeaker in devices.playback.values():
        response = np.array(loudspeaker.impulse_response)
        assert (
            len(response) == 160
            and np.argmax(np.abs(response)) == round(100 * RATE_HZ / 44100)
            and loudspeaker.thd2_percent > 0
        )
    soundfile.write(tmp_path / "ab.wav", np.ones(10), 44100)
    with pytest.raises(ValueError, match=r"ab\.wav: impulse response: got ab again"):
        draw_devices(options, RATE_HZ)
    (tmp_path / "ab.wav").unlink()
    (tmp_path / "notes.wav").write_text("no sound")
    with pytest.raises(
        ValueError, match=r"notes\.wav: impulse response: got '.*', need a sound file"
    ):
        draw_devices(options, RATE_HZ)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: folder: got no sound file"):
        draw_devices(SimulationOptions(loudspeaker_irs=str(tmp_path / "empty")), RATE_HZ)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 0}, "--copies: got 0, need 1 or more"),
        ({"seed": -1}, "--seed: got -1, need 0 or more"),
        ({"num_devices": 0}, "--num-devices: got 0"),
        ({"snr_db": (3.0,)}, r"--snr-db: got 3\.0, need two numbers"),
        ({"drr_db": (3.0, 1.0)}, r"--drr-db: got 3\.0,1\.0, need two numbers, the lower first"),
        ({"codecs": ()}, "--codecs: got none"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SimulationOptions(**options)


def test_room_figures_that_no_room_has():
    with pytest.raises(ValueError, match="Room: rt60_sec: got"):
        draw_devices(simulation.SimulationOptions(rt60_sec=(20, 30)), RATE_HZ)
