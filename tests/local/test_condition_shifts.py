import re
from pathlib import Path

import numpy as np
import soundfile
from scripts import run_script
from tiny_model import RATE_HZ, write_tiny_model

SCRIPT = Path(__file__).parents[2] / "local" / "condition_shifts.py"


def test_a_table_of_shifts(tmp_path):
    write_tiny_model(tmp_path / "model", tmp_path / "sources")
    (tmp_path / "live").mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        sound = 0.2 * rng.standard_normal(2 * RATE_HZ).clip(-3, 3)
        soundfile.write(tmp_path / "live" / f"{name}.wav", sound, RATE_HZ)
    result = run_script(SCRIPT, "--num", 2, tmp_path / "model", tmp_path / "live")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("2 recordings")
    form = r"^\| (.+) \| ([+-][\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+)% \| (\d+)% \|$"
    found = re.findall(form, result.stdout, re.M)
    doubted = {row[0]: row[5] for row in found}
    assert doubted["codec opus"] == doubted["first 0.5 s"] == "100"
    assert doubted["first 2 s"] == doubted["resampled to 48 kHz and back"] == "0"
    rows = {row[0]: [float(x) for x in row[1:4]] for row in found}
    assert len(rows) == 26
    assert rows["first 2 s"] == [0, 0, 0]  # all of it
    assert rows["codec g711"][1] > rows["resampled to 48 kHz and back"][1] > 0
    refused = run_script(SCRIPT, tmp_path / "model", tmp_path / "sources")
    assert refused.returncode == 1 and "no sound file" in refused.stderr
