import os

import numpy as np
import pytest
from fields import fails

from sdtools.cli.files import check_files, check_is_static, named_files
from sdtools.errors import SdError
from sdtools.features.postprocess import PostOptions
from sdtools.options import save_settings
from sdtools.scoring.tandem import TandemOptions
from sdtools.tables.table import open_writer


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A directory with an archive, its script file, another file and a link to it."""
    monkeypatch.chdir(tmp_path)
    with open_writer("ark,scp:f.ark,f.scp") as writer:
        for key in "ab":
            writer.write(key, np.ones((3, 2), np.float32))
    for name in ("s.txt", "l"):
        (tmp_path / name).write_text("a 1\n")
    os.symlink("s.txt", "link")
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "outputs", "name"),
    [
        (["f.json", "s.txt"], ["s.txt"], "s.txt"),
        (["l", "./s.txt"], ["s.txt"], "s.txt"),
        (["link"], ["s.txt"], "s.txt"),
        (["s.txt"], ["link"], "link"),
        (["ark:f.ark"], ["ark,t:f.ark"], "f.ark"),
        (["scp:f.scp"], ["ark,scp:g.ark,f.scp"], "f.scp"),
        (["scp:f.scp"], ["ark:f.ark"], "f.ark"),  # where the script file points to
        (["f.ark:3"], ["f.ark"], "f.ark"),
    ],
)
def test_an_output_that_is_an_input(inputs, outputs, name):
    with fails(who=name, what="this output is also an input"):
        check_files(inputs, outputs)


@pytest.mark.parametrize("outputs", [["x", "./x"], ["ark,scp:x,y", "y"], ["ark:x", "ark,t:x"]])
def test_two_outputs_of_one_name(outputs):
    with fails(what="two outputs have this name"):
        check_files([], outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (["s.txt", "scp:f.scp", "ark:f.ark"], ["new", "ark:-"]),
        (["s.txt"], ["ark,scp:g.ark,g.scp", "l"]),
        (["ark:cat f.ark |", "-"], ["ark:| cat >f.ark", "-"]),
        (["/dev/null", "ark:/dev/null"], ["/dev/null", "ark:/dev/null"]),
        (["scp:none", "no:table", "scp:l"], ["l2", "ark,scp:x", "s.txt"]),  # for the command
    ],
)
def test_what_may_be(inputs, outputs):
    check_files(inputs, outputs)


def test_files_among_the_words_of_a_command_line():
    names = ("<utt2label>", "<scores>...", "<fusion-out>")
    words = ["l", "a", "b", "f.json"]
    assert named_files(names, words, {}) == (["l", "a", "b"], ["f.json"])
    assert named_files(("<model-dir>", "[<sound-file>...]"), ["m"], {}) == (["m"], [])
    inputs, outputs = named_files(("<x>", "<wspecifier>"), ["x", "ark:y"], {0: TandemOptions()})
    assert (inputs, outputs) == (["x"], ["ark:y"])


@pytest.mark.parametrize("rspecifier", ["ark:f.ark", "scp:f.scp", "scp,p:f.scp"])
def test_deltas_are_not_appended_twice(rspecifier):
    save_settings("f.ark.conf", PostOptions(deltas=True, cmvn=False))
    with pytest.raises(SdError) as info:
        check_is_static(rspecifier, PostOptions())
    assert info.value.who == rspecifier and "f.ark.conf" in info.value.got
    assert "--deltas=false" in info.value.hint
    check_is_static(rspecifier, PostOptions(deltas=False))
    save_settings("f.ark.conf", PostOptions(deltas=False))
    check_is_static(rspecifier, PostOptions())
    save_settings("f.ark.conf", TandemOptions())  # another kind of settings
    check_is_static(rspecifier, PostOptions())
    os.remove("f.ark.conf")
    for name in (rspecifier, "ark:-", "ark:cat f.ark |", "scp:none", "none"):
        check_is_static(name, PostOptions())
