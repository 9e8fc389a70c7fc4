import os
import re
import shutil
import subprocess
import sys

import pytest
from data_dirs import FILES, SEGMENTS, UTILS, edit, fail, missing, read, run, succeed, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", FILES)


def utts(directory):
    return [line.split()[0] for line in (directory / "utt2spk").read_text().splitlines()]


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


def test_what_a_killed_run_left_goes_with_the_next_write(data):
    folder, host = data / "split2/1", os.uname().nodename
    pids = (os.getpid(), 2**22 + 1)
    left = [folder / f".utt2spk.{host}-{pid}-0.tmp" for pid in pids]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_text("a-1")
    succeed("split_data.py", data, "2")
    assert [path.exists() for path in left] == [True, False]


def test_split_by_utterance_puts_the_larger_parts_first(data):
    succeed("split_data.py", "--per-utt", data, "4")
    parts = [utts(data / f"split4utt/{n}") for n in (1, 2, 3, 4)]
    assert parts == [["a-1", "a-2"], ["a-3", "b-1"], ["b-2"], ["c-1"]]
    assert (data / "split4utt/1/feats.scp").read_text() == "a-1 f.ark:4\na-2 f.ark:9\n"
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
    after = {path: path.stat().st_mtime_ns for path in unchanged}
    assert after == {path: before[path] for path in unchanged}


@pytest.mark.parametrize(
    "command, words",
    [
        ("data 4", ["1 to 3", "speakers", "found 4", "fewer jobs", "--per-utt"]),
        ("--per-utt data 7", ["1 to 6", "utterances", "found 7", "fewer jobs"]),
        ("data 0", ["1 to 3", "found 0"]),
        ("data -1", ["1 to 3", "found -1"]),
    ],
)
def test_split_refuses_empty_parts(data, command, words):
    line = fail("split_data.py", *command.split(), cwd=data.parent)
    assert line.startswith("data: ") and missing(line, words) == []
    assert not list(data.glob("split*"))


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    fraction=st.floats(0, 1),
    per_utt=st.booleans(),
)
def test_split_is_a_partition_into_near_equal_parts(tmp_path, sizes, fraction, per_utt):
    speakers = {f"s{n:02}": size for n, size in enumerate(sizes)}
    pairs = [(f"{name}-{n}", name) for name, size in speakers.items() for n in range(size)]
    most = len(pairs) if per_utt else len(sizes)
    num_parts = 1 + int(fraction * (most - 1))
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    utt2spk = "".join(f"{utt} {speaker}\n" for utt, speaker in pairs)
    data = write(tmp_path / "data", {"utt2spk": utt2spk})
    succeed("split_data.py", *(["--per-utt"] if per_utt else []), data, str(num_parts))
    folder = data / f"split{num_parts}{'utt' if per_utt else ''}"
    parts = [read(folder / str(n + 1))["utt2spk"].splitlines() for n in range(num_parts)]
    assert [tuple(line.split()) for part in parts for line in part] == pairs
    lengths = [len(part) for part in parts]
    if per_utt:
        assert lengths == sorted(lengths, reverse=True)
        assert max(lengths) - min(lengths) <= 1
    else:
        assert min(lengths) >= 1
        assert max(lengths) <= len(pairs) / num_parts + max(sizes)
        assert max(lengths) - min(lengths) <= 2 * max(sizes)
        owners = [{line.split()[1] for line in part} for part in parts]
        assert sum(map(len, owners)) == len(sizes)


def test_split_carries_every_file(tmp_path):
    utts, speakers, recordings = ("a-1", "b-1"), ("a", "b"), ("R1", "R2")
    of = {
        utts: "feats.scp text vad.scp utt2lang utt2uniq utt2dur utt2num_frames utt2warp utt2label"
        " utt2env",
        speakers: "cmvn.scp spk2gender spk2warp",
        recordings: "wav.scp reco2file_and_channel reco2dur",
    }
    value = {"utt2label": "spoof", "spk2gender": "m", "reco2file_and_channel": "f A"}
    files = {
        "utt2spk": "a-1 a\nb-1 b\n",
        "segments": "a-1 R2 0 1\nb-1 R1 0 1\n",
        "frame_shift": "0.01\n",
    }
    expected = {
        "utt2spk": "b-1 b\n",
        "spk2utt": "b b-1\n",
        "segments": "b-1 R1 0 1\n",
        "frame_shift": "0.01\n",
    }
    for keys, names in of.items():
        for name in names.split():
            lines = [f"{key} {value.get(name, 1)}\n" for key in keys]
            files[name], expected[name] = "".join(lines), lines[0 if keys is recordings else 1]
    data = write(tmp_path / "data", files)
    succeed("split_data.py", data, "2")
    assert read(data / "split2/2") == expected


def test_split_keeps_no_backup(data):
    succeed("split_data.py", data, "2")
    edit(data / "utt2env", ("a-1 E1", "a-1 E7"))
    succeed("split_data.py", data, "2")
    assert not list(data.rglob(".backup*"))


# combine_data.py


def other(files, names="abc", new="def"):
    """The same files with other speakers."""
    table = str.maketrans(names, new)
    return {
        name: re.sub(r"\b[abc]\b", lambda match: match[0].translate(table), text)
        for name, text in files.items()
        if name != "text"
    }


def test_combine_merges_sorts_and_names_what_it_drops(data):
    write(data.parent / "other", {**other(FILES), "vad.scp": "d-1 v\n"})
    done = succeed("combine_data.py", "new/all", "other", "data", cwd=data.parent)
    assert done.stderr.splitlines() == [
        "combine_data.py: new/all: no text, because it is not in other",
        "combine_data.py: new/all: no vad.scp, because it is not in data",
        "combine_data.py: new/all: kept all 12 utterances",
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
    assert read(merged / ".backup") == {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n"}
    before = {path: path.stat().st_mtime_ns for path in merged.iterdir()}
    edit(data / "utt2env", ("c-1 E1", "c-1 E9"))
    succeed("combine_data.py", merged, data, data.parent / "other")
    changed = {
        path.name for path in merged.iterdir() if path.stat().st_mtime_ns != before.get(path)
    }
    assert changed == {"utt2env", ".backup2"}


@pytest.mark.parametrize("script", ["combine_data.py", "copy_data_dir.py"])
def test_what_cannot_be_written_leaves_all_as_it_was(data, script):
    old = {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n"}
    merged = write(data.parent / "all", old)
    edit(data / "wav.scp", ("6.wav", 2000 * "6"))  # the last file but utt2spk
    dirs = [merged, data] if script == "combine_data.py" else [data, merged]
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "-"]  # no files above 1 kB
    command = [*limited, sys.executable, "-S", UTILS / script, *dirs]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last) == (1, f"{script}: input/output: File too large")
    assert read(merged) == old
    succeed(script, *dirs)
    assert read(merged) == read(data)


@pytest.mark.parametrize(
    "files, words",
    [
        (
            {**other(FILES), "cmvn.scp": "a other.ark:2\n"},
            ["other/cmvn.scp:1: ", "'a'", "different in data/cmvn.scp"],
        ),
        (
            {"utt2spk": "b-9 b\nc-1 c\n"},
            ["other/utt2spk:2: ", "utterance 'c-1'", "also in data/utt2spk"],
        ),
        (
            {**other(FILES), "frame_shift": "0.02\n"},
            ["all: ", "frame_shift", "0.01, 0.02", "one value"],
        ),
        ({**other(FILES), "utt2env": ""}, ["all: ", "no utterance is in all files"]),
    ],
)
def test_combine_refuses(data, files, words):
    write(data, {"frame_shift": "0.01\n"})
    if files.get("utt2env") == "":
        write(data, {"utt2env": ""})
    write(data.parent / "other", files)
    done = run("combine_data.py", "all", "data", "other", cwd=data.parent)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"combine_data.py: {words[0]}") and missing(line, words) == []
    assert not (data.parent / "all").exists()


def test_combine_takes_a_speaker_and_a_recording_from_several_sources(tmp_path):
    parts = [
        {
            **SEGMENTS,
            "utt2spk": f"a-{n} a\n",
            "segments": f"a-{n} R{n} 0 1\n",
            "spk2gender": "a m\n",
        }
        for n in (1, 2)
    ]
    sources = [write(tmp_path / str(n), part) for n, part in enumerate(parts)]
    succeed("combine_data.py", tmp_path / "all", *sources)
    assert (tmp_path / "all/spk2utt").read_text() == "a a-1 a-2\n"
    assert (tmp_path / "all/wav.scp").read_text() == SEGMENTS["wav.scp"]


def test_combine_completes_segments_and_utt2uniq(tmp_path):
    utt2uniq = re.sub("(?m) .*", " u", FILES["utt2env"])
    cut = write(tmp_path / "cut", {**FILES, **SEGMENTS, "utt2uniq": utt2uniq})
    files = {"utt2spk": "d-1 d\n", "wav.scp": "d-1 d.wav\n", "utt2dur": "d-1 2.5\n"}
    whole = write(tmp_path / "whole", files)
    succeed("combine_data.py", tmp_path / "all", cut, whole)
    merged = read(tmp_path / "all")
    assert merged["segments"] == SEGMENTS["segments"] + "d-1 d-1 0 2.5\n"
    assert merged["utt2uniq"] == (cut / "utt2uniq").read_text() + "d-1 d-1\n"
    assert merged["wav.scp"] == SEGMENTS["wav.scp"] + "d-1 d.wav\n"
    succeed("validate_data_dir.py", "--no-text", "--no-feats", tmp_path / "all")
    (whole / "utt2dur").unlink()
    line = fail("combine_data.py", tmp_path / "all", cut, whole)
    assert line.startswith(f"{whole}: ")
    assert missing(line, ["segment", "'d-1'", "Add utt2dur"]) == []
    assert read(tmp_path / "all") == merged


def test_combine_fixes_unless_told_otherwise(data):
    edit(data / "feats.scp", ("a-2 f.ark:9\n", ""))
    done = succeed("combine_data.py", "all", "data", cwd=data.parent)
    assert "combine_data.py: all: kept 5 of 6 " in done.stderr
    done = succeed("combine_data.py", "--skip-fix", "true", "raw", "data", cwd=data.parent)
    assert done.stderr == ""
    assert read(data.parent / "raw") == read(data)
    succeed("combine_data.py", "--skip-fix", "false", "all", "data", cwd=data.parent)
    assert not (data.parent / "all/.backup").exists()


def test_combine_merges_extra_files(data):
    write(data, {"reco2num_spk": "c-1 2\na-1 1\n", "ctm": "x 1\n"})
    write(data.parent / "other", {**other(FILES), "reco2num_spk": "b-1 1\na-1 1\n"})
    words = ["--extra-files", "reco2num_spk ctm utt2env", "all", "data", "other"]
    done = succeed("combine_data.py", *words, cwd=data.parent)
    assert "combine_data.py: all: no ctm, because it is not in other\n" in done.stderr
    merged = read(data.parent / "all")
    assert merged["reco2num_spk"] == "a-1 1\nb-1 1\nc-1 2\n"
    assert merged.keys() == other(FILES).keys() | {"reco2num_spk"}


def test_combine_drops_different_frame_shifts_where_there_are_no_features(tmp_path):
    sources = [
        write(tmp_path / name, {"utt2spk": f"{name}-1 {name}\n", "frame_shift": f"0.0{n}\n"})
        for n, name in enumerate("ab", 1)
    ]
    done = succeed("combine_data.py", "all", *sources, cwd=tmp_path)
    assert "all: no frame_shift, because the sources differ: 0.01, 0.02\n" in done.stderr
    assert not (tmp_path / "all/frame_shift").exists()


# subset_data_dir.py


@pytest.mark.parametrize(
    "words, expected",
    [
        (["2"], "a-1 b-1"),
        (["4"], "a-1 a-2 b-1 b-2"),
        (["6"], "a-1 a-2 a-3 b-1 b-2 c-1"),
        (["--first", "4"], "a-1 a-2 a-3 b-1"),
        (["--last", "2"], "b-2 c-1"),
        (["--per-spk", "1"], "a-1 b-1 c-1"),
        (["--per-spk", "2"], "a-1 a-2 b-1 b-2 c-1"),
        (["--shortest", "3"], "a-1 b-2 c-1"),
    ],
)
@pytest.mark.parametrize("segments", [{}, SEGMENTS], ids=["utterances", "segments"])
def test_subset_takes(tmp_path, words, expected, segments):
    files = {**FILES, **segments, "frame_shift": "0.01\n"}
    data, *flags = write(tmp_path / "data", files), *words[:-1]
    done = succeed("subset_data_dir.py", *flags, "data", words[-1], "part", cwd=tmp_path)
    assert done.stderr == f"subset_data_dir.py: part: {len(expected.split())} utterances out of 6\n"
    part = tmp_path / "part"
    assert utts(part) == expected.split()
    assert read(part).keys() == files.keys()
    kept = [*expected.split(), *{utt[0] for utt in expected.split()}]
    others = {"spk2utt", "frame_shift", *(segments.keys() - {"segments"})}
    for name in files.keys() - others:
        lines = files[name].splitlines(keepends=True)
        assert (part / name).read_text() == "".join(x for x in lines if x.split()[0] in kept)
    succeed("validate_data_dir.py", part)
    before = read(data)
    succeed("subset_data_dir.py", *flags, data, words[-1], part)
    assert not (part / ".backup").exists()
    assert read(data) == before


def test_subset_cuts_recordings(tmp_path):
    write(tmp_path / "data", {**FILES, **SEGMENTS})
    succeed("subset_data_dir.py", "--first", "data", "2", "part", cwd=tmp_path)
    part = read(tmp_path / "part")
    names = ("wav.scp", "reco2dur", "reco2file_and_channel")
    assert [part[name] for name in names] == ["R1 1.wav\n", "R1 10\n", "R1 one A\n"]


def test_subset_by_whole_speakers(data):
    sizes = {"a": 3, "b": 2, "c": 1}
    for number in range(1, 7):
        words = ["--speakers", "data", str(number), f"part{number}"]
        succeed("subset_data_dir.py", *words, cwd=data.parent)
        part = read(data.parent / f"part{number}")
        speakers = [line.split()[0] for line in part["spk2utt"].splitlines()]
        assert number <= sum(map(sizes.get, speakers)) < number + 3
        assert len(part["utt2spk"].splitlines()) == sum(map(sizes.get, speakers))


@pytest.mark.parametrize("words", [["--utt-list", "list"], ["--utt-list=list"]])
def test_subset_by_list_of_utterances(data, words):
    write(data.parent, {"list": "b-2 whatever\nz-1\na-1\r\n\n"})
    done = succeed("subset_data_dir.py", *words, "data", "part", cwd=data.parent)
    first, second = done.stderr.splitlines()
    assert missing(first, ["subset_data_dir.py: list: ", "1 of 3", "'z-1'"]) == []
    assert second == "subset_data_dir.py: part: 2 utterances out of 6"
    assert utts(data.parent / "part") == ["a-1", "b-2"]


@pytest.mark.parametrize("how", ["--per-spk", "--speakers"])
def test_subset_of_more_than_there_are_is_all(data, how):
    succeed("subset_data_dir.py", how, "data", "10", "part", cwd=data.parent)
    assert utts(data.parent / "part") == utts(data)


def test_subset_by_list_of_speakers(data):
    write(data.parent, {"list": "c\na\n"})
    succeed("subset_data_dir.py", "--spk-list", "list", "data", "part", cwd=data.parent)
    assert utts(data.parent / "part") == ["a-1", "a-2", "a-3", "c-1"]


@pytest.mark.parametrize(
    "command, words",
    [
        ("data 7 x", ["data: ", "1 to 6", "found 7", "fewer"]),
        ("--per-spk data 0 x", ["data: ", "1 to 6", "found 0"]),
        ("data 0 x", ["data: ", "1 to 6", "found 0"]),
        ("--utt-list list data x", ["list: ", "none", "2 names"]),
        ("--spk-list none data x", ["none: No such file or directory"]),
        ("--shortest data 2 x", ["data: ", "'a-1'", "utt2num_frames", "utt2dur"]),
        ("data 2 file", ["file: File exists"]),
    ],
)
def test_subset_refuses(data, command, words):
    for name in ("utt2num_frames", "utt2dur"):
        (data / name).unlink()
    write(data.parent, {"list": "a\nb\n", "file": ""})
    line = fail("subset_data_dir.py", *command.split(), cwd=data.parent)
    assert line.startswith(words[0]) and missing(line, words) == []
    assert not (data.parent / "x").exists()


def test_subset_keeps_what_it_replaces(data):
    write(data.parent / "part", {**other(FILES), "utt2old": "d-1 x\n"})
    succeed("subset_data_dir.py", "data", "6", "part", cwd=data.parent)
    assert read(data.parent / "part") == FILES
    assert read(data.parent / "part/.backup") == {**other(FILES), "utt2old": "d-1 x\n"}


# copy_data_dir.py


def test_copy_without_options_is_a_copy(data):
    done = succeed("copy_data_dir.py", "data", "copy", cwd=data.parent)
    assert done.stdout == "validate_data_dir.py: Successfully validated data-directory copy\n"
    assert read(data.parent / "copy") == FILES


@pytest.mark.parametrize("segments", [{}, SEGMENTS], ids=["utterances", "segments"])
def test_copy_renames_all_but_recordings(tmp_path, segments):
    files = {**FILES, **segments, "frame_shift": "0.01\n"}
    write(tmp_path / "data", files)
    options = ["--utt-prefix=x-", "--utt-suffix", "-noise"]
    options += ["--spk-prefix", "x-", "--spk-suffix", "-2"]
    succeed("copy_data_dir.py", *options, "data", "copy", cwd=tmp_path)
    kept = {"frame_shift", *(name for name in segments if name != "segments")}

    def renamed(name):
        text = re.sub(r"(?m)^([abc]-\d)(?= |$)", r"x-\1-noise", files[name])
        text = re.sub(r"(?m)^([abc])(?= )", r"x-\1-2", text)
        return re.sub(r"(?m) ([abc])$", r" x-\1-2", text) if name == "utt2spk" else text

    copied = read(tmp_path / "copy")
    utt2uniq = "".join(f"x-{utt}-noise {utt}\n" for utt in utts(tmp_path / "data"))
    assert copied.pop("utt2uniq") == utt2uniq
    spk2utt = copied.pop("spk2utt").splitlines()
    assert spk2utt[1:] == ["x-b-2 x-b-1-noise x-b-2-noise", "x-c-2 x-c-1-noise"]
    del files["spk2utt"]
    assert copied == {name: files[name] if name in kept else renamed(name) for name in files}


def test_copy_of_a_copy_remembers_the_first_names(data):
    succeed("copy_data_dir.py", "--utt-suffix", "-1", "data", "once", cwd=data.parent)
    succeed("copy_data_dir.py", "--utt-suffix", "-2", "once", "twice", cwd=data.parent)
    assert (data.parent / "twice/utt2uniq").read_text().startswith("a-1-1-2 a-1\na-2-1-2 a-2\n")
    succeed("copy_data_dir.py", "--spk-suffix", "-2", "data", "speakers", cwd=data.parent)
    assert not (data.parent / "speakers/utt2uniq").exists()


def test_copy_says_what_is_wrong_with_it(data):
    options = ["--utt-prefix", "1-", "--spk-suffix", "-x"]
    done = run("copy_data_dir.py", *options, data, data.parent / "copy")
    assert (done.returncode, done.stderr) == (0, "")
    edit(data / "text", ("one", "\a"))
    done = run("copy_data_dir.py", "data", "copy", cwd=data.parent)
    assert done.returncode == 1
    assert missing(done.stderr, ["validate_data_dir.py: copy/text:1: ", r"found '\x07'"]) == []
    succeed("copy_data_dir.py", "--validate-opts", "--non-print", data, data.parent / "copy")


def test_copy_keeps_every_old_state(data):
    old = {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n"}
    copy = write(data.parent / "copy", {**old, "notes": "stay"})
    succeed("copy_data_dir.py", data, copy)
    succeed("copy_data_dir.py", "--spk-prefix", "x-", "--utt-prefix", "x-", data, copy)
    assert read(copy / ".backup") == old
    assert read(copy / ".backup2") == FILES
    assert (copy / "notes").read_text() == "stay"
