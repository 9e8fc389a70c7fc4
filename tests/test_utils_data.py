import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UTILS = Path(__file__).resolve().parents[1] / "utils"
FILES = {  # three speakers with 3, 2 and 1 utterances
    "utt2spk": "a-1 a\na-2 a\na-3 a\nb-1 b\nb-2 b\nc-1 c\n",
    "spk2utt": "a a-1 a-2 a-3\nb b-1 b-2\nc c-1\n",
    "wav.scp": "a-1 1.wav\na-2 2.wav\na-3 sph2pipe x  y |\nb-1 4.wav\nb-2 5.wav\nc-1 6.wav\n",
    "feats.scp": "a-1 f.ark:4\na-2 f.ark:9\na-3 f.ark:14\nb-1 f.ark:19\nb-2 f.ark:24\nc-1 f.ark:29\n",
    "text": "a-1 one\na-2 two  words\na-3\nb-1 ä\nb-2 x\nc-1 y\n",
    "utt2label": "a-1 genuine\na-2 spoof\na-3 spoof\nb-1 genuine\nb-2 spoof\nc-1 genuine\n",
    "utt2env": "a-1 E1\na-2 E2\na-3 E1\nb-1 -\nb-2 E3\nc-1 E1\n",
    "utt2dur": "a-1 1.5\na-2 2\na-3 3e0\nb-1 4\nb-2 .5\nc-1 1\n",
    "utt2num_frames": "a-1 15\na-2 20\na-3 30\nb-1 40\nb-2 5\nc-1 10\n",
    "reco2dur": "a-1 1.5\na-2 2\na-3 3\nb-1 4\nb-2 .5\nc-1 1\n",
    "cmvn.scp": "a c.ark:2\nb c.ark:3\nc c.ark:4\n",
    "spk2gender": "a m\nb f\nc f\n",
}
SEGMENTS = {  # the same utterances cut from two recordings
    "segments": "a-1 R1 0 1.5\na-2 R1 1.5 3\na-3 R2 0 3\nb-1 R1 4 8\nb-2 R2 7 7.5\nc-1 R1 9 10\n",
    "wav.scp": "R1 1.wav\nR2 2.wav\n",
    "reco2dur": "R1 10\nR2 20\n",
    "reco2file_and_channel": "R1 one A\nR2 two B\n",
}


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def read(directory):
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


def run(script, *words, **kwargs):
    command = [sys.executable, "-S", UTILS / script, *words]  # without site: standard library only
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **kwargs)


def succeed(script, *words, **kwargs):
    done = run(script, *words, **kwargs)
    assert done.returncode == 0, done.stderr
    return done


def fail(script, *words, **kwargs):
    """The one line that a failing script prints, without the script's name."""
    done = run(script, *words, **kwargs)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"{script}: ")
    return done.stderr.removeprefix(f"{script}: ")


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", FILES)


def edit(path, *replacements):
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


# All scripts


@pytest.mark.parametrize(
    "script", ["validate_data_dir.py", "fix_data_dir.py", "split_data.py", "combine_data.py", "utt2spk_to_spk2utt.py", "run.py"]
)
def test_scripts_are_executable_and_the_example_of_the_help_works(tmp_path, script):
    (tmp_path / "utils").symlink_to(UTILS)
    write(tmp_path / "data/train", FILES)
    write(tmp_path / "data/dev", {"utt2spk": "d-1 d\n", "wav.scp": "d-1 1.wav\n"})
    example = re.search(r"^example: (.*)$", succeed(script, "--help").stdout, re.MULTILINE)[1]
    done = subprocess.run(["bash", "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (["validate_data_dir.py"], "the following arguments are required: data-dir. See validate_data_dir.py --help"),
        (["validate_data_dir.py", "--no", "x"], "unrecognized arguments: --no"),
        (["split_data.py", "data", "x"], "argument num-parts: invalid int value: 'x'"),
        (["split_data.py", "data", "2"], "data: got no file utt2spk there, need a data directory"),
        (["fix_data_dir.py", "data"], "data: got no file utt2spk there, need a data directory"),
        (["combine_data.py", "all", "data"], "data: got no file utt2spk there, need a data directory"),
        (["combine_data.py", "all", "x", "all/"], "all: got the destination among the sources, need another directory"),
        (["validate_data_dir.py", "data"], "data: got no such directory, need a data directory"),
        (["utt2spk_to_spk2utt.py", "none"], "[Errno 2] No such file or directory: 'none'"),
    ],
)
def test_bad_command_lines_give_one_line(tmp_path, words, message):
    assert fail(*words, cwd=tmp_path).startswith(message)


MALFORMED = [  # file, line appended to it, what is wrong with that
    ("utt2spk", "x-1 a b", "got 'a b' for 'x-1', need exactly one speaker"),
    ("utt2spk", "x-2", "got '' for 'x-2', need exactly one speaker"),
    ("utt2spk", "", "got an empty line, need a key and a value"),
    ("feats.scp", "a-1 x", "got 'a-1' a second time, need each key once"),
    ("feats.scp", "x-1 ", "got '' for 'x-1', need a value after the key"),
    ("utt2env", "x-1", "got '' for 'x-1', need a value after the key"),
    ("utt2label", "x-1 bonafide", "got 'bonafide' for 'x-1', need genuine or spoof"),
    ("utt2dur", "x-1 0", "got '0' for 'x-1', need a number of seconds above 0"),
    ("utt2dur", "x-2 nan", "got 'nan' for 'x-2', need a number of seconds above 0"),
    ("utt2dur", "x-3 inf", "got 'inf' for 'x-3', need a number of seconds above 0"),
    ("utt2dur", "x-4 long", "got 'long' for 'x-4', need a number of seconds above 0"),
    ("reco2dur", "x-1 -1", "got '-1' for 'x-1', need a number of seconds above 0"),
    ("utt2num_frames", "x-1 1.5", "got '1.5' for 'x-1', need a whole number above 0"),
    ("spk2gender", "x neuter", "got 'neuter' for 'x', need m or f"),
    ("spk2warp", "x 2", "got '2' for 'x', need a number between 0.5 and 1.5"),
    ("utt2warp", "x-1 1.5", "got '1.5' for 'x-1', need a number between 0.5 and 1.5"),
    ("wav.scp", "x-1 ~/2.wav", "got '~/2.wav' for 'x-1', need a path without ~"),
]
MALFORMED_WITH_SEGMENTS = [
    ("segments", "x-1 R1 3 3", "got 'R1 3 3' for 'x-1', need '<recording> <start> <end>' with end > start"),
    ("segments", "x-2 R1 3", "got 'R1 3' for 'x-2', need '<recording>"),
    ("segments", "x-3 R1 x 3", "got 'R1 x 3' for 'x-3', need '<recording>"),
    ("reco2file_and_channel", "R3 two C", "got 'two C' for 'R3', need '<file> <channel>' with channel A or B"),
]


@pytest.mark.parametrize("malformed, segments", [(MALFORMED, {}), (MALFORMED_WITH_SEGMENTS, SEGMENTS)], ids=["utterances", "segments"])
def test_malformed_lines_are_named_by_every_script_and_dropped_by_fix(tmp_path, malformed, segments):
    good = {**FILES, "utt2warp": FILES["utt2dur"], "spk2warp": "a 1\nb 1\nc 1\n", **segments}
    good["utt2warp"] = re.sub(" .*", " 1", good["utt2warp"])
    files, problems = dict(good), []
    for name, line, problem in malformed:
        files[name] += f"{line}\n"
        problems.append(f"data/{name}:{files[name].count(chr(10))}: {problem}")
    data = write(tmp_path / "data", files)
    first = min(problems, key=lambda problem: problem.split(":")[0])
    assert fail("split_data.py", "data", "2", cwd=tmp_path).startswith(first)
    stderr = run("validate_data_dir.py", "data", cwd=tmp_path).stderr
    assert [problem for problem in problems if f"\nvalidate_data_dir.py: {problem}" not in f"\n{stderr}"] == []
    assert stderr.count("\n") == len(problems) + 1
    stderr = succeed("fix_data_dir.py", "data", cwd=tmp_path).stderr
    assert [problem for problem in problems if f"\nfix_data_dir.py: {problem}" not in f"\n{stderr}"] == []
    assert read(data) == good


# validate_data_dir.py


@pytest.mark.parametrize("segments", [{}, SEGMENTS], ids=["utterances", "segments"])
def test_validate_accepts_what_is_right(tmp_path, segments):
    write(tmp_path / "data", {**FILES, **segments, "utt2spk~": "old", "utt2spk.bak": "old", "frame_shift": "0.01\n"})
    done = succeed("validate_data_dir.py", "data", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("validate_data_dir.py: Successfully validated data-directory data\n", "")


def test_validate_accepts_tabs_crlf_and_other_blanks_as_kaldi_does(tmp_path):
    files = {name: text.replace(" ", " \t") for name, text in FILES.items()} | {"wav.scp": FILES["wav.scp"].replace("\n", "\r\n")}
    succeed("validate_data_dir.py", write(tmp_path / "data", files))


def test_validate_accepts_bytes_that_are_not_utf8_outside_text(tmp_path):
    files = {name: text.encode().replace(b"b", b"\xff") for name, text in FILES.items()}
    order = {name: b"".join(sorted(text.splitlines(keepends=True))) for name, text in files.items()}
    succeed("validate_data_dir.py", "--no-text", write(tmp_path / "data", {k: v for k, v in order.items() if k != "text"}))


def test_validate_needs_the_files_that_are_not_given_up(tmp_path):
    data = write(tmp_path / "data", {name: FILES[name] for name in ("utt2spk", "spk2utt")})
    flags = {"text": "--no-text", "wav.scp": "--no-wav", "feats.scp": "--no-feats"}
    lines = run("validate_data_dir.py", "data", cwd=tmp_path).stderr.splitlines()
    assert lines[:3] == [
        f"validate_data_dir.py: data/{name}: got no such file, need it. Prepare it, or give {flag} if that is meant"
        for name, flag in flags.items()
    ]
    assert lines[3:] == ["validate_data_dir.py: data: got 3 problems, need none. Correct what is listed above"]
    succeed("validate_data_dir.py", *flags.values(), data)
    write(data, {"segments": SEGMENTS["segments"]})
    assert "data/wav.scp: got no such file" in run("validate_data_dir.py", *flags.values(), data).stderr
    (data / "spk2utt").unlink()
    assert "data/spk2utt: got no such file, need it. Prepare it\n" in run("validate_data_dir.py", *flags.values(), data).stderr


def test_validate_warns_of_a_single_speaker(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "a-1 a\n", "spk2utt": "a a-1\n"})
    done = succeed("validate_data_dir.py", "--no-text", "--no-wav", "--no-feats", data)
    assert done.stderr == f"validate_data_dir.py: {data}: warning: only one speaker; nothing can be split or compared by speaker\n"


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        ("utt2spk", "c-1 c\n", "c-1 c", "utt2spk:6: got no newline at the end, need one; the file may be cut off"),
        ("feats.scp", "a-2", "a-4", "feats.scp:3: got 'a-3' after 'a-4', need byte order (LC_ALL=C). Run fix_data_dir.py"),
        ("feats.scp", "a-2 f.ark:9\n", "", "feats.scp: got no line for 'a-2' (missing: 1), need the keys of the directory"),
        ("vad.scp", "", "a-1 v\nb-9 v\n", "vad.scp:2: got 'b-9' (extra: 1), need the keys of the directory"),
        ("utt2label", "a-1 genuine\na-2 spoof\n", "", "utt2label: got no line for 'a-1' (missing: 2)"),
        ("utt2phrase", "", "a-1 S01\n", "utt2phrase: got no line for 'a-2' (missing: 5)"),
        ("wav.scp", "c-1", "c-2", "wav.scp:6: got 'c-2' (extra: 1)"),
        ("reco2dur", "c-1 1\n", "", "reco2dur: got no line for 'c-1' (missing: 1)"),
        ("cmvn.scp", "b c.ark:3\n", "", "cmvn.scp: got no line for 'b' (missing: 1)"),
        ("spk2gender", "c f\n", "c f\nd f\n", "spk2gender:4: got 'd' (extra: 1)"),
        (
            "spk2utt",
            "a-1 a-2",
            "a-2 a-1",
            "spk2utt: got other utterances than utt2spk for 'a', need its inverse. Run utt2spk_to_spk2utt.py",
        ),
        ("spk2utt", "c c-1\n", "", "spk2utt: got other utterances than utt2spk for 'c'"),
        ("spk2utt", "c c-1\n", "c c-1\nd c-1\n", "spk2utt: got other utterances than utt2spk for 'd'"),
        ("spk2utt", "a a-1 a-2 a-3\nb b-1 b-2\n", "b b-1 b-2\na a-1 a-2 a-3\n", "spk2utt:2: got 'a' after 'b', need byte order"),
        ("text", "one", "one\u00a0two", "text:1: got '\\xa0', need words in UTF-8 between spaces and no <s> </s> #0. Correct the line"),
        ("text", "one", "one\r", "text:1: got '\\r', need words"),
        ("text", "one", "\x07", "text:1: got '\\x07', need words"),
        ("text", "one", "o <s> ne", "text:1: got '<s>', need words"),
        ("text", "x\n", "#0\n", "text:5: got '#0', need words"),
    ],
)
def test_validate_names_file_and_line(data, name, old, new, message):
    text = FILES.get(name, "")
    assert old in text
    (data / name).write_bytes(text.replace(old, new, 1).encode())
    done = run("validate_data_dir.py", data)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"validate_data_dir.py: {data}/{message}" in done.stderr


def test_validate_refuses_text_that_is_not_utf8(data):
    (data / "text").write_bytes(FILES["text"].encode("latin-1"))
    assert f"{data}/text:4: got '\\udce4', need words" in run("validate_data_dir.py", data).stderr


def test_validate_checks_recordings_against_segments(tmp_path):
    data = write(tmp_path / "data", {**FILES, **SEGMENTS, "wav.scp": "R1 1.wav\nR3 2.wav\n"})
    stderr = run("validate_data_dir.py", data).stderr
    assert f"{data}/wav.scp: got no line for 'R2' (missing: 1)" in stderr
    assert f"{data}/wav.scp:2: got 'R3' (extra: 1)" in stderr


def test_validate_wants_utterances_sorted_by_speaker_too(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "1 b\n2 a\n", "spk2utt": "a 2\nb 1\n"})
    flags = ["--no-text", "--no-wav", "--no-feats"]
    assert f"{data}/utt2spk:2: got speaker 'a' after 'b', need the order" in run("validate_data_dir.py", *flags, data).stderr
    succeed("validate_data_dir.py", *flags, "--no-spk-sort", data)


def test_validate_shows_twenty_problems_and_counts_all(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "".join(f"a-{n:02}\n" for n in range(50)), "spk2utt": "a a-1\n"})
    lines = run("validate_data_dir.py", "--no-text", "--no-wav", "--no-feats", "data", cwd=tmp_path).stderr.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "validate_data_dir.py: data: got 51 problems, need none. Correct what is listed above"
    assert data.is_dir()


# fix_data_dir.py


def test_fix_leaves_alone_what_is_right(data):
    before = {path: path.stat().st_mtime_ns for path in data.iterdir()}
    assert succeed("fix_data_dir.py", "data", cwd=data.parent).stderr == "fix_data_dir.py: data: kept all 6 utterances\n"
    assert {path: path.stat().st_mtime_ns for path in data.iterdir()} == before


def test_fix_keeps_the_utterances_that_all_files_have_and_the_old_files(data):
    edit(data / "feats.scp", ("a-2 f.ark:9\n", ""))
    edit(data / "utt2label", ("c-1 genuine\n", ""))
    edit(data / "utt2num_frames", ("b-2 5", "b-2 0"))
    write(data, {"vad.scp": "a-1 v\na-2 v\n", "spk2utt": "stale\n", "notes": "stay"})
    before = read(data)
    done = succeed("fix_data_dir.py", "data", cwd=data.parent)
    assert done.stderr.splitlines() == [
        "fix_data_dir.py: data/utt2num_frames:5: got '0' for 'b-2', need a whole number above 0. Correct the line (dropped)",
        "fix_data_dir.py: data/feats.scp: lacks 1 utterances: a-2",
        "fix_data_dir.py: data/utt2label: lacks 1 utterances: c-1",
        "fix_data_dir.py: data/utt2num_frames: lacks 1 utterances: b-2",
        "fix_data_dir.py: data: old files are kept in data/.backup",
        "fix_data_dir.py: data: kept 3 utterances out of 6",
    ]
    expected = {name: "".join(re.findall("^(?:(?:a-1|a-3|b-1|a|b)(?: .*)?\n)", text, re.MULTILINE)) for name, text in FILES.items()}
    expected |= {"spk2utt": "a a-1 a-3\nb b-1\n", "vad.scp": "a-1 v\n", "notes": "stay"}
    assert read(data) == expected
    backup = read(data / ".backup")
    assert backup == {name: before[name] for name in backup}
    assert backup.keys() == before.keys() - {"notes"}


def test_fix_sorts_and_takes_the_first_of_equal_keys(data):
    for name in FILES:
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text("".join([*reversed(lines), lines[0].replace("-1", "-2", 1) if name == "utt2env" else ""]))
    done = succeed("fix_data_dir.py", "data", cwd=data.parent)
    assert done.stderr.splitlines()[0].startswith("fix_data_dir.py: data/utt2env:7: got 'a-2' a second time, need each key once")
    assert read(data) == FILES


def test_fix_keeps_every_backup(data):
    for n, old in enumerate(("a-1 1.wav\n", "c-1 6.wav\n"), 1):
        edit(data / "wav.scp", (old, ""))
        succeed("fix_data_dir.py", data)
        assert old not in (data / "utt2spk").read_text()
        assert len((data / (".backup" if n == 1 else ".backup2") / "utt2spk").read_text().splitlines()) == 7 - n


def test_fix_drops_utterances_without_recording_or_speaker_information(tmp_path):
    data = write(tmp_path / "data", {**FILES, **SEGMENTS, "wav.scp": "R1 1.wav\nR7 7.wav\n"})
    edit(data / "spk2gender", ("b f\n", ""))
    succeed("fix_data_dir.py", data)
    assert (data / "utt2spk").read_text() == "a-1 a\na-2 a\nc-1 c\n"
    assert (data / "wav.scp").read_text() == "R1 1.wav\n"
    assert (data / "reco2file_and_channel").read_text() == "R1 one A\n"
    assert (data / "cmvn.scp").read_text() == "a c.ark:2\nc c.ark:4\n"
    succeed("validate_data_dir.py", data)


@pytest.mark.parametrize(
    "files, message",
    [
        ({"utt2env": ""}, "data: got no utterance that is in all files, need at least one"),
        ({"utt2spk": "a-1 b\na-2 a\n"}, "data/utt2spk: got utterances that sort differently from their speakers, need one order for both"),
    ],
)
def test_fix_changes_nothing_if_it_cannot_help(data, files, message):
    before = read(write(data, files))
    done = run("fix_data_dir.py", "data", cwd=data.parent)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"fix_data_dir.py: {message}")
    assert read(data) == before
    assert not (data / ".backup").exists()


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_fix_leaves_is_valid(tmp_path, draw):
    files = {name: draw.draw(st.permutations(text.splitlines(keepends=True)), name) for name, text in FILES.items()}
    cut = {name: "".join(lines[: draw.draw(st.integers(len(lines) - 1, len(lines)), name)]) for name, lines in files.items()}
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    data = write(tmp_path / "data", cut)
    if run("fix_data_dir.py", data).returncode == 0:
        succeed("validate_data_dir.py", data)
        assert set(read(data)) == set(FILES)


# split_data.py


@pytest.mark.parametrize("segments", [{}, SEGMENTS], ids=["utterances", "segments"])
def test_split_by_speaker(tmp_path, segments):
    data = write(tmp_path / "data", {**FILES, **segments})
    succeed("split_data.py", data, "2")
    assert sorted(path.name for path in (data / "split2").iterdir()) == ["1", "2"]
    assert (data / "split2/1/utt2spk").read_text() == "a-1 a\na-2 a\na-3 a\n"
    assert (data / "split2/2/utt2spk").read_text() == "b-1 b\nb-2 b\nc-1 c\n"
    assert (data / "split2/2/spk2gender").read_text() == "b f\nc f\n"
    for part in ("1", "2"):
        assert read(data / "split2" / part).keys() == {**FILES, **segments}.keys()
        succeed("validate_data_dir.py", data / "split2" / part)


def test_split_by_utterance_puts_the_larger_parts_first(data):
    succeed("split_data.py", "--per-utt", data, "4")
    utts = [[line.split()[0] for line in (data / f"split4utt/{n}/feats.scp").read_text().splitlines()] for n in (1, 2, 3, 4)]
    assert utts == [["a-1", "a-2"], ["a-3", "b-1"], ["b-2"], ["c-1"]]
    assert (data / "split4utt/2/spk2utt").read_text() == "a a-3\nb b-1\n"


def test_split_follows_every_change_and_leaves_alone_what_is_right(data):
    succeed("split_data.py", data, "3")
    before = {path: path.stat().st_mtime_ns for path in (data / "split3").rglob("*")}
    os.utime(data / "utt2spk", ns=(1, 1))
    succeed("split_data.py", data, "3")
    assert {path: path.stat().st_mtime_ns for path in (data / "split3").rglob("*")} == before
    edit(data / "utt2dur", ("c-1 1", "c-1 7"))  # not one of the files that Kaldi looks at
    (data / "utt2env").unlink()
    write(data, {"utt2recorder": FILES["utt2env"]})
    succeed("split_data.py", data, "3")
    assert (data / "split3/3/utt2dur").read_text() == "c-1 7\n"
    assert not (data / "split3/3/utt2env").exists()
    assert (data / "split3/2/utt2recorder").read_text() == "b-1 -\nb-2 E3\n"
    unchanged = {data / f"split3/{n}/feats.scp" for n in (1, 2, 3)}
    assert {path: path.stat().st_mtime_ns for path in unchanged} == {path: before[path] for path in unchanged}


@pytest.mark.parametrize(
    "words, message",
    [
        (["data", "4"], "data: got 4 parts to make, need 1 to 3: one speaker or more in each. Use fewer jobs or --per-utt"),
        (["--per-utt", "data", "7"], "data: got 7 parts to make, need 1 to 6: one utterance or more in each. Use fewer jobs"),
        (["data", "0"], "data: got 0 parts to make, need 1 to 3"),
        (["data", "-1"], "data: got -1 parts to make, need 1 to 3"),
    ],
)
def test_split_refuses_empty_parts(data, words, message):
    assert fail("split_data.py", *words, cwd=data.parent).startswith(message)
    assert not list(data.glob("split*"))


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), fraction=st.floats(0, 1), per_utt=st.booleans())
def test_split_is_a_partition_into_near_equal_parts(tmp_path, sizes, fraction, per_utt):
    speakers = {f"s{n:02}": size for n, size in enumerate(sizes)}
    utt2spk = [(f"{speaker}-{n}", speaker) for speaker, size in speakers.items() for n in range(size)]
    most = len(utt2spk) if per_utt else len(sizes)
    num_parts = 1 + int(fraction * (most - 1))
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    data = write(tmp_path / "data", {"utt2spk": "".join(f"{utt} {speaker}\n" for utt, speaker in utt2spk)})
    succeed("split_data.py", *(["--per-utt"] if per_utt else []), data, str(num_parts))
    parts = [read(data / f"split{num_parts}{'utt' if per_utt else ''}" / str(n))["utt2spk"].splitlines() for n in range(1, num_parts + 1)]
    assert [tuple(line.split()) for part in parts for line in part] == utt2spk
    lengths = [len(part) for part in parts]
    if per_utt:
        assert lengths == sorted(lengths, reverse=True)
        assert max(lengths) - min(lengths) <= 1
    else:
        assert min(lengths) >= 1
        assert max(lengths) <= len(utt2spk) / num_parts + max(sizes)
        owners = [{line.split()[1] for line in part} for part in parts]
        assert sum(map(len, owners)) == len(sizes)


# combine_data.py


def other(files, names="abc", new="def"):
    """The same files with other speakers."""
    table = str.maketrans(names, new)
    return {name: re.sub(r"\b[abc]\b", lambda match: match[0].translate(table), text) for name, text in files.items() if name != "text"}


def test_combine_merges_sorts_and_names_what_it_drops(data):
    write(data.parent / "other", {**other(FILES), "vad.scp": "d-1 v\n"})
    done = succeed("combine_data.py", "new/all", "other", "data", cwd=data.parent)
    assert done.stderr.splitlines() == [
        "combine_data.py: new/all: no text, because it is not in other",
        "combine_data.py: new/all: no vad.scp, because it is not in data",
    ]
    merged = data.parent / "new/all"
    assert read(merged) == {name: FILES[name] + text for name, text in other(FILES).items()}
    succeed("validate_data_dir.py", "--no-text", merged)


def test_combine_replaces_the_tables_of_an_old_result_only_where_they_differ(data):
    write(data.parent / "other", other(FILES))
    merged = data.parent / "all"
    write(merged, {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n", "raw.ark": "stay"})
    for _ in range(2):
        succeed("combine_data.py", merged, data, data.parent / "other")
    assert set(read(merged)) == set(other(FILES)) | {"raw.ark"}
    before = {path: path.stat().st_mtime_ns for path in merged.iterdir()}
    edit(data / "utt2env", ("c-1 E1", "c-1 E9"))
    succeed("combine_data.py", merged, data, data.parent / "other")
    changed = {path.name for path in merged.iterdir() if path.stat().st_mtime_ns != before.get(path)}
    assert "utt2env" in changed
    assert changed <= {"utt2env", "utt2spk"}


def test_combine_that_is_stopped_leaves_no_utt2spk(data):
    merged = write(data.parent / "all", {"utt2spk": "old-1 old\n"})
    edit(data / "wav.scp", ("6.wav", 2000 * "6"))  # the last file but utt2spk
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", sys.executable, "-S", UTILS / "combine_data.py", merged, data]
    done = subprocess.run(limited, capture_output=True, text=True)  # files above 1 kB cannot be written
    assert (done.returncode, done.stderr) == (1, "combine_data.py: [Errno 27] File too large\n")
    assert read(merged) == {name: text for name, text in FILES.items() if name not in ("utt2spk", "wav.scp")}
    succeed("combine_data.py", merged, data)
    assert read(merged) == read(data)


@pytest.mark.parametrize(
    "files, message",
    [
        (FILES, "other/cmvn.scp: got 'a', which is also in data/cmvn.scp, need"),
        ({"utt2spk": "c-1 c\n"}, "other/utt2spk: got 'c-1', which is also in data/utt2spk, need each utterance once"),
        ({**other(FILES), **SEGMENTS}, "data: got no file segments, which other sources have, need it in all or none"),
    ],
)
def test_combine_refuses(data, files, message):
    if files is FILES:
        files = {**other(FILES), "cmvn.scp": "a other.ark:2\n"}
    write(data.parent / "other", files)
    done = run("combine_data.py", "all", "data", "other", cwd=data.parent)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"combine_data.py: {message}")
    assert not (data.parent / "all").exists()


def test_combine_takes_a_speaker_and_a_recording_from_several_sources(tmp_path):
    parts = [{**SEGMENTS, "utt2spk": f"a-{n} a\n", "segments": f"a-{n} R1 0 1\n", "spk2gender": "a m\n"} for n in (1, 2)]
    sources = [write(tmp_path / str(n), part) for n, part in enumerate(parts)]
    succeed("combine_data.py", tmp_path / "all", *sources)
    assert (tmp_path / "all/spk2utt").read_text() == "a a-1 a-2\n"
    assert (tmp_path / "all/wav.scp").read_text() == SEGMENTS["wav.scp"]


# utt2spk_to_spk2utt.py


def test_utt2spk_to_spk2utt_reads_a_file_or_stdin(data):
    assert succeed("utt2spk_to_spk2utt.py", data / "utt2spk").stdout == FILES["spk2utt"]
    assert succeed("utt2spk_to_spk2utt.py", input=FILES["utt2spk"]).stdout == FILES["spk2utt"]
    assert fail("utt2spk_to_spk2utt.py", input="a-1\n").startswith("/dev/stdin:1: got '' for 'a-1', need exactly one speaker")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6).filter(
    lambda name: not set(name) & set(" \t\r\n\v\f")
)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, NAMES, min_size=1, max_size=20))
def test_order_is_that_of_sort_under_lc_all_c(utt2spk):
    lines = "".join(f"{utt} {speaker}\n" for utt, speaker in utt2spk.items()).encode()
    command = [sys.executable, "-S", UTILS / "utt2spk_to_spk2utt.py"]
    spk2utt = subprocess.run(command, input=lines, capture_output=True, check=True, env={"LC_ALL": "C"}).stdout
    pairs = "".join(f"{speaker} {utt}\n" for utt, speaker in utt2spk.items()).encode()
    by_sort = subprocess.run(
        ["sort", "-t", " ", "-k1,1", "-k2,2"], input=pairs, capture_output=True, check=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}
    ).stdout
    inverse = b"".join(b"%s %s\n" % (words[0], utt) for words in map(bytes.split, spk2utt.splitlines()) for utt in words[1:])
    assert inverse == by_sort
