import dataclasses

import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.replay.devices import (
    Loudspeaker,
    Microphone,
    Recording,
    Room,
    draw_loudspeaker,
    draw_microphone,
    draw_room,
)

ANECHOIC = Recording(Room(0.1, 200, 0.01, seed=0), Microphone(1, np.inf), snr_db=200)


def test_draws_stay_in_their_ranges():
    rng = np.random.default_rng(0)
    for _ in range(100):
        loudspeaker = draw_loudspeaker(rng, low_hz=(200, 300))
        room = draw_room(rng, drr_db=(-5, -4))
        assert 200 <= loudspeaker.low_hz <= 300 and 0.1 <= loudspeaker.force_loss <= 0.8
        assert 3 <= len(loudspeaker.resonances) <= 7
        assert -5 <= room.drr_db <= -4 and 0.15 <= room.rt60_sec <= 0.7
        assert 50 <= draw_microphone(rng).low_hz <= 250


def test_same_seed_same_devices():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return draw_room(rng), draw_loudspeaker(rng), draw_microphone(rng)

    assert draw(7) == draw(7)
    assert all(one != other for one, other in zip(draw(7), draw(8)))


@pytest.mark.parametrize(
    ("make", "who", "what", "got", "need"),
    [
        (lambda: Room(0, 5, 0.01, 0), "Room", "rt60_sec", "0", "0.01 to 10"),
        (lambda: Microphone(0, 8000), "Microphone", "low_hz", "0", "1 to 2000"),
        (
            lambda: Loudspeaker(100, 8000, force_loss=1.5),
            "Loudspeaker",
            "force_loss",
            "1.5",
            "0 to 1",
        ),
        (
            lambda: dataclasses.replace(ANECHOIC, snr_db=np.nan),
            "Recording",
            "snr_db",
            "nan",
            "-40 to 200",
        ),
    ],
)
def test_impossible_devices_are_refused(make, who, what, got, need):
    with pytest.raises(SdError) as info:
        make()
    error = info.value
    assert (error.who, error.what, error.got, error.need) == (who, what, got, need)


@pytest.mark.parametrize("response", [(0.0, 0.0), (1.0, np.nan), (np.inf,)])
def test_impulse_responses_without_sound_are_refused(response):
    with pytest.raises(SdError, match="Loudspeaker: the impulse response is silent or not finite"):
        Loudspeaker(100, 8000, impulse_response=response)
