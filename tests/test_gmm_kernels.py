import numpy as np
from test_gmm import make_gmm

from sdtools import gmm_kernels


def test_exponentials_and_sums_in_place():
    scores = -np.random.default_rng(3).uniform(0, 200, (40, 33)).astype(np.float32) - 500
    expected = np.exp2(np.maximum(scores.astype(np.float64) - scores.max(axis=0), -125))
    plain, compiled = scores.copy(), scores.copy()
    for function, values in ((gmm_kernels.exponentiate, plain), (gmm_kernels.compiled(gmm_kernels.exponentiate), compiled)):
        peak, total = np.empty((2, 33), np.float32)
        function(values, peak, total)
        np.testing.assert_array_equal(peak, scores.max(axis=0))
        np.testing.assert_allclose(values, expected, rtol=3e-7)
        np.testing.assert_allclose(total, expected.sum(axis=0), rtol=1e-6)
        assert values.min() >= np.finfo(np.float32).tiny


def test_block_sums_move_to_the_features_own_units_and_to_a_grid():
    rng = np.random.default_rng(26)
    block, centre = rng.uniform(-9, 9, (4, 7)).astype(np.float32), np.array([0.0, 300.0, 4000.0])
    gmm = make_gmm(rng, 5, 3)
    count, first, second = block[:, 6:].astype(np.float64), block[:, :3].astype(np.float64), block[:, 3:6].astype(np.float64)
    expected = count[:, 0], first + count * centre, second + 2 * centre * first + count * centre**2
    for function in (gmm_kernels.add_block, gmm_kernels.compiled(gmm_kernels.add_block)):
        got = np.ones(4), np.ones((4, 3)), np.ones((4, 3))
        function(block, centre, gmm.rounders, *got)
        for power, bits, values, plain in zip(range(3), (26, 22, 18), got, expected):
            step = np.ldexp(1.0, power * int(np.floor(np.log2(gmm.rounders[1, 0] / 1.5) - 30)) - bits)
            np.testing.assert_allclose(values - 1, plain, rtol=1e-9, atol=step)
            assert np.all((values - 1) % step == 0)
