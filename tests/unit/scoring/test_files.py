import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.files import (
    parse_number,
    read_scores,
    read_utt2label,
    read_weights,
    write_scores,
)

BOM = b"\xef\xbb\xbf"


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# ---- score files


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_scores_come_back_with_every_bit(tmp_path_factory, values):
    path = str(tmp_path_factory.mktemp("scores") / "s.txt")
    llrs = {f"utt-{i}": value for i, value in enumerate(values)}
    write_scores(path, llrs)
    back = read_scores(path)
    assert list(back) == list(llrs)
    assert [value.hex() for value in back.values()] == [value.hex() for value in values]


def test_written_lines(tmp_path):
    llrs = {"b": np.float64(0.1), "a": -math.inf, "c": np.float32(2)}
    write_scores(str(tmp_path / "s.txt"), llrs)
    assert (tmp_path / "s.txt").read_text() == "b 0.1\na -inf\nc 2.0\n"


def test_scores_from_a_command_and_with_other_line_ends(tmp_path):
    path = write(tmp_path / "s.txt", "a 1\r\nb\t-2e-3\r\nc inf")
    assert read_scores(f"cat {path} |") == {"a": 1, "b": -2e-3, "c": math.inf}


def test_a_score_file_may_begin_behind_another(tmp_path):
    path = write(tmp_path / "scores", "no scores\nu1 1.5\n")
    assert read_scores(f"{path}:10") == {"u1": 1.5}


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n", "\n \n"])
def test_byte_order_mark_and_blank_last_line(tmp_path, end):
    """As editors of other systems write them."""
    path = write(tmp_path / "s.txt", BOM + f"a 1\nb 2{end}".encode())
    assert read_scores(path) == {"a": 1, "b": 2}


def test_a_byte_order_mark_where_files_were_joined(tmp_path):
    path = write(tmp_path / "s.txt", BOM + b"a 1\n" + BOM + b"b 2\n")
    assert read_scores(path) == {"a": 1, "b": 2}


def test_nan_is_not_written(tmp_path):
    with pytest.raises(SdError) as info:
        write_scores(str(tmp_path / "s.txt"), {"a": 1.0, "b": math.nan})
    assert (info.value.what, info.value.got) == ("score of b", "NaN")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "number", "got"),
    [
        (b"a 1\nb nan\n", 2, "'b nan'"),
        (b"a 1\nb\n", 2, "'b'"),
        (b"a 1 2\n", 1, "'a 1 2'"),
        (b"a one\n", 1, "'a one'"),
        (b"a 1_0\n", 1, "'a 1_0'"),
        ("a 1\nb \uff11\n".encode(), 2, "'b \uff11'"),
        (b"a 1\n\nb 2\n", 2, "''"),
        (b"a 1\n\n\n", 2, "''"),
        (b"a 1\n" + BOM + b"b 2 3\n", 2, "'b 2 3'"),
        (b"", 1, "''"),
        (BOM, 1, "''"),
        (b"a 1\nb 2\na 1\n", 3, "a twice"),
        (b"a 1\n\xff\xfe 2\n", 2, r"'\\xff\\xfe 2'"),
    ],
)
def test_score_files_that_are_refused(tmp_path, data, number, got):
    path = write(tmp_path / "s.txt", data)
    with pytest.raises(SdError) as info:
        read_scores(path)
    assert (info.value.who, info.value.got) == (f"{path}:{number}", got)
    assert info.value.hint == "Write the scores again"


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SdError, match="nowhere"):
        read_scores(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["1_0", "nan", "\u0661", "", "0x10"])
def test_numbers_of_python_only(text):
    with pytest.raises(ValueError):
        parse_number(text)


# ---- labels and weights


def test_labels(tmp_path):
    path = write(tmp_path / "l", BOM + b"a genuine\nb spoof\n\n")
    assert read_utt2label(path) == {"a": True, "b": False}


def test_bonafide_is_genuine(tmp_path):
    path = write(tmp_path / "l", "a bonafide\nb spoof\nc genuine\nd bonafide\n")
    with pytest.warns(SdWarning) as caught:
        assert read_utt2label(path) == {"a": True, "b": False, "c": True, "d": True}
    (warning,) = (w.message for w in caught)
    assert warning.who == path and "2 labels 'bonafide' are read as 'genuine'" in warning.what


@pytest.mark.parametrize(
    ("text", "number", "got"),
    [
        ("a genuine\nb Genuine\n", 2, "'b Genuine'"),
        ("a live\n", 1, "'a live'"),
        ("a bona-fide\n", 1, "'a bona-fide'"),
        ("a genuine\na spoof\n", 2, "a twice"),
    ],
)
def test_labels_that_are_refused(tmp_path, text, number, got):
    path = write(tmp_path / "l", text)
    with pytest.raises(SdError) as info:
        read_utt2label(path)
    assert (info.value.who, info.value.got) == (f"{path}:{number}", got)
    assert info.value.hint == "Correct the labels"


def test_weights(tmp_path):
    path = write(tmp_path / "w", "a 1\nb 0.5\nc 2\n")
    assert read_weights(path, ["c", "a"]).tolist() == [2, 1]
    with pytest.raises(SdError) as info:
        read_weights(path, ["a", "x", "y"])
    assert info.value.who == path and info.value.got == "none for 2 of 3 trials (first x)"
