"""The scripts of local/ as functions."""

import contextlib
import importlib
import io
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "local"))


def call(name, *args):
    """Exit status and output of a script, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            importlib.import_module(name).main([str(arg) for arg in args])
            code = 0
        except SystemExit as end:
            code = end.code or 0
    if isinstance(code, str):
        err.write(f"{code}\n")
        code = 1
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())
