import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from test_metrics import GOLDEN, synthetic_set

from sdtools import __version__
from sdtools.bin import apply_fusion, eval_scores, train_fusion
from sdtools.scoring.files import read_scores, read_utt2label, write_scores
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.fusion_file import write_fusion
from sdtools.scoring.intervals import eer_interval
from sdtools.scoring.trials import read_trials

FUSION = Fusion(np.array([1.0, 2.0]), -1.0, 0.5, 0.0, 0.4, 200, 300)
UTTS = [f"utt-{i:03d}" for i in range(500)]


@pytest.fixture
def files(tmp_path):
    """The synthetic set as score files and labels in the current directory."""
    columns, is_genuine = synthetic_set()
    for k, column in enumerate(columns.T, 1):
        write_scores(str(tmp_path / f"s{k}.txt"), dict(zip(UTTS, column)))
    (tmp_path / "utt2label").write_text(
        "".join(f"{utt} {'genuine' if g else 'spoof'}\n" for utt, g in zip(UTTS, is_genuine))
    )
    old = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(old)


def lines(path):
    return Path(path).read_text().splitlines(keepends=True)


def refuses(command, argv, capsys, *words):
    """The command must fail with one line on stderr that holds all words."""
    error = fails(command, argv, capsys)
    assert [word for word in words if word not in error] == [], error


def fails(command, argv, capsys):
    """The one line on stderr of a command that must fail."""
    assert command.main(["--print-args=false", *argv]) == 1
    captured = capsys.readouterr()
    (error,) = [line for line in captured.err.splitlines() if not line.startswith("WARNING")]
    assert captured.out == "" and error.startswith(f"ERROR ({command.COMMAND.name}) ")
    return error


def test_train_apply_evaluate(files, capsys):
    assert train_fusion.main(["utt2label", "s1.txt", "s2.txt", "fusion.json"]) == 0
    err = capsys.readouterr().err
    assert (
        "llr = +1.808 * s1.txt +0.97 * s2.txt -2.565; objective 0.4399 " in err
        and "done 500 of 500, 0 skipped" in err
    )
    record = json.loads(Path("fusion.json").read_text())
    assert record["systems"] == ["s1.txt", "s2.txt"] and (
        record["num_genuine"],
        record["num_spoof"],
    ) == (200, 300)
    golden = GOLDEN["fusion"]["12.p0.5"]
    np.testing.assert_allclose([*record["weights"], record["offset"]], golden["w"], rtol=1e-12)

    assert apply_fusion.main(["fusion.json", "s1.txt", "s2.txt", "fused.txt"]) == 0
    err = capsys.readouterr().err
    assert "weight 0.97: s2.txt, in training s2.txt" in err and "done 500 of 500, 0 skipped" in err

    assert (
        eval_scores.main(["--json=out.json", "--bootstrap=0", "utt2label", "s1.txt", "fused.txt"])
        == 0
    )
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "system     genuine  spoof  EER % (interp)    Cllr  minCllr  minDCF  actDCF",
        "s1.txt         200    300           16.67  0.7304   0.4712  0.4000  0.7633",
        "fused.txt      200    300           14.33  0.4399   0.4025  0.3202  0.3235",
    ]
    last = captured.err.splitlines()[-1]
    assert (
        last == "LOG (sd-eval-scores) Best EER: fused.txt, 14.33 %; Cllr 0.440, of which 0.037 is "
        "calibration loss"
    )
    figures = json.loads(Path("out.json").read_text())
    assert (figures["utt2label"], figures["num_dropped"]) == ("utt2label", 0)
    assert figures["options"] == {"eer": ["interp"], "p_spoof": 0.05, "c_miss": 1, "c_fa": 10}
    assert figures["eer_interval"] is None
    fused, expected = figures["systems"][1], golden["metrics"]
    assert (fused["system"], fused["num_genuine"], fused["num_spoof"]) == ("fused.txt", 200, 300)
    assert [
        fused["eer"]["interp"]["value"],
        *(fused[name] for name in ("cllr", "min_cllr", "min_dcf", "act_dcf")),
    ] == pytest.approx(
        [
            expected["eer_interp"],
            expected["cllr"],
            expected["min_cllr"],
            expected["mindcf"]["asvspoof5"],
            expected["actdcf"]["asvspoof5"],
        ],
        abs=1e-12,
    )
    assert (
        list(fused["eer"]) == ["interp"]
        and fused["eer"]["interp"]["threshold"] in read_scores("fused.txt").values()
    )
    assert fused["by"] == {}


@pytest.mark.parametrize(("method", "eer"), [("rocch", "15.50"), ("asvspoof", "16.58")])
def test_eer_methods_and_costs(files, capsys, method, eer):
    assert (
        eval_scores.main([f"--eer={method}", "--p-spoof=0.5", "--c-fa=1", "utt2label", "s1.txt"])
        == 0
    )
    header, row = capsys.readouterr().out.splitlines()
    assert f"EER % ({method})" in header and row.split()[3] == eer
    assert row.split()[-2:] == ["0.3100", "0.5283"]


def test_several_eer_methods(files, capsys):
    """A column each; the first one decides which system is best."""
    assert (
        eval_scores.main(["--eer=rocch,interp", "--json=out.json", "utt2label", "s1.txt", "s2.txt"])
        == 0
    )
    captured = capsys.readouterr()
    header, row, _ = captured.out.splitlines()
    assert "spoof  EER % (rocch)  95 % interval  EER % (interp)    Cllr" in header and row.split()[
        3:6:2
    ] == ["15.50", "16.67"]
    assert "Best EER: s1.txt, 15.50 %" in captured.err
    eer = json.loads(Path("out.json").read_text())["systems"][0]["eer"]
    golden = GOLDEN["reference"]["s1"]
    assert {method: e["value"] for method, e in eer.items()} == pytest.approx(
        {"rocch": golden["eer_rocch"], "interp": golden["eer_interp"]}, abs=1e-12
    )


def test_intervals_by_speaker(files, capsys):
    """The same figures as from Python, in table and JSON; none if none is asked for."""
    Path("utt2spk").write_text("".join(f"{utt} m{i % 11}\n" for i, utt in enumerate(UTTS)))
    assert eval_scores.main(["--json=out.json", "--bootstrap=100", "utt2label", "s1.txt"]) == 0
    captured = capsys.readouterr()
    assert "WARNING" not in captured.err
    trials = read_trials("utt2label", ["s1.txt"])
    order = sorted(range(11), key=str)  # m0 m1 m10 m2 ...
    numbers = np.argsort(order)[np.arange(500) % 11]
    groups = numbers[trials.is_genuine], numbers[~trials.is_genuine]
    low, high = eer_interval(*trials.by_class()[0], groups, num_replicates=100)
    assert (
        f"16.67    {100 * low:.2f}-{100 * high:.2f}" in captured.out
        and f"16.67 % ({100 * low:.2f}-{100 * high:.2f});" in captured.err
    )
    figures = json.loads(Path("out.json").read_text())
    assert figures["systems"][0]["eer_interval"] == [low, high]
    assert figures["eer_interval"] == {
        "eer": "interp",
        "level": 0.95,
        "by": "speaker",
        "replicates": 100,
    }
    assert eval_scores.main(["--json=out.json", "--bootstrap=0", "utt2label", "s1.txt"]) == 0
    assert "interval" not in capsys.readouterr().out
    assert json.loads(Path("out.json").read_text())["systems"][0]["eer_interval"] is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("".join(f"{utt} {utt}\n" for utt in UTTS), "every utterance has its own speaker"),
        (f"{UTTS[0]} m1\n", "none for 499 of 500 trials (first utt-001)"),
    ],
)
def test_unknown_speakers(files, capsys, text, problem):
    Path("utt2spk").write_text(text)
    assert eval_scores.main(["--json=out.json", "--bootstrap=10", "utt2label", "s1.txt"]) == 0
    err = capsys.readouterr().err
    assert "WARNING (sd-eval-scores) utt2spk: " in err and problem in err
    assert "Speakers are unknown" in err and "resampled by trial" in err
    assert json.loads(Path("out.json").read_text())["eer_interval"]["by"] == "trial"


def test_conditions_made_by_hand(files, capsys):
    """Spoof trials below all genuine scores, in their middle, and infinitely above; one speaker."""
    genuine, below, middle = (
        {f"g{i}": float(i) for i in range(40)},
        {f"s{i}": -1.0 for i in range(31)},
        {"t1": 19.5, "t2": 19.5},
    )
    Path("utt2label").write_text(
        "".join(
            f"{u} {'genuine' if u in genuine else 'spoof'}\n"
            for u in (*genuine, *below, *middle, "v")
        )
    )
    Path("utt2env").write_text(
        "".join(f"{u} E2\n" for u in below) + "t1 E10\nt2 E10\nv E3\ng0 -\nstranger E99\n"
    )
    Path("utt2spk").write_text("".join(f"{u} mary\n" for u in (*genuine, *below, *middle, "v")))
    for name, v in (
        ("exp/cf_sd0/scores/eval.txt", math.inf),
        ("exp/cm_sd10/scores/eval.txt", -2.0),
    ):
        Path(name).parent.mkdir(parents=True)
        write_scores(name, {**genuine, **below, **middle, "v": v})
    argv = ["--by=env,spk", "--eer=interp,rocch", "--json=out.json", "utt2label"]
    assert (
        eval_scores.main([*argv, "exp/cf_sd0/scores/eval.txt", "exp/cm_sd10/scores/eval.txt"]) == 0
    )
    captured = capsys.readouterr()
    assert captured.out.splitlines()[3:] == [
        "",
        "env  spoof  cf_sd0  cm_sd10",
        "E10      2   50.00    50.00",
        "E2      31    0.00     0.00",
        "E3       1  100.00     0.00",
        "",
        "spk   spoof  cf_sd0  cm_sd10",
        "mary     34    8.82     5.88",
    ]
    first, second = (line for line in captured.err.splitlines() if line.startswith("WARNING"))
    assert "a class has only one speaker" in first
    place = "exp/cf_sd0/scores/eval.txt: env: E3"
    assert second == f"WARNING (sd-eval-scores) {place}: EER above 50 % in 1 of 3 conditions"
    cf, cm = json.loads(Path("out.json").read_text())["systems"]
    assert list(cf["by"]) == ["env", "spk"] and list(cf["by"]["env"]) == ["E10", "E2", "E3"]
    assert cf["by"]["env"]["E3"] == {
        "num_genuine": 40,
        "num_spoof": 1,
        "eer": {
            "interp": {"value": 1, "threshold": "inf"},
            "rocch": {"value": 0.5, "threshold": 0},
        },
    }
    assert cf["by"]["env"]["E10"]["eer"]["rocch"]["value"] == pytest.approx(1 / 3, abs=1e-15)
    assert cm["by"]["spk"]["mary"]["eer"] == cm["eer"]


def test_one_system_keeps_its_path_and_dropped_trials_leave_their_condition(files, capsys):
    Path("utt2env").write_text("".join(f"{utt} E{i % 2}\n" for i, utt in enumerate(UTTS)))
    Path("s1.txt").write_text("".join(lines("s1.txt")[:-1]))
    assert eval_scores.main(["--by=env", "--missing=drop", "utt2label", "s1.txt"]) == 0
    _, _, _, header, *rows = capsys.readouterr().out.splitlines()
    assert header == "env  spoof  s1.txt" and [row.split()[:2] for row in rows] == [
        ["E0", "150"],
        ["E1", "149"],
    ]


def test_order_of_lines_changes_no_byte(files, capsys):
    """Labels of another day, in another order."""
    Path("utt2env").write_text("".join(f"{utt} E{i % 7}\n" for i, utt in enumerate(UTTS)))
    rng = np.random.default_rng(0)
    outputs = []
    for round_ in range(2):
        assert (
            train_fusion.main(["--prior=0.1", "utt2label", "s1.txt", "s2.txt", "fusion.json"]) == 0
        )
        assert apply_fusion.main(["fusion.json", "s1.txt", "s2.txt", "fused.txt"]) == 0
        assert (
            eval_scores.main(
                [
                    f"--json=out{round_}.json",
                    "--by=env",
                    "utt2label",
                    "s1.txt",
                    "s2.txt",
                    "fused.txt",
                ]
            )
            == 0
        )
        outputs.append(
            (
                capsys.readouterr().out,
                Path("fusion.json").read_bytes(),
                lines("fused.txt"),
                lines(f"out{round_}.json"),
            )
        )
        for name in ("utt2label", "utt2env", "s1.txt", "s2.txt"):
            Path(name).write_text("".join(rng.permutation(lines(name))))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("command", [train_fusion, eval_scores, apply_fusion])
def test_missing_utterances(files, capsys, command):
    if command is apply_fusion:
        write_fusion("fusion.json", FUSION, ["exp/a/dev.txt", "exp/b/dev.txt"])
    Path("s2.txt").write_text("".join(lines("s2.txt")[12:]))
    argv = {
        train_fusion: ["utt2label", "s1.txt", "s2.txt", "out"],
        eval_scores: ["--json=out", "utt2label", "s1.txt", "s2.txt"],
        apply_fusion: ["fusion.json", "s1.txt", "s2.txt", "out"],
    }[command]
    got = f"none for 12 of 500 utterances ({' '.join(UTTS[:10])} ...)"
    refuses(command, argv, capsys, " s2.txt: scores: ", got)
    assert not Path("out").exists() and not list(files.glob(".*"))
    assert command.main(["--missing=drop", *argv]) == 0
    err = capsys.readouterr().err
    assert "dropped 12 of 500 utterances, which lack a score" in err
    assert Path("out").exists() and (command is eval_scores or "done 488 of 500, 12 skipped" in err)


def test_fusion_of_another_number_of_systems(files, capsys):
    write_fusion("fusion.json", FUSION, ["exp/a/dev.txt", "exp/b/dev.txt"])
    words = " fusion.json: ", "2, in this order: exp/a/dev.txt exp/b/dev.txt", "found 1"
    refuses(apply_fusion, ["fusion.json", "s1.txt", "out"], capsys, *words)
    assert not Path("out").exists()


def test_missing_scores_count_as_no_evidence(files, capsys):
    """From training to application; a fusion of complete scores refuses them."""
    assert train_fusion.main(["utt2label", "s1.txt", "s2.txt", "complete.json"]) == 0
    complete = read_scores("s2.txt")
    Path("s2.txt").write_text("".join(lines("s2.txt")[12:]))
    assert train_fusion.main(["--missing=zero", "utt2label", "s1.txt", "s2.txt", "f.json"]) == 0
    warning = "s2.txt: 12 of 500 utterances have no score, which counts as LLR 0"
    assert f"WARNING (sd-train-fusion) {warning}" in capsys.readouterr().err
    neutral = json.loads(Path("f.json").read_text())["neutral"]
    assert apply_fusion.main(["--missing=zero", "f.json", "s1.txt", "s2.txt", "out.txt"]) == 0
    write_scores("s2.txt", {**complete, **dict.fromkeys(UTTS[:12], neutral[1])})
    assert apply_fusion.main(["f.json", "s1.txt", "s2.txt", "filled.txt"]) == 0
    assert lines("out.txt") == lines("filled.txt")
    capsys.readouterr()
    Path("strangers.txt").write_text("stranger 1.0\n")
    argv = ["--missing=zero", "utt2label", "s1.txt", "strangers.txt", "out"]
    refuses(train_fusion, argv, capsys, " strangers.txt: ", "some of labelled utterances")
    argv = ["--missing=zero", "complete.json", "s1.txt", "s2.txt", "out"]
    refuses(apply_fusion, argv, capsys, " complete.json: ", "without missing scores")


def test_trial_weights(files, capsys):
    """Weight 0 is as good as no trial."""
    Path("utt2weight").write_text(
        "".join(f"{utt} {0 if i % 5 else 2.5}\n" for i, utt in enumerate(UTTS))
    )
    assert train_fusion.main(["--trial-weights=utt2weight", "utt2label", "s1.txt", "f.json"]) == 0
    weighted = json.loads(Path("f.json").read_text())
    Path("utt2label").write_text("".join(lines("utt2label")[::5]))
    assert train_fusion.main(["utt2label", "s1.txt", "f.json"]) == 0
    assert weighted == json.loads(Path("f.json").read_text()) | {
        "weights": pytest.approx(weighted["weights"], rel=1e-9)
    } | {name: pytest.approx(weighted[name], rel=1e-9) for name in ("offset", "objective")}
    capsys.readouterr()
    Path("utt2weight").write_text(f"{UTTS[0]} -1\n")
    argv = ["--trial-weights=utt2weight", "utt2label", "s1.txt", "f.json"]
    words = " utt2weight: weights: ", "none for 99 of 100 trials (first utt-005)"
    refuses(train_fusion, argv, capsys, *words)
    Path("utt2label").write_text(f"{UTTS[0]} genuine\n{UTTS[200]} spoof\n")
    Path("utt2weight").write_text(f"{UTTS[0]} -1\n{UTTS[200]} 1\n")
    refuses(train_fusion, argv, capsys, "trial_weights[0]", "0 or more", "found -1.0")


def test_thresholds_are_kept_with_where_they_come_from(files, capsys):
    argv = ["--thresholds=t.json", "--false-alarm-rate=0.1", "utt2label", "s1.txt"]
    assert eval_scores.main(argv) == 0
    record = json.loads(Path("t.json").read_text())
    found = record.pop("thresholds")
    assert record == {
        **{
            "sdtools": __version__,
            "utt2label": "utt2label",
            "scores": "s1.txt",
            "num_genuine": 200,
            "num_spoof": 300,
        },
        **{"eer": "interp", "p_spoof": 0.05, "c_miss": 1, "c_fa": 10, "false_alarm_rate": 0.1},
    }
    llrs, labels = read_scores("s1.txt"), read_utt2label("utt2label")
    for name in ("eer", "bayes", "false_alarm"):
        passed = {utt for utt, llr in llrs.items() if llr >= found[name]["threshold"]}
        assert found[name]["p_miss"] == pytest.approx(
            1 - sum(labels[utt] for utt in passed) / 200, abs=1e-12
        )
        assert found[name]["p_false_alarm"] == pytest.approx(
            sum(not labels[utt] for utt in passed) / 300, abs=1e-12
        )
    assert 0.09 < found["false_alarm"]["p_false_alarm"] <= 0.1
    capsys.readouterr()
    refuses(eval_scores, [*argv, "s2.txt"], capsys, "--thresholds: score files", "found 2")
    argv = ["--false-alarm-rate=2", "utt2label", "s1.txt"]
    refuses(eval_scores, argv, capsys, "--false-alarm-rate: ", "0 to 1", "found 2.0")


def test_monotone_calibration(files, capsys):
    """Of a score that is no LLR: on its training trials it is better than a line."""
    bent = {utt: math.copysign(abs(llr) ** 3, llr) for utt, llr in read_scores("s1.txt").items()}
    write_scores("s1.txt", bent)
    for name, options in (("line", []), ("pav", ["--pav"])):
        assert train_fusion.main([*options, "utt2label", "s1.txt", f"{name}.json"]) == 0
        assert apply_fusion.main([f"{name}.json", "s1.txt", f"{name}.txt"]) == 0
    assert "llr = a rising map with 1" in capsys.readouterr().err
    assert eval_scores.main(["--json=out.json", "utt2label", "line.txt", "pav.txt"]) == 0
    line, pav = json.loads(Path("out.json").read_text())["systems"]
    assert pav["min_cllr"] < pav["cllr"] < pav["min_cllr"] + 0.05 < line["cllr"]
    assert json.loads(Path("pav.json").read_text())["objective"] == pytest.approx(
        pav["cllr"], abs=1e-12
    )
    capsys.readouterr()
    argv = ["--pav", "utt2label", "s1.txt", "s2.txt", "f.json"]
    refuses(train_fusion, argv, capsys, "--pav: score files", "found 2")
    argv = ["utt2label", "s1.txt", "f.json"]
    refuses(train_fusion, ["--pav", "--ridge=5", *argv], capsys, "--pav: ", "linear fusion")
    refuses(train_fusion, ["--pav", "--missing=zero", *argv], capsys, "--pav: ", "linear fusion")
    refuses(train_fusion, ["--pav", "--held-out=h", *argv], capsys, "--pav: ", "--held-out")


def test_cross_validation_by_speaker(files, capsys):
    """Without a dev set; held-out LLRs cost more than those of the fusion that saw the labels."""
    argv = ["--held-out=held.txt", "utt2label", "s1.txt", "s2.txt", "f.json"]
    assert train_fusion.main(argv) == 0
    err = capsys.readouterr().err
    assert "utt2spk: no such file. Speakers are unknown" in err
    assert "folds are by trial, so the held-out LLRs are too good" in err
    Path("utt2spk").write_text("".join(f"{utt} m{i % 11}\n" for i, utt in enumerate(UTTS)))
    assert train_fusion.main(argv) == 0
    err = capsys.readouterr().err
    assert (
        "held.txt: LLRs by 5-fold cross-validation (" in err
        and "trials), not by f.json" in err
        and "WARNING" not in err
    )
    assert apply_fusion.main(["f.json", "s1.txt", "s2.txt", "own.txt"]) == 0
    assert eval_scores.main(["--json=out.json", "utt2label", "held.txt", "own.txt"]) == 0
    held, own = json.loads(Path("out.json").read_text())["systems"]
    assert own["cllr"] < held["cllr"] < 1.1 * own["cllr"]
    assert json.loads(Path("f.json").read_text())["num_folds"] == 5
    capsys.readouterr()
    refuses(train_fusion, ["--num-folds=1", *argv], capsys, "--num-folds: ", "found 1")
    refuses(train_fusion, ["--num-folds=12", *argv], capsys, "groups: ", "found 11 for 12 folds")


def test_separable_training_data(files, capsys):
    apart = {utt: (1.0 if i < 200 else -1.0) + i / 1000 for i, utt in enumerate(UTTS)}
    write_scores("s1.txt", apart)
    argv = ["utt2label", "s1.txt", "f.json"]
    refuses(train_fusion, argv, capsys, "separates the classes", "Use --auto-ridge")
    assert not Path("f.json").exists()
    assert train_fusion.main(["--auto-ridge", *argv]) == 0
    assert "Trained with ridge 0.001" in capsys.readouterr().err
    assert json.loads(Path("f.json").read_text())["ridge"] == 0.001


def test_infinite_scores(files, capsys):
    """Metrics take them, training does not."""
    llrs = read_scores("s1.txt")
    write_scores("s1.txt", {**llrs, UTTS[0]: -math.inf})
    argv = ["utt2label", "s1.txt", "f.json"]
    refuses(train_fusion, argv, capsys, f" s1.txt: score of {UTTS[0]}: ", "found -inf")
    assert eval_scores.main(["--json=out.json", "utt2label", "s1.txt"]) == 0
    assert " inf " in capsys.readouterr().out.splitlines()[1]
    assert json.loads(Path("out.json").read_text())["systems"][0]["cllr"] == "inf"


def test_warnings_name_the_system(files, capsys):
    for name in ("s1.txt", "s2.txt"):
        write_scores(name, {utt: -llr for utt, llr in read_scores(name).items()})
    assert eval_scores.main(["--eer=interp,rocch", "utt2label", "s1.txt", "s2.txt", "s3.txt"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert [line.split()[2] for line in warned] == ["utt2spk:", "EER", "s1.txt:", "s2.txt:"]
    assert all("Check the labels and the sign" in line for line in warned[2:])


def test_misleading_llrs(files, capsys):
    write_scores("s1.txt", {utt: 40 * llr for utt, llr in read_scores("s1.txt").items()})
    assert eval_scores.main(["utt2label", "s1.txt"]) == 0
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion")
    )


def test_settings_that_are_refused(files, capsys):
    def refuses_eval(argv, *words):
        refuses(eval_scores, [*argv, "utt2label", "s1.txt"], capsys, *words)

    def refuses_training(argv, *words):
        refuses(train_fusion, [*argv, "utt2label", "s1.txt", "f.json"], capsys, *words)

    refuses_eval(["--eer=det"], "--eer: ", "interp or rocch or asvspoof", "'det'")
    refuses_eval(["--eer=rocch,rocch"], "--eer: ", "each once", "'rocch,rocch'")
    refuses_eval(["--by=env,spk,env"], "--by: ", "each once", "'env,spk,env'")
    refuses_eval(["--bootstrap=-1"], "--bootstrap: ", "0 or more", "found -1")
    refuses_eval(["--json=out", "--by=env"], " utt2env: no such file")
    argv = ["--by=env", "cat utt2label |", "s1.txt"]
    refuses(eval_scores, argv, capsys, " cat utt2label |: labels: ", "a plain file")
    Path("utt2env").write_text("".join(f"{utt} E1\n" for utt in UTTS[:498]))
    refuses_eval(["--json=out", "--by=env"], "none for 2 of 300 trials (first utt-498)")
    assert not Path("out").exists()
    refuses_eval(["--missing=zero"], "--missing: ", "error or drop", "'zero'")
    for costs in ("0.05,1", "0,1,1", "0.5,1,-1"):
        refuses_training([f"--costs={costs}"], "--costs: ", "P(spoof),Cmiss,Cfa")
    refuses_training(["--costs=1e-17,1,1"], "--costs: ", "the decision depends on the score")
    argv = ["--costs=0.05,1,10", "--prior=0.4"]
    refuses_training(argv, "--prior, --costs: ", "one of them", "0.4 and 0.05,1.0,10.0")
    refuses_training(["--prior=1"], "--prior: ", "found 1.0")
    words = " s1.txt:1: line: ", "an utterance and genuine or spoof", "'utt-000 2.2'"
    refuses(eval_scores, ["s1.txt", "s1.txt"], capsys, *words)


def test_labels_of_asvspoof(files, capsys):
    """`bonafide` is genuine, with a warning; what editors add does not matter."""
    assert eval_scores.main(["--bootstrap=0", "utt2label", "s1.txt"]) == 0
    expected = capsys.readouterr().out
    text = Path("utt2label").read_text().replace("genuine", "bonafide")
    Path("utt2label").write_text(f"\ufeff{text}\n")
    assert eval_scores.main(["--bootstrap=0", "utt2label", "s1.txt"]) == 0
    captured = capsys.readouterr()
    assert captured.out == expected
    (warning,) = (line for line in captured.err.splitlines() if line.startswith("WARNING"))
    assert "utt2label: 200 labels 'bonafide' are read as 'genuine'" in warning
