"""egs/mini_replay/sd/run.sh under SIGKILL: whatever was cut short is done again, and nothing else is left."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from test_recipe import SMALL, make_copy, results, run

OPTIONS = ["--nj", "2", "--systems", "fusion", "--orders", "0", "--corpus-opts", SMALL]
NUM_KILLS = 10
PATIENCE_SEC = 3  # in which what run.sh had started must be gone


def tables(recipe):
    """Bytes of every archive and table of the data directories, with the recipe's place taken out of them."""
    paths = [path for path in recipe.glob("data/**/*") if path.is_file() and "log" not in path.parts and not path.name.endswith(".done")]
    return {str(path.relative_to(recipe)): path.read_bytes().replace(os.fsencode(recipe), b"") for path in paths}


def processes_in(folder):
    """Command lines of the processes that work in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes())
        except OSError:  # ended meanwhile
            pass
    return found


def test_ten_kills_leave_the_bytes_of_an_undisturbed_run_and_nothing_else(tmp_path):
    undisturbed, killed = make_copy(tmp_path / "undisturbed"), make_copy(tmp_path / "killed")
    started = time.monotonic()
    result = run(undisturbed, *OPTIONS)
    duration_sec = time.monotonic() - started
    assert result.returncode == 0, result.stderr
    rng = random.Random(0)
    last_stages = set()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for moment in [rng.random() for _ in range(NUM_KILLS)]:
        with open(tmp_path / "output", "wb") as output:
            process = subprocess.Popen(
                ["./run.sh", *OPTIONS], cwd=killed, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        time.sleep(moment * duration_sec)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + PATIENCE_SEC
        while left := processes_in(killed):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        last_stages |= set(re.findall(r"Stage \d", (tmp_path / "output").read_text())[-1:])
    assert len(last_stages) >= 2
    result = run(killed, *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert results(killed) == results(undisturbed)
    assert tables(killed) == tables(undisturbed)
    files = [{str(path.relative_to(recipe)) for path in recipe.rglob("*")} for recipe in (killed, undisturbed)]
    assert files[0] == files[1]
