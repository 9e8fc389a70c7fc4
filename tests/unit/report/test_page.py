"""The page of an experiment: its figures and form, and that it loads nothing. See tests/browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from test_metrics import synthetic_set
from tiny_model import make_deployment

from sdtools.bin import eval_scores, report, train_fusion
from sdtools.scoring.files import write_scores

UTTS = [f"utt-{i:03d}" for i in range(500)]
SYSTEMS = ["cf_sd0", "cf_sd6", "cm_sd0", "cm_sd6", "cqcc", "tc", "fusion"]
VOID = {"meta", "link", "br"}


def write_table(path, values):
    Path(path).write_text("".join(f"{utt} {value}\n" for utt, value in zip(UTTS, values)))


def run(command, *argv):
    assert command.main(list(argv)) == 0


def make_experiment():
    """Make data/eval, and exp/ with scores, results.json, RESULTS.md and settings."""
    columns, is_genuine = synthetic_set()
    rng = np.random.default_rng(0)
    Path("data/eval").mkdir(parents=True)
    write_table("data/eval/utt2label", ["genuine" if label else "spoof" for label in is_genuine])
    write_table("data/eval/utt2spk", [f"m{i % 11}" for i in range(500)])
    write_table("data/eval/utt2env", [f"E<{i % 8}>" for i in range(500)])
    paths = [f"exp/{system}/scores/eval.txt" for system in SYSTEMS]
    for i, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True)
        llrs = 0.5 * columns[:, :2].sum(axis=1) - 1
        if i < 6:
            llrs = columns[:, i % 3] + rng.normal(0, 0.3 * (i // 3), 500)
        write_scores(path, dict(zip(UTTS, llrs)))
    labels = "data/eval/utt2label"
    run(train_fusion, labels, paths[1], paths[3], "exp/fusion/fusion.json")
    Path("exp/cqcc/genuine.gmm.conf").write_text("--num-components=512\n")
    Path("exp/RESULTS.md").write_text(
        "Made by `./run.sh --x`\n\nTable 1: EER\n\n"
        "| Feature | 0 SD |\n|---|---|\n| CF & more | 20.67 |\n\n"
        "EER (%, interp) by environment: each\n\n"
        "| environment | S1 |\n|---|---|\n| E99 | 1.00 |\n\nThe end.\n"
    )
    run(eval_scores, "--by=env", "--bootstrap=50", "--json=exp/results.json", labels, *paths)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_experiment()
        run(report, "exp", "exp/report")
        yield folder


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Function that evaluates 40 genuine and 40 replayed trials, here, to exp/results.json."""
    monkeypatch.chdir(tmp_path)
    Path("exp").mkdir()
    write_table("utt2label", ["genuine"] * 40 + ["spoof"] * 40)

    def evaluate(llrs, *paths, options=()):
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_scores(path, dict(zip(UTTS, llrs)))
        json_out = "--json=exp/results.json"
        run(eval_scores, "--bootstrap=0", json_out, *options, "utt2label", *paths)

    return evaluate


class Page(HTMLParser):
    """Elements, ids and tables of a page whose elements nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.rows = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_page_holds_together_and_needs_nothing_else(experiment):
    text = (experiment / "exp/report/index.html").read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert set(re.findall(r'xlink:href="#([^"]*)"', text)) <= set(page.ids)
    without_style = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    assert not re.search(r"https?://", without_style) and "src=" not in text
    assert page.tags.count("svg") == page.tags.count("desc") == 7
    assert "#010203" not in text and "#040506" not in text


def test_decisions_of_a_model_come_first_under_a_banner_if_they_are_in_doubt(evaluate):
    evaluate(np.linspace(4, -4, 80), "exp/a/scores/eval.txt", "exp/b/scores/eval.txt")
    deployments = {"a": make_deployment(), "b": make_deployment(eval_shift=3)}
    for name, deployment in deployments.items():
        Path(f"exp/{name}/model").mkdir()
        record = {"deployment": deployment.to_json()}
        Path(f"exp/{name}/model/model.json").write_text(json.dumps(record))
    run(report, "exp", "exp/report")
    text = Path("exp/report/index.html").read_text()
    rows = Page(text).rows
    for deployment in deployments.values():
        assert [row for row in rows if row in deployment.rows()[1:]]
    lead, banner = text.index('class="lead"'), text.index('class="banner"')
    assert lead < text.index("Decisions of exp/a/model") < text.index("Decisions of exp/b/model")
    assert text.index("Decisions of exp/b/model") < banner < text.index("All systems")
    assert text.count('class="banner"') == 1 and deployments["b"].warnings[0] in text


def test_an_older_model_is_left_out(evaluate):
    evaluate(np.linspace(4, -4, 80), "exp/a/scores/eval.txt")
    Path("exp/a/model").mkdir()
    Path("exp/a/model/model.json").write_text('{"thresholds": {}}')
    run(report, "exp", "exp/report")
    assert "Decisions of" not in Path("exp/report/index.html").read_text()


def percent(eer):
    return f"{100 * eer['eer']['interp']['value']:.2f}"


def test_figures_of_the_page_are_those_of_the_evaluation(experiment):
    page = Page((experiment / "exp/report/index.html").read_text())
    evaluation = json.loads((experiment / "exp/results.json").read_text())
    rows = {row[0]: row for row in page.rows}
    for column, (name, system) in enumerate(zip(SYSTEMS, evaluation["systems"]), 2):
        low, high = (f"{100 * bound:.2f}" for bound in system["eer_interval"])
        cllr = f"{system['cllr']:.4f}"
        assert rows[name][3:6] == [percent(system), f"{low}-{high}", cllr]
        for i in range(8):
            assert rows[f"E<{i}>"][column] == percent(system["by"]["env"][f"E<{i}>"])
    assert rows["CF & more"] == ["CF & more", "20.67"] and "E99" not in rows


def test_lead_says_what_the_table_says(experiment):
    text = (experiment / "exp/report/index.html").read_text()
    evaluation = json.loads((experiment / "exp/results.json").read_text())
    eers = {
        name: system["eer"]["interp"]["value"]
        for name, system in zip(SYSTEMS, evaluation["systems"])
    }
    best = min(eers, key=eers.get)
    member = min(("cf_sd6", "cm_sd6"), key=eers.get)
    gain = 100 * (eers[member] - eers["fusion"])
    lead = re.search('<p class="lead">(.*?)</p>', text)[1]
    assert lead.startswith(f"Best EER: {best}, {100 * eers[best]:.2f} % (")
    change = f"{abs(gain):.2f} points {'better' if gain > 0 else 'worse'}"
    fusion = f"fusion (a fusion): {100 * eers['fusion']:.2f} %"
    assert f"; {fusion}, {change} than its best member, {member}" in lead
    assert "<summary>exp/cqcc/genuine.gmm.conf</summary><pre>--num-components=512\n</pre>" in text
    assert "The end." in text and "by environment" not in text


def test_same_figures_same_bytes(experiment):
    before = (experiment / "exp/report/index.html").read_bytes()
    run(report, "exp", "exp/again")
    assert (experiment / "exp/again/index.html").read_bytes() == before


def test_infinite_scores_and_one_system(evaluate):
    evaluate([float(i % 7) if i % 9 else np.inf * (-1) ** i for i in range(80)], "s.txt")
    run(report, "exp", "out/page")
    page = Page(Path("out/page/index.html").read_text())
    assert ["s.txt", "40", "40"] in [row[:3] for row in page.rows]


def test_names_that_mean_something_elsewhere(evaluate):
    """HTML, mathematics, blanks."""
    names = ['q"x<i>y', "a b", "d$e_{$"]
    write_table("utt2env", [f"$E_{i % 2}<b>" for i in range(80)])
    paths = [f"exp/{name}/scores/eval.txt" for name in names]
    evaluate([float(i % 7 - i // 40) for i in range(80)], *paths, options=["--by=env"])
    run(report, "exp", "out")
    text = Path("out/index.html").read_text()
    page = Page(text)
    assert set(names) <= {row[0] for row in page.rows}
    labels = re.findall(r'aria-labelledby="([^"]*)"', text)
    labelled = {word for words in labels for word in words.split()}
    assert labelled <= set(page.ids) and len(labelled) == 2 * text.count("<svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"exp/results\.json: no such file"),
        (
            "{",
            r"exp/results\.json: evaluation: .*sd-eval-scores --json, .*no JSON.*Evaluate again",
        ),
        ("[]", r"exp/results\.json: evaluation: .*an object"),
        ('{"systems": [{"system": "s.txt"}]}', r"exp/results\.json: evaluation: options: "),
    ],
)
def test_files_that_are_no_evaluation(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    Path("exp").mkdir()
    if text is not None:
        Path("exp/results.json").write_text(text)
    assert report.main(["exp", "out"]) == 1
    assert re.search(r"ERROR \(sd-report\) " + message, capsys.readouterr().err)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path, lines: path.write_text("".join(lines[:-3])),
            r"exp/results\.json: number of trials without a score: expected 0, .*, found 3",
        ),
        (
            lambda path, lines: write_table(path, [i % 13 for i in range(len(lines))]),
            r"exp/tc/scores/eval\.txt: EER: expected .* as in exp/results\.json, found ",
        ),
        (lambda path, lines: path.unlink(), r"exp/tc/scores/eval\.txt"),
    ],
    ids=["fewer", "others", "none"],
)
def test_scores_that_have_changed_since_the_evaluation(experiment, capsys, change, message):
    path = experiment / "exp/tc/scores/eval.txt"
    text = path.read_text()
    change(path, text.splitlines(keepends=True))
    try:
        assert report.main(["exp", "exp/other"]) == 1
    finally:
        path.write_text(text)
    assert re.search(rf"ERROR \(sd-report\) {message}", capsys.readouterr().err)
    assert not (experiment / "exp/other").exists()
