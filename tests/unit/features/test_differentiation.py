import itertools

import numpy as np
from fields import fails
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sdtools.features.differentiation import differentiate

BANDS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.integers(-9, 9).map(float),
)


def test_order_zero_is_a_copy():
    bands = np.arange(6.0).reshape(2, 3)
    out = differentiate(bands, 0)
    assert (out == bands).all() and out is not bands


def test_padding_on_integers():
    """Section 4.2 written out by hand: zeros in between, the highest band twice at the end."""
    y = np.array([1.0, 4.0, 9.0, 25.0])
    first = [3.0, 5.0, 16.0]
    assert differentiate(y, 1).tolist() == [*first, 16.0]
    second = [2.0, 11.0, -16.0]  # of 3 5 16 0
    assert differentiate(y, 2).tolist() == [*second, -16.0]
    third = [9.0, -27.0, 16.0]  # of 2 11 -16 0
    assert differentiate(y, 3).tolist() == [*third, 16.0]


@settings(max_examples=50)
@given(BANDS, st.integers(1, 6))
def test_against_lists(bands, order):
    for row, out in zip(bands.tolist(), differentiate(bands, order).tolist()):
        for step in range(order):
            row = [b - a for a, b in itertools.pairwise(row)]
            row.append(0.0 if step < order - 1 else row[-1])
        assert out == row


@settings(max_examples=50)
@given(BANDS, st.integers(0, 6))
def test_zero_padding_is_repeating_the_top_band(bands, order):
    """The law that the compiled path rests on."""
    extended = np.concatenate([bands] + [bands[:, -1:]] * order, axis=1)
    expected = np.diff(extended, order, axis=1)
    if order:
        expected[:, -1] = expected[:, -2]
    np.testing.assert_array_equal(differentiate(bands, order), expected)


def test_negative_order():
    with fails(who="differentiate", what="order", got=-1):
        differentiate(np.zeros((1, 3)), -1)
