import os
import re
import shutil
import subprocess
import sys

import pytest
from data_dirs import (
    FILES,
    SEGMENTS,
    UTILS,
    edit,
    fail,
    load,
    missing,
    read,
    run,
    run_process,
    succeed,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", FILES)


# All scripts

SCRIPTS = ["validate_data_dir", "fix_data_dir", "split_data", "combine_data"]
SCRIPTS += ["subset_data_dir", "copy_data_dir", "utt2spk_to_spk2utt", "run"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_and_the_example_of_the_help_works(tmp_path, script):
    (tmp_path / "utils").symlink_to(UTILS)
    write(tmp_path / "data/train", FILES)
    write(tmp_path / "data/dev", {"utt2spk": "d-1 d\n", "wav.scp": "d-1 1.wav\n"})
    help_text = run_process(f"{script}.py", "--help").stdout
    example = re.search(r"^example: (.*)$", help_text, re.MULTILINE)[1]
    done = subprocess.run(["bash", "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


NO_DATA_DIR = ["data: ", "utt2spk", "data directory"]
SAME = ["destination", "source"]


@pytest.mark.parametrize(
    "command, words",
    [
        ("validate_data_dir.py", ["data-dir", "See validate_data_dir.py --help"]),
        ("validate_data_dir.py --no x", ["unrecognized arguments: --no"]),
        ("split_data.py data x", ["argument num-parts", "'x'"]),
        ("split_data.py data 2", NO_DATA_DIR),
        ("fix_data_dir.py data", NO_DATA_DIR),
        ("combine_data.py all data", NO_DATA_DIR),
        ("combine_data.py all x all/", ["all: ", *SAME]),
        ("combine_data.py --skip-fix all x", ["argument --skip-fix", "'all'"]),
        ("subset_data_dir.py x 2 ./x", ["x: ", *SAME]),
        ("subset_data_dir.py data 2 x", NO_DATA_DIR),
        ("subset_data_dir.py data x", ["num-utts", "list", "See subset_data_dir.py --help"]),
        ("subset_data_dir.py --utt-list f data 2 x", ["num-utts", "list"]),
        ("subset_data_dir.py --first --last data 2 x", ["argument --last", "argument --first"]),
        ("subset_data_dir.py data many x", ["argument num-utts", "'many'"]),
        ("subset_data_dir.py data 1_0 x", ["argument num-utts", "'1_0'"]),
        ("split_data.py data 1_0", ["argument num-parts", "'1_0'"]),
        ("copy_data_dir.py x x", ["x: ", *SAME]),
        ("copy_data_dir.py data x", NO_DATA_DIR),
        ("copy_data_dir.py --utt-prefix a\tb data x", ["argument --utt-prefix", r"'a\tb'"]),
        ("copy_data_dir.py data --utt-prefix", ["argument --utt-prefix", "one argument"]),
        ("validate_data_dir.py data", ["data: ", "no such directory"]),
        ("utt2spk_to_spk2utt.py none", ["none: No such file or directory"]),
    ],
)
def test_bad_command_lines_give_one_line(tmp_path, command, words):
    line = fail(*command.split(" "), cwd=tmp_path)
    assert missing(line, words) == []
    assert not words[0].endswith(": ") or line.startswith(words[0])


SECONDS, SEGMENT = "a number of seconds above 0", "<recording> <start> <end> in seconds"
MALFORMED = [  # file, line appended to it, value found, beginning of what is expected
    ("utt2spk", "x-1 a b", "'a b'", "exactly one speaker"),
    ("utt2spk", "", None, ""),
    ("utt2spk", "x-2", "''", "exactly one speaker"),
    ("feats.scp", "a-1 x", None, ""),  # a second time
    ("feats.scp", "x-1 ", "''", "a value"),
    ("utt2env", "x-1", "''", "a value"),
    ("utt2label", "x-1 Genuine", "'Genuine'", "genuine or spoof"),
    ("utt2dur", "x-5 1_0", "'1_0'", SECONDS),
    ("utt2dur", "x-1 0", "'0'", SECONDS),
    ("utt2dur", "x-2 nan", "'nan'", SECONDS),
    ("utt2dur", "x-3 inf", "'inf'", SECONDS),
    ("utt2dur", "x-4 long", "'long'", SECONDS),
    ("reco2dur", "x-1 -1", "'-1'", SECONDS),
    ("utt2num_frames", "x-1 1.5", "'1.5'", "a whole number above 0"),
    ("spk2gender", "x neuter", "'neuter'", "m or f"),
    ("spk2warp", "x 2", "'2'", "a number between 0.5 and 1.5"),
    ("utt2warp", "x-1 1.5", "'1.5'", "a number between 0.5 and 1.5"),
    ("wav.scp", "x-2", "''", "a path without ~"),
    ("frame_shift", "0.02 s", "'s'", "only a number of seconds"),
    ("wav.scp", "x-1 ~/2.wav", "'~/2.wav'", "a path without ~"),
]
MALFORMED_WITH_SEGMENTS = [
    ("segments", "x-1 R1 3 3", "'R1 3 3'", SEGMENT),
    ("segments", "x-2 R1 3", "'R1 3'", SEGMENT),
    ("segments", "x-3 R1 x 3", "'R1 x 3'", SEGMENT),
    ("segments", "x-4 R1 3 -1", "'R1 3 -1'", SEGMENT),
    ("segments", "x-5 R1 -1 3", "'R1 -1 3'", SEGMENT),
    ("segments", "x-7 R1 0 1_0", "'R1 0 1_0'", SEGMENT),
    ("segments", "x-6 R1 3 nan", "'R1 3 nan'", SEGMENT),
    ("reco2file_and_channel", "R3 two C", "'two C'", "<file> <channel> with channel A or B"),
]


@pytest.mark.parametrize(
    "malformed, segments",
    [(MALFORMED, {}), (MALFORMED_WITH_SEGMENTS, SEGMENTS)],
    ids=["utterances", "segments"],
)
def test_malformed_lines_are_named_by_every_script_and_dropped_by_fix(
    tmp_path, monkeypatch, malformed, segments
):
    warps = {"utt2warp": per_utt("1"), "spk2warp": "a 1\nb 1\nc 1\n"}
    good = {**FILES, "frame_shift": "0.01\n", **warps, **segments}
    files, expected = dict(good), []
    for name, line, got, need in malformed:
        files[name] += f"{line}\n"
        key = repr(line.split()[0]) if line and got else "empty" if not line else "'a-1'"
        expected.append((f"data/{name}:{files[name].count(chr(10))}", key, got, need))
    data = write(tmp_path / "data", files)
    monkeypatch.chdir(tmp_path)
    found = []
    load("data_dir").read_dir("data", found.append)
    assert len(found) == len(expected)
    found = {problem.who: problem for problem in found}
    for who, key, got, need in expected:
        assert key in found[who].what and found[who].got == got
        assert (found[who].need or "").startswith(need)
    first = next(iter(found.values()))
    assert fail("split_data.py", "data", "2") == f"{first}\n"
    lines = run("validate_data_dir.py", "data").stderr.splitlines()
    assert [f"validate_data_dir.py: {problem}" for problem in found.values()] == lines[:-1]
    stderr = succeed("fix_data_dir.py", "data").stderr
    dropped = re.findall(r"^fix_data_dir.py: (data/\S+:\d+): .*dropped", stderr, re.MULTILINE)
    assert dropped == list(found)
    assert read(data) == good


# validate_data_dir.py


MINIMUM = {name: FILES[name] for name in ("utt2spk", "spk2utt")}
UTTS = re.findall(r"^\S+", FILES["utt2spk"], re.MULTILINE)


def per_utt(value):
    return "".join(f"{utt} {value}\n" for utt in UTTS)


NO_TEXT, NO_WAV, NO_FEATS = "--no-text", "--no-wav", "--no-feats"
VALID = {  # name: (flags, files) that Kaldi's validator accepts
    "all": (
        [],
        {
            **FILES,
            "utt2spk~": "old",
            "utt2spk.bak": "old",
            "frame_shift": "0.01\n",
            "trials": "a b target\n",
        },
    ),
    "segments": ([], {**FILES, **SEGMENTS}),
    "channel 1 instead of A": ([], {**FILES, "reco2file_and_channel": per_utt("f 1")}),
    "recordings without segments": ([], {**FILES, "reco2file_and_channel": per_utt("f A")}),
    "features only": ([NO_WAV, NO_TEXT], {**MINIMUM, "feats.scp": FILES["feats.scp"]}),
    "part of an archive": (
        [NO_WAV, NO_TEXT],
        {**MINIMUM, "feats.scp": per_utt("f.ark:7[0:3,1:2]")},
    ),
    "recordings only": (
        [NO_FEATS, NO_TEXT],
        {**MINIMUM, "wav.scp": per_utt("sox a.wav -t wav - | sed s/~// |")},
    ),
    "names only": ([NO_FEATS, NO_TEXT, NO_WAV], MINIMUM),
    "flags after the directory": (["data", NO_FEATS, NO_TEXT, NO_WAV], MINIMUM),
    "vad.scp": ([], {**FILES, "vad.scp": per_utt("vad.ark:5")}),
    "utt2uniq, utt2lang": (
        [],
        {**FILES, "utt2uniq": per_utt("u"), "utt2lang": per_utt("english")},
    ),
    "warps": (
        [],
        {**FILES, "utt2warp": per_utt("1.05"), "spk2warp": "a 0.9\nb 1\nc 1.1\n"},
    ),
    "empty words": ([], {**FILES, "text": re.sub("(?m) .*", "", FILES["text"])}),
    "text of others": ([NO_TEXT], {**FILES, "text": "z <s>\a\nx y\n"}),
    "unprintable": (
        ["--non-print"],
        {**FILES, "text": FILES["text"].encode().replace(b"x", b"\a\x1c\xe4\xa0")},
    ),
    "symbols inside words": ([], {**FILES, "text": FILES["text"].replace("x", "<s>x #00")}),
    "languages": (
        [],
        {
            **FILES,
            "text": FILES["text"].replace(
                "x", "\u4f60\u597d \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u00df"
            ),
        },
    ),
    "not sorted by speaker": (
        ["--no-spk-sort"],
        {
            **FILES,
            "utt2spk": FILES["utt2spk"].replace("a-1 a", "a-1 c"),
            "spk2utt": "a a-2 a-3\nb b-1 b-2\nc a-1 c-1\n",
        },
    ),
    "trailing blanks": (
        [],
        {**FILES, **{name: FILES[name].replace("\n", " \n") for name in ("utt2spk", "spk2utt")}},
    ),
    "tabs, CRLF and other blanks": (
        [],
        {
            **{name: text.replace(" ", " \t") for name, text in FILES.items()},
            "wav.scp": FILES["wav.scp"].replace("\n", "\r\n"),
        },
    ),
    "bytes that are not UTF-8": (
        [NO_TEXT],
        {
            name: b"".join(sorted(text.encode().replace(b"b", b"\xff").splitlines(keepends=True)))
            for name, text in FILES.items()
            if name != "text"
        },
    ),
}


@pytest.mark.parametrize("flags, files", VALID.values(), ids=VALID.keys())
def test_validate_accepts_what_kaldi_accepts(tmp_path, flags, files):
    write(tmp_path / "data", files)
    words = flags if "data" in flags else [*flags, "data"]
    done = succeed("validate_data_dir.py", *words, cwd=tmp_path)
    success = "validate_data_dir.py: Successfully validated data-directory data\n"
    assert (done.stdout, done.stderr) == (success, "")


def test_directories_and_files_may_have_any_name(tmp_path):
    for name in ("two words", "-x", os.fsdecode(b"\xe4")):
        write(tmp_path / name, FILES)
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        assert run_process("validate_data_dir.py", tmp_path / name, env=env).returncode == 0
        succeed("fix_data_dir.py", tmp_path / name)
        succeed("split_data.py", tmp_path / name, "2")
        succeed("subset_data_dir.py", tmp_path / name, "2", tmp_path / f"{name} subset")
        succeed("copy_data_dir.py", tmp_path / name, tmp_path / f"{name} copy")
        succeed("combine_data.py", tmp_path / f"{name} again", tmp_path / f"{name} copy")
        assert read(tmp_path / f"{name} again") == FILES


def test_validate_needs_the_files_that_are_not_given_up(tmp_path):
    data = write(tmp_path / "data", MINIMUM)
    flags = {"text": NO_TEXT, "wav.scp": NO_WAV, "feats.scp": NO_FEATS}
    lines = run("validate_data_dir.py", "data", cwd=tmp_path).stderr.splitlines()
    for line, (name, flag) in zip(lines, flags.items()):
        assert line.startswith(f"validate_data_dir.py: data/{name}: ") and flag in line
    assert len(lines) == 4 and missing(lines[3], ["data: ", "3 problems"]) == []
    succeed("validate_data_dir.py", *flags.values(), data)
    write(data, {"segments": SEGMENTS["segments"]})
    assert "data/wav.scp: " in run("validate_data_dir.py", *flags.values(), data).stderr
    (data / "spk2utt").unlink()
    stderr = run("validate_data_dir.py", *flags.values(), data).stderr
    (line,) = (line for line in stderr.splitlines() if "data/spk2utt: " in line)
    assert "--no-" not in line


def test_validate_warns_of_a_single_speaker(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "a-1 a\n", "spk2utt": "a a-1\n"})
    done = succeed("validate_data_dir.py", NO_TEXT, NO_WAV, NO_FEATS, data)
    assert done.stderr.startswith(f"validate_data_dir.py: {data}: warning: only one speaker")
    assert done.stderr.count("\n") == 1


FIX = "fix_data_dir.py"
SPK2UTT = ["different in utt2spk", "Run utt2spk_to_spk2utt.py"]
INVALID = [  # file, old and new text, place of the problem, words of the message
    ("utt2spk", "c-1 c\n", "c-1 c", "utt2spk:6", ["newline", "cut off"]),
    ("feats.scp", "a-2", "a-4", "feats.scp:3", ["'a-3'", "'a-4'", "LC_ALL=C", FIX]),
    ("feats.scp", "a-2 f.ark:9\n", "", "feats.scp", ["'a-2'", "1 missing", FIX]),
    ("vad.scp", "", "a-1 v\nb-9 v\n", "vad.scp:2", ["'b-9'", "1 extra", FIX]),
    ("utt2label", "a-1 genuine\na-2 spoof\n", "", "utt2label", ["'a-1'", "2 missing"]),
    ("utt2phrase", "", "a-1 S01\n", "utt2phrase", ["'a-2'", "5 missing"]),
    ("wav.scp", "c-1", "c-2", "wav.scp:6", ["'c-2'", "1 extra"]),
    ("reco2dur", "c-1 1\n", "", "reco2dur", ["'c-1'", "1 missing"]),
    ("cmvn.scp", "b c.ark:3\n", "", "cmvn.scp", ["'b'", "1 missing"]),
    ("spk2gender", "c f\n", "c f\nd f\n", "spk2gender:4", ["'d'", "1 extra"]),
    ("spk2utt", "a-1 a-2", "a-2 a-1", "spk2utt", ["'a'", *SPK2UTT]),
    ("spk2utt", "c c-1\n", "", "spk2utt", ["'c'", *SPK2UTT]),
    ("spk2utt", FILES["spk2utt"], "", "spk2utt", ["'a'", *SPK2UTT]),
    ("utt2spk", FILES["utt2spk"], "", "utt2spk", ["no utterances"]),
    ("feats.scp", FILES["feats.scp"], "", "feats.scp", ["'a-1'", "6 missing"]),
    ("frame_shift", "", "0.01\n0.02\n", "frame_shift:2", ["'0.02'", "1 extra"]),
    ("frame_shift", "", "\n", "frame_shift:1", ["empty"]),
    ("utt2lang", "", "a-1 x\n", "utt2lang", ["'a-2'", "5 missing"]),
    ("utt2uniq", "", "a-1 x\n", "utt2uniq", ["'a-2'", "5 missing"]),
    ("utt2env", "b-1 -\nb-2 E3\n", "b-2 E3\nb-1 -\n", "utt2env:5", ["'b-1'", "'b-2'"]),
    ("spk2gender", "c f\n", "c f", "spk2gender:3", ["newline"]),
    ("spk2utt", "c c-1\n", "c c-1\nd c-1\n", "spk2utt", ["'d'", *SPK2UTT]),
    ("spk2utt", "a a-1 a-2 a-3\nb b-1 b-2\n", "b b-1 b-2\na a-1 a-2 a-3\n", "spk2utt:2", ["'a'"]),
    ("text", "one", "one\u00a0two", "text:1", [r"'\xa0'", "UTF-8", "<s> </s> #0"]),
    ("text", "one", "one\r", "text:1", [r"'\r'"]),
    ("text", "one", "\x07", "text:1", [r"'\x07'"]),
    ("text", "one", "\x85", "text:1", [r"'\x85'"]),
    ("text", "one", "o\v", "text:1", [r"'\x0b'"]),
    ("text", "one", "o </s>", "text:1", ["'</s>'"]),
    ("text", "y\n", "y", "text:6", ["newline"]),
    ("text", "one", "o <s> ne", "text:1", ["'<s>'"]),
    ("text", "x\n", "#0\n", "text:5", ["'#0'"]),
]


@pytest.mark.parametrize("name, old, new, place, words", INVALID)
def test_validate_names_file_and_line(data, name, old, new, place, words):
    text = FILES.get(name, "")
    assert old in text
    (data / name).write_bytes(text.replace(old, new, 1).encode())
    done = run("validate_data_dir.py", data)
    assert (done.returncode, done.stdout) == (1, "")
    start = f"validate_data_dir.py: {data}/{place}: "
    lines = [line for line in done.stderr.splitlines() if line.startswith(start)]
    assert any(missing(line, words) == [] for line in lines), done.stderr


def text_problems(data, *flags):
    """Places and values of what is wrong with the file text."""
    stderr = run("validate_data_dir.py", *flags, data).stderr
    return re.findall(rf"{data}/(text:\d+): .*found ('.*?')\.", stderr)


def test_validate_refuses_text_that_is_not_utf8(data):
    (data / "text").write_bytes(FILES["text"].encode("latin-1"))
    assert text_problems(data) == [("text:4", r"'\udce4'")]
    succeed("validate_data_dir.py", "--non-print", data)


@pytest.mark.parametrize(
    "bad, shown", [("one\r", r"'\r'"), ("one\u3000two", r"'\u3000'"), ("<s>", "'<s>'")]
)
def test_validate_looks_at_blanks_and_symbols_of_unprintable_text_too(data, bad, shown):
    (data / "text").write_bytes(FILES["text"].replace("one", f"\a {bad}").encode())
    assert text_problems(data, "--non-print") == [("text:1", shown)]


def test_validate_checks_recordings_against_segments(tmp_path):
    files = {**FILES, **SEGMENTS, "wav.scp": "R1 1.wav\nR3 2.wav\n"}
    data = write(tmp_path / "data", files)
    lines = run("validate_data_dir.py", data).stderr.splitlines()
    for place, words in (("wav.scp", ["'R2'", "1 missing"]), ("wav.scp:2", ["'R3'", "1 extra"])):
        (line,) = (line for line in lines if f"{data}/{place}: " in line)
        assert missing(line, words) == []


def test_validate_wants_utterances_sorted_by_speaker_too(tmp_path):
    data = write(tmp_path / "data", {"utt2spk": "1 b\n2 a\n", "spk2utt": "a 2\nb 1\n"})
    flags = [NO_TEXT, NO_WAV, NO_FEATS]
    line = run("validate_data_dir.py", *flags, data).stderr.splitlines()[0]
    assert missing(line, [f"{data}/utt2spk:2: ", "speaker 'a'", "'b'", "--no-spk-sort"]) == []
    succeed("validate_data_dir.py", *flags, "--no-spk-sort", data)


def test_validate_shows_twenty_problems_and_counts_all(tmp_path):
    utt2spk = "".join(f"a-{n:02}\n" for n in range(50))
    write(tmp_path / "data", {"utt2spk": utt2spk, "spk2utt": "a a-1\n"})
    words = ["validate_data_dir.py", NO_TEXT, NO_WAV, NO_FEATS, "data"]
    lines = run(*words, cwd=tmp_path).stderr.splitlines()
    assert len(lines) == 21
    assert missing(lines[-1], ["validate_data_dir.py: data: ", "51 problems"]) == []
    assert (tmp_path / "data").is_dir()


# fix_data_dir.py


def test_fix_leaves_alone_what_is_right(data):
    before = {path: path.stat().st_mtime_ns for path in data.iterdir()}
    stderr = succeed("fix_data_dir.py", "data", cwd=data.parent).stderr
    assert stderr == "fix_data_dir.py: data: kept all 6 utterances\n"
    assert {path: path.stat().st_mtime_ns for path in data.iterdir()} == before


def test_fix_keeps_the_utterances_that_all_files_have_and_the_old_files(data):
    edit(data / "feats.scp", ("a-2 f.ark:9\n", ""))
    edit(data / "utt2label", ("c-1 genuine\n", ""))
    edit(data / "utt2num_frames", ("b-2 5", "b-2 0"))
    write(data, {"vad.scp": "a-1 v\na-2 v\n", "spk2utt": "stale\n", "notes": "stay"})
    before = read(data)
    lines = succeed("fix_data_dir.py", "data", cwd=data.parent).stderr.splitlines()
    expected = [
        ("data/utt2num_frames:5: ", "'b-2'", "'0'", "whole number above 0", "dropped"),
        ("data/feats.scp: ", "1 utterance", "a-2"),
        ("data/utt2label: ", "1 utterance", "c-1"),
        ("data/utt2num_frames: ", "1 utterance", "b-2"),
        ("data: ", "kept 3 of 6"),
        ("data: ", "old files", "data/.backup"),
    ]
    assert len(lines) == len(expected)
    assert [missing(line, words) for line, words in zip(lines, expected)] == [[]] * len(lines)
    assert all(line.startswith("fix_data_dir.py: ") for line in lines)
    kept = re.compile("^(?:(?:a-1|a-3|b-1|a|b)(?: .*)?\n)", re.MULTILINE)
    expected = {name: "".join(kept.findall(text)) for name, text in FILES.items()}
    expected |= {"spk2utt": "a a-1 a-3\nb b-1\n", "vad.scp": "a-1 v\n", "notes": "stay"}
    assert read(data) == expected
    backup = read(data / ".backup")
    assert backup == {name: before[name] for name in backup}
    assert backup.keys() == before.keys() - {"notes"}


def test_fix_sorts_and_takes_the_first_of_equal_keys(data):
    for name in FILES:
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text(
            "".join(
                [*reversed(lines), lines[0].replace("-1", "-2", 1) if name == "utt2env" else ""]
            )
        )
    done = succeed("fix_data_dir.py", "data", cwd=data.parent)
    line = done.stderr.splitlines()[0]
    assert line.startswith("fix_data_dir.py: data/utt2env:7: ") and "'a-2' appears twice" in line
    assert read(data) == FILES


def test_fix_keeps_every_backup(data):
    for n, old in enumerate(("a-1 1.wav\n", "c-1 6.wav\n"), 1):
        edit(data / "wav.scp", (old, ""))
        succeed("fix_data_dir.py", data)
        assert old not in (data / "utt2spk").read_text()
        backup = data / (".backup" if n == 1 else ".backup2")
        assert len((backup / "utt2spk").read_text().splitlines()) == 7 - n


COUNTED = "feats.scp text utt2dur utt2num_frames wav.scp segments utt2label utt2lang vad.scp"


@pytest.mark.parametrize("name", COUNTED.split())
def test_fix_counts_every_file_of_utterances_but_vad(data, name):
    segments = SEGMENTS if name == "segments" else {}
    write(data, {"utt2lang": per_utt("x"), "vad.scp": per_utt("v"), **segments})
    (line,) = re.findall("^a-2 .*\n", (data / name).read_text(), re.MULTILINE)
    edit(data / name, (line, ""))
    kept = "all 6" if name == "vad.scp" else "5 of 6"
    assert f"data: kept {kept} " in succeed("fix_data_dir.py", "data", cwd=data.parent).stderr
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
    "files, words",
    [
        ({"utt2env": ""}, ["data: ", "no utterance is in all files"]),
        ({"utt2spk": "a-1 b\na-2 a\n"}, ["data/utt2spk: ", "order", "speaker"]),
    ],
)
def test_fix_changes_nothing_if_it_cannot_help(data, files, words):
    before = read(write(data, files))
    done = run("fix_data_dir.py", "data", cwd=data.parent)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"fix_data_dir.py: {words[0]}") and missing(line, words) == []
    assert read(data) == before
    assert not (data / ".backup").exists()


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_what_fix_leaves_is_valid(tmp_path, draw):
    files = {}
    for name, text in FILES.items():
        lines = draw.draw(st.permutations(text.splitlines(keepends=True)), name)
        num_lines = draw.draw(st.integers(len(lines) - 1, len(lines)), name)
        files[name] = "".join(lines[:num_lines])
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    data = write(tmp_path / "data", files)
    if run("fix_data_dir.py", data).returncode == 0:
        succeed("validate_data_dir.py", data)
        assert set(read(data)) == set(FILES)


# What editors and others write


MARK = b"\xef\xbb\xbf"


def test_byte_order_marks_and_blank_last_lines_lose_nothing(data):
    """The validator names them, because Kaldi's programs read them as text; fix removes them."""
    names = ("utt2label", "utt2spk", "wav.scp")
    for name in names:
        (data / name).write_bytes(MARK + FILES[name].encode() + b"\n")
    lines = run("validate_data_dir.py", data).stderr.splitlines()
    assert len(lines) == 2 * len(names) + 1
    for name in names:
        problems = [line for line in lines if f"{data}/{name}:" in line]
        assert [re.search(rf"{name}:(\d)", line)[1] for line in problems] == ["1", "7"]
        assert "byte order mark" in problems[0] and "empty" in problems[1]
        assert all("fix_data_dir.py" in line for line in problems)
    succeed("split_data.py", data, "3")
    expected = {name: "".join(re.findall("^a.*\n", FILES[name], re.M)) for name in FILES}
    assert read(data / "split3/1") == expected
    assert "kept all 6 utterances" in succeed("fix_data_dir.py", data).stderr
    assert read(data) == FILES
    succeed("validate_data_dir.py", data)


def test_a_mark_where_files_were_joined(data):
    path = data / "wav.scp"
    path.write_bytes(path.read_bytes().replace(b"b-1", MARK + b"b-1"))
    line, _ = run("validate_data_dir.py", data).stderr.splitlines()
    assert missing(line, [f"{path}:4: ", "byte order mark"]) == []
    succeed("fix_data_dir.py", data)
    assert read(data) == FILES


def test_bonafide_becomes_genuine_and_a_line_says_so(data):
    edit(data / "utt2label", ("a-1 genuine", "a-1 bonafide"), ("c-1 genuine", "c-1 bonafide"))
    told = f"{data}/utt2label: 'bonafide' is taken as genuine (lines: 2)"
    done = succeed("validate_data_dir.py", data)
    assert done.stderr == f"validate_data_dir.py: {told}\n"
    assert told in succeed("fix_data_dir.py", data).stderr
    assert read(data) == FILES


@pytest.mark.parametrize(
    "script, words",
    [("fix_data_dir", []), ("split_data", ["1"]), ("subset_data_dir", ["6", "data/out"])],
)
def test_lines_of_no_utterance_are_counted(data, script, words):
    write(data, {"wav.scp": FILES["wav.scp"] + "d-1 7.wav\ne-1 8.wav\n"})
    stderr = succeed(f"{script}.py", data, *words, cwd=data.parent).stderr
    (line,) = [line for line in stderr.splitlines() if "wav.scp" in line]
    assert missing(line, [f"{script}.py: {data}/wav.scp: ", "left out: 2", "'d-1'"]) == []


# utt2spk_to_spk2utt.py


def test_utt2spk_to_spk2utt_reads_a_file_or_stdin(data):
    script = "utt2spk_to_spk2utt.py"
    assert succeed(script, data / "utt2spk").stdout == FILES["spk2utt"]
    assert run_process(script, input=FILES["utt2spk"]).stdout == FILES["spk2utt"]
    assert run_process(script, input="b-1\tb\r\na-2 a\na-1 a").stdout == "a a-1 a-2\nb b-1\n"
    line = fail(script, run=run_process, input="a-1 a\na-1 b\n")
    assert line.startswith("/dev/stdin:2: ") and "'a-1' appears twice" in line
    line = fail(script, run=run_process, input="a-1\n")
    assert line.startswith("/dev/stdin:1: ")
    assert missing(line, ["'a-1'", "exactly one speaker", "''"]) == []


NAMES = st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & set(b" \t\r\n\v\f"))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, NAMES, min_size=1, max_size=20))
def test_order_is_that_of_sort_under_lc_all_c(utt2spk):
    module = load("data_dir")
    spk2utt = module.render(module.spk2utt(utt2spk))
    pairs = b"".join(b"%s %s\n" % (speaker, utt) for utt, speaker in utt2spk.items())
    sort = ["sort", "-t", " ", "-k1,1", "-k2,2"]
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
    by_sort = subprocess.run(sort, input=pairs, capture_output=True, check=True, env=env).stdout
    rows = [line.split(b" ") for line in spk2utt.removesuffix(b"\n").split(b"\n")]
    inverse = b"".join(b"%s %s\n" % (speaker, utt) for speaker, *utts in rows for utt in utts)
    assert inverse == by_sort


def test_a_reader_that_goes_away_is_one_line(data):
    (data / "utt2spk").write_text("".join(f"{n} {n}\n" for n in range(50000)))
    script = [sys.executable, "-S", UTILS / "utt2spk_to_spk2utt.py", data / "utt2spk"]
    command = ["bash", "-c", 'set -o pipefail; "$@" | true', "-", *script]
    done = subprocess.run(command, capture_output=True, text=True)
    stderr = "utt2spk_to_spk2utt.py: input/output: Broken pipe\n"
    assert (done.returncode, done.stderr) == (1, stderr)
