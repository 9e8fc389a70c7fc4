"""The commands of the hints are run: what comes out is what the labels need."""

import re
import subprocess

import pytest

from sdtools.errors import SdError
from sdtools.scoring.conversion import conversion, renaming
from sdtools.scoring.files import parse_number, read_scores, read_utt2label
from sdtools.scoring.trials import join_scores

UTTS = ["LA_E_1", "LA_E_2"]
FORMS = {  # of other toolkits, with scores 1.5 and -2
    "2019": "LA_E_1 - bonafide 1.5\nLA_E_2 A07 spoof -2\n",
    "key last": "LA_0015 LA_E_1 1.5 bonafide\nLA_0007 LA_E_2 -2 spoof\n",
    "speaker first": "LA_0015 LA_E_1 1.5\nLA_0007 LA_E_2 -2\n",
    "ASVspoof 5": "filename\tcm-score\nLA_E_1\t1.5\nLA_E_2\t-2\n",
    "head of three": "spk utt score\nLA_0015 LA_E_1 1.5\nLA_0007 LA_E_2 -2\n",
    "flac": "LA_0015 LA_E_1.flac 1.5\nLA_0007 LA_E_2.flac -2\n",
    "score first": "1.5 LA_E_1\n-2 LA_E_2\n",
    "paths": "x data/flac/LA_E_1.flac 1.5\nx data/flac/LA_E_2.flac -2\n",
    "digits": "0015 LA_E_1 1.5 bonafide\n",
}


def converted(hint, folder):
    """The file that the command in a hint makes."""
    command = re.fullmatch(r"Convert it \((.*)\)", hint)[1]
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "converted.txt"


@pytest.mark.parametrize("form", [form for form in FORMS if form != "digits"])
def test_the_command_for_scores_of_another_form(tmp_path, form):
    path = tmp_path / "the scores.txt"
    path.write_text(FORMS[form])
    with pytest.raises(SdError) as info:
        join_scores([str(path)], UTTS)
    assert info.value.who == f"{path}:1"
    new = str(converted(info.value.hint, tmp_path))
    assert read_scores(new) == {"LA_E_1": 1.5, "LA_E_2": -2}


def test_the_command_for_keys_with_a_suffix(tmp_path):
    path = tmp_path / "s"
    path.write_text("a/LA_E_1.flac 1.5\na/LA_E_2.flac -2\n")
    with pytest.raises(SdError) as info:
        join_scores([str(path)], UTTS)
    assert "LA_E_1 LA_E_2" in info.value.got and "a/LA_E_1.flac" in info.value.got
    assert read_scores(str(converted(info.value.hint, tmp_path))) == {"LA_E_1": 1.5, "LA_E_2": -2}


def test_names_that_no_rule_connects_are_shown_without_advice_that_drops(tmp_path):
    (tmp_path / "s").write_text("x-LA_E_1 1.5\n")
    with pytest.raises(SdError) as info:
        join_scores([str(tmp_path / "s")], UTTS)
    assert "(LA_E_1 LA_E_2)" in info.value.got and "(x-LA_E_1)" in info.value.got
    assert "drop" not in info.value.hint and "awk" not in info.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "LA_0079 LA_E_1 - - bonafide\nLA_0079 LA_E_2 aaa AA spoof\n",  # 2019
        "L_7 LA_E_1 alaw it - bonafide notrim eval\nL_7 LA_E_2 a i A07 spoof notrim eval\n",  # 2021
        "filename\tcm-label\nLA_E_1\tbonafide\nLA_E_2\tspoof\n",  # 5
    ],
)
def test_the_command_for_labels_of_another_form(tmp_path, text):
    (tmp_path / "keys").write_text(text)
    with pytest.raises(SdError) as info:
        read_utt2label(str(tmp_path / "keys"))
    new = str(converted(info.value.hint, tmp_path))
    with pytest.warns(UserWarning, match="bonafide"):
        assert read_utt2label(new) == {"LA_E_1": True, "LA_E_2": False}


def test_columns_that_cannot_be_told_apart_get_no_command():
    lines = [FORMS["digits"].encode()]
    assert "$1, $3" in conversion("s", lines, parse_number, {"0015"})
    assert conversion("s", lines, parse_number, {"LA_E_1"}) == ""
    assert conversion("s", [b""], parse_number) == conversion("s", [], parse_number) == ""


@pytest.mark.parametrize("path", ["cat s |", "-", ""])
def test_a_stream_gets_a_filter(path):
    hint = renaming(path, "a.wav", {"a"})
    assert hint.startswith("Pass it through a filter (awk ") and "converted" not in hint
