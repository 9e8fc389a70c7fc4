import logging

import numpy as np
import pytest
from numba.core import event

from sdtools.features.kernels import _fold, extract, extract_triangular
from sdtools.features.subbands import SubbandExtractor, TriangularExtractor


def test_a_cached_loop_has_one_form():
    """With two, jobs that start at once on a cold cache may leave one under the other's name."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(4000)
    read_only = samples.copy()
    read_only.setflags(write=False)
    for extractor in (SubbandExtractor, TriangularExtractor):
        for orders in ((6,), (0, 2)):
            for sound in (samples, samples[1::2], samples.astype(np.float32), read_only):
                extractor(sample_rate_hz=16000, orders=orders)(sound)
    assert len(extract.signatures) == len(extract_triangular.signatures) == 1


@pytest.mark.parametrize("loop", [extract, extract_triangular])
def test_compilation_is_announced(loop, caplog):
    """Once for a loop that Python calls; not for its parts, and not for loops from the cache."""
    with caplog.at_level(logging.WARNING, "sdtools"):
        event.start_event("numba:compile", {"dispatcher": _fold})
        event.end_event("numba:compile", {"dispatcher": _fold})
        assert caplog.records == []
        event.start_event("numba:compile", {"dispatcher": loop})
        event.end_event("numba:compile", {"dispatcher": loop})
    (record,) = caplog.records
    assert record.name == "sdtools" and "compiling" in record.message
