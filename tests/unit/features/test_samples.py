import re
from types import SimpleNamespace

import numpy as np
import pytest
from fields import fails
from hypothesis import given
from hypothesis import strategies as st

from sdtools.features.samples import (
    MAX_PEAK,
    check_features,
    check_frame_lengths,
    check_natural,
    check_positive,
    check_samples,
    count_frames,
    num_frames,
)


def test_numbers_stay_as_they_are():
    samples = np.array([0.25, -1.0, 1.5])
    assert check_samples(samples) is samples
    for same in (samples.tolist(), tuple(samples), samples.astype(np.float32), samples[:]):
        out = check_samples(same)
        assert out.dtype == np.float64 and out.tolist() == samples.tolist()
    assert check_samples([-MAX_PEAK, MAX_PEAK]).tolist() == [-MAX_PEAK, MAX_PEAK]


@pytest.mark.parametrize(
    ("samples", "what", "got", "hint"),
    [
        (np.array([1, 2], np.int16), "type", "int16", "samples / 32768"),
        (np.array([1, 2], np.int32), "type", "int32", "samples / 2147483648"),
        ([1, 2], "type", "int64", "samples / 32768"),
        (["a"], "type", "<U1", ""),
        ([1j], "type", "complex128", ""),
        ([[0.5], [0.5, 0.5]], "type", "uneven lists", ""),
        (np.zeros((9, 2)), "shape", "(9, 2)", "samples[:, 0]"),
        (np.float64(0.5), "shape", "()", "samples[:, 0]"),
        ([], "number of samples", "0", ""),
        ([0.5, np.nan, np.inf], "sample 1", "nan", "Repair"),
        ([0.5, 0.5, -np.inf], "sample 2", "-inf", "Repair"),
        ([0.5, -8.1], "peak", "8.1", "32768"),
        ([0.5, 1e300], "peak", "1e+300", "32768"),
        ([32767.0, 0.0], "peak", "32767", "32768"),
    ],
)
def test_what_is_not_a_recording(samples, what, got, hint):
    got, hint = (re.compile(re.escape(text)) for text in (got, hint))
    with fails(who="x", what=what, got=got, hint=hint):
        check_samples(samples, "x")


@given(st.integers(0, 5000), st.integers(1, 400), st.integers(1, 400))
def test_num_frames_counts_whole_frames(num_samples, length, shift):
    expected = len(range(0, num_samples - length + 1, shift))
    assert num_frames(num_samples, length, shift) == expected
    if expected:
        assert count_frames(num_samples, length, shift) == expected
    else:
        with fails(got=num_samples, need=re.compile(f"{length}, one frame")):
            count_frames(num_samples, length, shift)


def test_frames_of_no_samples():
    assert check_frame_lengths(2, 1) == (2, 1)
    for length, shift in ((1, 1), (2, 0)):
        with fails(got=f"{length} samples every {shift}"):
            check_frame_lengths(length, shift)


@pytest.mark.parametrize("features", [(), ("cf", "cf"), ("xx",), "cf"])
def test_features_that_are_not_there(features):
    with fails(who="--features", got=repr(",".join(features)), need=re.compile("cf, cm")):
        check_features(features, ("cf", "cm"))


def test_options_are_refused_by_their_flag():
    options = SimpleNamespace(num_ceps=1, frame_ms=0.5)
    check_natural(options, "num_ceps")
    check_positive(options, "num_ceps", "frame_ms")
    with fails(who="--frame-ms", got=0.5):
        check_natural(options, "num_ceps", "frame_ms")
    for value in (0.0, -1.0, float("nan")):
        options.frame_ms = value
        with fails(who="--frame-ms", got=value if value == value else re.compile("nan")):
            check_positive(options, "num_ceps", "frame_ms")
