"""The loop over entries: order, threads, errors in their places, BLAS, progress."""

import re
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from sdtools.cli import loop


def num_blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_values_and_errors_come_in_order(num_threads):
    seen = set()

    def compute(value):
        seen.add(threading.get_ident())
        time.sleep(0.002 * (value % 3))
        if value == 7:
            raise ValueError("seven")
        return value * value

    results = list(loop.computed(range(20), compute, num_threads))
    assert [entry for entry, _, _ in results] == list(range(20))
    assert [value for _, value, _ in results] == [None if i == 7 else i * i for i in range(20)]
    assert [str(error) for _, _, error in results if error] == ["seven"]
    assert len(seen) == num_threads


@pytest.mark.parametrize("num_threads", [1, 3])
def test_few_entries_are_held(num_threads):
    taken = []
    results = loop.computed((taken.append(i) or i for i in range(100)), abs, num_threads)
    for number, (entry, _, _) in enumerate(results):
        assert entry == number
        assert len(taken) <= number + 2 * num_threads


def test_blas_has_one_thread_inside_and_as_many_as_before_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = num_blas_threads()
    with loop.one_blas_thread():
        assert num_blas_threads() == {1}
    assert num_blas_threads() == before
    assert [value for _, value, _ in loop.computed([0], lambda _: num_blas_threads(), 2)] == [{1}]


def test_a_report_has_time_number_rate_and_rest(monkeypatch):
    clock = iter([0.0, *(30.0 * i for i in range(10))])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    for total, rest in ((10, " of 10, 0.0333 a second, 0:04:00 left"), (None, ", 0.0333 a second")):
        clock = iter([0.0, *(30.0 * i for i in range(10))])
        lines = []
        assert list(loop.with_reports("abcde", total, lines.append)) == list("abcde")
        assert len(lines) == 2
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 2" + re.escape(rest), lines[0])


def test_a_short_run_reports_nothing():
    lines = []
    assert list(loop.with_reports(range(1000), 1000, lines.append)) == list(range(1000))
    assert lines == []


def test_a_bar_gives_every_item(capsys):
    assert list(loop.with_bar(range(3), 3, "sd-x")) == [0, 1, 2]
    assert "sd-x" in capsys.readouterr().err
