import os

import pytest
from data_dirs import edit, fail, succeed, write

FEATS = "a-1 f.ark:4\na-2 f.ark:9[0:3]\nb-1 tool x  y |\nb-2 f.ark:24\n"
LABELS = "a-1 genuine\na-2 spoof\nb-1 genuine\nb-2 spoof\n"


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", {"feats.scp": FEATS, "utt2label": LABELS})


def lists(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_lines_of_each_class_in_their_order(data, tmp_path):
    other = write(tmp_path / "other", {"feats.scp": "0 g.ark:2\n", "utt2label": "0 spoof\n"})
    assert succeed("split_by_label.py", data, other, tmp_path / "exp/x").stderr == ""
    assert lists(tmp_path / "exp/x") == {
        "genuine.scp": "a-1 f.ark:4\nb-1 tool x  y |\n",
        "spoof.scp": "a-2 f.ark:9[0:3]\nb-2 f.ark:24\n0 g.ark:2\n",
    }


def test_carriage_returns_a_byte_order_mark_and_a_blank_last_line(data, tmp_path):
    for name in ("feats.scp", "utt2label"):
        text = (data / name).read_text().replace("\n", "\r\n")
        (data / name).write_bytes(b"\xef\xbb\xbf" + f"{text}\r\n".encode())
    succeed("split_by_label.py", data, tmp_path / "exp")
    expected = {"genuine.scp": "a-1 f.ark:4\nb-1 tool x  y |\n"}
    assert lists(tmp_path / "exp").items() > expected.items()


def test_bonafide_is_genuine(data, tmp_path):
    edit(data / "utt2label", ("b-1 genuine", "b-1 bonafide"))
    told = succeed("split_by_label.py", data, tmp_path / "exp").stderr
    message = f"{data}/utt2label: 'bonafide' is taken as genuine (lines: 1)"
    assert told == f"split_by_label.py: {message}\n"
    assert "b-1" in lists(tmp_path / "exp")["genuine.scp"]


def test_a_list_that_is_right_stays(data, tmp_path):
    succeed("split_by_label.py", data, tmp_path / "exp")
    for name in ("genuine.scp", "spoof.scp"):
        os.utime(tmp_path / "exp" / name, ns=(1, 1))
    edit(data / "feats.scp", ("f.ark:24", "f.ark:25"))
    succeed("split_by_label.py", data, tmp_path / "exp")
    assert (tmp_path / "exp/genuine.scp").stat().st_mtime_ns == 1
    assert (tmp_path / "exp/spoof.scp").read_text().endswith("b-2 f.ark:25\n")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("utt2label", "b-1 genuine\n", "", "feats.scp:3: the utterance 'b-1' has no label"),
        ("utt2label", LABELS, "", "feats.scp:1: the utterance 'a-1' has no label"),
        (
            "utt2label",
            "a-2 spoof",
            "a-2 Spoof",
            "utt2label:2: value of 'a-2': expected genuine or spoof, found 'Spoof'",
        ),
        ("utt2label", "a-2 spoof", "a-2", "utt2label:2: value of 'a-2': expected genuine or spoof"),
        ("utt2label", LABELS, LABELS + "a-1 spoof\n", "utt2label:5: the key 'a-1' appears twice"),
        ("feats.scp", "b-1 tool", "a-1 tool", "feats.scp:3: the key 'a-1' appears twice"),
        ("utt2label", "spoof", "genuine", "no utterance of feats.scp is labelled spoof"),
        ("feats.scp", FEATS, "", "no utterance of feats.scp is labelled genuine"),
    ],
)
def test_what_does_not_fit(data, tmp_path, name, old, new, message):
    text = (data / name).read_text()
    assert old in text
    (data / name).write_text(text.replace(old, new))
    assert message in fail("split_by_label.py", data, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize("name", ["feats.scp", "utt2label"])
def test_a_file_that_is_missing(data, tmp_path, name):
    (data / name).unlink()
    assert f"{data}/{name}: " in fail("split_by_label.py", data, tmp_path / "exp")
