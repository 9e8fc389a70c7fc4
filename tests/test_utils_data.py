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
    return subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", timeout=60, **kwargs)


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
    "script",
    [
        "validate_data_dir.py",
        "fix_data_dir.py",
        "split_data.py",
        "combine_data.py",
        "subset_data_dir.py",
        "copy_data_dir.py",
        "utt2spk_to_spk2utt.py",
        "run.py",
    ],
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
        (["combine_data.py", "--skip-fix", "all", "x"], "argument --skip-fix: invalid choice: 'all'"),
        (["subset_data_dir.py", "x", "2", "./x"], "x: got the destination among the sources, need another directory"),
        (["subset_data_dir.py", "data", "2", "x"], "data: got no file utt2spk there, need a data directory"),
        (["subset_data_dir.py", "data", "x"], "got num-utts and a list, or neither: need one of them. See subset_data_dir.py --help"),
        (["subset_data_dir.py", "--utt-list", "f", "data", "2", "x"], "got num-utts and a list, or neither: need one of them"),
        (["subset_data_dir.py", "--first", "--last", "data", "2", "x"], "argument --last: not allowed with argument --first"),
        (["subset_data_dir.py", "data", "many", "x"], "argument num-utts: invalid int value: 'many'"),
        (["copy_data_dir.py", "x", "x"], "x: got the destination among the sources, need another directory"),
        (["copy_data_dir.py", "data", "x"], "data: got no file utt2spk there, need a data directory"),
        (["copy_data_dir.py", "--utt-prefix", "a b", "data", "x"], "argument --utt-prefix: invalid text_without_blanks value: 'a b'"),
        (["copy_data_dir.py", "data", "--utt-prefix"], "argument --utt-prefix: expected one argument"),
        (["validate_data_dir.py", "data"], "data: got no such directory, need a data directory"),
        (["utt2spk_to_spk2utt.py", "none"], "none: No such file or directory"),
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
    ("wav.scp", "x-2", "got '' for 'x-2', need a path without ~"),
    ("frame_shift", "0.02 s", "got 's' for '0.02', need nothing but a number of seconds"),
    ("wav.scp", "x-1 ~/2.wav", "got '~/2.wav' for 'x-1', need a path without ~"),
]
MALFORMED_WITH_SEGMENTS = [
    ("segments", "x-1 R1 3 3", "got 'R1 3 3' for 'x-1', need '<recording> <start> <end>' with end > start"),
    ("segments", "x-2 R1 3", "got 'R1 3' for 'x-2', need '<recording>"),
    ("segments", "x-3 R1 x 3", "got 'R1 x 3' for 'x-3', need '<recording>"),
    ("segments", "x-4 R1 3 -1", "got 'R1 3 -1' for 'x-4', need '<recording>"),
    ("segments", "x-5 R1 -1 3", "got 'R1 -1 3' for 'x-5', need '<recording>"),
    ("segments", "x-6 R1 3 nan", "got 'R1 3 nan' for 'x-6', need '<recording>"),
    ("reco2file_and_channel", "R3 two C", "got 'two C' for 'R3', need '<file> <channel>' with channel A or B"),
]


@pytest.mark.parametrize("malformed, segments", [(MALFORMED, {}), (MALFORMED_WITH_SEGMENTS, SEGMENTS)], ids=["utterances", "segments"])
def test_malformed_lines_are_named_by_every_script_and_dropped_by_fix(tmp_path, malformed, segments):
    good = {**FILES, "frame_shift": "0.01\n", "utt2warp": FILES["utt2dur"], "spk2warp": "a 1\nb 1\nc 1\n", **segments}
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


MINIMUM = {name: FILES[name] for name in ("utt2spk", "spk2utt")}
UTTS = re.findall(r"^\S+", FILES["utt2spk"], re.MULTILINE)


def per_utt(value):
    return "".join(f"{utt} {value}\n" for utt in UTTS)


VALID = {  # name: (flags, files) that Kaldi's validator accepts
    "all": ([], {**FILES, "utt2spk~": "old", "utt2spk.bak": "old", "frame_shift": "0.01\n", "trials": "a b target\n"}),
    "segments": ([], {**FILES, **SEGMENTS}),
    "channel 1 instead of A": ([], {**FILES, "reco2file_and_channel": per_utt("f 1")}),
    "recordings without segments": ([], {**FILES, "reco2file_and_channel": per_utt("f A")}),
    "features only": (["--no-wav", "--no-text"], {**MINIMUM, "feats.scp": FILES["feats.scp"]}),
    "part of an archive": (["--no-wav", "--no-text"], {**MINIMUM, "feats.scp": per_utt("f.ark:7[0:3,1:2]")}),
    "recordings only": (["--no-feats", "--no-text"], {**MINIMUM, "wav.scp": per_utt("sox a.wav -t wav - | sed s/~// |")}),
    "names only": (["--no-feats", "--no-text", "--no-wav"], MINIMUM),
    "flags after the directory": (["data", "--no-feats", "--no-text", "--no-wav"], MINIMUM),
    "vad.scp": ([], {**FILES, "vad.scp": per_utt("vad.ark:5")}),
    "utt2uniq, utt2lang": ([], {**FILES, "utt2uniq": per_utt("u"), "utt2lang": per_utt("english")}),
    "warps": ([], {**FILES, "utt2warp": per_utt("1.05"), "spk2warp": "a 0.9\nb 1\nc 1.1\n"}),
    "empty words": ([], {**FILES, "text": re.sub("(?m) .*", "", FILES["text"])}),
    "text of others": (["--no-text"], {**FILES, "text": "z <s>\a\nx y\n"}),
    "unprintable": (["--non-print"], {**FILES, "text": FILES["text"].encode().replace(b"x", b"\a\x1c\xe4\xa0")}),
    "symbols inside words": ([], {**FILES, "text": FILES["text"].replace("x", "<s>x #00")}),
    "languages": (
        [],
        {**FILES, "text": FILES["text"].replace("x", "\u4f60\u597d \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u00df")},
    ),
    "not sorted by speaker": (["--no-spk-sort"], {**FILES, "utt2spk": FILES["utt2spk"].replace("a-1 a", "a-1 c")}),
    "trailing blanks": ([], {**FILES, "utt2spk": FILES["utt2spk"].replace("\n", " \n"), "spk2utt": FILES["spk2utt"].replace("\n", " \n")}),
}
VALID["not sorted by speaker"][1]["spk2utt"] = "a a-2 a-3\nb b-1 b-2\nc a-1 c-1\n"


@pytest.mark.parametrize("flags, files", VALID.values(), ids=VALID.keys())
def test_validate_accepts_what_kaldi_accepts(tmp_path, flags, files):
    write(tmp_path / "data", files)
    done = succeed("validate_data_dir.py", *flags, *([] if "data" in flags else ["data"]), cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("validate_data_dir.py: Successfully validated data-directory data\n", "")


def test_directories_and_files_may_have_any_name(tmp_path):
    for name in ("two words", "-x", os.fsdecode(b"\xe4")):
        write(tmp_path / name, FILES)
        succeed("validate_data_dir.py", tmp_path / name, env={**os.environ, "LC_ALL": "C.UTF-8"})
        succeed("fix_data_dir.py", tmp_path / name)
        succeed("split_data.py", tmp_path / name, "2")
        succeed("subset_data_dir.py", tmp_path / name, "2", tmp_path / f"{name} subset")
        succeed("copy_data_dir.py", tmp_path / name, tmp_path / f"{name} copy")
        succeed("combine_data.py", tmp_path / f"{name} again", tmp_path / f"{name} copy")
        assert read(tmp_path / f"{name} again") == FILES


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
        ("spk2utt", FILES["spk2utt"], "", "spk2utt: got other utterances than utt2spk for 'a'"),
        ("utt2spk", FILES["utt2spk"], "", "utt2spk: got no utterances, need at least one. Prepare the directory again"),
        ("feats.scp", FILES["feats.scp"], "", "feats.scp: got no line for 'a-1' (missing: 6)"),
        ("frame_shift", "", "0.01\n0.02\n", "frame_shift:2: got '0.02' (extra: 1)"),
        ("frame_shift", "", "\n", "frame_shift:1: got an empty line, need a key and a value"),
        ("utt2lang", "", "a-1 x\n", "utt2lang: got no line for 'a-2' (missing: 5)"),
        ("utt2uniq", "", "a-1 x\n", "utt2uniq: got no line for 'a-2' (missing: 5)"),
        ("utt2env", "b-1 -\nb-2 E3\n", "b-2 E3\nb-1 -\n", "utt2env:5: got 'b-1' after 'b-2', need byte order"),
        ("spk2gender", "c f\n", "c f", "spk2gender:3: got no newline at the end"),
        ("spk2utt", "c c-1\n", "c c-1\nd c-1\n", "spk2utt: got other utterances than utt2spk for 'd'"),
        ("spk2utt", "a a-1 a-2 a-3\nb b-1 b-2\n", "b b-1 b-2\na a-1 a-2 a-3\n", "spk2utt:2: got 'a' after 'b', need byte order"),
        ("text", "one", "one\u00a0two", "text:1: got '\\xa0', need words in UTF-8 between spaces and no <s> </s> #0. Correct the line"),
        ("text", "one", "one\r", "text:1: got '\\r', need words"),
        ("text", "one", "\x07", "text:1: got '\\x07', need words"),
        ("text", "one", "\x85", "text:1: got '\\x85', need words"),
        ("text", "one", "o\v", "text:1: got '\\x0b', need words"),
        ("text", "one", "o </s>", "text:1: got '</s>', need words"),
        ("text", "y\n", "y", "text:6: got no newline at the end"),
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
    succeed("validate_data_dir.py", "--non-print", data)


@pytest.mark.parametrize("bad", ["one\r", "one\u3000two", "<s>"])
def test_validate_looks_at_blanks_and_symbols_of_unprintable_text_too(data, bad):
    (data / "text").write_bytes(FILES["text"].replace("one", f"\a {bad}").encode())
    assert f"{data}/text:1: got {bad.removeprefix('one').removesuffix('two')!r}" in run("validate_data_dir.py", "--non-print", data).stderr


def test_validate_checks_recordings_against_segments(tmp_path):
    data = write(tmp_path / "data", {**FILES, **SEGMENTS, "wav.scp": "R1 1.wav\nR3 2.wav\n"})
    stderr = run("validate_data_dir.py", data).stderr
    assert f"{data}/wav.scp: got no line for 'R2' (missing: 1)" in stderr
    assert f"{data}/wav.scp:2: got 'R3' (extra: 1)" in stderr


def test_validate_wants_utterances_sorted_by_speaker_too(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "1 b\n2 a\n", "spk2utt": "a 2\nb 1\n"})
    flags = ["--no-text", "--no-wav", "--no-feats"]
    assert f"{data}/utt2spk:2: got speaker 'a' after 'b', need the speakers" in run("validate_data_dir.py", *flags, data).stderr
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
        "fix_data_dir.py: data: kept 3 utterances out of 6",
        "fix_data_dir.py: data: old files are kept in data/.backup",
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


@pytest.mark.parametrize(
    "name", ["feats.scp", "text", "utt2dur", "utt2num_frames", "wav.scp", "segments", "utt2label", "utt2lang", "vad.scp"]
)
def test_fix_counts_every_file_of_utterances_but_vad(data, name):
    tables = {"utt2lang": per_utt("x"), "vad.scp": per_utt("v")} | ({**SEGMENTS} if name == "segments" else {})
    write(data, tables)
    edit(data / name, (next(line for line in (data / name).read_text().splitlines(keepends=True) if line.startswith("a-2")), ""))
    kept = "all 6 utterances" if name == "vad.scp" else "5 utterances out of 6"
    assert f"data: kept {kept}\n" in succeed("fix_data_dir.py", "data", cwd=data.parent).stderr
    assert ("a-2 a\n" in (data / "utt2spk").read_text()) == (name == "vad.scp")


def test_fix_mends_line_ends(data):
    for name in FILES:
        (data / name).write_bytes(FILES[name].replace("\n", "\r\n").rstrip().encode())
    succeed("fix_data_dir.py", data)
    assert read(data) == FILES


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


# utt2spk_to_spk2utt.py


def test_utt2spk_to_spk2utt_reads_a_file_or_stdin(data):
    assert succeed("utt2spk_to_spk2utt.py", data / "utt2spk").stdout == FILES["spk2utt"]
    assert succeed("utt2spk_to_spk2utt.py", input=FILES["utt2spk"]).stdout == FILES["spk2utt"]
    assert succeed("utt2spk_to_spk2utt.py", input="b-1\tb\r\na-2 a\na-1 a").stdout == "a a-1 a-2\nb b-1\n"
    assert fail("utt2spk_to_spk2utt.py", input="a-1 a\na-1 b\n").startswith("/dev/stdin:2: got 'a-1' a second time, need each key once")
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


def test_a_reader_that_goes_away_is_one_line(data):
    (data / "utt2spk").write_text("".join(f"{n} {n}\n" for n in range(50000)))
    command = ["bash", "-c", 'set -o pipefail; "$@" | true', "-", sys.executable, "-S", UTILS / "utt2spk_to_spk2utt.py", data / "utt2spk"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "utt2spk_to_spk2utt.py: input/output: Broken pipe\n")
