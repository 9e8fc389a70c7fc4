"""Recipes in a place of their own: copies, runs and what a run leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = "--num-speakers 3,2,3 --num-genuine 6,4,5 --num-spoof 6,4,5"
SMALL_RUN = ["--nj", "1", "--systems", "fusion", "--orders", "6", "--corpus-opts", SMALL]
MINI_CONF = ROOT / "egs/mini_replay/sd/conf/gmm.conf"
MINI_COMPONENTS = re.search(r"--num-components=(\d+)", MINI_CONF.read_text())[1]
MADE = ("data", "exp", "corpus")


def environment():
    """The variables of a process that finds the commands."""
    if shutil.which("sd-train-gmm"):
        return dict(os.environ)
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run_to_end(words, cwd, timeout=600):
    """Run a program; nothing that it has started outlives a failure of the test."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, signum)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                continue
            break
        raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def link_tools(folder):
    """Links from a recipe's root to the tools of this checkout."""
    for name in ("utils", "local"):
        (folder / name).symlink_to(ROOT / name)


def make_copy(folder, corpus="mini_replay"):
    """Copy a recipe's own files into `folder` and link the tools."""
    recipe = folder / "egs" / corpus / "sd"
    ignored = shutil.ignore_patterns(*MADE)
    shutil.copytree(ROOT / "egs" / corpus / "sd", recipe, symlinks=True, ignore=ignored)
    link_tools(folder)
    return recipe


def copy_of(made, folder, archives=True):
    """Copy a recipe with all that its runs left; without archives, tables name those of `made`."""
    recipe = folder / made.relative_to(made.parents[2])
    ignored = None if archives else shutil.ignore_patterns("*.ark")
    shutil.copytree(made, recipe, symlinks=True, ignore=ignored)
    link_tools(folder)
    return recipe


def run(recipe, *options, timeout=600):
    """Run a recipe's run.sh with options."""
    return run_to_end(["./run.sh", *map(str, options)], recipe, timeout)


def gmms(recipe):
    """Paths of the GMMs that training left; those in model directories are copies."""
    return [path for path in recipe.glob("exp/**/*.gmm") if "model" not in path.parts]


def results(recipe):
    """Bytes of every GMM, score file and fusion."""
    files = [*gmms(recipe), *recipe.glob("exp/*/scores/*.txt"), recipe / "exp/fusion/fusion.json"]
    return {str(path.relative_to(recipe)): path.read_bytes() for path in files}


def rows_of(text):
    """Cells of the tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def table_rows(text):
    """Figures of the rows of Tables 1 and 2: {first cell: [numbers]}."""
    return {
        row[0]: [float(cell) for cell in row[1:] if re.fullmatch(r"\d+\.\d+", cell)]
        for row in rows_of(text)
        if len(row) > 1
    }


def blocks(page):
    """The commands in a page of docs/."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run_block(block, recipe):
    """Run commands of a page in a recipe's folder."""
    return run_to_end(["bash", "-c", f". ./path.sh\nset -euo pipefail\n{block}"], recipe)
