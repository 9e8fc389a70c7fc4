"""What all tests share: signals as an ordinary program has them, and no process left behind."""

import signal

import pytest
from children import kill, processes_in
from fake_schedulers import fake  # noqa: F401 - a fixture of tests of the launchers


def pytest_configure(config):
    # Another run may clean up the same old folders, or a process may still write to one.
    config.addinivalue_line("filterwarnings", r"ignore:\(rm_rf\):pytest.PytestWarning")


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_children():
    """Let children start with the default actions, also under nohup or in the background.

    Children inherit signals that are ignored, but not handlers: the tests themselves go on.
    """
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "tmp_path" in getattr(item, "funcargs", {}):
        kill(processes_in(item.funcargs["tmp_path"]))
    return report
