"""One's own recordings: sd-simulate-replay, local/prepare_folder.py, and the recipe egs/folder/sd to a score of sd-detect."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipe_runs import ROOT, make_copy, run

from sdtools.audio.folder import find_sounds, name_sound
from sdtools.bin import detect, simulate_replay

RATE_HZ = 16000
VALIDATE = [sys.executable, str(ROOT / "utils/validate_data_dir.py"), "--no-feats", "--no-text"]


def prepare(*argv, cwd=None):
    return subprocess.run(
        [sys.executable, ROOT / "local/prepare_folder.py", *map(str, argv)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def words(path):
    return dict(line.split(None, 1) for line in Path(path).read_text().splitlines())


@pytest.fixture
def live(tmp_path):
    """Ten speakers, two recordings each: subfolders, prefixes; one at 48 kHz in stereo."""
    rng = np.random.default_rng(0)
    for speaker in range(10):
        for i in range(2):
            path = (
                tmp_path
                / "live"
                / (f"sp{speaker}/take {i}.wav" if speaker % 2 else f"sp{speaker}-{i}.flac")
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            t = np.arange(int(0.6 * RATE_HZ)) / RATE_HZ
            x = 0.2 * np.sin(2 * np.pi * (150 + 20 * speaker) * t) * (
                1 + np.sin(2 * np.pi * 3 * t)
            ) + 0.02 * rng.standard_normal(len(t))
            if (speaker, i) == (4, 1):
                soundfile.write(path, np.repeat(np.stack([x, 0 * x], axis=1), 3, axis=0), 48000)
            else:
                soundfile.write(path, x, RATE_HZ)
    return tmp_path / "live"


def test_simulation_of_a_folder(live, tmp_path, capsys):
    """Names, speakers and conditions; the same again; a copy that is lost is made anew, byte for byte; another seed is refused."""
    argv = ["--copies=2", "--codecs=none,8k", str(live), str(tmp_path / "out")]
    assert simulate_replay.main(["--num-threads=2", *argv]) == 0
    out = tmp_path / "out"
    assert subprocess.run([*VALIDATE, out], capture_output=True).returncode == 0
    wavs = words(out / "wav.scp")
    assert (
        len(wavs) == 40
        and "sp1-take_0-r2" in wavs
        and words(out / "utt2spk")["sp1-take_0-r2"] == "sp1"
    )
    assert set(words(out / "utt2label").values()) == {"spoof"} and set(
        words(out / "utt2codec").values()
    ) == {"none", "8k"}
    assert words(out / "utt2source")["sp0-1-r1"] == "sp0-1"
    simulation = json.loads((out / "simulation.json").read_text())
    assert list(simulation) == ["16000", "48000"]
    devices = simulation["16000"]
    for table, kind in (
        ("utt2env", "env"),
        ("utt2playback", "playback"),
        ("utt2recorder", "recorder"),
    ):
        assert set(words(out / table).values()) <= set(devices[kind])
    files = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    lost = Path(wavs["sp0-1-r1"])
    times = {path: path.stat().st_mtime_ns for path in (out / "wav").iterdir()}
    lost.unlink()
    assert simulate_replay.main(argv) == 0
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == files
    assert [path for path in times if path.stat().st_mtime_ns != times[path]] == [lost]
    capsys.readouterr()
    assert simulate_replay.main(["--seed=1", *argv]) == 1
    assert re.search(
        r"out: settings: expected .*--seed=0 .*, found .*--seed=1 ", capsys.readouterr().err
    )
    (tmp_path / "other/wav").mkdir(parents=True)
    assert simulate_replay.main([str(live), str(tmp_path / "other")]) == 1
    assert "this command did not make the folder wav in it" in capsys.readouterr().err
    assert simulate_replay.main([str(live), str(live / "out")]) == 1
    assert "so copies would be copied" in capsys.readouterr().err
    assert simulate_replay.main(["--rt60-sec=20,30", str(live), str(tmp_path / "new")]) == 1
    assert (
        "Room: rt60_sec: expected 0.01 to 10, found" in capsys.readouterr().err
        and not (tmp_path / "new").exists()
    )
    shutil.copy(live / "sp0-0.flac", live / "sp0-0.wav")
    assert simulate_replay.main([str(live), str(tmp_path / "new")]) == 1
    assert "sp0-0.wav: " in capsys.readouterr().err and not (tmp_path / "new").exists()
    (tmp_path / "twice.scp").write_text(f"u {live}/sp0-0.flac\nu {live}/sp0-1.flac\n")
    assert simulate_replay.main([f"scp:{tmp_path}/twice.scp", str(tmp_path / "new")]) == 1
    assert re.search(r"u \(.*twice\.scp:2\): key: it occurs twice", capsys.readouterr().err)


def test_names_of_files(tmp_path):
    """What comes of them: key and speaker."""
    for name in (
        "a-1.wav",
        "b.wav",
        "-c.wav",
        "deep/er/x y.flac",
        "d+e/1.wav",
        ".hidden.wav",
        "notes.txt",
        "memo.m4a",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    with pytest.warns(
        UserWarning, match=r"libsndfile cannot read 1 files here, for example memo\.m4a"
    ):
        found = find_sounds(tmp_path)
    assert {name_sound(path, tmp_path) for path in found} == {
        *(
            ("a-1", "a"),
            ("b", "b"),
            ("_c", "_c"),
            ("deep-er-x_y", "deep"),
            ("d_e-1", "d_e"),
            ("link-er-x_y", "link"),
        ),
    }


def test_simulation_of_a_data_directory(live, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"bob-1 {live}/sp0-0.flac\nbob-2 {live}/sp0-1.flac\n")
    (data / "utt2spk").write_text("bob-1 bob\nbob-2 bob\n")
    assert simulate_replay.main([f"scp:{data}/wav.scp", str(tmp_path / "out")]) == 0
    assert words(tmp_path / "out/spk2utt") == {"bob": "bob-1-r1 bob-2-r1"}
    info = soundfile.info(tmp_path / "out/wav/bob-1-r1.wav")
    assert (info.frames, info.samplerate, info.channels) == (
        soundfile.info(live / "sp0-0.flac").frames,
        RATE_HZ,
        1,
    )


def test_folders_become_sets_without_a_common_speaker(live, tmp_path):
    shutil.copytree(live, tmp_path / "replayed")
    result = prepare("--genuine", live, "--replayed", tmp_path / "replayed", tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert "2 of 40 were resampled or had channels left out" in result.stdout
    seen, counts = {}, {}
    for name in ("train", "dev", "eval"):
        folder = tmp_path / "data" / name
        assert subprocess.run([*VALIDATE, folder], capture_output=True).returncode == 0
        labels, speakers = words(folder / "utt2label"), words(folder / "utt2spk")
        assert all(utt.endswith(label) for utt, label in labels.items())
        assert not set(speakers.values()) & seen.keys()
        seen |= dict.fromkeys(speakers.values())
        counts[name] = len(labels)
        for path in words(folder / "wav.scp").values():
            info = soundfile.info(path)
            assert (info.samplerate, info.channels) == (RATE_HZ, 1)
    assert len(seen) == 10 and counts == {"train": 20, "dev": 8, "eval": 12}
    for name in ("train", "dev", "eval"):
        (tmp_path / "again" / name).mkdir(parents=True)
        (tmp_path / "again" / name / "utt2env").write_text("of an earlier run\n")
    again = prepare("--genuine", live, "--replayed", tmp_path / "replayed", tmp_path / "again")
    assert again.returncode == 0
    for name in ("train", "dev", "eval"):
        assert not (tmp_path / "again" / name / "utt2env").exists()
        assert (tmp_path / "again" / name / "utt2label").read_bytes() == (
            tmp_path / "data" / name / "utt2label"
        ).read_bytes()


def test_a_table(live, tmp_path):
    """Conditions become tables; without speakers every file is one of its own."""
    files = sorted(
        path
        for path in live.rglob("*")
        if path.suffix in (".wav", ".flac") and path.name != "sp4-1.flac"
    )
    with open(tmp_path / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "playback", "speaker"])
        for i, path in enumerate(files):
            writer.writerow(
                [
                    path.relative_to(tmp_path),
                    "spoof" if i % 2 else "genuine",
                    "my loudspeaker" if i % 2 else "-",
                    f"s {i // 2}",
                ]
            )
    assert prepare("--csv", "list.csv", "data", cwd=tmp_path).returncode == 0
    assert (
        words(tmp_path / "data/train/utt2playback").keys()
        == words(tmp_path / "data/train/wav.scp").keys()
    )
    assert set(words(tmp_path / "data/train/utt2playback").values()) == {"my_loudspeaker", "-"}
    assert all(
        speaker.startswith("s_") for speaker in words(tmp_path / "data/eval/utt2spk").values()
    )
    text = (tmp_path / "list.csv").read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in text))
    assert prepare("--csv", "short.csv", "data2", cwd=tmp_path).returncode == 0
    assert all(
        utt.startswith(speaker) for utt, speaker in words(tmp_path / "data2/train/utt2spk").items()
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n", "list.csv:1: head: got ['a', 'b'], need columns file and label"),
        ("", "list.csv:1: head: got [], need columns"),
        ("file,label\nx.wav,live\n", "list.csv:2: label: got 'live', need genuine or spoof"),
        ("file,label\nx.wav\n", "list.csv:2: line: got another number of cells, need 2"),
        ("file,label\nx.wav,spoof,3\n", "list.csv:2: line: got another number of cells, need 2"),
        (
            "file,label,env\nx.wav,spoof,\n",
            "list.csv:2: env: got nothing, need a word in every cell",
        ),
        (
            "file,label\nx.wav,spoof\nx.flac,spoof\n",
            "list.csv:3: file: got the name of x.wav again",
        ),
        ("file,label\n,spoof\n", "list.csv:2: file: got nothing"),
        (
            "file,label,spk\nx.wav,spoof,a\n",
            "list.csv:1: head: got column 'spk', need a word in small letters",
        ),
        ("file,label,Speaker\nx.wav,spoof,a\n", "list.csv:1: head: got column 'Speaker'"),
        ('file,label\n"' + "x" * 200000, "field larger than field limit"),
        ("file,label\nx.wav,spoof\n", "recordings: got 0 genuine, 1 replayed, need both"),
        ("file,label\nx.wav,spoof\ny.wav,genuine\n", "got no "),
        (
            "file,label\n"
            + "".join(f"x{i}.wav,{'spoof' if i % 2 else 'genuine'}\n" for i in range(20)),
            "x0.wav: sound: got '",
        ),
    ],
)
def test_tables_that_are_refused(tmp_path, table, message):
    (tmp_path / "list.csv").write_text(table)
    result = prepare("--csv", "list.csv", "data", cwd=tmp_path)
    said = result.stderr.replace(f"{tmp_path}/", "")
    assert result.returncode == 1 and message in said and len(said.splitlines()) == 1, said
    assert (
        "list.csv" not in message or f"{tmp_path}/list.csv" in result.stderr
    )  # whole paths: they are relative to the recipe's folder


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["data"], "got neither --csv nor --genuine and --replayed, or both"),
        (["--genuine=x", "data"], "got neither --csv"),
        (["--csv=x", "--split=1,2", "data"], "--split: got 1,2, need three numbers"),
        (["--genuine=none", "--replayed=none", "data"], "none: this folder has no sound file"),
        (["--csv=none.csv", "data"], "none.csv"),
        (
            ["--genuine=.", "--replayed=rep", "data"],
            "a-1.wav: folders: got it as genuine and as replayed",
        ),
    ],
)
def test_command_lines_that_are_refused(tmp_path, argv, message):
    (tmp_path / "rep").mkdir()
    (tmp_path / "rep/a-1.wav").write_text("any")
    result = prepare(*argv, cwd=tmp_path)
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr


def test_recipe_from_folders_to_a_judgement(live, tmp_path, monkeypatch, capsys):
    """Live and simulated recordings; sd-detect's score is the recipe's to 1e-5."""
    assert simulate_replay.main([str(live), str(tmp_path / "replayed")]) == 0
    recipe = make_copy(tmp_path, "folder")
    options = [
        "--systems",
        "cf,cm,fusion",
        "--orders",
        "0",
        "--num-components",
        "2",
        "--split",
        "1,1,1",
    ]
    result = run(
        recipe, "--genuine", str(live), "--replayed", str(tmp_path / "replayed/wav"), *options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (
        "| S1 + S2 (score level)" in result.stdout
        and (recipe / "exp/report/index.html").stat().st_size > 100_000
    )
    monkeypatch.chdir(recipe)
    capsys.readouterr()
    assert detect.main(["--json=out.json", "exp/fusion/model", "scp:data/eval/wav.scp"]) == 0
    assert "Trained on one's own recordings" in capsys.readouterr().err
    judged = {r["file"]: r["llr"] for r in json.loads(Path("out.json").read_text())["results"]}
    for utt, score in words("exp/fusion/scores/eval.txt").items():
        assert judged[words("data/eval/wav.scp")[utt]] == pytest.approx(float(score), abs=1e-5)
    assert os.path.isdir("exp/cf_sd0/model")
    assert list(Path("data/converted").iterdir())
    times = {
        path: path.stat().st_mtime_ns
        for path in [*Path("exp").glob("*_sd0/*.gmm"), *Path("data").rglob("*.ark")]
    }
    codecs = "".join(
        f"{utt} {'gsm' if 'sp1' in utt else 'none'}\n" for utt in words("data/eval/wav.scp")
    )
    Path("data/eval/utt2codec").write_text(codecs)
    assert run(recipe, "--stage", "6", *options).returncode == 0
    assert json.loads(Path("exp/results.json").read_text())["systems"][0]["by"].keys() == {"codec"}
    again = run(
        recipe, "--genuine", str(live), "--replayed", str(tmp_path / "replayed/wav"), *options
    )
    assert (
        again.returncode == 0
        and times
        and times == {path: path.stat().st_mtime_ns for path in times}
    )
