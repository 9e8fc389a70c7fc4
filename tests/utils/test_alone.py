"""utils/alone.py: status, refusal, signals to all it has started, file systems without locks."""

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import wait_for
from data_dirs import UTILS, load, missing

ALONE = UTILS / "alone.py"


def run(*words):
    return subprocess.run([sys.executable, ALONE, *words], capture_output=True, text=True)


def start(folder, command):
    """alone.py with a command for bash that makes the file `ready`."""
    words = [sys.executable, ALONE, folder / "lock", "bash", "-c", command]
    process = subprocess.Popen(words, cwd=folder)
    wait_for((folder / "ready").exists)
    return process


@pytest.mark.parametrize(
    ("command", "status"), [("true", 0), ("exit 7", 7), ("kill -KILL $$", 137)]
)
def test_status_is_that_of_the_command(tmp_path, command, status):
    result = run(tmp_path / "lock", "bash", "-c", command)
    assert (result.returncode, result.stderr) == (status, "")


def test_lock_is_held_while_anything_is_left_and_free_after_it(tmp_path):
    waiting = "(until [ -e go ]; do sleep 0.05; done; touch over) & touch ready"
    first = start(tmp_path, waiting)
    refused = run(tmp_path / "lock", "true")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"alone.py: {tmp_path}: ")
    assert missing(refused.stderr, ["in progress", f"process {first.pid} on "]) == []
    (tmp_path / "go").touch()
    assert first.wait(10) == 0 and (tmp_path / "over").exists()
    assert run(tmp_path / "lock", "true").returncode == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_background_too(tmp_path, signum):
    trap = "trap 'sleep 0.2; touch got; exit' TERM"
    process = start(tmp_path, f"({trap}; touch ready; while :; do sleep 0.02; done) & wait")
    process.send_signal(signum)
    assert process.wait(10) == 128 + signum
    assert (tmp_path / "got").exists()


def test_a_sigkill_ends_the_command_too(tmp_path):
    ticking = "while :; do echo >>ticks; sleep 0.02; done"
    process = start(tmp_path, f"trap '' TERM; touch ready; {ticking}")
    wait_for((tmp_path / "ticks").exists)
    process.kill()
    process.wait(10)

    def still():
        before = (tmp_path / "ticks").stat().st_size
        time.sleep(0.1)
        return (tmp_path / "ticks").stat().st_size == before

    wait_for(still)


def test_a_command_that_ends_well_in_spite_of_a_signal_has_ended_well(tmp_path):
    process = start(tmp_path, "trap : TERM; touch ready; sleep 0.3; exit 0")
    process.terminate()
    assert process.wait(10) == 0


def test_a_file_system_without_locks_keeps_nobody_away(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOTSUP, "no locks here")

    files = load("files")
    monkeypatch.setattr(files.fcntl, "flock", flock)
    for _ in range(2):
        with files.lock(str(tmp_path / "lock"), "", "") as file:
            assert Path(file.name).read_text().startswith("process ")


def test_what_cannot_be_done_is_one_line(tmp_path):
    for lock, command, path in (
        (tmp_path / "no/lock", "true", f"{tmp_path}/no/lock"),
        (tmp_path / "lock", "no-such-command", "no-such-command"),
    ):
        result = run(lock, command)
        message = f"alone.py: {path}: No such file or directory\n"
        assert (result.returncode, result.stderr) == (1, message)


def test_help_and_usage():
    result = run("--help")
    assert result.returncode == 0 and "usage: alone.py" in result.stdout
    assert run("lock").returncode == 1
