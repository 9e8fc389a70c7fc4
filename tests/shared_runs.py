"""What takes long and serves several tests: a corpus, runs of recipes, a server of commands."""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import pytest
import warm_commands

from sdtools import bin as commands

ROOT = Path(__file__).parents[1]


def make_once(tmp_path_factory, name, make):
    """Return a folder and what `make(folder)` returned, a value of JSON, in whichever process.

    Tests must not change the folder: another process may be reading it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of this run, with a folder for each process
    folder, note = base / name, base / f"{name}.json"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
            folder.mkdir()
            try:
                found = {"made": make(folder)}
            except Exception:  # told to every test, or each process would try again
                found = {"failed": traceback.format_exc()}
            note.write_text(json.dumps(found))
    found = json.loads(note.read_text())
    if "failed" in found:
        pytest.fail(f"{name}: {found['failed']}", pytrace=False)
    return folder, found["made"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The corpus of egs/mini_replay with default settings, and what its script printed."""

    def make(folder):
        words = [sys.executable, ROOT / "local/prepare_mini_replay.py", "--nj=2", folder / "corpus"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return done.stderr

    folder, printed = make_once(tmp_path_factory, "mini_replay", make)
    return folder / "corpus", printed


@pytest.fixture(scope="session")
def commands_that_start_at_once():
    """Put scripts on the PATH that hand each command to a server (warm_commands.py)."""
    with tempfile.TemporaryDirectory(prefix="sd") as folder, pytest.MonkeyPatch.context() as patch:
        socket_path = f"{folder}/socket"
        python = Path(sys.executable)
        words = [python, "-IS", warm_commands.__file__, "call", socket_path]
        for path in Path(commands.__path__[0]).glob("[a-z]*.py"):
            script = Path(folder, "sd-" + path.stem.replace("_", "-"))
            call = shlex.join(map(str, [*words, script.name]))
            script.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
            script.chmod(0o755)
        server = subprocess.Popen(
            [python, warm_commands.__file__, "serve", socket_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert server.stdout.readline() == b"ready\n"
        patch.setenv("PATH", f"{folder}:{python.parent}:{os.environ['PATH']}")
        yield
        server.stdin.close()
        server.wait(60)
        server.stdout.close()
