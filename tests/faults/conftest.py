"""Counts the faults by class and prints the table at the end of `make test-faults`."""

import contextlib

import pytest


@pytest.fixture
def fault(record_property):
    """Around all that is tried and asserted about one fault: `with fault("kill"): ...`."""

    @contextlib.contextmanager
    def one(kind, count=1):
        survived = 0
        try:
            yield
            survived = count
        finally:
            record_property("fault", (kind, count, survived))

    return one


def pytest_terminal_summary(terminalreporter):
    counts = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "fault" and report.when == "call":
                kind, tried, survived = value
                so_far = counts.get(kind, (0, 0))
                counts[kind] = so_far[0] + tried, so_far[1] + survived
    if counts:
        terminalreporter.section("faults")
        rows = [(kind, *counts[kind]) for kind in sorted(counts)]
        rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
        terminalreporter.write_line(f"{'class':<24}{'tried':>9}{'survived':>10}{'lost':>6}")
        for kind, tried, survived in rows:
            terminalreporter.write_line(f"{kind:<24}{tried:>9}{survived:>10}{tried - survived:>6}")
