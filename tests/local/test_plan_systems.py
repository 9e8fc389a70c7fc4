import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "local" / "plan_systems.py"


def plan(*words):
    result = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)
    return result.returncode, result.stdout.splitlines(), result.stderr


def test_rows_take_all_orders_and_members_of_fusions_the_highest():
    status, lines, _ = plan("--systems", "fusion,cf", "--orders", "6,0,2,2")
    assert status == 0
    assert lines == [
        "gmm cf_sd0",
        "gmm cf_sd2",
        "gmm cf_sd6",
        "gmm cm_sd6",
        "pass cf 0,2,6",
        "pass cm 6",
        "fusion fusion cf_sd6 cm_sd6",
        "deploy fusion cf_sd6 cm_sd6",
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--systems=cf,cm,cfcm,fusion"], ["fusion"]),
        (["--systems=all"], ["fusion"]),
        (["--systems=b3,cf"], ["b3"]),
        (["--systems=cf,cqcc"], ["cf_sd6", "cqcc"]),
        (["--systems=cf,fusion", "--deploy=cf_sd0,fusion"], ["cf_sd0", "fusion"]),
        (["--systems=cf,fusion", "--deploy=none"], []),
    ],
)
def test_what_becomes_a_model(words, names):
    """The last fusion, or without fusions each system of the highest order, or what is named."""
    lines = [line.split() for line in plan("--orders=0,6", *words)[1]]
    assert [name for what, name, *_ in lines if what == "deploy"] == names
    members = {name: systems for what, name, *systems in lines if what == "fusion"}
    for what, name, *systems in lines:
        assert what != "deploy" or systems == members.get(name, [name])


def test_rows_of_one_front_end_and_equal_orders_share_a_pass():
    assert "pass cf,cm,cfcm 4" in plan("--systems", "cf,cm,cfcm", "--orders", "4")[1]
    lines = plan("--systems", "cf,cm,cfcm", "--orders", "0,4")[1]
    assert [line for line in lines if line.startswith("pass")] == ["pass cf,cm 0,4", "pass cfcm 4"]


def test_all_is_every_row_and_fusion():
    lines = plan("--systems", "all", "--orders", "0")[1]
    names = [line.split()[1] for line in lines if line.startswith(("gmm", "fusion"))]
    assert {"cf_sd0", "cmtri_sd0", "cqcc", "tc", "mcf", "stcc", "lfcc", "b3", "fusion"} <= set(
        names
    )
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("features", "lines"),
    [
        (
            "cf,cm",
            [
                "config feats.conf",
                "flags --features=cf,cm --orders=0,6",
                *(f"system {feature}_sd{order}" for feature in ("cf", "cm") for order in (0, 6)),
            ],
        ),
        ("cqcc", ["config cqcc.conf", "flags", "system cqcc"]),
        ("mse", ["config modulation.conf", "flags --features=mse", "system mse"]),
        (
            "cmtri",
            [
                "config tri.conf",
                "flags --features=cm --orders=0,6",
                "system cmtri_sd0",
                "system cmtri_sd6",
            ],
        ),
    ],
)
def test_how_features_are_computed(features, lines):
    assert plan("--features", features, "--orders", "6,0")[1] == lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--systems", "mfcc"], "'mfcc'"),
        (["--systems", ","], "--systems: "),
        (["--systems", "cf", "--orders", "0;1"], "--orders: "),
        (["--systems", "cf", "--orders", ""], "--orders: "),
        (["--systems", "cf", "--orders", "01"], "--orders: "),
        (["--systems", "cf", "--deploy", "cm_sd6"], "--deploy: expected none, or some of cf_sd0"),
        (["--features", "cf,cqcc"], "--features: "),
        (["--features", "fusion"], "'fusion'"),
    ],
)
def test_what_does_not_exist_is_one_line(words, message):
    status, lines, error = plan(*words)
    assert status == 1 and lines == []
    assert error.startswith("plan_systems.py: ") and message in error and error.count("\n") == 1
