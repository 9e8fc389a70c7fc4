import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.errors import SdError
from sdtools.replay.acoustics import replay
from sdtools.replay.simulation import (
    CODECS,
    Devices,
    SimulationOptions,
    apply_attack,
    devices_of,
    draw_attack,
    draw_devices,
    draw_live_recording,
    simulate_replay,
    store,
)

RATE_HZ = 16000


def speech(seconds=1.0, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))


def test_devices_are_within_the_ranges():
    options = SimulationOptions(num_devices=30, drr_db=(3, 4), rt60_sec=(0.2, 0.3))
    devices = devices_of(options, RATE_HZ)
    assert [len(some) for some in (devices.env, devices.playback, devices.recorder)] == [30, 30, 30]
    for room in devices.env.values():
        assert 3 <= room.drr_db <= 4 and 0.2 <= room.rt60_sec <= 0.3
    assert devices_of(options, RATE_HZ) == devices
    assert devices_of(SimulationOptions(num_devices=30, seed=1), RATE_HZ) != devices


def test_devices_are_numbered():
    devices = draw_devices(np.random.default_rng(0), 2, first=9)
    assert list(devices.env) == ["E09", "E10"]
    assert list(devices.playback) == ["P09", "P10"] and list(devices.recorder) == ["R09", "R10"]


def test_a_live_recording_is_near():
    for seed in range(20):
        recording = draw_live_recording(np.random.default_rng(seed), snr_db=30)
        assert 10 <= recording.room.drr_db <= 25 and recording.snr_db == 30
        assert -8 <= recording.noise_slope_db <= -2


@settings(deadline=None, max_examples=20)
@given(
    key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    number=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_copy_depends_on_seed_key_and_number(key, number, seed):
    options = SimulationOptions(seed=seed, codecs=CODECS, snr_db=(10, 12))
    devices = devices_of(options, RATE_HZ)
    attack = draw_attack(options, devices, key, number)
    assert attack == draw_attack(options, devices, key, number)
    assert attack.noise_seed != draw_attack(options, devices, key, number + 1).noise_seed
    chain, conditions = attack.chain, attack.conditions
    assert 10 <= chain.second.snr_db <= 12 and conditions["snr"] == f"{chain.second.snr_db:.1f}"
    assert chain.second.room == devices.env[conditions["env"]]
    assert chain.second.microphone == devices.recorder[conditions["recorder"]]
    assert chain.loudspeaker == devices.playback[conditions["playback"]] and chain.first is None
    assert conditions["codec"] == attack.codec


def test_all_codecs_and_devices_come_up():
    options = SimulationOptions(codecs=CODECS, num_devices=3)
    devices = devices_of(options, RATE_HZ)
    drawn = [draw_attack(options, devices, f"u{i}", 1).conditions for i in range(100)]
    assert {conditions["codec"] for conditions in drawn} == set(CODECS)
    assert {conditions["playback"] for conditions in drawn} == {"P01", "P02", "P03"}


def test_a_copy_is_the_replay_of_what_was_stored():
    options = SimulationOptions(codecs=("8k",))
    attack = draw_attack(options, devices_of(options, RATE_HZ), "u", 1)
    samples = speech()
    stored = store(samples, RATE_HZ, "8k")
    rng = np.random.default_rng(attack.noise_seed)
    want = replay(stored, RATE_HZ, attack.chain, rng)
    np.testing.assert_array_equal(apply_attack(attack, samples, RATE_HZ), want)


def test_one_call_makes_the_copy_that_the_command_makes():
    samples, options = speech(), SimulationOptions(seed=3)
    copy, attack = simulate_replay(samples, RATE_HZ, options, key="u", number=2)
    assert attack == draw_attack(options, devices_of(options, RATE_HZ), "u", 2)
    np.testing.assert_array_equal(copy, apply_attack(attack, samples, RATE_HZ))
    np.testing.assert_array_equal(
        copy, simulate_replay(samples.tolist(), RATE_HZ, options, key="u", number=2)[0]
    )


def test_devices_can_be_given():
    drawn = draw_devices(np.random.default_rng(5), 1)
    devices = Devices({"car": drawn.env["E01"]}, {"box": drawn.playback["P01"]}, drawn.recorder)
    _, attack = simulate_replay(speech(), RATE_HZ, devices=devices)
    assert attack.conditions["env"] == "car" and attack.conditions["playback"] == "box"
    assert attack.chain.loudspeaker == drawn.playback["P01"]


@pytest.mark.parametrize("codec", CODECS)
def test_recordings_beyond_full_scale_are_taken(codec):
    """Lossy codecs decode a little more than full scale."""
    copy, _ = simulate_replay(12 * speech(), RATE_HZ, SimulationOptions(codecs=(codec,)))
    assert 0.5 < np.max(np.abs(copy)) <= 0.99


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (np.zeros(1000), "they are digital silence"),
        (np.array([3000, -1]), "type"),
        (np.zeros((2, 100)), "shape"),
        (np.array([0.1, np.nan]), "sample 1"),
    ],
)
def test_bad_samples_are_refused(codec, samples, what):
    with pytest.raises(SdError) as info:
        simulate_replay(samples, RATE_HZ, SimulationOptions(codecs=(codec,)))
    assert (info.value.who, info.value.what) == ("samples", what)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_length_and_low_band(codec):
    """A tone at 1 kHz survives each; one at 6 kHz does not survive a telephone."""
    t = np.arange(RATE_HZ) / RATE_HZ

    def level(samples, tone_hz):
        spectrum = np.abs(np.fft.rfft(samples[2000:14000] * np.hanning(12000)))
        return spectrum[int(tone_hz * 12000 / RATE_HZ)]

    for tone_hz in (1000, 6000):
        tone = 0.5 * np.sin(2 * np.pi * tone_hz * t)
        back = store(tone, RATE_HZ, codec)
        assert len(back) == len(tone) and np.abs(back).max() <= 1
        gain = level(back, tone_hz) / level(tone, tone_hz)
        if codec in ("8k", "g711") and tone_hz == 6000:
            assert gain < 0.01
        else:
            assert gain == pytest.approx(1, abs=0.1)


def test_measured_loudspeakers(tmp_path):
    """Responses replace the linear part of the drawn loudspeakers, whose distortion stays."""
    for name, channels in (("a b.wav", 1), ("c.flac", 2)):
        response = np.zeros((441, channels))
        response[100] = 0.5
        soundfile.write(tmp_path / name, response, 44100)
    options = SimulationOptions(loudspeaker_irs=str(tmp_path), num_devices=1)
    devices = devices_of(options, RATE_HZ)
    assert list(devices.playback) == ["ab", "c"]
    for loudspeaker in devices.playback.values():
        response = np.array(loudspeaker.impulse_response)
        assert len(response) == 160 and loudspeaker.thd2_percent > 0
        assert np.argmax(np.abs(response)) == round(100 * RATE_HZ / 44100)
        assert np.max(np.abs(response)) == 1


@pytest.mark.parametrize(
    ("name", "samples", "words"),
    [
        ("ab.wav", np.ones(10), ["ab.wav", "second", "named ab"]),
        ("notes.wav", None, ["notes.wav", "not recognised"]),
        ("zero.wav", np.zeros(10), ["zero.wav", "silent"]),
    ],
)
def test_files_that_are_no_impulse_response(tmp_path, name, samples, words):
    soundfile.write(tmp_path / "a b.wav", np.ones(10), 44100)
    if samples is None:
        (tmp_path / name).write_text("no sound")
    else:
        soundfile.write(tmp_path / name, samples, 44100)
    with pytest.raises(SdError) as info:
        devices_of(SimulationOptions(loudspeaker_irs=str(tmp_path)), RATE_HZ)
    assert info.value.who.startswith("--loudspeaker-irs: ")
    assert all(word in str(info.value) for word in words)


def test_a_folder_without_impulse_responses(tmp_path):
    with pytest.raises(SdError) as info:
        devices_of(SimulationOptions(loudspeaker_irs=str(tmp_path)), RATE_HZ)
    assert info.value.who == f"--loudspeaker-irs: {tmp_path}" and "no sound" in info.value.what


@pytest.mark.parametrize(
    ("options", "who", "got"),
    [
        ({"copies": 0}, "--copies", 0),
        ({"seed": -1}, "--seed", -1),
        ({"num_devices": 0}, "--num-devices", 0),
        ({"snr_db": (3.0,)}, "--snr-db", "3.0"),
        ({"drr_db": (3.0, 1.0)}, "--drr-db", "3.0,1.0"),
        ({"codecs": ()}, "--codecs", "nothing"),
    ],
)
def test_options_that_are_refused(options, who, got):
    with pytest.raises(SdError) as info:
        SimulationOptions(**options)
    assert (info.value.who, info.value.got) == (who, got) and info.value.need


def test_room_figures_that_no_room_has():
    with pytest.raises(SdError) as info:
        devices_of(SimulationOptions(rt60_sec=(20, 30)), RATE_HZ)
    assert (info.value.who, info.value.what) == ("Room", "rt60_sec")
