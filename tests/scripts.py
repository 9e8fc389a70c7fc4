"""Scripts of local/ run in this process, where they start at once. Those of utils/ would end it."""

import contextlib
import gc
import io
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]


def run_script(path, *argv, cwd=None):
    """Run a script as its own process would; returns status, stdout and stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    old_argv, old_path, old_folder = sys.argv, sys.path[:], os.getcwd()
    sys.argv = [str(path), *map(str, argv)]
    sys.path.insert(0, str(Path(path).parent))
    status = 0
    try:
        os.chdir(cwd or old_folder)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("os._exit", sys.exit),  # as scripts of utils/ end
        ):
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as end:
                status = end.code or 0
                if isinstance(status, str):
                    print(status, file=err)
                    status = 1
            except Exception:
                traceback.print_exc()
                status = 1
    finally:
        gc.enable()  # scripts of utils/ do without
        sys.argv, sys.path[:] = old_argv, old_path
        os.chdir(old_folder)
    texts = [_text_of(stream) for stream in (out, err)]
    return subprocess.CompletedProcess(argv, status, *texts)


def _text_of(stream):
    """What was written to a stream."""
    stream.flush()
    return stream.buffer.getvalue().decode(errors="surrogateescape")
