"""Jobs on a cold cache of compiled loops or none, two runs of a recipe, files that come late."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import chain
import pytest
from form import IS_FULL
from recipe_runs import SMALL, make_copy

NUM_JOBS = 50 if IS_FULL else 4
NAME = "compute-feats"
PATIENCE_SEC = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    chain.make_inputs(folder)
    return folder


@pytest.fixture
def package(tmp_path):
    """A copy of the package whose loops are not compiled yet."""
    shutil.copytree(
        chain.ROOT / "sdtools",
        tmp_path / "sdtools",
        ignore=shutil.ignore_patterns("*.nbi", "*.nbc"),
    )
    return tmp_path


def command(out, bank="iir", features="cf"):
    words = [f"--bank={bank}", f"--features={features}", "--orders=0", "scp:wav.scp", f"ark:{out}"]
    return [sys.executable, "-m", "sdtools.bin.compute_feats", *words]


def environment(package, **settings):
    return {**os.environ, "PYTHONPATH": str(package), **settings}


def start(folder, package, out, **options):
    return subprocess.Popen(
        command(out, **options),
        cwd=folder,
        env=environment(package),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def caches(package):
    return sorted(
        (path.name, path.stat().st_mtime_ns)
        for path in (package / "sdtools/features/__pycache__").glob("*.nb?")
    )


def test_jobs_that_start_at_once_on_a_cold_cache_give_the_same_bytes(folder, package, fault):
    expected = (folder / "out" / NAME / "cf.ark").read_bytes()
    with fault("start on a cold cache", NUM_JOBS):
        jobs = [start(folder, package, f"cold.{i}.ark") for i in range(NUM_JOBS)]
        said = [job.communicate()[1] for job in jobs]
        assert [job.returncode for job in jobs] == [0] * NUM_JOBS, said
        assert all("Traceback" not in text and "ERROR" not in text for text in said)
        assert [(folder / f"cold.{i}.ark").read_bytes() == expected for i in range(NUM_JOBS)] == [
            True
        ] * NUM_JOBS
    before = caches(package)
    assert any(name.startswith("kernels.extract") for name, _ in before)
    assert [name for name, _ in before if "tmp" in name] == []
    with fault("start on a cold cache"):  # what they have left can be used
        job = start(folder, package, "warm.ark")
        assert job.communicate()[1].count("ERROR") == 0 and job.returncode == 0
        assert (folder / "warm.ark").read_bytes() == expected
        assert caches(package) == before


def test_where_no_cache_can_be_commands_work_and_leave_nothing(folder, package, fault):
    """As for a user without a home of an installation by root: numba alone would fail."""
    expected = (folder / "out" / NAME / "cf.ark").read_bytes()
    (package / "tmp").mkdir()
    shutil.rmtree(package / "sdtools/features/__pycache__")
    (package / "sdtools/features/__pycache__").write_text("")  # no folder, even for root
    with fault("no place for a cache"):
        env = environment(
            package, HOME="/proc", TMPDIR=str(package / "tmp"), XDG_CACHE_HOME="/proc"
        )
        result = subprocess.run(
            command("none.ark"), cwd=folder, env=env, capture_output=True, text=True
        )
        assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
        assert (folder / "none.ark").read_bytes() == expected
        assert list((package / "tmp").iterdir()) == []


def wait_until(condition, patience_sec=20):
    deadline = time.monotonic() + patience_sec
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


OPTIONS = ["--nj", "1", "--systems", "cf", "--orders", "0", "--corpus-opts", SMALL]
LAUNCHERS = {
    "late.sh": """#!/usr/bin/env bash
# Outputs of ended jobs appear only later, as through the cache of a network file system.
utils/run.py "$@" || exit
for file in $(find data exp -name '*.1.scp' -path '*/data/*' -o \
  -name '*.1.txt' -path '*/parts/*'); do
  mv "$file" "$file.late"
  (sleep 1; mv "$file.late" "$file") >/dev/null 2>&1 &
done
""",
    "endless.sh": """#!/usr/bin/env bash
touch endless
while :; do sleep 0.1; done
""",
}


def start_recipe(recipe, first, last, *options):
    words = ["./run.sh", *OPTIONS, "--stage", str(first), "--stop-stage", str(last), *options]
    return subprocess.Popen(
        words,
        cwd=recipe,
        env=chain.ENV,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0 and "No such file" not in said, said


def test_runs_of_a_recipe_do_not_meet_and_wait_for_late_files(tmp_path, fault):
    recipe = make_copy(tmp_path)
    for name, script in LAUNCHERS.items():
        (recipe / name).write_text(script)
        (recipe / name).chmod(0o755)
    finish(start_recipe(recipe, 0, 4))
    scores = recipe / "exp/cf_sd0/scores/eval.txt"
    expected = scores.read_bytes()
    scores.unlink()
    for stage in (2, 4):
        with fault("late files"):
            finish(start_recipe(recipe, stage, stage, "--cmd", "./late.sh"))
    assert scores.read_bytes() == expected
    for signum in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        with fault("second run"):
            first = start_recipe(recipe, 2, 6, "--cmd", "./endless.sh")
            wait_until((recipe / "endless").exists)
            second = start_recipe(recipe, 1, 1)
            said = second.communicate(timeout=20)[1]
            assert second.returncode == 1 and len(said.splitlines()) == 1
            assert re.search(
                rf"in progress \(process {first.pid} on {os.uname().nodename} since [0-9 :-]+\)",
                said,
            )
            assert (
                subprocess.run(["./run.sh", "--help"], cwd=recipe, capture_output=True).returncode
                == 0
            )
        with fault("killed run"):
            first.send_signal(signum)
            first.communicate(timeout=PATIENCE_SEC)
            assert first.returncode in chain.ended_by(signum)
            wait_until(lambda: not chain.processes_in(recipe), PATIENCE_SEC)
            finish(start_recipe(recipe, 1, 1))
        (recipe / "endless").unlink()


def test_outputs_that_never_come_are_named(tmp_path):
    there, never = tmp_path / "there", tmp_path / "never"
    there.write_text("")
    words = [chain.ROOT / "utils/wait_for.sh", there, never]
    result = subprocess.run(
        words, env={**os.environ, "SDTOOLS_GRACE_SEC": "1"}, capture_output=True, text=True
    )
    assert result.returncode == 1 and re.fullmatch(
        rf"wait_for.sh: {never}: .* missing [12] s after .*\n", result.stderr
    )
    assert subprocess.run([*words[:2]]).returncode == 0
