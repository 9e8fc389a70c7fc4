"""utils/alone.py: status, refusal, signals to everything that it started, file systems without locks."""

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).parent.parent / "utils"
ALONE = UTILS / "alone.py"


def run(*words):
    return subprocess.run([sys.executable, ALONE, *words], capture_output=True, text=True)


@pytest.mark.parametrize(("command", "status"), [("true", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_status_is_that_of_the_command(tmp_path, command, status):
    result = run(tmp_path / "lock", "bash", "-c", command)
    assert (result.returncode, result.stderr) == (status, "")


def test_lock_is_held_while_anything_is_left_and_free_after_it(tmp_path):
    lock, ready, go = tmp_path / "lock", tmp_path / "ready", tmp_path / "go"
    command = f"(until [ -e {go} ]; do sleep 0.05; done; touch {tmp_path}/over) & touch {ready}"
    first = subprocess.Popen([sys.executable, ALONE, lock, "bash", "-c", command])
    while not ready.exists():
        time.sleep(0.01)
    refused = run(lock, "true")
    assert refused.returncode == 1 and f"{tmp_path}: got a run that goes on (process {first.pid} on " in refused.stderr
    go.touch()
    assert first.wait() == 0 and (tmp_path / "over").exists()
    assert run(lock, "true").returncode == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_background_too(tmp_path, signum):
    command = f"(trap 'sleep 0.2; touch {tmp_path}/got; exit' TERM; touch {tmp_path}/ready; while :; do sleep 0.02; done) & wait"
    process = subprocess.Popen([sys.executable, ALONE, tmp_path / "lock", "bash", "-c", command])
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    process.send_signal(signum)
    assert process.wait(10) == 128 + signum
    assert (tmp_path / "got").exists()


def test_a_command_that_ends_well_in_spite_of_a_signal_has_ended_well(tmp_path):
    command = f"trap : TERM; touch {tmp_path}/ready; sleep 0.3; exit 0"
    process = subprocess.Popen([sys.executable, ALONE, tmp_path / "lock", "bash", "-c", command])
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(10) == 0


def test_a_file_system_without_locks_keeps_nobody_away(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(UTILS)
    import alone

    def flock(*_):
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(alone.fcntl, "flock", flock)
    for _ in range(2):
        with alone.take(str(tmp_path / "lock")) as file:
            assert Path(file.name).read_text().startswith("process ")


def test_what_cannot_be_done_is_one_line(tmp_path):
    result = run(tmp_path / "no" / "lock", "true")
    assert (result.returncode, result.stderr) == (1, f"alone.py: {tmp_path}/no/lock: No such file or directory\n")
    result = run(tmp_path / "lock", "no-such-command")
    assert (result.returncode, result.stderr) == (1, "alone.py: no-such-command: No such file or directory\n")
    assert run("lock").returncode == 1 and "usage: alone.py" in run("--help").stdout and run("--help").returncode == 0
