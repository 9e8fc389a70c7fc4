import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.features.samples import MAX_PEAK, check_choice, check_samples, count_frames


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
        ([32767.0, 0.0], "peak", "32767", "32768"),
    ],
)
def test_what_is_not_a_recording(samples, what, got, hint):
    with pytest.raises(SdError) as info:
        check_samples(samples, "x")
    assert (info.value.who, info.value.what, str(info.value.got)) == ("x", what, got)
    assert hint in info.value.hint


def test_whole_frames():
    assert [count_frames(n, 320, 160) for n in (320, 479, 480)] == [1, 1, 2]
    with pytest.raises(SdError) as info:
        count_frames(319, 320, 160)
    assert info.value.got == 319 and "320" in info.value.need


@pytest.mark.parametrize("features", [(), ("cf", "cf"), ("xx",), "cf"])
def test_features_that_are_not_there(features):
    with pytest.raises(SdError) as info:
        check_choice(features, ("cf", "cm"))
    assert info.value.who == "features" and "cf, cm" in info.value.need
