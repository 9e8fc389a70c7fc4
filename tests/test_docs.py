"""The commands of docs/kaldi.md, run in order as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_commands import make_recipe_directory
from test_recipe import make_copy

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe's directory with a data directory of noise, in which all blocks of a page run one after the other."""
    folder = make_copy(tmp_path_factory.mktemp("docs"))
    make_recipe_directory(folder)
    keys = [line.split()[0] for line in (folder / "data/train/utt2label").read_text().splitlines()]
    (folder / "data/train/utt2spk").write_text("".join(f"{key} train\n" for key in keys))
    (folder / "data/train/spk2utt").write_text(f"train {' '.join(keys)}\n")
    return folder


def blocks(page):
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


def run(block, folder):
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = f". ./path.sh\nset -euo pipefail\n{block}"
    return subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def test_commands_for_kaldi_users(recipe):
    outputs = []
    for block in blocks("kaldi.md"):
        result = run(block, recipe)
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        outputs.append(result)
    features, _, gmm, _, resume = outputs
    assert "\ntrain-000  [\n" in features.stdout
    for table, line in (("utt2num_frames", "train-000 39 \n"), ("utt2dur", "train-000 0.4 \n"), ("frame_shift", "0.01\n")):
        assert (recipe / "kaldi/cm_sd6/train" / table).read_text().startswith(line)
    assert gmm.stdout == "<DiagGMM> \n"
    assert (recipe / "kaldi/1.dubm").read_bytes().startswith(b"\0B<DiagGMM> ")
    assert re.findall(r"(\d) / 3 were done before", resume.stderr) == ["3", "2"]
