"""egs/asvspoof2017/sd/run.sh on the corpus of mini_replay: both tables, then odd circumstances.

The GMMs have the size of mini_replay's, so its README.md and RESULTS.md must show these figures.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import soundfile
from recipe_runs import (
    MINI_COMPONENTS,
    ROOT,
    copy_of,
    make_copy,
    rows_of,
    run,
    run_to_end,
    table_rows,
)

from sdtools.audio.decoding import load_audio
from sdtools.detect.model import load_model
from sdtools.scoring.deployment import read_deployment
from sdtools.scoring.files import read_scores

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
NOT_IN_THE_PAPER = {"MCF-CC alone", "MSE-CC alone", "STCC alone", "LFCC"}
RECIPES = ("mini_replay", "asvspoof2017")
CONDITIONS = ("environment", "playback device", "recording device", "phrase", "speaker")
BY_ORDER = [f"{feature}_sd{order}" for feature in ("cf", "cm", "cmtri") for order in (0, 2, 4, 6)]
DEPLOYED = ("fusion",)
NO_MODEL = ("--deploy", "none")
GMMS = [*BY_ORDER, "cfcm_sd6", "cqcc", "tc", "mcf", "mse", "stcc", "lfcc"]


def split(text):
    """Rows of Table 1, then figures of Table 2, of what a recipe printed."""
    first, _, second = text.partition("Table 2")
    return rows_of(first), table_rows(second.partition("by environment")[0])


def figures(text):
    """Our EER by title: those of Table 1 by order, one of Table 2."""
    table_1, table_2 = split(text)
    by_order = {row[0]: list(map(float, row[2:])) for row in table_1 if row[1] == "interp"}
    return by_order | {title: row[:1] for title, row in table_2.items() if row}


@pytest.mark.parametrize("document", ["README.md", "egs/mini_replay/sd/RESULTS.md"])
def test_figures_of_the_made_corpus_are_those_of_a_run(whole, document):
    """How another processor rounds may move a trial of the 100 genuine ones."""
    printed = figures(whole[1])
    written = table_rows((ROOT / document).read_text())
    written = {title: row for title, row in written.items() if title in printed}
    assert len(written) == (14 if "RESULTS" in document else 6)
    for title, row in written.items():
        assert row == pytest.approx(printed[title], abs=1.0), title
    assert all(5 <= eer <= 35 for feature in PAPER_TABLE_1 for eer in printed[feature])


def test_every_row_of_both_tables_is_printed_beside_the_papers(whole):
    recipe, text = whole
    table_1, table_2 = split(text)
    for feature, paper in PAPER_TABLE_1.items():
        ours, hull, printed = (row for row in table_1 if row[0] == feature)
        assert (ours[1], hull[1], printed[1]) == ("interp", "rocch", "the paper")
        assert list(map(float, printed[2:])) == paper
        assert all(0 <= float(low) <= float(high) <= 100 for low, high in zip(hull[2:], ours[2:]))
    assert {title: row[-1] for title, row in table_2.items() if len(row) == 3} == PAPER_TABLE_2
    assert {title for title, row in table_2.items() if len(row) == 2} == NOT_IN_THE_PAPER
    assert all(f"by {condition}:" in text for condition in CONDITIONS)
    assert "1298" in text and "12008" in text  # trials behind the paper's figures
    assert (recipe / "exp/RESULTS.md").read_text().partition("\n\n")[2].strip() in text


def test_the_recipe_of_the_made_corpus_prints_the_same_figures(whole, tmp_path):
    """Its stage 6, with the scores of the other recipe."""
    recipe = make_copy(tmp_path)
    ignored = shutil.ignore_patterns("train", "log", "parts", "split*", "report", "*.json", "*.txt")
    for name in ("data/eval", "exp"):
        shutil.copytree(whole[0] / name, recipe / name, ignore=ignored)
    for scores in whole[0].glob("exp/*/scores/eval.txt"):
        shutil.copy(scores, recipe / scores.relative_to(whole[0]))
    result = run(recipe, "--stage", 6, "--systems", "all")
    assert result.returncode == 0, result.stderr
    printed = table_rows(result.stdout)
    assert {title: row for title, row in printed.items() if row} == figures(whole[1])
    made, kept = (folder / "RESULTS.md" for folder in (recipe / "exp", ROOT / "egs/mini_replay/sd"))
    assert table_rows(made.read_text()) == printed
    assert list(table_rows(kept.read_text())) == list(printed)
    assert kept.read_text().splitlines()[0] == made.read_text().splitlines()[0]
    assert (recipe / "exp/report/index.html").stat().st_size > 100_000


def test_models_score_as_the_recipe_does(whole, monkeypatch):
    """Scores of recordings of eval are those that sd-detect gives."""
    recipe, _ = whole
    monkeypatch.chdir(recipe)
    paths = dict(line.split() for line in Path("data/eval/wav.scp").read_text().splitlines())
    for name in DEPLOYED:
        llrs = read_scores(f"exp/{name}/scores/eval_model.txt")
        model = load_model(f"exp/{name}/model")
        for utt in list(paths)[::60]:
            assert model.score(*load_audio(paths[utt])) == pytest.approx(llrs[utt], abs=1e-5)
    assert {path.parts[1] for path in Path("exp").glob("*/model/model.json")} == set(DEPLOYED)


def test_the_last_lines_say_what_the_decisions_of_the_models_cost(whole):
    """As model.json says it; rates on train and dev are near those of recordings of eval."""
    recipe, text = whole
    for name in DEPLOYED:
        deployment = read_deployment(recipe / f"exp/{name}/model/model.json")
        lines = text[text.index(f"Model exp/{name}/model") :].splitlines()
        for row in deployment.rows():
            assert any(all(cell in line for cell in row) for line in lines)
        assert deployment.failures == [] and deployment.num_speakers == 30
        assert deployment.eval.cllr < 0.7 and deployment.eval.miss["eer"].num_trials == 100


def test_results_show_the_papers_figures():
    text = (ROOT / "egs/asvspoof2017/sd/RESULTS.md").read_text()
    shown = {row[0]: row for row in rows_of(text)}
    assert {title: list(map(float, shown[title][-4:])) for title in PAPER_TABLE_1} == PAPER_TABLE_1
    assert {title: float(shown[title][-1]) for title in PAPER_TABLE_2} == PAPER_TABLE_2


def test_both_recipes_compute_the_same_features():
    """But for digital silence, which the made corpus does not have."""
    for name in ("feats", "tri", "cqcc", "tc", "modulation", "lfcc"):
        confs = [ROOT / f"egs/{name_of}/sd/conf/{name}.conf" for name_of in RECIPES]
        made, real = (conf.read_text() for conf in confs)
        comment, setting = real.removeprefix(made).splitlines()
        assert comment.startswith("# "), name
        assert setting == "--skip-digital-silence=false", name


def test_figures_are_those_of_the_scores(whole):
    recipe, _ = whole
    systems = json.loads((recipe / "exp/results.json").read_text())["systems"]
    names = {f"exp/{name}/scores/eval.txt" for name in [*GMMS, "fusion", "b3"]}
    assert {system["system"] for system in systems} == names
    assert {(system["num_genuine"], system["num_spoof"]) for system in systems} == {(100, 200)}
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
            feature, order = found[1].removesuffix("tri"), found[2]
            assert f"--features={feature}\n--bank={bank}\n--orders={order}\n" in settings
        trained = (recipe / f"exp/{name}/genuine.gmm.conf").read_text()
        assert f"--num-components={MINI_COMPONENTS}\n" in trained
    assert (recipe / "data/cqcc/eval/frame_shift").read_text() == "0.0085\n"


def test_chosen_rows(whole, tmp_path):
    recipe = copy_of(whole[0], tmp_path, archives=False)
    result = run(recipe, "--stage", "5", "--systems", "fusion,cqcc", "--orders", "6", *NO_MODEL)
    assert result.returncode == 0, result.stderr
    assert "Table 1" not in result.stdout
    _, rows = split(result.stdout)
    score_level = "S1 + S2 (score level)"
    by_title = {title for title, row in rows.items() if row}
    titles = ["B1: CQCC", "S1: CF + Δ + ΔΔ (6 SD)", "S2: CM + Δ + ΔΔ (6 SD)", score_level]
    assert by_title == set(titles) and rows[score_level][-1] == 8.80
    result = run(recipe, "--stage", "5", "--systems", "fusion", "--orders", "4", *NO_MODEL)
    assert table_rows(result.stdout)["S2: CM + Δ + ΔΔ (4 SD)"][-1] == 11.61
    assert len(split(result.stdout)[1][score_level]) == 2  # the paper has none at order 4
    result = run(recipe, "--stage", "6", "--systems", "cmtri", "--orders", "4")
    assert [row[2] for row in rows_of(result.stdout) if row[1] == "the paper"] == ["12.03"]


def test_without_conditions_there_is_no_breakdown(whole, tmp_path):
    """As with a protocol of four columns; then without labels there are scores and no EER."""
    recipe = copy_of(whole[0], tmp_path, archives=False)
    for column in ("env", "playback", "recorder"):
        (recipe / f"data/eval/utt2{column}").unlink()
    result = run(recipe, "--stage", "6", "--systems", "cqcc")
    assert result.returncode == 0, result.stderr
    assert "| B1: CQCC |" in result.stdout and "by environment" not in result.stdout
    command = f"--corpus DIR --systems cqcc --orders 0,2,4,6 --num-components {MINI_COMPONENTS}"
    assert f"`./run.sh {command}`" in (recipe / "exp/RESULTS.md").read_text().splitlines()[0]

    (recipe / "data/eval/utt2label").unlink()
    result = run(recipe, "--stage", "6")
    assert result.returncode == 0, result.stderr
    assert "labels" in result.stdout and "exp/*/scores/eval.txt" in result.stdout
    assert "Table" not in result.stdout and not list(recipe.glob("exp/[reR]*.*"))


def test_what_cannot_be_run_is_said_in_a_line(corpus, tmp_path):
    recipe = make_copy(tmp_path, "asvspoof2017")
    result = run(recipe)
    assert result.returncode == 1 and "--corpus" in result.stderr.splitlines()[-1]
    other = tmp_path / "corpus"
    shutil.copytree(corpus[0], other)
    sound = next(other.glob("*_dev/D_*.wav"))
    samples, rate_hz = soundfile.read(sound)
    soundfile.write(sound, samples, rate_hz // 2)
    result = run(recipe, "--corpus", str(other))
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in (str(sound), "8000 Hz", "16000 Hz"))
    assert not (recipe / "data").exists()


def test_bandwidths_in_the_page_on_differentiation(whole, tmp_path):
    """The row of the default is Table 1; of the narrowest filters two orders are computed anew."""
    page = (ROOT / "docs/differentiation.md").read_text()
    written = table_rows(page[page.index("| bandwidth |") :])
    results = table_rows((ROOT / "egs/mini_replay/sd/RESULTS.md").read_text())
    cf, cm = list(PAPER_TABLE_1)[:2]
    assert written["12"] == results[cf] + results[cm]
    recipe = make_copy(tmp_path)
    for name in ("train", "dev", "eval"):
        ignored = shutil.ignore_patterns("split*")
        shutil.copytree(whole[0] / "data" / name, recipe / "data" / name, ignore=ignored)
    command = ["./bandwidth_table.sh", "--nj", "1", "--scales", "1", "--orders", "0,6"]
    result = run_to_end(command, recipe, timeout=1800)
    assert result.returncode == 0, result.stderr
    expected = [written["1"][column] for column in (0, 3, 4, 7)]
    assert table_rows(result.stdout)["1"] == pytest.approx(expected, abs=1.0)
