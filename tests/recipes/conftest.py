"""Runs that several tests look at, and commands that start at once."""

import pytest
from recipe_runs import MINI_COMPONENTS, SMALL_RUN, gmms, make_copy, results, run
from shared_runs import commands_that_start_at_once, corpus, make_once  # noqa: F401 - fixtures


@pytest.fixture(scope="session", autouse=True)
def _all_here_use_them(commands_that_start_at_once):  # noqa: F811
    """Hundreds of commands run in these tests."""


@pytest.fixture(scope="session")
def whole(corpus, tmp_path_factory):  # noqa: F811
    """The recipe of ASVspoof 2017 with all systems and orders on the corpus of mini_replay."""

    def make(folder):
        options = ["--corpus", corpus[0], "--num-components", MINI_COMPONENTS]
        result = run(make_copy(folder, "asvspoof2017"), *options, timeout=1800)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    folder, stdout = make_once(tmp_path_factory, "whole", make)
    return folder / "egs/asvspoof2017/sd", stdout


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The recipe mini_replay, run twice in one place on few recordings, for two systems."""

    def make(folder):
        recipe = make_copy(folder)
        first = run(recipe, *SMALL_RUN)
        assert first.returncode == 0, first.stdout + first.stderr
        before = results(recipe)
        times = {path: path.stat().st_mtime_ns for path in gmms(recipe)}
        again = run(recipe, *SMALL_RUN, "--stop-stage", 5)  # stage 0 makes the corpus anew
        assert again.returncode == 0, again.stdout + again.stderr
        after = results(recipe)
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        trained = [str(path) for path in times if path.stat().st_mtime_ns != times[path]]
        return {"stdout": first.stdout, "changed": changed, "trained_again": trained}

    folder, about = make_once(tmp_path_factory, "small", make)
    return folder / "egs/mini_replay/sd", about
