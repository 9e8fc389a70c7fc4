"""Memory below need (ulimit -v): a clear error, old outputs as they were, no hang."""

import os
import resource

import chain
import numpy as np
import pytest
from form import IS_FULL

from sdtools.tables import table as tables

NUM_LIMITS = 8 if IS_FULL else 1  # tried of each command below what it needs to start
NEED_KB = 600_000 + 100_000 * len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    chain.make_inputs(folder)
    return folder


def limit_memory(num_kb):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (num_kb * 1024, num_kb * 1024))


@pytest.mark.parametrize("name", chain.LINES)
def test_less_memory_than_the_libraries_need_is_said_before_they_are_loaded(folder, name, fault):
    """Loaded in less, OpenBLAS may wait for ever, and others fail with tracebacks."""
    old = chain.files(folder / "out" / name)
    for i in range(NUM_LIMITS):
        with fault("memory"):
            result = chain.run(
                name,
                folder,
                preexec_fn=limit_memory(100_000 + (NEED_KB - 100_001) * (i + 1) // NUM_LIMITS),
            )
            assert (
                result.returncode == 1
                and f"ERROR (sd-{name}) memory limit (ulimit -v): expected" in result.stderr
            )
            assert chain.is_one_error(result.stderr) and chain.files(folder / "out" / name) == old


@pytest.mark.parametrize("name", chain.LINES if IS_FULL else ["train-gmm", "detect"])
def test_what_is_said_to_be_enough_is_enough(folder, name, fault):
    old = chain.files(folder / "out" / name)
    with fault("memory"):
        result = chain.run(name, folder, preexec_fn=limit_memory(NEED_KB))
        assert result.returncode == 0, result.stderr
        assert chain.files(folder / "out" / name) == old


def test_one_thread_of_blas_needs_less(folder):
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    assert chain.run("acc-gmm", folder, env=env, preexec_fn=limit_memory(700_000)).returncode == 0


def test_data_that_do_not_fit_are_one_error(folder, fault):
    """Whether the data themselves are refused or a library that is loaded behind them."""
    with tables.open_writer(f"ark:{folder}/large.ark") as writer:
        for i in range(40):
            writer.write(f"u{i:02}", np.zeros((10000, 120), np.float32))
    old = chain.files(folder / "out/train-gmm")
    words = ["--max-memory=8", "ark:large.ark", "out/train-gmm/genuine.gmm"]
    for more_kb in (0, 50_000, 100_000, 150_000, 200_000) if IS_FULL else (100_000,):
        with fault("memory"):
            result = chain.run(
                "train-gmm", folder, given=words, preexec_fn=limit_memory(NEED_KB + more_kb)
            )
            assert result.returncode == 1 and chain.is_one_error(result.stderr), result.stderr
            assert "ERROR (sd-train-gmm) memory: " in result.stderr
            assert chain.files(folder / "out/train-gmm") == old
