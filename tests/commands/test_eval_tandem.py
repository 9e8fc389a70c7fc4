import json
import os
from pathlib import Path

import pytest
from test_metrics import synthetic_set
from test_tandem import DEFAULTS, nearest_trials, slow_a_dcf, slow_t_dcfs

from sdtools.bin import eval_tandem

# ---- the command


UTTS = [f"utt-{i:03d}" for i in range(500)]


TRIALS = synthetic_set()


ASV_LINES = {
    **{("P01", f"T{i}", "bonafide", "target"): s for i, s in enumerate(TRIALS[0][:200, 0] + 1)},
    **{
        ("P02", f"N{i}", "bonafide", "nontarget"): s
        for i, s in enumerate(TRIALS[0][200:400, 0] - 0.5)
    },
    **{("P03", f"S{i}", "A07", "spoof"): s for i, s in enumerate(TRIALS[0][:150, 1])},
}


FORMS = {
    "2019": lambda words, score: [*words[2:], score],
    "speaker": lambda words, score: [words[0], *words[2:], score],
    "speaker and utterance": lambda words, score: [*words, score],
    "key last": lambda words, score: [*words[:2], score, words[3]],
    "2021": lambda words, score: [*words[:2], "alaw", "it", *words[2:], "notrim", "eval", score],
    "2021 PA": lambda words, score: [
        *words[:2],
        *["R3", "M3", "D4", "-", "-", "-", "-"],
        words[3],
        *["notrim", "eval"],
        score,
    ],
}


@pytest.fixture
def files(tmp_path):
    """The synthetic set as scores of the CM and, moved, of an ASV, in the current directory."""
    columns, is_genuine = TRIALS
    for k, column in enumerate(columns.T, 1):
        (tmp_path / f"s{k}.txt").write_text(
            "".join(f"{utt} {score}\n" for utt, score in zip(UTTS, column))
        )
    (tmp_path / "utt2label").write_text(
        "".join(f"{utt} {'genuine' if g else 'spoof'}\n" for utt, g in zip(UTTS, is_genuine))
    )
    old = Path.cwd()
    os.chdir(tmp_path)
    write_asv("2019")
    yield tmp_path
    os.chdir(old)


def write_asv(form, path="asv"):
    Path(path).write_text(
        "".join(
            " ".join(FORMS[form](words, str(score))) + "\n" for words, score in ASV_LINES.items()
        )
    )


def fails(argv, capsys):
    """The one line on stderr of a command that must fail."""
    assert eval_tandem.main(["--print-args=false", *argv]) == 1
    captured = capsys.readouterr()
    (error,) = [line for line in captured.err.splitlines() if not line.startswith("WARNING")]
    assert captured.out == "" and error.startswith("ERROR (sd-eval-tandem) ")
    return error


def test_tables_and_json(files, capsys):
    assert eval_tandem.main(["--json=out.json", "asv", "utt2label", "s1.txt", "s3.txt"]) == 0
    captured = capsys.readouterr()
    assert "WARNING" not in captured.err
    assert captured.out.splitlines() == [
        "ASV  target  nontarget  spoof     tau  Pmiss %  Pfa %  Pfa,spf %   a-DCF  threshold",
        "asv     200        200    150  1.3600     3.00   3.50      48.00  0.4423     1.5900",
        "",
        "system  min t-DCF (2019)  min t-DCF (2021)  threshold  t-EER %",
        "s1.txt            0.5070            0.5642     0.3600    13.76",
        "s3.txt            0.9147            0.9246    -0.8800    31.86",
    ]
    figures = json.loads(Path("out.json").read_text())
    assert (figures["asv_scores"], figures["utt2label"], figures["num_dropped"]) == (
        "asv",
        "utt2label",
        0,
    )
    assert figures["options"]["p_target"] == 0.9405 and figures["options"]["tau"] is None
    asv = [
        [s for words, s in ASV_LINES.items() if words[3] == key]
        for key in ("target", "nontarget", "spoof")
    ]
    assert [figures["asv"][f"num_{key}"] for key in ("target", "nontarget", "spoof")] == [
        200,
        200,
        150,
    ]
    assert figures["asv"]["a_dcf"] == pytest.approx(slow_a_dcf(asv, DEFAULTS), abs=1e-12)
    columns, is_genuine = TRIALS
    for k, system in zip((0, 2), figures["systems"]):
        cm = columns[is_genuine, k].tolist(), columns[~is_genuine, k].tolist()
        assert (system["system"], system["num_genuine"], system["num_spoof"]) == (
            f"s{k + 1}.txt",
            200,
            300,
        )
        assert (system["min_tdcf_2019"], system["min_tdcf_2021"]) == pytest.approx(
            slow_t_dcfs(cm, asv, DEFAULTS), abs=1e-12
        )
        assert system["t_eer"] == pytest.approx(nearest_trials(cm, asv), abs=0.005)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_asv_scores(files, capsys, form):
    outputs = []
    for name in ("2019", form):
        write_asv(name)
        assert eval_tandem.main(["asv", "utt2label", "s1.txt"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_scores_on_standard_output_of_a_command_and_other_options(files, capsys):
    """As for ASVspoof 2021, whose keys stand in another file: pasted or joined."""
    write_asv("2021")
    Path("key").write_text(
        "".join(line.rsplit(" ", 1)[0] + "\n" for line in Path("asv").read_text().splitlines())
    )
    Path("score").write_text(
        "".join(f"{' '.join(words[:2])} {score}\n" for words, score in ASV_LINES.items())
    )
    argv = ["--tau=1.25", "--c-fa-spoof=5", "--missing=drop", "--json=out.json"]
    outputs = []
    keys = "--asv-keys=grep -w eval key |"
    pasted = "cut -d' ' -f3 score | paste -d' ' key - | grep ' eval ' |"
    for words in (["asv"], [pasted], [keys, "score"]):
        assert eval_tandem.main([*argv, *words, "utt2label", "s2.txt"]) == 0
        outputs.append([line.split()[-8:] for line in capsys.readouterr().out.splitlines()])
    assert outputs[0] == outputs[1] == outputs[2]
    figures = json.loads(Path("out.json").read_text())
    assert figures["asv"]["tau"] == 1.25 and figures["options"]["c_fa_spoof"] == 5


# ---- limits and errors


def test_cm_the_wrong_way_round(files, capsys):
    """No t-EER; accepting or rejecting all is best, the latter at an infinite threshold."""
    Path("s4.txt").write_text(
        "".join(f"{utt} {-score}\n" for utt, score in zip(UTTS, TRIALS[0][:, 0]))
    )
    for c_miss, threshold in ((1, -4.71), (0.05, "inf")):
        assert (
            eval_tandem.main(
                [f"--c-miss={c_miss}", "--json=out.json", "asv", "utt2label", "s4.txt"]
            )
            == 0
        )
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1].split() == [
            "s4.txt",
            "1.0000",
            "1.0000",
            {1: "-4.7100", 0.05: "inf"}[c_miss],
            "none",
        ]
        assert "WARNING (sd-eval-tandem) s4.txt: no t-EER" in captured.err
        (system,) = json.loads(Path("out.json").read_text())["systems"]
        assert (system["t_eer"], system["threshold"]) == (None, threshold)


def test_few_trials_of_the_asv(files, capsys):
    Path("asv").write_text(
        "- target 1\n- target 3\n- nontarget 0\n- nontarget 2\n" + "A01 spoof 3\n" * 30
    )
    assert eval_tandem.main(["asv", "utt2label", "s1.txt"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert len(warned) == 2
    for key, line in zip(("target", "nontarget"), warned):
        assert f" asv: {key} trials: " in line and "30 or more, found 2" in line


def test_undefined_t_dcf_is_one_line(files, capsys):
    assert ", C2 = 0 with Pmiss" in fails(["--tau=6", "asv", "utt2label", "s1.txt"], capsys)


@pytest.mark.parametrize(
    "line",
    [
        "- target",
        "target 1.0",
        "- bonafide 1.0",
        "- target nan",
        "- target high",
        "P01 T1 alaw bonafide target 1.0",
        "",
        "1 - target",
    ],
)
def test_lines_that_are_no_asv_score(files, capsys, line):
    Path("asv").write_text(f"- nontarget 0\n{line}\n- spoof 1\n")
    error = fails(["asv", "utt2label", "s1.txt"], capsys)
    assert " asv:2: line: " in error and f"found {line!r}" in error
    assert "3, 4, 5, 8, 9 or 13 words" in error and "(target, nontarget or spoof)" in error


@pytest.mark.parametrize("key", ["target", "nontarget", "spoof"])
def test_class_without_trials(files, capsys, key):
    Path("asv").write_text(
        "".join(f"- {k} 1\n" for k in ("target", "nontarget", "spoof") if k != key)
    )
    error = fails(["asv", "utt2label", "s1.txt"], capsys)
    assert f" asv: {key} trials: " in error and "found 0. Check the keys" in error


def test_utterance_without_a_score_of_the_cm(files, capsys):
    Path("s1.txt").write_text("utt-000 1\n")
    error = fails(["asv", "utt2label", "s1.txt"], capsys)
    assert " s1.txt: scores: " in error and "none for 499 of 500 utterances" in error
