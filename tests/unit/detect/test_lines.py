"""The lines of sd-detect in every format, and a run that continues where another one stopped."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from fields import fails
from tiny_model import RATE_HZ, write_tiny_model

from sdtools.bin import detect
from sdtools.detect.detection import Judgement, Segment
from sdtools.detect.lines import FORMATS, Lines, belongs, line_of
from sdtools.detect.policy import Policy
from sdtools.detect.quality import Quality
from sdtools.detect.recordings import Recording
from sdtools.errors import SdWarning

QUALITY = Quality(2.0, -20.0, 0.0, 1.0, 8000.0, 0.0)
NAMES = ["a.wav", "a.wav: x", "a-ch0", 'b "c".wav', "d\n.wav", "e\udcff.wav", "u 1.wav", "ü.wav"]


def judgement(recording, channel=None, start_sec=0.0, total_sec=2.0, llr=1.25):
    segment = Segment(recording, channel, start_sec, total_sec)
    return Judgement(segment, QUALITY, [], llr, Policy("bayes", 0.0))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "u1"),
        ({"channel": 1}, "u1-ch1"),
        ({"start_sec": 30.0, "total_sec": 60.0}, "u1-0003000-0003200"),
        ({"channel": 0, "total_sec": None}, "u1-ch0-0000000-0000200"),
    ],
)
def test_keys_of_kaldi(given, key):
    assert line_of(judgement(Recording("a.wav", "u1"), **given), "kaldi") == f"{key} 1.25"


def test_a_segment_without_score_has_no_line_of_kaldi_and_one_of_the_others():
    silent = judgement(Recording("a.wav"), llr=None)
    assert line_of(silent, "kaldi") == ""
    assert "no score" in line_of(silent, "text")
    assert json.loads(line_of(silent, "jsonl"))["llr"] is None


def test_json_has_file_utterance_and_place():
    record = json.loads(line_of(judgement(Recording("a.wav", "u1"), 1, 30.0, None), "jsonl"))
    want = {"file": "a.wav", "utt": "u1", "channel": 1, "start_sec": 30.0, "total_sec": None}
    assert {name: record[name] for name in want} == want
    assert record["decision"] == "genuine" and record["duration_sec"] == 2.0


@pytest.mark.parametrize("form", FORMATS)
def test_a_line_belongs_to_its_recording_alone(form):
    recordings = [Recording(name, utt) for name in NAMES for utt in (None, "u1", "u1-2")]
    for one in recordings:
        for segment in ({}, {"channel": 0}, {"start_sec": 30.0}, {"channel": 1, "total_sec": 9.0}):
            line = line_of(judgement(one, **segment), form)
            assert "\n" not in line
            same = [each for each in recordings if belongs(line, each, form)]
            if form == "kaldi":  # the file does not show
                assert {each.key for each in same} == {one.key}
            elif form == "jsonl":
                assert same == [one]
            else:  # a file may have the name of another one's line
                others = {each.file for each in same} - {one.file}
                assert one in same and (others <= {"a.wav"} if ": " in one.file else not others)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model and a list of 24 recordings: good, silent, absent, with several windows."""
    folder = tmp_path_factory.mktemp("lines")
    write_tiny_model(folder / "model", folder / "sources")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(24):
        num_samples = RATE_HZ * (5 if i % 5 == 2 else 1)
        samples = (0 if i % 7 == 3 else 0.1) * rng.standard_normal(num_samples)
        if i % 6 != 4:
            soundfile.write(folder / f"{i}.wav", samples, RATE_HZ)
        lines.append(f"u{i} {folder}/{i}.wav\n")
    (folder / "wav.scp").write_text("".join(lines))
    return folder


def words(form, *more):
    options = ["--print-args=false", f"--format={form}", "--window-sec=2", "--max-skip=99"]
    return [*options, *more, "model", "scp:wav.scp"]


@pytest.fixture(params=FORMATS)
def whole(request, made, monkeypatch, capsys):
    """A format, and what one run writes."""
    monkeypatch.chdir(made)
    assert detect.main(words(request.param)) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) > 20
    return request.param, out.encode()


def test_a_run_that_was_stopped_anywhere_continues_there(whole, tmp_path, capsys):
    form, want = whole
    file = tmp_path / "out"
    first = want.index(b"\n") + 1
    for end in [0, *np.linspace(first, len(want), 25).astype(int).tolist()]:
        file.write_bytes(want[:end])
        assert detect.main(words(form, f"--resume={file}", "--num-threads=2")) == 0
        assert file.read_bytes() == want
        captured = capsys.readouterr()
        assert captured.out == "" and "another line than before" not in captured.err


def test_a_killed_process_continues(whole, tmp_path, capsys):
    form, want = whole
    file = tmp_path / "out"
    command = [sys.executable, "-m", "sdtools.bin.detect", *words(form, f"--resume={file}")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (file.exists() and file.stat().st_size):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert want.startswith(file.read_bytes()) and file.stat().st_size
    assert detect.main(words(form, f"--resume={file}")) == 0
    assert file.read_bytes() == want


def test_no_line_is_lost_while_the_last_recording_is_judged_again(whole, tmp_path, monkeypatch):
    """A second kill finds what the first one left."""
    form, want = whole
    end = want.rindex(b"\n", 0, len(want) // 2) + 4  # three bytes of a line
    file = tmp_path / "out"
    file.write_bytes(want[:end])

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sdtools.bin.detect.judge", stop)
        assert detect.main(words(form, f"--resume={file}")) == 130
    assert file.read_bytes() == want[:end]


def test_recordings_without_a_line_count_as_skipped(made, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(made)
    file = tmp_path / "out"
    argv = [word for word in words("text", f"--resume={file}") if "max-skip" not in word]
    assert detect.main(argv) == 1
    assert "4 recordings skipped" in capsys.readouterr().err
    assert detect.main(argv) == 1  # nothing is left but the last
    err = capsys.readouterr().err
    assert "23 recordings are done, 4 of them without a line" in err
    assert "done 1 judgements, 4 recordings skipped" in err


def test_another_model_is_reported(made, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(made)
    file = tmp_path / "out"
    file.write_text("u0 12.5\nu1 13.5\n")
    assert detect.main(words("kaldi", f"--resume={file}")) == 0
    err = capsys.readouterr().err
    assert f"WARNING (sd-detect) {file}: the last recording has another line" in err
    lines = file.read_text().splitlines()
    assert lines[0] == "u0 12.5" and lines[1].startswith("u1 ") and lines[1] != "u1 13.5"


@pytest.mark.parametrize(
    ("content", "who", "what"),
    [
        ("u9 1.5\nu1 1.5\n", "out:2", "not in this order"),
        ("hello\n", "out:1", "belongs to no recording"),
        ("hello", "out", "no whole line"),
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path, monkeypatch, content, who, what):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").write_text(content)
    with Lines("kaldi", "out") as lines, fails(who=who) as info:
        lines.skip_done(iter([Recording(f"{i}.wav", f"u{i}") for i in range(10)]))
    assert what in info.value.what
    assert (tmp_path / "out").read_text() == content


def test_two_runs_cannot_write_one_file(tmp_path):
    with Lines("text", str(tmp_path / "out")), fails(what="another run is writing this file"):
        Lines("text", str(tmp_path / "out"))


def test_a_device_and_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe")):
        with fails(who=path, what="this is no regular file"):
            Lines("text", path)


def test_standard_output_skips_nothing(capsys):
    recordings = iter([Recording("a.wav")])
    with Lines("text") as lines:
        assert lines.skip_done(recordings) is recordings
        lines.write("one")
    assert capsys.readouterr().out == "one\n"


def test_a_line_that_differs_warns(tmp_path):
    (tmp_path / "out").write_text("u1 1\n")
    with Lines("kaldi", str(tmp_path / "out")) as lines:
        assert list(lines.skip_done(iter([Recording("a.wav", "u1")]))) == [("a.wav", "u1")]
        with pytest.warns(SdWarning, match="another line"):
            lines.write("u1 2")
    assert (tmp_path / "out").read_text() == "u1 2\n"
