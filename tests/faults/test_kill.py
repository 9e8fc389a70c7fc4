"""SIGKILL, SIGTERM and SIGINT at random moments: a rerun gives the undisturbed bytes.

Every stage of a recipe and every command is killed.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from itertools import cycle
from pathlib import Path

import chain
import pytest
from form import IS_FULL
from recipe_runs import SMALL, make_copy, run

NUM_KILLS = 240 if IS_FULL else 20
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STAGES = (*range(7), None)  # None: all of them in one run
NUM_STAGE_KILLS = max(1, NUM_KILLS // 4 // len(STAGES))
NUM_COMMAND_KILLS = NUM_KILLS - NUM_STAGE_KILLS * len(STAGES)
SHARES = {  # of each command in them
    name: (i + 1) * NUM_COMMAND_KILLS // len(chain.LINES)
    - i * NUM_COMMAND_KILLS // len(chain.LINES)
    for i, name in enumerate(chain.LINES)
}
OPTIONS = [
    "--nj",
    "2",
    "--systems",
    "fusion" if IS_FULL else "cf",
    "--orders",
    "0",
    "--corpus-opts",
    SMALL,
]
PATIENCE_SEC = 30  # in which what was started must be gone, beside all that else goes on


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    chain.make_inputs(folder)
    return folder


def wait_for_a_temporary_file(place, process):
    while process.poll() is None and not chain.temporaries(os.listdir(place)):
        time.sleep(0.001)


def wait_for_our_code(process):
    """Python shows a traceback of Ctrl-C while it starts."""
    while process.poll() is None and "numpy" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)


@pytest.mark.parametrize("name", [name for name in chain.LINES if SHARES[name]])
def test_a_killed_command_leaves_whole_files_and_a_rerun_the_same_bytes(folder, name, fault):
    rng, place = random.Random(name), folder / "out" / name
    started = time.monotonic()
    assert chain.run(name, folder).returncode == 0
    duration_sec, undisturbed = time.monotonic() - started, chain.files(place)
    signals = cycle(rng.sample(SIGNALS, 3))
    for number in range(SHARES[name]):
        with fault("kill of a command"):
            if rng.random() < 0.5:
                shutil.rmtree(place)
                (place / "scores").mkdir(parents=True)
            signum = next(signals)
            process = subprocess.Popen(
                [chain.program(name), *chain.words(name)],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            if number % 2 == 0:
                wait_for_a_temporary_file(place, process)
                time.sleep(rng.random() * 0.02)
            else:
                if signum == signal.SIGINT:
                    wait_for_our_code(process)
                time.sleep(rng.random() * duration_sec)
            process.send_signal(signum)
            stderr = process.communicate(timeout=PATIENCE_SEC)[1]
            assert process.returncode in (0, *chain.ended_by(signum)), stderr
            assert "Traceback" not in stderr
            left = chain.files(place)
            if signum != signal.SIGKILL:
                assert chain.temporaries(left) == []
            assert all(
                undisturbed[path] == content
                or (name == "detect" and undisturbed[path].startswith(content))  # line by line
                for path, content in left.items()
                if path not in chain.temporaries(left)
            )
            result = chain.run(name, folder)
            assert result.returncode == 0, result.stderr
            assert chain.files(place) == undisturbed


def outputs(recipe):
    """Bytes of all outputs of a recipe, without logs, records of jobs and the recipe's path."""
    content = {
        name: content
        for top in ("corpus", "data", "exp")
        for name, content in chain.files(recipe / top).items()
    }
    names = [name for name in content if "log/" not in name and not name.endswith(".lock")]
    return {name: content[name].replace(os.fsencode(recipe), b"") for name in names}


def read(path):
    return path.read_text() if path.exists() else ""


def only(stage):
    return [] if stage is None else ["--stage", str(stage), "--stop-stage", str(stage)]


def test_a_killed_recipe_leaves_no_process_and_a_rerun_the_same_bytes(tmp_path, fault):
    undisturbed, killed = make_copy(tmp_path / "undisturbed"), make_copy(tmp_path / "killed")
    durations_sec = {}
    for stage in STAGES[:-1]:
        started = time.monotonic()
        result = run(undisturbed, *OPTIONS, *only(stage))
        durations_sec[stage] = time.monotonic() - started
        assert result.returncode == 0, result.stderr
    durations_sec[None] = sum(durations_sec.values()) / 4  # most of it is done already
    rng = random.Random(0)
    ways = [(signum, send) for signum in SIGNALS for send in (os.kill, os.killpg)]
    rng.shuffle(ways)
    ways = cycle(ways)
    for stage in STAGES:
        for _ in range(NUM_STAGE_KILLS):
            with fault("kill of a recipe"):
                signum, send = next(ways)
                with open(tmp_path / "output", "wb") as output:
                    process = subprocess.Popen(
                        ["./run.sh", *OPTIONS, *only(stage)],
                        cwd=killed,
                        env=chain.ENV,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                while process.poll() is None and f"process {process.pid} " not in read(
                    killed / "exp/.lock"
                ):
                    time.sleep(0.01)  # or it would be killed before it has begun
                time.sleep(rng.random() * durations_sec[stage])
                send(process.pid, signum)
                process.wait(PATIENCE_SEC)
                said = (tmp_path / "output").read_text()
                assert process.returncode in (0, *chain.ended_by(signum)), said
                assert "Traceback" not in said
                deadline = time.monotonic() + PATIENCE_SEC
                while left := chain.processes_in(killed):
                    assert time.monotonic() < deadline, left
                    time.sleep(0.05)
        result = run(killed, *OPTIONS, *only(stage))
        assert result.returncode == 0, (stage, result.stderr)
    assert outputs(killed) == outputs(undisturbed)
    files = [
        {str(path.relative_to(recipe)) for path in recipe.rglob("*")}
        for recipe in (killed, undisturbed)
    ]
    assert files[0] == files[1]
