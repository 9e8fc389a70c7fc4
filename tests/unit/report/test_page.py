"""The page of an experiment: what stands in it, that it holds together, that it needs nothing else. In a browser: tests/browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from test_metrics import synthetic_set

from sdtools.bin import eval_scores, report, train_fusion
from sdtools.scoring.files import write_scores

UTTS = [f"utt-{i:03d}" for i in range(500)]
SYSTEMS = ["cf_sd0", "cf_sd6", "cm_sd0", "cm_sd6", "cqcc", "tc", "fusion"]
VOID = {"meta", "link", "br"}


def make_experiment():
    """In the current directory: data/eval, exp/<system>/scores/eval.txt, exp/results.json, exp/RESULTS.md, settings."""
    columns, is_genuine = synthetic_set()
    rng = np.random.default_rng(0)
    Path("data/eval").mkdir(parents=True)
    Path("data/eval/utt2label").write_text(
        "".join(f"{utt} {'genuine' if g else 'spoof'}\n" for utt, g in zip(UTTS, is_genuine))
    )
    Path("data/eval/utt2spk").write_text(
        "".join(f"{utt} m{i % 11}\n" for i, utt in enumerate(UTTS))
    )
    Path("data/eval/utt2env").write_text(
        "".join(f"{utt} E<{i % 8}>\n" for i, utt in enumerate(UTTS))
    )
    paths = [f"exp/{system}/scores/eval.txt" for system in SYSTEMS]
    for i, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True)
        llrs = (
            columns[:, i % 3] + rng.normal(0, 0.3 * (i // 3), 500)
            if i < 6
            else 0.5 * columns[:, :2].sum(axis=1) - 1
        )
        write_scores(path, dict(zip(UTTS, llrs)))
    assert (
        train_fusion.main(["data/eval/utt2label", paths[1], paths[3], "exp/fusion/fusion.json"])
        == 0
    )
    Path("exp/cqcc/genuine.gmm.conf").write_text("--num-components=512\n")
    Path("exp/RESULTS.md").write_text(
        "Made by `./run.sh --x`\n\nTable 1: EER\n\n| Feature | 0 SD |\n|---|---|\n| CF & more | 20.67 |\n\n"
        "EER (%, interp) by environment: each\n\n| environment | S1 |\n|---|---|\n| E99 | 1.00 |\n\nThe end.\n"
    )
    assert (
        eval_scores.main(
            ["--by=env", "--bootstrap=50", "--json=exp/results.json", "data/eval/utt2label", *paths]
        )
        == 0
    )


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_experiment()
        assert report.main(["exp", "exp/report"]) == 0
        yield folder


class Page(HTMLParser):
    """Elements, ids and tables of a page; complains of what does not nest."""

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
    assert (
        not re.search(r"https?://", re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL))
        and "src=" not in text
    )
    assert page.tags.count("svg") == page.tags.count("desc") == 7
    assert "#010203" not in text and "#040506" not in text


def test_figures_of_the_page_are_those_of_the_evaluation(experiment):
    page = Page((experiment / "exp/report/index.html").read_text())
    figures = json.loads((experiment / "exp/results.json").read_text())
    rows = {row[0]: row for row in page.rows}
    for name, system in zip(SYSTEMS, figures["systems"]):
        low, high = (f"{100 * bound:.2f}" for bound in system["eer_interval"])
        assert rows[name][3:6] == [
            f"{100 * system['eer']['interp']['value']:.2f}",
            f"{low}-{high}",
            f"{system['cllr']:.4f}",
        ]
        for i in range(8):
            column = 2 + SYSTEMS.index(name)
            assert (
                rows[f"E<{i}>"][column]
                == f"{100 * system['by']['env'][f'E<{i}>']['eer']['interp']['value']:.2f}"
            )
    assert rows["CF & more"] == ["CF & more", "20.67"] and "E99" not in rows


def test_lead_says_what_the_table_says(experiment):
    text = (experiment / "exp/report/index.html").read_text()
    figures = json.loads((experiment / "exp/results.json").read_text())
    eers = {
        name: system["eer"]["interp"]["value"] for name, system in zip(SYSTEMS, figures["systems"])
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
    assert report.main(["exp", "exp/again"]) == 0
    assert (experiment / "exp/again/index.html").read_bytes() == before


def test_infinite_scores_and_one_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("utt2label").write_text(
        "".join(f"{utt} {'genuine' if i < 40 else 'spoof'}\n" for i, utt in enumerate(UTTS[:80]))
    )
    llrs = {utt: float(i % 7) if i % 9 else np.inf * (-1) ** i for i, utt in enumerate(UTTS[:80])}
    write_scores("s.txt", llrs)
    Path("exp").mkdir()
    assert eval_scores.main(["--bootstrap=0", "--json=exp/results.json", "utt2label", "s.txt"]) == 0
    assert report.main(["exp", "out/page"]) == 0
    page = Page(Path("out/page/index.html").read_text())
    assert ["s.txt", "40", "40"] in [row[:3] for row in page.rows]


def test_names_that_mean_something_elsewhere(tmp_path, monkeypatch):
    """HTML, mathematics, blanks."""
    monkeypatch.chdir(tmp_path)
    names = ['q"x<i>y', "a b", "d$e_{$"]
    Path("utt2label").write_text(
        "".join(f"{utt} {'genuine' if i < 40 else 'spoof'}\n" for i, utt in enumerate(UTTS[:80]))
    )
    Path("utt2env").write_text("".join(f"{utt} $E_{i % 2}<b>\n" for i, utt in enumerate(UTTS[:80])))
    for name in names:
        Path(f"exp/{name}/scores").mkdir(parents=True)
        write_scores(
            f"exp/{name}/scores/eval.txt",
            {utt: float(i % 7 - i // 40) for i, utt in enumerate(UTTS[:80])},
        )
    paths = [f"exp/{name}/scores/eval.txt" for name in names]
    assert (
        eval_scores.main(
            ["--bootstrap=0", "--by=env", "--json=exp/results.json", "utt2label", *paths]
        )
        == 0
    )
    assert report.main(["exp", "out"]) == 0
    text = Path("out/index.html").read_text()
    page = Page(text)
    assert set(names) <= {row[0] for row in page.rows}
    labelled = {
        word for words in re.findall(r'aria-labelledby="([^"]*)"', text) for word in words.split()
    }
    assert labelled <= set(page.ids) and len(labelled) == 2 * text.count("<svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"exp/results\.json: cannot read: No such file or directory"),
        (
            "{",
            r"exp/results\.json: evaluation: .*sd-eval-scores --json, .*no JSON.*Evaluate again",
        ),
        ("[]", r"exp/results\.json: evaluation: .*an object"),
        (
            '{"systems": [{"system": "s.txt"}]}',
            r"exp/results\.json: evaluation: options: ",
        ),
    ],
)
def test_figures_that_are_none(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    Path("exp").mkdir()
    if text is not None:
        Path("exp/results.json").write_text(text)
    assert report.main(["exp", "out"]) == 1
    assert re.search(r"ERROR \(sd-report\) " + message, capsys.readouterr().err)
    assert not Path("out").exists()


def test_scores_of_another_day(experiment, capsys):
    """A system whose scores are gone, and one that lost some since."""
    path = experiment / "exp/tc/scores/eval.txt"
    text = path.read_text()
    path.write_text("".join(text.splitlines(True)[:-3]))
    try:
        assert report.main(["exp", "exp/other"]) == 1
        assert (
            "exp/results.json: trials: got 3 without a score, need 0 as when it was written"
            in capsys.readouterr().err
        )
        path.write_text(
            "".join(f"{line.split()[0]} {i % 13}\n" for i, line in enumerate(text.splitlines()))
        )
        assert report.main(["exp", "exp/other"]) == 1
        assert re.search(
            r"exp/tc/scores/eval\.txt: EER: got .*, need .* as in exp/results\.json; other scores",
            capsys.readouterr().err,
        )
        path.unlink()
        assert report.main(["exp", "exp/other"]) == 1
        assert "exp/tc/scores/eval.txt" in capsys.readouterr().err
    finally:
        path.write_text(text)
    assert not (experiment / "exp/other").exists()
