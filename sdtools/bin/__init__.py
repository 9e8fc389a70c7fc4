"""One file, one command: parse, open, loop by key, count, return. Here: what has to be done before numpy and numba are imported."""

import os
import resource
import signal
import sys
from contextlib import suppress

NAME = os.path.basename(sys.argv[0])


def _die_silently_of_ctrl_c() -> None:
    """As long as nothing is open: libraries that are being imported would show a traceback."""
    if NAME.startswith("sd-") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # cli.Command.run catches it


def _check_address_space() -> None:
    """Refuse a limit (ulimit -v) in which numpy, OpenBLAS and numba crash or wait for ever when they are loaded."""
    limit_kb = resource.getrlimit(resource.RLIMIT_AS)[0] // 1024
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with suppress(ValueError):
        num_cores = min(num_cores, int(os.environ.get("OPENBLAS_NUM_THREADS", num_cores)))
    need_kb = 600_000 + 100_000 * num_cores  # half of it for what is to be computed
    if 0 <= limit_kb < need_kb:
        remedy = "Raise it, or set OPENBLAS_NUM_THREADS=1" if num_cores > 1 else "Raise it"
        sys.exit(f"ERROR ({NAME}) memory limit (ulimit -v): got {limit_kb} kB, need {need_kb} on {num_cores} cores. {remedy}")


def _find_place_for_compiled_loops() -> None:
    """A temporary one where numba would find none beside the modules or at home, and fail."""
    package, cache = os.path.dirname(os.path.dirname(__file__)), os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in [os.environ["NUMBA_CACHE_DIR"]] if "NUMBA_CACHE_DIR" in os.environ else [f"{package}/__pycache__", f"{cache}/numba"]:
        with suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return
    import atexit
    import shutil
    import tempfile

    with suppress(OSError):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="sdtools-")
        atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


_die_silently_of_ctrl_c()
_check_address_space()
_find_place_for_compiled_loops()
