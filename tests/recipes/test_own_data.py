"""A user's own recordings: copies by replay, data directories, the recipe, the decision."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from recipe_runs import ROOT, blocks, make_copy, run, run_block
from scripts import run_script

from sdtools.audio.folder import find_sounds, name_sound
from sdtools.bin import detect, simulate_replay

RATE_HZ = 16000
SETS = ("train", "dev", "eval")


def prepare(*argv, cwd=None):
    return run_script(ROOT / "local/prepare_folder.py", *argv, cwd=cwd)


def is_valid(folder):
    script = ROOT / "utils/validate_data_dir.py"
    words = [sys.executable, script, "--no-feats", "--no-text", folder]
    return subprocess.run(words, capture_output=True).returncode == 0


def words(path):
    return dict(line.split(None, 1) for line in Path(path).read_text().splitlines())


def record(folder):
    """Ten speakers, two recordings each: subfolders, prefixes; one at 48 kHz in stereo."""
    rng = np.random.default_rng(0)
    t = np.arange(int(0.6 * RATE_HZ)) / RATE_HZ
    for speaker in range(10):
        for i in range(2):
            path = folder / (
                f"sp{speaker}/take {i}.wav" if speaker % 2 else f"sp{speaker}-{i}.flac"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            tone = np.sin(2 * np.pi * (150 + 20 * speaker) * t) * (1 + np.sin(2 * np.pi * 3 * t))
            x = 0.2 * tone + 0.02 * rng.standard_normal(len(t))
            if (speaker, i) == (4, 1):
                soundfile.write(path, np.repeat(np.stack([x, 0 * x], axis=1), 3, axis=0), 48000)
            else:
                soundfile.write(path, x, RATE_HZ)
    return folder


def as_phones_record(folder):
    """Put a recording of each of four speakers into what phones, browsers and messengers write."""
    for name, coded, rate_hz in (
        ("sp0-0.flac", "sp0-0.m4a", 44100),
        ("sp2-0.flac", "sp2-0.webm", 48000),
        ("sp6-0.flac", "sp6-0.opus", 48000),
        ("sp8-0.flac", "sp8-0.mp3", 16000),
    ):
        words = ["-v", "error", "-i", folder / name, "-ar", f"{rate_hz}", folder / coded]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *words]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        (folder / name).unlink()


@pytest.fixture
def live(tmp_path):
    return record(tmp_path / "live")


def test_simulation_of_a_folder(live, tmp_path):
    """Names, speakers, conditions; a lost copy is made anew, byte for byte."""
    argv = ["--copies=2", "--codecs=none,8k", str(live), str(tmp_path / "out")]
    assert simulate_replay.main(["--num-threads=2", *argv]) == 0
    out = tmp_path / "out"
    assert is_valid(out)
    wavs = words(out / "wav.scp")
    assert len(wavs) == 40 and "sp1-take_0-r2" in wavs
    assert words(out / "utt2spk")["sp1-take_0-r2"] == "sp1"
    assert set(words(out / "utt2label").values()) == {"spoof"}
    assert set(words(out / "utt2codec").values()) == {"none", "8k"}
    assert words(out / "utt2source")["sp0-1-r1"] == "sp0-1"
    simulation = json.loads((out / "simulation.json").read_text())
    assert list(simulation) == ["16000", "48000"]
    for kind in ("env", "playback", "recorder"):
        assert set(words(out / f"utt2{kind}").values()) <= set(simulation["16000"][kind])
    files = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    lost = Path(wavs["sp0-1-r1"])
    times = {path: path.stat().st_mtime_ns for path in (out / "wav").iterdir()}
    lost.unlink()
    assert simulate_replay.main(argv) == 0
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == files
    assert [path for path in times if path.stat().st_mtime_ns != times[path]] == [lost]


def test_simulations_that_are_refused(live, tmp_path, capsys):
    def refused(*argv):
        capsys.readouterr()
        assert simulate_replay.main(["--print-args=false", *map(str, argv)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    one = tmp_path / "one.scp"
    one.write_text(f"u {live}/sp0-0.flac\n")
    assert simulate_replay.main([f"scp:{one}", str(tmp_path / "out")]) == 0
    line = refused("--seed=1", f"scp:{one}", tmp_path / "out")
    assert "out: settings" in line and "--seed=0" in line and "--seed=1" in line
    (tmp_path / "other/wav").mkdir(parents=True)
    assert f"{tmp_path}/other" in refused(live, tmp_path / "other")
    assert f"{live}/out" in refused(live, live / "out")  # would copy its own copies
    assert "rt60_sec" in refused("--rt60-sec=20,30", live, tmp_path / "new")
    shutil.copy(live / "sp0-0.flac", live / "sp0-0.wav")
    assert "sp0-0.wav: " in refused(live, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    one.write_text(f"u {live}/sp0-0.flac\nu {live}/sp0-1.flac\n")
    assert re.search(r"u \(.*one\.scp:2\): key", refused(f"scp:{one}", tmp_path / "twice"))


def test_lossy_recordings_are_taken(tmp_path, capsys):
    """What a lossy codec decodes goes a little beyond full scale; too loud or silent is refused."""
    tone = np.clip(3 * np.sin(np.arange(RATE_HZ) / 8), -1, 1)
    (tmp_path / "live").mkdir()
    for name, samples, options in (
        ("a-1.mp3", tone, {"format": "MP3"}),
        ("b-1.ogg", tone, {}),
        ("c-1.wav", 1.0005 * tone, {"subtype": "FLOAT"}),
        ("d-1.wav", 0 * tone, {}),
        ("e-1.wav", 9 * tone, {"subtype": "FLOAT"}),
    ):
        soundfile.write(tmp_path / "live" / name, samples, RATE_HZ, **options)
    argv = ["--max-skip=2", "--codecs=none,mp3,ogg,8k", "--copies=4"]
    assert simulate_replay.main([*argv, str(tmp_path / "live"), str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    assert re.search("skipped d-1 .*digital silence", err)
    assert re.search(r"skipped e-1 .*e-1.wav: sample \d+ .* up to 8 .*, found -?(8|9)", err)
    assert len(words(tmp_path / "out/wav.scp")) == 12


def test_names_of_files(tmp_path):
    """Key and speaker that the name of a file gives."""
    made = ["a-1.wav", "b.wav", "-c.wav", "deep/er/x y.flac", "d+e/1.wav"]
    for name in (*made, ".hidden.wav", "notes.txt", "memo.m4a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    with pytest.warns(UserWarning, match=r"1 file left out: 1 \.txt; the first is notes\.txt"):
        found = find_sounds(tmp_path)
    pairs = "a-1:a b:b _c:_c deep-er-x_y:deep d_e-1:d_e link-er-x_y:link memo:memo"
    expected = {tuple(pair.split(":")) for pair in pairs.split()}
    assert {name_sound(path, tmp_path) for path in found} == expected


def test_folders_hide_nothing(live, tmp_path):
    """A sound by its first bytes is taken; what is left out is counted in one line."""
    (live / "sp0-0.flac").rename(live / "sp0-0.recording")
    for name in ("notes.txt", "sp1/notes.txt", "list.csv"):
        (live / name).write_text("text")
    shutil.copytree(live, tmp_path / "replayed")
    folders = ("--genuine", live, "--replayed", tmp_path / "replayed")
    result = prepare(*folders, tmp_path / "data")
    assert result.returncode == 0, result.stderr
    for folder in folders[1::2]:
        what = f"warning: {folder}: 3 files left out: 2 .txt, 1 .csv; the first is list.csv"
        assert result.stderr.count(what) == 1
    paths = [path for n in SETS for path in words(tmp_path / f"data/{n}/wav.scp").values()]
    assert len(paths) == 40 and any(path.endswith("sp0-0.recording") for path in paths)


def test_simulation_of_a_data_directory(live, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"bob-1 {live}/sp0-0.flac\nbob-2 {live}/sp0-1.flac\n")
    (data / "utt2spk").write_text("bob-1 bob\nbob-2 bob\n")
    assert simulate_replay.main([f"scp:{data}/wav.scp", str(tmp_path / "out")]) == 0
    assert words(tmp_path / "out/spk2utt") == {"bob": "bob-1-r1 bob-2-r1"}
    info = soundfile.info(tmp_path / "out/wav/bob-1-r1.wav")
    num_samples = soundfile.info(live / "sp0-0.flac").frames
    assert (info.frames, info.samplerate, info.channels) == (num_samples, RATE_HZ, 1)


def test_recordings_without_a_speaker_are_counted(live, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"bob-1 {live}/sp0-0.flac\nbob-2 {live}/sp0-1.flac\n")
    (data / "utt2spk").write_text("bob-1 bob\nbob2 bob\n")
    assert simulate_replay.main([f"scp:{data}/wav.scp", str(tmp_path / "out")]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert "1 of 2 recordings (first bob-2)" in line


def test_folders_become_sets_without_a_common_speaker(live, tmp_path):
    shutil.copytree(live, tmp_path / "replayed")

    def sets(folder, *options):
        folders = ("--genuine", live, "--replayed", tmp_path / "replayed")
        result = prepare(*options, *folders, folder)
        assert result.returncode == 0, result.stderr
        labels = {name: words(folder / name / "utt2label") for name in SETS}
        return result, labels, [len(labels[name]) for name in SETS]

    result, labels, counts = sets(tmp_path / "data")
    assert re.search(r"\b2 of 40\b", result.stderr)  # were resampled or lost a channel
    assert counts == [20, 8, 12]
    seen = []
    for name in SETS:
        folder = tmp_path / "data" / name
        assert is_valid(folder)
        assert all(utt.endswith(label) for utt, label in labels[name].items())
        seen += set(words(folder / "utt2spk").values())
        for path in words(folder / "wav.scp").values():
            info = soundfile.info(path)
            assert (info.samplerate, info.channels) == (RATE_HZ, 1)
    assert len(seen) == len(set(seen)) == 10
    for name in SETS:
        (tmp_path / "again" / name).mkdir(parents=True)
        (tmp_path / "again" / name / "utt2env").write_text("of an earlier run\n")
    assert sets(tmp_path / "again")[1] == labels
    assert not list((tmp_path / "again").rglob("utt2env"))
    assert sets(tmp_path / "thirds", "--split", "1,1,1")[2] != counts


def test_what_a_later_stage_would_refuse(live, tmp_path):
    """All such recordings are named at once, and nothing is written."""
    shutil.copytree(live, tmp_path / "replayed")
    cut = tmp_path / "live/sp0-0.flac"
    cut.write_bytes(cut.read_bytes()[:5000])
    soundfile.write(tmp_path / "live/sp2-0.flac", np.zeros(100), RATE_HZ)
    result = prepare("--genuine=live", "--replayed=replayed", "data", cwd=tmp_path)
    assert result.returncode == 1 and "1 more" in result.stderr
    assert "sp0-0.flac" in result.stderr and "sp2-0.flac" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_table(live, tmp_path):
    """Conditions become tables; without speakers every file is one of its own."""
    files = sorted(path for path in live.rglob("*.*") if path.name != "sp4-1.flac")
    with open(tmp_path / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "playback", "speaker"])
        for i, path in enumerate(files):
            kind = ("spoof", "my loudspeaker") if i % 2 else ("genuine", "-")
            writer.writerow([path.relative_to(tmp_path), *kind, f"s {i // 2}"])
    assert prepare("--csv", "list.csv", "data", cwd=tmp_path).returncode == 0
    playback = words(tmp_path / "data/train/utt2playback")
    assert playback.keys() == words(tmp_path / "data/train/wav.scp").keys()
    assert set(playback.values()) == {"my_loudspeaker", "-"}
    speakers = words(tmp_path / "data/eval/utt2spk").values()
    assert all(speaker.startswith("s_") for speaker in speakers)
    labels = {name: (tmp_path / f"data/{name}/utt2label").read_bytes() for name in SETS}
    text = (tmp_path / "list.csv").read_text().replace("genuine", "bonafide")
    (tmp_path / "other.csv").write_text(f"{text}\n ,,,\n", encoding="utf-8-sig")
    told = prepare("--csv", "other.csv", "data3", cwd=tmp_path)
    assert told.returncode == 0 and f"'bonafide' is taken as genuine (lines: {len(files) // 2}" in (
        told.stderr.replace(f": {-(-len(files) // 2)}", f": {len(files) // 2}")
    )
    again = {name: (tmp_path / f"data3/{name}/utt2label").read_bytes() for name in SETS}
    assert again == labels
    text = (tmp_path / "list.csv").read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in text))
    assert prepare("--csv", "short.csv", "data2", cwd=tmp_path).returncode == 0
    speaker_of = words(tmp_path / "data2/train/utt2spk")
    assert all(utt.startswith(speaker) for utt, speaker in speaker_of.items())


MANY = "".join(f"x{i}.wav,{('genuine', 'spoof')[i % 2]}\n" for i in range(20))


@pytest.mark.parametrize(
    ("table", "needed"),
    [
        ("a,b\n", ["list.csv:1: ", "file", "label"]),
        ("", ["list.csv:1: ", "file", "label"]),
        ("file,label\nx.wav,live\n", ["list.csv:2: label of x.wav", "live", "genuine", "spoof"]),
        ("file,label\nx.wav,Genuine\n", ["list.csv:2: label of x.wav", "Genuine"]),
        ("file,label,label\nx.wav,spoof,spoof\n", ["list.csv:1: ", "label"]),
        ("file,label\nx.wav\n", ["list.csv:2: ", "2"]),
        ("file,label\nx.wav,spoof,3\n", ["list.csv:2: ", "2"]),
        ("file,label,env\nx.wav,spoof,\n", ["list.csv:2: env"]),
        ("file,label\nx.wav,spoof\nx.flac,spoof\n", ["list.csv:3: ", "x.wav"]),
        ("file,label\n,spoof\n", ["list.csv:2: file"]),
        ("file,label,spk\nx.wav,spoof,a\n", ["list.csv:1: ", "spk"]),
        ("file,label,Speaker\nx.wav,spoof,a\n", ["list.csv:1: ", "Speaker"]),
        ('file,label\n"' + "x" * 200000, ["field larger than field limit"]),
        ("file,label\né.wav,spoof\n", ["list.csv: text", "UTF-8"]),
        ("file,label\nx.wav,spoof\n", ["0", "1"]),
        ("file,label\nx.wav,spoof\ny.wav,genuine\n", ["speakers"]),
        (f"file,label\n{MANY}", ["x0.wav: "]),
    ],
)
def test_tables_that_are_refused(tmp_path, table, needed):
    (tmp_path / "list.csv").write_text(table, encoding="latin-1")
    result = prepare("--csv", "list.csv", "data", cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert all(word in line for word in needed), line
    # Names are whole paths, because the recipe's folder is the current one.
    assert "list.csv" not in needed[0] or f"{tmp_path}/list.csv" in line


@pytest.mark.parametrize(
    ("argv", "needed"),
    [
        (["data"], ["--csv", "--genuine", "--replayed"]),
        (["--genuine=x", "data"], ["--csv"]),
        (["--genuine=x", "--replayed=x", "--csv=x", "data"], ["--csv"]),
        (["--csv=x", "--split=1,2", "data"], ["--split", "1,2"]),
        (["--genuine=none", "--replayed=none", "data"], ["none: "]),
        (["--csv=none.csv", "data"], ["none.csv"]),
        (["--genuine=.", "--replayed=rep", "data"], ["a-1.wav: ", "genuine", "replayed"]),
    ],
)
def test_command_lines_that_are_refused(tmp_path, argv, needed):
    (tmp_path / "rep").mkdir()
    (tmp_path / "rep/a-1.wav").write_text("any")
    result = prepare(*argv, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert all(word in result.stderr for word in needed), result.stderr


def test_from_recordings_to_a_decision(tmp_path, monkeypatch, capsys):
    """The commands of docs/own-data.md; sd-detect gives the scores of the recipe to 1e-5."""
    recipe = make_copy(tmp_path, "folder")
    record(recipe / "recordings/live")
    as_phones_record(recipe / "recordings/live")
    simulate, train, judge = blocks("own-data.md")
    assert run_block(simulate, recipe).returncode == 0
    result = run_block(train, recipe)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "| S1 + S2 (score level)" in result.stdout
    costs = result.stdout[result.stdout.index("Model exp/fusion/model") :]
    for name in ("bayes", "eer", "false_alarm"):
        assert len(re.findall(rf"^{name} .* of \d+", costs, re.MULTILINE)) == 2  # train + dev, eval
    assert re.search(r"WARNING: exp/fusion/model: .* 7 speakers.* 10 or more", result.stderr)
    lines = run_block(judge, recipe).stdout.splitlines()
    form = re.compile(
        r"(recordings/live/.*?\.(?:wav|flac|m4a|webm|opus|mp3)).*?: (?:genuine|replayed) \(LLR "
    )
    decided = [found[1] for line in lines if (found := form.match(line))]
    assert len(decided) == len(set(decided)) == 20, lines
    assert all("channel" in line for line in lines if not form.match(line))  # which is silent

    monkeypatch.chdir(recipe)
    assert Path("exp/report/index.html").stat().st_size > 100_000
    page = Path("exp/report/index.html").read_text()
    assert page.index("Decisions of exp/fusion/model") < page.index("The tables of the recipe")
    assert list(Path("data/converted").iterdir())
    argv = ["--format=kaldi", "--resume=out.txt", "exp/fusion/model", "scp:data/eval/wav.scp"]
    assert detect.main(argv) == 0
    assert "own recordings" in capsys.readouterr().err  # the note on what it was trained on
    judged, scores = words("out.txt"), words("exp/fusion/scores/eval_model.txt")
    assert judged.keys() == scores.keys()
    for utt, score in scores.items():
        assert float(judged[utt]) == pytest.approx(float(score), abs=1e-5)

    made = [*Path("exp").glob("*_sd6/**/*.gmm"), *Path("data").rglob("*.ark")]
    times = {path: path.stat().st_mtime_ns for path in made}
    again = run_block(f"{train.strip()} --stop-stage 5", recipe)
    assert again.returncode == 0, again.stderr
    assert times and times == {path: path.stat().st_mtime_ns for path in times}
    codecs = "".join(f"{utt} {'gsm' if 'sp1' in utt else 'none'}\n" for utt in scores)
    Path("data/eval/utt2codec").write_text(codecs)
    assert run(recipe, "--stage", 6, "--systems", "cf,cm,fusion", "--orders", 6).returncode == 0
    by = json.loads(Path("exp/results.json").read_text())["systems"][0]["by"]
    assert by.keys() == {"codec", "coding"}  # some recordings came in a lossy codec
