"""Signals and warnings of a running command, and what must be done before numpy is loaded."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any


def prepare(name: str) -> None:
    """Prepare the process of the command `name` before numpy and numba are loaded."""
    if name.startswith("sd-") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Libraries that are being loaded would show a traceback; `end_by_exit` catches it later.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _check_address_space(name)
    _find_numba_cache()


def _check_address_space(name: str) -> None:
    """Refuse a limit (ulimit -v) in which OpenBLAS waits forever or numba crashes."""
    limit_kb = resource.getrlimit(resource.RLIMIT_AS)[0] // 1024
    num_cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        num_cores = len(os.sched_getaffinity(0))
    with suppress(ValueError):
        num_cores = min(num_cores, int(os.environ.get("OPENBLAS_NUM_THREADS", num_cores)))
    need_kb = 600_000 + 100_000 * num_cores  # half of it for the data
    if 0 <= limit_kb < need_kb:
        hint = "Raise it, or set OPENBLAS_NUM_THREADS=1" if num_cores > 1 else "Raise it"
        sides = f"expected {need_kb} kB on {num_cores} cores, found {limit_kb} kB"
        sys.exit(f"ERROR ({name}) memory limit (ulimit -v): {sides}. {hint}.")


def _find_numba_cache() -> None:
    """Give numba a temporary cache where it finds no other place."""
    package = os.path.dirname(os.path.dirname(__file__))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folders = [f"{package}/features/__pycache__", f"{home}/numba"]
    if "NUMBA_CACHE_DIR" in os.environ:
        folders = [os.environ["NUMBA_CACHE_DIR"]]
    for folder in folders:
        with suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return
    with suppress(OSError):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="sdtools-")
        atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


@contextlib.contextmanager
def end_by_exit() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT end the command through its with-blocks.

    No temporary file stays behind then. A signal that a library swallows is sent again: numba's
    callbacks do so while compiled loops are loaded.
    """
    old: dict[int, Any] = {}
    old_hook = sys.unraisablehook

    def send_again(unraisable: Any) -> None:
        error, number = unraisable.exc_value, None
        if isinstance(error, KeyboardInterrupt):
            number = signal.SIGINT
        elif isinstance(error, SystemExit):
            codes = {128 + n: n for n in (signal.SIGTERM, signal.SIGHUP)}
            number = codes.get(error.code) if isinstance(error.code, int) else None
        if number is None:
            old_hook(unraisable)
        else:  # a little later, because here it would be swallowed once more
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()

    def end(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():
        sys.unraisablehook = send_again
        old = {n: signal.signal(n, end) for n in (signal.SIGTERM, signal.SIGHUP)}
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `prepare` leaves it
            old[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        sys.unraisablehook = old_hook
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def logging_to(report: Callable[[str], None]) -> Iterator[None]:
    """Hand every line that the library logs to `report`."""
    logger, handler = logging.getLogger("sdtools"), logging.Handler()
    handler.emit = lambda record: report(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def warnings_to(report: Callable[[Warning], None]) -> Iterator[None]:
    """Hand every Python warning, ours or a library's, to `report`."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_, **__: report(message)
        yield
