import numpy as np
from test_mixture import make_gmm

from sdtools.gmm import kernels as gmm_kernels


def test_exponentials_and_sums_in_place():
    scores = -np.random.default_rng(3).uniform(0, 200, (40, 33)).astype(np.float32) - 500
    expected = np.exp2(np.maximum(scores.astype(np.float64) - scores.max(axis=0), -125))
    plain, compiled = scores.copy(), scores.copy()
    for function, values in (
        (gmm_kernels.exponentiate, plain),
        (gmm_kernels.compiled(gmm_kernels.exponentiate), compiled),
    ):
        peak, total = np.empty((2, 33), np.float32)
        function(values, peak, total)
        np.testing.assert_array_equal(peak, scores.max(axis=0))
        np.testing.assert_allclose(values, expected, rtol=3e-7)
        np.testing.assert_allclose(total, expected.sum(axis=0), rtol=1e-6)
        assert values.min() >= np.finfo(np.float32).tiny


def test_product_of_the_posteriors_that_count():
    rng = np.random.default_rng(4)
    shares = 2.0 ** rng.integers(-60, 0, (30, 50))
    shares[rng.random((30, 50)) > 0.1] = gmm_kernels.LEAST_SHARE / 2
    terms = rng.standard_normal((50, 7)).astype(np.float32)
    counting = np.where(shares < gmm_kernels.LEAST_SHARE, 0, shares)
    for function in (gmm_kernels.add_active, gmm_kernels.compiled(gmm_kernels.add_active)):
        block = np.ones((30, 7), np.float32)
        assert function(shares.astype(np.float32), terms, np.empty(7, np.float32), block)
        np.testing.assert_allclose(block, 1 + counting @ terms, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(block, 1 + shares @ terms, rtol=1e-5, atol=1e-5)


def test_where_many_posteriors_count_nothing_is_added():
    shares = np.full((8, 16), gmm_kernels.LEAST_SHARE / 2, np.float32)
    shares[0] = 1
    terms = np.ones((16, 3), np.float32)
    for function in (gmm_kernels.add_active, gmm_kernels.compiled(gmm_kernels.add_active)):
        shares[1, 0], block = 0, np.zeros((8, 3), np.float32)
        assert function(shares, terms, np.empty(3, np.float32), block)
        np.testing.assert_array_equal(block[:2], [[16] * 3, [0] * 3])
        shares[1, 0], block = gmm_kernels.LEAST_SHARE, np.zeros((8, 3), np.float32)
        assert not function(shares, terms, np.empty(3, np.float32), block)
        assert not block.any()


def test_block_sums_move_to_the_features_own_units_and_to_a_grid():
    rng = np.random.default_rng(26)
    block, centre = rng.uniform(-9, 9, (4, 7)).astype(np.float32), np.array([0.0, 300.0, 4000.0])
    gmm = make_gmm(rng, 5, 3)
    count, first, second = (
        block[:, 6:].astype(np.float64),
        block[:, :3].astype(np.float64),
        block[:, 3:6].astype(np.float64),
    )
    expected = count[:, 0], first + count * centre, second + 2 * centre * first + count * centre**2
    for function in (gmm_kernels.add_block, gmm_kernels.compiled(gmm_kernels.add_block)):
        got = np.ones(4), np.ones((4, 3)), np.ones((4, 3))
        function(block, centre, gmm.rounders, *got)
        for power, bits, values, plain in zip(range(3), (26, 22, 18), got, expected):
            step = np.ldexp(
                1.0, power * int(np.floor(np.log2(gmm.rounders[1, 0] / 1.5) - 30)) - bits
            )
            np.testing.assert_allclose(values - 1, plain, rtol=1e-9, atol=step)
            assert np.all((values - 1) % step == 0)
