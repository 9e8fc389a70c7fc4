import os
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_utils_data import FILES, SEGMENTS, UTILS, edit, fail, read, run, succeed, write


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", FILES)


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
    left = [data / f"split2/1/.utt2spk.{os.uname().nodename}-{pid}.tmp" for pid in (os.getpid(), 2**22 + 1)]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_text("a-1")
    succeed("split_data.py", data, "2")
    assert [path.exists() for path in left] == [True, False]


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
        assert max(lengths[n] - lengths[m] for n in range(num_parts) for m in range(num_parts)) <= 2 * max(sizes)
        owners = [{line.split()[1] for line in part} for part in parts]
        assert sum(map(len, owners)) == len(sizes)


def test_split_carries_every_file(tmp_path):
    utts, speakers, recordings = ("a-1", "b-1"), ("a", "b"), ("R1", "R2")
    of = {
        utts: ["feats.scp", "text", "vad.scp", "utt2lang", "utt2uniq", "utt2dur", "utt2num_frames", "utt2warp", "utt2label", "utt2env"],
        speakers: ["cmvn.scp", "spk2gender", "spk2warp"],
        recordings: ["wav.scp", "reco2file_and_channel", "reco2dur"],
    }
    value = {"utt2label": "spoof", "spk2gender": "m", "reco2file_and_channel": "f A"}
    files = {name: "".join(f"{key} {value.get(name, 1)}\n" for key in keys) for keys, names in of.items() for name in names}
    files |= {"utt2spk": "a-1 a\nb-1 b\n", "segments": "a-1 R2 0 1\nb-1 R1 0 1\n", "frame_shift": "0.01\n"}
    data = write(tmp_path / "data", files)
    succeed("split_data.py", data, "2")
    part = read(data / "split2/2")
    assert part.keys() == files.keys() | {"spk2utt"}
    assert part == {
        **{name: f"{keys[0 if keys is recordings else 1]} {value.get(name, 1)}\n" for keys, names in of.items() for name in names},
        "utt2spk": "b-1 b\n",
        "spk2utt": "b b-1\n",
        "segments": "b-1 R1 0 1\n",
        "frame_shift": "0.01\n",
    }


def test_split_keeps_no_backup(data):
    succeed("split_data.py", data, "2")
    edit(data / "utt2env", ("a-1 E1", "a-1 E7"))
    succeed("split_data.py", data, "2")
    assert not list(data.rglob(".backup*"))


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
    changed = {path.name for path in merged.iterdir() if path.stat().st_mtime_ns != before.get(path)}
    assert changed == {"utt2env", ".backup2"}


@pytest.mark.parametrize("script", ["combine_data.py", "copy_data_dir.py"])
def test_what_cannot_be_written_leaves_all_as_it_was(data, script):
    old = {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n"}
    merged = write(data.parent / "all", old)
    edit(data / "wav.scp", ("6.wav", 2000 * "6"))  # the last file but utt2spk
    dirs = [merged, data] if script == "combine_data.py" else [data, merged]
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", sys.executable, "-S", UTILS / script, *dirs]
    done = subprocess.run(limited, capture_output=True, text=True)  # files above 1 kB cannot be written
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"{script}: input/output: File too large")
    assert read(merged) == old
    succeed(script, *dirs)
    assert read(merged) == read(data)


@pytest.mark.parametrize(
    "files, message",
    [
        ({**other(FILES), "cmvn.scp": "a other.ark:2\n"}, "other/cmvn.scp:1: got 'a', which is also in data/cmvn.scp, need"),
        ({"utt2spk": "b-9 b\nc-1 c\n"}, "other/utt2spk:2: got 'c-1', which is also in data/utt2spk, need each utterance once"),
        ({**other(FILES), "frame_shift": "0.02\n"}, "all: got features with frame_shift 0.01, 0.02, need one"),
        ({**other(FILES), "utt2env": ""}, "all: got no utterance that is in all files, need at least one"),
    ],
)
def test_combine_refuses(data, files, message):
    write(data, {"frame_shift": "0.01\n", **({"utt2env": ""} if files.get("utt2env") == "" else {})})
    write(data.parent / "other", files)
    done = run("combine_data.py", "all", "data", "other", cwd=data.parent)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"combine_data.py: {message}")
    assert not (data.parent / "all").exists()


def test_combine_takes_a_speaker_and_a_recording_from_several_sources(tmp_path):
    parts = [{**SEGMENTS, "utt2spk": f"a-{n} a\n", "segments": f"a-{n} R{n} 0 1\n", "spk2gender": "a m\n"} for n in (1, 2)]
    sources = [write(tmp_path / str(n), part) for n, part in enumerate(parts)]
    succeed("combine_data.py", tmp_path / "all", *sources)
    assert (tmp_path / "all/spk2utt").read_text() == "a a-1 a-2\n"
    assert (tmp_path / "all/wav.scp").read_text() == SEGMENTS["wav.scp"]


def test_combine_completes_segments_and_utt2uniq(tmp_path):
    cut = write(tmp_path / "cut", {**FILES, **SEGMENTS, "utt2uniq": re.sub("(?m) .*", " u", FILES["utt2env"])})
    whole = write(tmp_path / "whole", {"utt2spk": "d-1 d\n", "wav.scp": "d-1 d.wav\n", "utt2dur": "d-1 2.5\n"})
    succeed("combine_data.py", tmp_path / "all", cut, whole)
    merged = read(tmp_path / "all")
    assert merged["segments"] == SEGMENTS["segments"] + "d-1 d-1 0 2.5\n"
    assert merged["utt2uniq"] == (cut / "utt2uniq").read_text() + "d-1 d-1\n"
    assert merged["wav.scp"] == SEGMENTS["wav.scp"] + "d-1 d.wav\n"
    succeed("validate_data_dir.py", "--no-text", "--no-feats", tmp_path / "all")
    (whole / "utt2dur").unlink()
    done = run("combine_data.py", tmp_path / "all", cut, whole)
    message = f"{whole}: got no file segments, which other sources have, and no utt2dur for 'd-1', need one of them. Add utt2dur there\n"
    assert (done.returncode, done.stderr) == (1, f"combine_data.py: {message}")
    assert read(tmp_path / "all") == merged


def test_combine_fixes_unless_told_otherwise(data):
    edit(data / "feats.scp", ("a-2 f.ark:9\n", ""))
    assert "all: kept 5 utterances out of 6\n" in succeed("combine_data.py", "all", "data", cwd=data.parent).stderr
    assert succeed("combine_data.py", "--skip-fix", "true", "raw", "data", cwd=data.parent).stderr == ""
    assert read(data.parent / "raw") == read(data)
    succeed("combine_data.py", "--skip-fix", "false", "all", "data", cwd=data.parent)
    assert not (data.parent / "all/.backup").exists()


def test_combine_merges_extra_files(data):
    write(data, {"reco2num_spk": "c-1 2\na-1 1\n", "ctm": "x 1\n"})
    write(data.parent / "other", {**other(FILES), "reco2num_spk": "b-1 1\na-1 1\n"})
    done = succeed("combine_data.py", "--extra-files", "reco2num_spk ctm utt2env", "all", "data", "other", cwd=data.parent)
    assert "combine_data.py: all: no ctm, because it is not in other\n" in done.stderr
    merged = read(data.parent / "all")
    assert merged["reco2num_spk"] == "a-1 1\nb-1 1\nc-1 2\n"
    assert merged.keys() == other(FILES).keys() | {"reco2num_spk"}


def test_combine_drops_different_frame_shifts_where_there_are_no_features(tmp_path):
    sources = [write(tmp_path / name, {"utt2spk": f"{name}-1 {name}\n", "frame_shift": f"0.0{n}\n"}) for n, name in enumerate("ab", 1)]
    done = succeed("combine_data.py", "all", *sources, cwd=tmp_path)
    assert "all: no frame_shift, because the sources differ: 0.01, 0.02\n" in done.stderr
    assert not (tmp_path / "all/frame_shift").exists()


# subset_data_dir.py


def utts(directory):
    return [line.split()[0] for line in (directory / "utt2spk").read_text().splitlines()]


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
    for name, text in read(part).items():
        if name not in ("spk2utt", "frame_shift") and not (segments and name in ("wav.scp", "reco2dur", "reco2file_and_channel")):
            assert text == "".join(line for line in files[name].splitlines(keepends=True) if line.split()[0] in kept)
    succeed("validate_data_dir.py", part)
    before = read(data)
    succeed("subset_data_dir.py", *flags, data, words[-1], part)
    assert not (part / ".backup").exists()
    assert read(data) == before


def test_subset_cuts_recordings(tmp_path):
    write(tmp_path / "data", {**FILES, **SEGMENTS})
    succeed("subset_data_dir.py", "--first", "data", "2", "part", cwd=tmp_path)
    part = read(tmp_path / "part")
    assert (part["wav.scp"], part["reco2dur"], part["reco2file_and_channel"]) == ("R1 1.wav\n", "R1 10\n", "R1 one A\n")


def test_subset_by_whole_speakers(data):
    sizes = {"a": 3, "b": 2, "c": 1}
    for number in range(1, 7):
        succeed("subset_data_dir.py", "--speakers", "data", str(number), f"part{number}", cwd=data.parent)
        part = read(data.parent / f"part{number}")
        speakers = [line.split()[0] for line in part["spk2utt"].splitlines()]
        assert number <= sum(map(sizes.get, speakers)) < number + 3
        assert len(part["utt2spk"].splitlines()) == sum(map(sizes.get, speakers))


@pytest.mark.parametrize("words", [["--utt-list", "list"], ["--utt-list=list"]])
def test_subset_by_list_of_utterances(data, words):
    write(data.parent, {"list": "b-2 whatever\nz-1\na-1\r\n\n"})
    done = succeed("subset_data_dir.py", *words, "data", "part", cwd=data.parent)
    assert done.stderr.splitlines() == [
        "subset_data_dir.py: list: 1 of 3 names are not in the directory, the first is 'z-1'",
        "subset_data_dir.py: part: 2 utterances out of 6",
    ]
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
    "words, message",
    [
        (["data", "7", "x"], "data: got 7 utterances to take, need 1 to 6, which it has. Ask for fewer"),
        (["--per-spk", "data", "0", "x"], "data: got 0 utterances to take, need 1 to 6"),
        (["data", "0", "x"], "data: got 0 utterances to take, need 1 to 6"),
        (["--utt-list", "list", "data", "x"], "list: got 2 names, none of them in the directory, need one or more"),
        (["--spk-list", "none", "data", "x"], "none: No such file or directory"),
        (["--shortest", "data", "2", "x"], "data: got no length of 'a-1', need utt2num_frames or utt2dur of all utterances"),
        (["data", "2", "file"], "file: File exists"),
    ],
)
def test_subset_refuses(data, words, message):
    for name in ("utt2num_frames", "utt2dur"):
        (data / name).unlink()
    write(data.parent, {"list": "a\nb\n", "file": ""})
    assert fail("subset_data_dir.py", *words, cwd=data.parent).startswith(message)
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
    options = ["--spk-prefix", "x-", "--utt-prefix=x-", "--utt-suffix", "-noise", "--spk-suffix", "-2"]
    succeed("copy_data_dir.py", *options, "data", "copy", cwd=tmp_path)
    kept = {"frame_shift", *(name for name in segments if name != "segments")}

    def renamed(name):
        text = re.sub(r"(?m)^([abc]-\d)(?= |$)", r"x-\1-noise", files[name])
        text = re.sub(r"(?m)^([abc])(?= )", r"x-\1-2", text)
        return re.sub(r"(?m) ([abc])$", r" x-\1-2", text) if name == "utt2spk" else text

    copied = read(tmp_path / "copy")
    assert copied.pop("utt2uniq") == "".join(f"x-{utt}-noise {utt}\n" for utt in utts(tmp_path / "data"))
    assert copied.pop("spk2utt").splitlines()[1:] == ["x-b-2 x-b-1-noise x-b-2-noise", "x-c-2 x-c-1-noise"]
    assert copied == {name: files[name] if name in kept else renamed(name) for name in files if name != "spk2utt"}


def test_copy_of_a_copy_remembers_the_first_names(data):
    succeed("copy_data_dir.py", "--utt-suffix", "-1", "data", "once", cwd=data.parent)
    succeed("copy_data_dir.py", "--utt-suffix", "-2", "once", "twice", cwd=data.parent)
    assert (data.parent / "twice/utt2uniq").read_text().startswith("a-1-1-2 a-1\na-2-1-2 a-2\n")
    succeed("copy_data_dir.py", "--spk-suffix", "-2", "data", "speakers", cwd=data.parent)
    assert not (data.parent / "speakers/utt2uniq").exists()


def test_copy_says_what_is_wrong_with_it(data):
    done = run("copy_data_dir.py", "--utt-prefix", "1-", "--spk-suffix", "-x", data, data.parent / "copy")
    assert (done.returncode, done.stderr) == (0, "")
    edit(data / "text", ("one", "\a"))
    done = run("copy_data_dir.py", "data", "copy", cwd=data.parent)
    assert done.returncode == 1
    assert "validate_data_dir.py: copy/text:1: got '\\x07', need words" in done.stderr
    succeed("copy_data_dir.py", "--validate-opts", "--non-print", data, data.parent / "copy")


def test_copy_keeps_every_old_state(data):
    copy = write(data.parent / "copy", {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n", "notes": "stay"})
    succeed("copy_data_dir.py", data, copy)
    succeed("copy_data_dir.py", "--spk-prefix", "x-", "--utt-prefix", "x-", data, copy)
    assert read(copy / ".backup") == {"utt2spk": "old-1 old\n", "utt2old": "old-1 x\n"}
    assert read(copy / ".backup2") == FILES
    assert (copy / "notes").read_text() == "stay"
