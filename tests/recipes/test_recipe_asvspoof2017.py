"""egs/asvspoof2017/sd/run.sh on the corpus of mini_replay: every row of both tables, then what a user may meet.

With the models of mini_replay's size it is the same chain: the figures in README.md and RESULTS.md, too, are held to this run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from recipe_runs import ROOT, make_copy, run, table_rows

from sdtools.audio.decoding import load_audio
from sdtools.detect.model import load_model
from sdtools.scoring.files import read_scores

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
NUM_COMPONENTS = re.search(
    r"--num-components=(\d+)", (ROOT / "egs/mini_replay/sd/conf/gmm.conf").read_text()
)[1]
GMMS = [
    *(f"{feature}_sd{order}" for feature in ("cf", "cm", "cmtri") for order in (0, 2, 4, 6)),
    "cfcm_sd6",
    "cqcc",
    "tc",
]
GMMS += ["mcf", "mse", "stcc"]


def rows_of(text):
    """Cells of the tables in a text."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """That of mini_replay, in the layout of Version 2.0."""
    folder = tmp_path_factory.mktemp("v2") / "corpus"
    subprocess.run(
        [sys.executable, ROOT / "local" / "prepare_mini_replay.py", folder],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    recipe = make_copy(tmp_path_factory.mktemp("whole"), "asvspoof2017")
    result = run(recipe, "--corpus", str(corpus), "--num-components", NUM_COMPONENTS, timeout=1800)
    assert result.returncode == 0, result.stdout + result.stderr
    return recipe, result


@pytest.mark.parametrize("document", ["README.md", "egs/mini_replay/sd/RESULTS.md"])
def test_figures_of_the_made_corpus_are_those_of_a_run(whole, document):
    """How another processor rounds may move a trial of the 100 genuine ones."""
    rows = rows_of(whole[1].stdout)
    titles = [title.format(6) for title, _ in paper_tables.SYSTEMS.values()]
    printed = {row[0]: list(map(float, row[2:])) for row in rows if row[1] == "interp"}
    printed |= {row[0]: [float(row[1])] for row in rows if row[0] in titles}
    written = {
        title: figures
        for title, figures in table_rows((ROOT / document).read_text()).items()
        if title in printed
    }
    assert len(written) == (13 if "RESULTS" in document else 6)
    for title, figures in written.items():
        assert figures == pytest.approx(printed[title], abs=1.0), title
    assert all(5 <= eer <= 35 for feature in PAPER_TABLE_1 for eer in printed[feature])


def test_every_row_of_both_tables_is_printed_beside_the_papers(whole):
    recipe, result = whole
    text = result.stdout[result.stdout.index("Table 1") :]
    for feature, paper in PAPER_TABLE_1.items():
        ours, hull, printed = (row for row in rows_of(text) if row[0] == feature)
        assert (ours[1], hull[1], printed[1]) == ("interp", "rocch", "the paper")
        assert list(map(float, printed[2:])) == paper
        assert all(0 <= float(low) <= float(high) <= 100 for low, high in zip(hull[2:], ours[2:]))
    table_2 = table_rows(text[text.index("Table 2") : text.index("EER (%, interp) by environment")])
    assert {
        title: figures[-1] for title, figures in table_2.items() if len(figures) == 3
    } == PAPER_TABLE_2
    assert {title for title, figures in table_2.items() if len(figures) == 2} == {
        "MCF-CC alone",
        "MSE-CC alone",
        "STCC alone",
    }
    for by in ("environment", "playback device", "recording device", "phrase", "speaker"):
        assert f"EER (%, interp) by {by}:" in text
    assert (
        "The paper's figures are those of the whole of eval, 1298 genuine and 12008 replayed trials."
        in text
    )
    assert (recipe / "exp/RESULTS.md").read_text().partition("\n\n")[2].strip() == re.sub(
        r"\n.*With plots: .*", "", text
    ).strip()


def test_models_score_as_the_recipe_does(whole, monkeypatch):
    """Of recordings of eval: what sd-detect will say of them."""
    recipe, _ = whole
    monkeypatch.chdir(recipe)
    paths = dict(line.split() for line in Path("data/eval/wav.scp").read_text().splitlines())
    for name in ("fusion", "b3"):
        llrs = read_scores(f"exp/{name}/scores/eval.txt")
        model = load_model(f"exp/{name}/model")
        for utt in list(paths)[::60]:
            assert model.score(*load_audio(paths[utt])) == pytest.approx(llrs[utt], abs=1e-5)
    assert all(Path(f"exp/{name}/model/model.json").is_file() for name in GMMS)


def test_results_show_the_papers_figures():
    rows = [
        row
        for row in rows_of((ROOT / "egs/asvspoof2017/sd/RESULTS.md").read_text())
        if row[0] in [*PAPER_TABLE_1, *PAPER_TABLE_2]
    ]
    shown = {
        row[0]: row for row in rows
    }  # the last row of a feature and the last column of a system are the paper's
    assert {title: list(map(float, shown[title][-4:])) for title in PAPER_TABLE_1} == PAPER_TABLE_1
    assert {title: float(shown[title][-1]) for title in PAPER_TABLE_2} == PAPER_TABLE_2


def test_both_recipes_compute_the_same_features():
    for name in ("feats", "tri", "cqcc", "tc", "modulation"):
        one, other = (
            ROOT / "egs" / corpus / "sd" / "conf" / f"{name}.conf"
            for corpus in ("mini_replay", "asvspoof2017")
        )
        assert one.read_text() == other.read_text()


def test_figures_are_those_of_the_scores(whole):
    recipe, _ = whole
    figures = {
        system["system"]: system
        for system in json.loads((recipe / "exp/results.json").read_text())["systems"]
    }
    assert set(figures) == {f"exp/{name}/scores/eval.txt" for name in [*GMMS, "fusion", "b3"]}
    assert {(system["num_genuine"], system["num_spoof"]) for system in figures.values()} == {
        (100, 200)
    }
    assert len((recipe / "exp/dev.txt").read_text().splitlines()) == 1 + len(GMMS)
    for name, members in {"fusion": ["cf_sd6", "cm_sd6"], "b3": ["mcf", "mse", "stcc"]}.items():
        fusion = json.loads((recipe / f"exp/{name}/fusion.json").read_text())
        assert fusion["systems"] == [f"exp/{member}/scores/dev.txt" for member in members]


def test_each_system_has_its_features_and_its_number_of_components(whole):
    recipe, _ = whole
    for name in GMMS:
        settings = (recipe / f"data/{name}/eval/conf/feats.conf").read_text()
        if found := re.fullmatch(r"(cf|cm|cmtri|cfcm)_sd(\d)", name):
            bank = "triangular" if found[1] == "cmtri" else "iir"
            assert (
                f"--features={found[1].removesuffix('tri')}\n--bank={bank}\n--orders={found[2]}\n"
                in settings
            )
        assert (
            f"--num-components={NUM_COMPONENTS}\n"
            in (recipe / f"exp/{name}/genuine.gmm.conf").read_text()
        )
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
    assert titles == [
        "B1: CQCC",
        "S1: CF + Δ + ΔΔ (6 SD)",
        "S2: CM + Δ + ΔΔ (6 SD)",
        "S1 + S2 (score level)",
    ]
    assert rows["S1 + S2 (score level)"][-1] == 8.80
    result = run(recipe, "--stage", "5", "--systems", "fusion", "--orders", "4")
    assert (
        table_rows(result.stdout)["S2: CM + Δ + ΔΔ (4 SD)"][-1] == 11.61
        and "| S1 + S2 (score level)  |" in result.stdout
    )
    assert (
        len(table_rows(result.stdout)["S1 + S2 (score level)"]) == 2
    )  # the paper has none at order 4
    result = run(recipe, "--stage", "6", "--systems", "cmtri", "--orders", "4")
    assert [row[2] for row in rows_of(result.stdout) if row[1] == "the paper"] == ["12.03"]


def test_without_conditions_there_is_no_breakdown(whole, tmp_path):
    """A protocol of four columns has none."""
    recipe = copy_of(whole, tmp_path)
    for column in ("env", "playback", "recorder"):
        (recipe / f"data/eval/utt2{column}").unlink()
    result = run(recipe, "--stage", "6", "--systems", "cqcc")
    assert result.returncode == 0, result.stderr
    assert "| B1: CQCC |" in result.stdout and "by environment" not in result.stdout
    command = f"--corpus DIR --systems cqcc --orders 0,2,4,6 --num-components {NUM_COMPONENTS}"
    assert (recipe / "exp/RESULTS.md").read_text().startswith(f"Made by `./run.sh {command}`\n")


def test_no_labels_of_eval_give_scores_and_no_eer(whole, tmp_path):
    recipe = copy_of(whole, tmp_path)
    (recipe / "data/eval/utt2label").unlink()
    result = run(recipe, "--stage", "6")
    assert result.returncode == 0, result.stderr
    assert (
        "eval has no labels: scores are in exp/*/scores/eval.txt, and there is no EER"
        in result.stdout
    )
    assert "Table" not in result.stdout and not list(recipe.glob("exp/[reR]*.*"))


def test_what_cannot_be_run_is_said_in_a_line(corpus, tmp_path):
    recipe = make_copy(tmp_path, "asvspoof2017")
    result = run(recipe)
    assert result.returncode == 1 and result.stderr.startswith(
        "./run.sh: --corpus: got none, need the folder"
    )
    other = tmp_path / "corpus"
    shutil.copytree(corpus, other)
    sound = next(other.glob("*_dev/D_*.wav"))
    samples, rate_hz = soundfile.read(sound)
    soundfile.write(sound, samples, rate_hz // 2)
    result = run(recipe, "--corpus", str(other))
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert f"{sound}: sampling rate: got 8000 Hz, need 16000 Hz" in result.stderr
    assert not (recipe / "data").exists()


def test_bandwidths_in_the_page_on_differentiation(whole, tmp_path):
    """The row of the default is Table 1; of the narrowest filters two orders are computed anew."""
    page = (ROOT / "docs/differentiation.md").read_text()
    written = table_rows(page[page.index("| bandwidth |") :])
    results = table_rows((ROOT / "egs/mini_replay/sd/RESULTS.md").read_text())
    features = list(PAPER_TABLE_1)
    assert written["12"] == results[features[0]] + results[features[1]]
    recipe = make_copy(tmp_path)
    for name in ("train", "dev", "eval"):
        shutil.copytree(
            whole[0] / "data" / name,
            recipe / "data" / name,
            ignore=shutil.ignore_patterns("split*"),
        )
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["./bandwidth_table.sh", "--scales", "1", "--orders", "0,6"]
    result = subprocess.run(
        command, cwd=recipe, env=env, capture_output=True, text=True, timeout=1800
    )
    assert result.returncode == 0, result.stderr
    assert table_rows(result.stdout)["1"] == pytest.approx(
        [written["1"][column] for column in (0, 3, 4, 7)], abs=1.0
    )
