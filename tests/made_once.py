"""What takes long to make and several tests look at: made once, whatever number of processes."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

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
