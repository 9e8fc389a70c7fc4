"""egs/asvspoof2017/sd/run.sh on a tiny corpus of that layout: every row of both tables, then what a user may meet."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import soundfile
from test_recipe import ROOT, make_copy, run, table_rows

sys.path.insert(0, str(ROOT / "local"))
import paper_tables

PAPER_TABLE_1 = {  # section 5
    "CF + Δ + ΔΔ": [20.67, 14.31, 11.92, 10.84],
    "CM + Δ + ΔΔ": [20.24, 15.22, 11.61, 10.93],
    "CM + Δ + ΔΔ (Tri)": [13.57, 12.42, 12.03, 13.29],
}
PAPER_TABLE_2 = {
    "B1: CQCC": 12.24,
    "B2: TC": 14.89,
    "B3: MCF-CC + MSE-CC + STCC": 6.54,
    "S1: CF + Δ + ΔΔ (6 SD)": 10.84,
    "S2: CM + Δ + ΔΔ (6 SD)": 10.93,
    "S1 + S2 (feature level)": 8.58,
    "S1 + S2 (score level)": 8.80,
}
GMMS = [*(f"{feature}_sd{order}" for feature in ("cf", "cm", "cmtri") for order in (0, 6)), "cfcm_sd6", "cqcc", "tc", "mcf", "mse", "stcc"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Short recordings in the layout of Version 2.0."""
    folder = tmp_path_factory.mktemp("v2") / "corpus"
    script = [sys.executable, ROOT / "local" / "prepare_mini_replay.py", "--nj=1"]
    numbers = ["--num-speakers=3,2,3", "--num-genuine=8,6,7", "--num-spoof=8,6,9"]
    subprocess.run([*script, *numbers, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    recipe = make_copy(tmp_path_factory.mktemp("whole"), "asvspoof2017")
    result = run(recipe, "--corpus", str(corpus), "--num-components", "2", "--orders", "0,6", "--nj", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    return recipe, result


def test_every_row_of_both_tables_is_printed_beside_the_papers(whole):
    recipe, result = whole
    text = result.stdout[result.stdout.index("Table 1") :]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    for feature, paper in PAPER_TABLE_1.items():
        ours, hull, printed = (row for row in rows if row[0] == feature)
        assert (ours[1], hull[1], printed[1]) == ("interp", "rocch", "the paper")
        assert list(map(float, printed[2:])) == [paper[0], paper[-1]]
        assert all(0 <= float(low) <= float(high) <= 100 for low, high in zip(hull[2:], ours[2:]))
    table_2 = table_rows(text[text.index("Table 2") : text.index("EER (%, interp) by environment")])
    assert {title: figures[-1] for title, figures in table_2.items() if len(figures) == 3} == PAPER_TABLE_2
    assert {title for title, figures in table_2.items() if len(figures) == 2} == {"MCF-CC alone", "MSE-CC alone", "STCC alone"}
    for by in ("environment", "playback device", "recording device"):
        assert f"EER (%, interp) by {by}" in text
    assert (recipe / "exp/RESULTS.md").read_text().partition("\n\n")[2].strip() == text.strip()


def test_every_cell_of_the_papers_tables_is_shown():
    system = {"num_genuine": 1, "num_spoof": 1, "cllr": 1.0, "min_cllr": 1.0, "by": {}, "eer": {"interp": {"value": 0.125}}}
    names = [f"{feature}_sd{order}" for feature in ("cf", "cm", "cmtri") for order in (0, 2, 4, 6)]
    names += ["cfcm_sd6", "fusion", "cqcc", "tc", "mcf", "mse", "stcc", "b3"]
    systems = [{"system": f"exp/{name}/scores/eval.txt", **system} for name in names]
    text = paper_tables.report({"options": {"eer": ["interp"]}, "systems": systems}, True)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    assert {row[0]: list(map(float, row[2:])) for row in rows if row[1] == "the paper"} == PAPER_TABLE_1
    assert {row[0]: float(row[2]) for row in rows if len(row) == 3 and row[1] == "12.50" and row[2] != "-"} == PAPER_TABLE_2


def test_figures_are_those_of_the_scores(whole):
    recipe, _ = whole
    figures = {system["system"]: system for system in json.loads((recipe / "exp/results.json").read_text())["systems"]}
    assert set(figures) == {f"exp/{name}/scores/eval.txt" for name in [*GMMS, "fusion", "b3"]}
    assert {(system["num_genuine"], system["num_spoof"]) for system in figures.values()} == {(7, 9)}
    assert len((recipe / "exp/dev.txt").read_text().splitlines()) == 1 + len(figures)
    for name, members in {"fusion": ["cf_sd6", "cm_sd6"], "b3": ["mcf", "mse", "stcc"]}.items():
        fusion = json.loads((recipe / f"exp/{name}/fusion.json").read_text())
        assert fusion["systems"] == [f"exp/{member}/scores/dev.txt" for member in members]


def test_each_system_has_its_features_and_its_number_of_components(whole):
    recipe, _ = whole
    for name in GMMS:
        settings = (recipe / f"data/{name}/eval/conf/feats.conf").read_text()
        if found := re.fullmatch(r"(cf|cm|cmtri|cfcm)_sd(\d)", name):
            bank = "triangular" if found[1] == "cmtri" else "iir"
            assert f"--features={found[1].removesuffix('tri')}\n--bank={bank}\n--orders={found[2]}\n" in settings
        assert "--num-components=2\n" in (recipe / f"exp/{name}/genuine.gmm.conf").read_text()
    assert (recipe / "data/cqcc/eval/frame_shift").read_text() == "0.0085\n"


def copy_of(whole, folder):
    recipe = folder / "egs" / "asvspoof2017" / "sd"
    shutil.copytree(whole[0], recipe, symlinks=True)
    for name in ("utils", "local"):
        (folder / name).symlink_to(ROOT / name)
    return recipe


def test_chosen_rows(whole, tmp_path):
    recipe = copy_of(whole, tmp_path)
    result = run(recipe, "--stage", "5", "--systems", "fusion,cqcc", "--orders", "6")
    assert result.returncode == 0, result.stderr
    assert "Table 1" not in result.stdout
    rows = table_rows(result.stdout[: result.stdout.index("by environment")])
    titles = [title for title, figures in rows.items() if figures]
    assert titles == ["B1: CQCC", "S1: CF + Δ + ΔΔ (6 SD)", "S2: CM + Δ + ΔΔ (6 SD)", "S1 + S2 (score level)"]


def test_no_labels_of_eval_give_scores_and_no_eer(whole, tmp_path):
    recipe = copy_of(whole, tmp_path)
    (recipe / "data/eval/utt2label").unlink()
    (recipe / "exp/results.json").unlink()
    result = run(recipe, "--stage", "6", "--orders", "0,6")
    assert result.returncode == 0, result.stderr
    assert "eval has no labels: scores are in exp/*/scores/eval.txt, and there is no EER" in result.stdout
    assert "Table" not in result.stdout and not (recipe / "exp/results.json").exists()


def test_what_cannot_be_run_is_said_in_a_line(corpus, tmp_path):
    recipe = make_copy(tmp_path, "asvspoof2017")
    result = run(recipe)
    assert result.returncode == 1 and result.stderr.startswith("./run.sh: --corpus: got none, need the folder")
    other = tmp_path / "corpus"
    shutil.copytree(corpus, other)
    sound = next(other.glob("*_dev/D_*.wav"))
    samples, rate_hz = soundfile.read(sound)
    soundfile.write(sound, samples, rate_hz // 2)
    result = run(recipe, "--corpus", str(other))
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert f"{sound}: sampling rate: got 8000 Hz, need 16000 Hz" in result.stderr
    assert not (recipe / "data").exists()
