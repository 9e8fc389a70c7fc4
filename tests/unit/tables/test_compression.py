import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kaldiio.compression_header import GlobalHeader

from sdtools.tables.compression import compress, expand, layout

FEATS = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)


def round_trip(matrix, method):
    return expand(*compress(matrix, method))


@pytest.mark.parametrize(
    ("method", "num_rows", "tag"),
    [(1, 8, "CM2"), (1, 9, "CM"), (2, 1, "CM"), (4, 9, "CM2"), (7, 9, "CM3")],
)
def test_method_sets_the_form(method, num_rows, tag):
    header, codes = compress(FEATS[:num_rows], method)
    assert (header.type, header.rows, header.cols) == (tag, num_rows, 4)
    assert [(part.dtype, part.shape) for part in codes] == layout(header)


@pytest.mark.parametrize("shape", [(1, 200_000), (200_000, 1), (500, 400)])
def test_memory_is_in_proportion_to_the_values(shape):
    header = GlobalHeader("CM", 0.0, 1.0, *shape)
    codes = [np.zeros(size, dtype) for dtype, size in layout(header)]
    tracemalloc.start()
    try:
        matrix = expand(header, codes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert matrix.shape == shape
    assert peak < matrix.nbytes + 10_000_000


@pytest.mark.parametrize(("method", "steps"), [(3, 65535), (5, 255)])
def test_error_is_at_most_half_a_step_of_the_extent(method, steps):
    error = np.abs(round_trip(FEATS, method) - FEATS).max()
    assert error <= 0.502 * np.ptp(FEATS) / steps


def test_error_by_column_is_at_most_half_a_step_between_quartiles():
    wide = FEATS * [1, 10, 100, 0.1]
    got = round_trip(wide.astype(np.float32), 2)
    quartiles = np.quantile(wide, [0, 0.25, 0.75, 1], axis=0)
    step = (np.diff(quartiles, axis=0) / [[64], [128], [63]]).max(axis=0)
    assert (np.abs(got - wide) <= 0.8 * step + 2 * np.ptp(wide) / 65535).all()


@pytest.mark.parametrize(
    ("method", "least", "greatest"), [(4, -32768, 32767), (6, 0, 255), (7, 0, 1)]
)
def test_values_outside_of_a_fixed_extent_are_held_at_its_ends(method, least, greatest):
    values = np.array([[-1e9, least - 0.1, least, greatest, greatest + 0.6, 1e9]], np.float32)
    want = [[least] * 3 + [greatest] * 3]
    np.testing.assert_allclose(round_trip(values, method), want, rtol=1e-6)


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0]])
def test_sign_of_a_least_zero_is_that_of_the_first(zeros):
    header, _ = compress(np.array([zeros], np.float32), 3)
    assert np.signbit(header.min_value) == np.signbit(zeros[0])


@given(values=arrays(np.int16, (3, 4)))
def test_sixteen_bit_integers_come_back_exactly(values):
    assert np.array_equal(np.rint(round_trip(values.astype(np.float32), 4)), values)


@given(
    value=st.floats(-(2.0**60), 2.0**60, width=32),
    num_rows=st.integers(1, 12),
    method=st.sampled_from([1, 2, 3, 5]),
)
def test_constant_matrix_comes_back(value, num_rows, method):
    got = round_trip(np.full((num_rows, 2), value, np.float32), method)
    # Percentiles must rise, by a step of 1 + |value| over 65535.
    np.testing.assert_allclose(got, value, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("method", range(1, 8))
def test_codes_of_decoded_values_decode_to_them(method):
    once = round_trip(FEATS, method)
    np.testing.assert_allclose(round_trip(once, method), once, atol=np.ptp(FEATS) / 100)
