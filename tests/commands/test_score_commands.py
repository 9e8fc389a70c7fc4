import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from test_metrics import GOLDEN, synthetic_set

from sdtools import __version__
from sdtools.bin import apply_fusion, eval_scores, train_fusion
from sdtools.scoring import files as scores
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.intervals import eer_interval

FUSION = Fusion(np.array([1.0, 2.0]), -1.0, 0.5, 0.0, 0.4, 200, 300)
UTTS = [f"utt-{i:03d}" for i in range(500)]


@pytest.fixture
def files(tmp_path):
    """The synthetic set as score files and labels in the current directory."""
    columns, is_genuine = synthetic_set()
    for k, column in enumerate(columns.T, 1):
        scores.write_scores(str(tmp_path / f"s{k}.txt"), dict(zip(UTTS, column)))
    (tmp_path / "utt2label").write_text(
        "".join(f"{utt} {'genuine' if g else 'spoof'}\n" for utt, g in zip(UTTS, is_genuine))
    )
    old = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(old)


def lines(path):
    return Path(path).read_text().splitlines(keepends=True)


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
        "llr = +1.808 * s1.txt +0.97 * s2.txt -2.565; objective 0.4399, where 1 is" in err
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
        last
        == "LOG (sd-eval-scores) best EER: fused.txt, 14.33 %; of its Cllr 0.4399, 0.0374 is for want of calibration"
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
        and fused["eer"]["interp"]["threshold"] in scores.read_scores("fused.txt").values()
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
    assert "best EER: s1.txt, 15.50 %" in captured.err
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
    trials, is_genuine = scores.read_trials("utt2label", ["s1.txt"])
    order = sorted(range(11), key=str)  # m0 m1 m10 m2 ...
    numbers, llrs = np.argsort(order)[np.arange(500) % 11], trials.scores[:, 0]
    classes = is_genuine, ~is_genuine
    low, high = eer_interval(
        [llrs[c] for c in classes], [numbers[c] for c in classes], num_replicates=100
    )
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
    ("text", "says"),
    [
        (
            "".join(f"{utt} {utt}\n" for utt in UTTS),
            "utt2spk: got a speaker for each utterance: speakers are not known",
        ),
        (
            f"{UTTS[0]} m1\n",
            "utt2spk: conditions: got none for 499 of 500 trials (first utt-001), need one for each: speakers are not known",
        ),
    ],
)
def test_speakers_that_nobody_knows(files, capsys, text, says):
    Path("utt2spk").write_text(text)
    assert eval_scores.main(["--json=out.json", "--bootstrap=10", "utt2label", "s1.txt"]) == 0
    err = capsys.readouterr().err
    assert f"WARNING (sd-eval-scores) {says}" in err and "intervals are by trial" in err
    assert json.loads(Path("out.json").read_text())["eer_interval"]["by"] == "trial"


def test_conditions_made_by_hand(files, capsys):
    """Spoof trials below all genuine scores, in their middle, and infinitely above them; and one speaker."""
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
        scores.write_scores(name, {**genuine, **below, **middle, "v": v})
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
    assert [line for line in captured.err.splitlines() if line.startswith("WARNING")] == [
        "WARNING (sd-eval-scores) got a class with one speaker: intervals are by trial, too narrow where trials of a speaker are alike",
        "WARNING (sd-eval-scores) exp/cf_sd0/scores/eval.txt: env: EER above 50 % for 1 of 3 conditions (E3)",
    ]
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
        scores.write_fusion("fusion.json", FUSION, ["exp/a/dev.txt", "exp/b/dev.txt"])
    Path("s2.txt").write_text("".join(lines("s2.txt")[12:]))
    argv = {
        train_fusion: ["utt2label", "s1.txt", "s2.txt", "out"],
        eval_scores: ["--json=out", "utt2label", "s1.txt", "s2.txt"],
        apply_fusion: ["fusion.json", "s1.txt", "s2.txt", "out"],
    }[command]
    error = fails(command, argv, capsys)
    assert (
        f"s2.txt: scores: got none for 12 of 500 utterances ({' '.join(UTTS[:10])} ...), need one for each"
        in error
    )
    assert not Path("out").exists() and not list(files.glob(".*"))
    assert command.main(["--missing=drop", *argv]) == 0
    err = capsys.readouterr().err
    assert (
        f"WARNING ({command.COMMAND.name}) dropped 12 of 500 utterances, which lack a score" in err
    )
    assert Path("out").exists() and (command is eval_scores or "done 488 of 500, 12 skipped" in err)


def test_fusion_of_another_number_of_systems(files, capsys):
    scores.write_fusion("fusion.json", FUSION, ["exp/a/dev.txt", "exp/b/dev.txt"])
    error = fails(apply_fusion, ["fusion.json", "s1.txt", "out"], capsys)
    assert (
        "fusion.json: score files: got 1, need 2, in this order: exp/a/dev.txt exp/b/dev.txt"
        in error
    )
    assert not Path("out").exists()


def test_missing_scores_count_as_no_evidence(files, capsys):
    """From training to application; a fusion of complete scores refuses them."""
    assert train_fusion.main(["utt2label", "s1.txt", "s2.txt", "complete.json"]) == 0
    complete = scores.read_scores("s2.txt")
    Path("s2.txt").write_text("".join(lines("s2.txt")[12:]))
    assert train_fusion.main(["--missing=zero", "utt2label", "s1.txt", "s2.txt", "f.json"]) == 0
    assert (
        "WARNING (sd-train-fusion) s2.txt: 12 of 500 utterances have no score, which counts as LLR 0"
        in capsys.readouterr().err
    )
    neutral = json.loads(Path("f.json").read_text())["neutral"]
    assert apply_fusion.main(["--missing=zero", "f.json", "s1.txt", "s2.txt", "out.txt"]) == 0
    scores.write_scores("s2.txt", {**complete, **dict.fromkeys(UTTS[:12], neutral[1])})
    assert apply_fusion.main(["f.json", "s1.txt", "s2.txt", "filled.txt"]) == 0
    assert lines("out.txt") == lines("filled.txt")
    capsys.readouterr()
    Path("strangers.txt").write_text("stranger 1.0\n")
    argv = ["--missing=zero", "utt2label", "s1.txt", "strangers.txt", "out"]
    assert "strangers.txt: scores: got none of a labelled utterance, need some" in fails(
        train_fusion, argv, capsys
    )
    argv = ["--missing=zero", "complete.json", "s1.txt", "s2.txt", "out"]
    assert (
        "complete.json: fusion: got one trained on complete scores, need --missing=zero in"
        in fails(apply_fusion, argv, capsys)
    )


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
    assert "utt2weight: weights: got none for 99 of 100 trials (first utt-005)" in fails(
        train_fusion, argv, capsys
    )
    Path("utt2label").write_text(f"{UTTS[0]} genuine\n{UTTS[200]} spoof\n")
    Path("utt2weight").write_text(f"{UTTS[0]} -1\n{UTTS[200]} 1\n")
    assert "trial weights: got 2, one of -1.0, need a finite one, 0 or more" in fails(
        train_fusion, argv, capsys
    )


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
    llrs, labels = scores.read_scores("s1.txt"), scores.read_utt2label("utt2label")
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
    assert "--thresholds: got 2 score files, need one" in fails(
        eval_scores, [*argv, "s2.txt"], capsys
    )
    assert "--false-alarm-rate: got 2.0, need 0 to 1" in fails(
        eval_scores, ["--false-alarm-rate=2", "utt2label", "s1.txt"], capsys
    )


def test_monotone_calibration(files, capsys):
    """Of a score that is no LLR; better calibrated than by a line on the trials that it was made of."""
    bent = {
        utt: math.copysign(abs(llr) ** 3, llr) for utt, llr in scores.read_scores("s1.txt").items()
    }
    scores.write_scores("s1.txt", bent)
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
    assert "train_pav: scores: got 2 systems" in fails(
        train_fusion, ["--pav", "utt2label", "s1.txt", "s2.txt", "f.json"], capsys
    )
    assert "--pav: got it with options of the other calibration" in fails(
        train_fusion, ["--pav", "--ridge=5", "utt2label", "s1.txt", "f"], capsys
    )
    assert "--pav: got it with" in fails(
        train_fusion, ["--pav", "--held-out=h", "utt2label", "s1.txt", "f.json"], capsys
    )


def test_cross_validation_by_speaker(files, capsys):
    """For want of a dev set; the held-out LLRs cost more than those of the fusion that knows the answers."""
    argv = ["--held-out=held.txt", "utt2label", "s1.txt", "s2.txt", "f.json"]
    assert train_fusion.main(argv) == 0
    err = capsys.readouterr().err
    assert (
        "utt2spk: got no such file: speakers are not known" in err
        and "folds are by trial, and held-out LLRs flatter" in err
    )
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
    assert "--num-folds: got 1, need 2 or more" in fails(
        train_fusion, ["--num-folds=1", *argv], capsys
    )
    assert "groups: got 11 for 12 folds, need one or more" in fails(
        train_fusion, ["--num-folds=12", *argv], capsys
    )


def test_separable_training_data(files, capsys):
    apart = {utt: (1.0 if i < 200 else -1.0) + i / 1000 for i, utt in enumerate(UTTS)}
    scores.write_scores("s1.txt", apart)
    assert "Use --ridge=0.001 (or more) or --auto-ridge" in fails(
        train_fusion, ["utt2label", "s1.txt", "f.json"], capsys
    )
    assert not Path("f.json").exists()
    assert train_fusion.main(["--auto-ridge", "utt2label", "s1.txt", "f.json"]) == 0
    assert "Trained with ridge 0.001" in capsys.readouterr().err
    assert json.loads(Path("f.json").read_text())["ridge"] == 0.001


def test_infinite_scores(files, capsys):
    """Metrics take them, training does not."""
    llrs = scores.read_scores("s1.txt")
    scores.write_scores("s1.txt", {**llrs, UTTS[0]: -math.inf})
    assert "system 1: got inf or NaN, need finite" in fails(
        train_fusion, ["utt2label", "s1.txt", "f.json"], capsys
    )
    assert eval_scores.main(["--json=out.json", "utt2label", "s1.txt"]) == 0
    assert " inf " in capsys.readouterr().out.splitlines()[1]
    assert json.loads(Path("out.json").read_text())["systems"][0]["cllr"] == "inf"


def test_warnings_name_the_system(files, capsys):
    for name in ("s1.txt", "s2.txt"):
        scores.write_scores(name, {utt: -llr for utt, llr in scores.read_scores(name).items()})
    assert eval_scores.main(["--eer=interp,rocch", "utt2label", "s1.txt", "s2.txt", "s3.txt"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert [line.split()[2] for line in warned] == ["utt2spk:", "intervals", "s1.txt:", "s2.txt:"]
    assert all("Check the labels and the sign" in line for line in warned[2:])


def test_misleading_llrs_are_said_to_be(files, capsys):
    scores.write_scores(
        "s1.txt", {utt: 40 * llr for utt, llr in scores.read_scores("s1.txt").items()}
    )
    assert eval_scores.main(["utt2label", "s1.txt"]) == 0
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion")
    )


def test_settings_that_are_refused(files, capsys):
    assert "--eer: expected interp or rocch or asvspoof, found 'det'" in fails(
        eval_scores, ["--eer=det", "utt2label", "s1.txt"], capsys
    )
    assert "eer: got 'rocch,rocch', need one or more, each once" in fails(
        eval_scores, ["--eer=rocch,rocch", "utt2label", "s1.txt"], capsys
    )
    assert "--by: got 'env,spk,env', need each once" in fails(
        eval_scores, ["--by=env,spk,env", "utt2label", "s1.txt"], capsys
    )
    assert "utt2env: table: got no such file" in fails(
        eval_scores, ["--json=out", "--by=env", "utt2label", "s1.txt"], capsys
    )
    assert "cat utt2label |: labels: got no plain file" in fails(
        eval_scores, ["--by=env", "cat utt2label |", "s1.txt"], capsys
    )
    Path("utt2env").write_text("".join(f"{utt} E1\n" for utt in UTTS[:498]))
    assert "got none for 2 of 300 trials (first utt-498)" in fails(
        eval_scores, ["--json=out", "--by=env", "utt2label", "s1.txt"], capsys
    )
    assert not Path("out").exists()
    assert "--missing: expected error or drop, found 'zero'" in fails(
        eval_scores, ["--missing=zero", "utt2label", "s1.txt"], capsys
    )
    for costs in ("0.05,1", "0,1,1", "0.5,1,-1"):
        assert "need P(spoof),Cmiss,Cfa" in fails(
            train_fusion, [f"--costs={costs}", "utt2label", "s1.txt", "f.json"], capsys
        )
    argv = ["--costs=1e-17,1,1", "utt2label", "s1.txt", "f.json"]
    assert "need some between which a score can decide" in fails(train_fusion, argv, capsys)
    argv = ["--costs=0.05,1,10", "--prior=0.4", "utt2label", "s1.txt", "f.json"]
    assert "prior, costs: got 0.4 and (0.05, 1.0, 10.0), need one of them" in fails(
        train_fusion, argv, capsys
    )
    assert "prior: got 1.0" in fails(
        train_fusion, ["--prior=1", "utt2label", "s1.txt", "f.json"], capsys
    )
    assert "s1.txt:1: line: got 'utt-000 2.2', need an utterance and genuine or spoof" in fails(
        eval_scores, ["s1.txt", "s1.txt"], capsys
    )
