"""Frames of digital silence: which they are, by definition, and features without them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtools.errors import SdError
from sdtools.features.front_ends import FRONT_ENDS, load_front_ends
from sdtools.features.silence import FrameGrid, SilenceOptions, find_silence, without_silence
from sdtools.options import save_settings

RATE_HZ = 16000
NOISE = np.random.default_rng(0).uniform(-0.1, 0.1, 12000)


def by_definition(samples, grid, num_frames):
    """Frame by frame: no two samples of the recording differ in it or in one that overlaps it."""
    starts = grid.start + grid.shift * np.arange(num_frames)
    frames = [samples[max(0, start) : start + grid.length] for start in starts]
    silent = [start for start, frame in zip(starts, frames) if len(set(frame.tolist())) <= 1]
    return [any(abs(start - other) < grid.length for other in silent) for start in starts]


@given(
    values=st.lists(st.sampled_from([0.0, 0.5]), min_size=1, max_size=40),
    length=st.integers(2, 6),
    shift=st.integers(1, 6),
    before=st.integers(0, 4),
    num_frames=st.integers(1, 12),
)
def test_a_frame_is_silent_if_its_samples_are_equal(values, length, shift, before, num_frames):
    """Or if they overlap such a frame; also frames that reach beyond the ends."""
    samples, grid = np.array(values), FrameGrid(length, shift, -(before % length))
    found = find_silence(samples, grid, num_frames)
    assert found.tolist() == by_definition(samples, grid, num_frames)


def make(kind):
    front_end = FRONT_ENDS[kind]
    return front_end.make(tuple(cls() for cls in front_end.options), RATE_HZ)


@pytest.mark.parametrize("kind", FRONT_ENDS)
@pytest.mark.parametrize("value", [0.0, 8 / 2**15, -0.25])
def test_only_frames_of_one_value_are_left_out(kind, value):
    """The other rows have the same bytes. An 8-bit codec may be idle at another value than 0."""
    samples = NOISE.copy()
    samples[:2000] = samples[5000:7000] = value
    extractor = make(kind)
    for name, matrix in without_silence(extractor)(samples).items():
        want = extractor(samples)[name]
        is_silent = np.array(by_definition(samples, extractor.grid, len(want)))
        assert 10 < is_silent.sum() < len(want) / 2
        np.testing.assert_array_equal(matrix, want[~is_silent])


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_the_grid_is_where_the_frames_are(kind):
    """A click in silence: features differ from those of silence in the frames that hold it.

    Front ends that look beyond a frame may differ in others, too; short-term ones differ there
    alone.
    """
    extractor = make(kind)
    clicked = np.zeros(12000)
    clicked[6000:6040] = NOISE[:40]
    grid = extractor.grid
    for name, matrix in extractor(clicked).items():
        starts = grid.start + grid.shift * np.arange(len(matrix))
        has_click = (starts < 6040) & (starts + grid.length > 6000)
        differs = (matrix != extractor(np.zeros(12000))[name]).any(axis=1)
        assert 1 <= has_click.sum() <= 3
        assert differs[has_click].all()
        if name in ("lfcc", "stcc"):
            np.testing.assert_array_equal(differs, has_click)


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_a_recording_without_digital_silence_keeps_every_frame(kind):
    extractor = make(kind)
    for name, matrix in without_silence(extractor)(NOISE).items():
        np.testing.assert_array_equal(matrix, extractor(NOISE)[name])


@pytest.mark.parametrize("kind", FRONT_ENDS)
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_recording_of_one_value_is_refused(kind, value):
    with pytest.raises(SdError) as info:
        without_silence(make(kind))(np.full(8000, value))
    assert "digital silence" in info.value.what


def test_the_conf_decides(tmp_path):
    """Features without the setting are of an earlier version, which kept every frame."""
    conf = tmp_path / "x.conf"
    samples = np.concatenate([np.zeros(4000), NOISE])
    (lfcc,) = FRONT_ENDS["lfcc"].options
    want = make("lfcc")(samples)["lfcc"]
    for settings, num_left_out in (
        ([], 0),
        ([SilenceOptions(False)], 0),
        ([SilenceOptions(True)], 25),
    ):
        save_settings(conf, lfcc(), *settings, first=["--kind=lfcc"])
        (feats,) = load_front_ends([conf], RATE_HZ)(samples)
        np.testing.assert_array_equal(feats, want[num_left_out:])


def test_features_with_and_without_silence_come_from_one_model(tmp_path):
    """Two systems of the same filters with different settings do not share a pass."""
    samples = np.concatenate([np.zeros(4000), NOISE])
    (lfcc,) = FRONT_ENDS["lfcc"].options
    confs = [tmp_path / "keep.conf", tmp_path / "skip.conf"]
    for conf, skips in zip(confs, (False, True)):
        save_settings(conf, lfcc(), SilenceOptions(skips), first=["--kind=lfcc"])
    keep, skip = load_front_ends(confs, RATE_HZ)(samples)
    assert len(keep) - len(skip) == 25
