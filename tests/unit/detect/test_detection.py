"""sd-detect: every kind of recording that people have, and each line that it says about them."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly
from test_model import RATE_HZ, SYSTEMS, parts, write  # noqa: F401 - a fixture

from sdtools.bin import detect
from sdtools.detect import model
from sdtools.detect.detection import sentence

THRESHOLDS = {
    name: {"threshold": value, "p_miss": 0.1, "p_false_alarm": 0.1}
    for name, value in (("eer", 0.1), ("bayes", -0.6), ("false_alarm", 9))
}


@pytest.fixture(scope="module")
def detector(parts, tmp_path_factory):  # noqa: F811
    """A model directory, and a folder of recordings."""
    folder = tmp_path_factory.mktemp("detect")
    _, made = parts
    write(
        folder / "model",
        made,
        ["cm_sd0"],
        thresholds={"thresholds": THRESHOLDS},
        note="Trained on noise.",
    )
    x = 0.1 * np.random.default_rng(5).standard_normal(2 * RATE_HZ)
    x = np.round(x * 2**15) / 2**15
    zoo = folder / "zoo"
    (zoo / "deep").mkdir(parents=True)
    soundfile.write(zoo / "a.wav", x, RATE_HZ)
    soundfile.write(zoo / "deep/a.flac", x, RATE_HZ)
    soundfile.write(zoo / "a.mp3", x, RATE_HZ)
    soundfile.write(
        zoo / "stereo.wav",
        np.stack([resample_poly(x, 3, 1), 0 * resample_poly(x, 3, 1)], axis=1),
        48000,
    )
    soundfile.write(zoo / "half.wav", x[: RATE_HZ // 2], RATE_HZ)
    soundfile.write(zoo / "long.wav", np.tile(x, 20), RATE_HZ)
    (zoo / "notes.txt").write_text("no sound\n")
    return folder, x


def run(folder, *argv):
    old = os.getcwd()
    os.chdir(folder)
    try:
        return detect.main(["--print-args=false", *argv])
    finally:
        os.chdir(old)


def test_formats_give_one_score(detector, capsys):
    """What is lossless exactly, and the same as from Python."""
    folder, x = detector
    assert run(folder, "--json=out.json", "model", "zoo/a.wav", "zoo/deep/a.flac", "zoo/a.mp3") == 0
    results = json.loads((folder / "out.json").read_text())["results"]
    llr = model.load_model(folder / "model").score(x)
    assert [r["llr"] for r in results[:2]] == [llr, llr] and abs(llr) > 0.1
    assert results[2]["llr"] == pytest.approx(llr, abs=3) and results[2]["llr"] != llr
    captured = capsys.readouterr()
    first = captured.out.splitlines()[0]
    assert re.fullmatch(
        r"zoo/a\.wav: (genuine|replayed) \(LLR [+-]\d+\.\d\d, threshold \+0\.10, P\(genuine\) 0\.\d{3} at prior 0\.5\): "
        r"[\d.e+]+ times as probable if (spoken live|replayed)",
        first,
    )
    assert (f"{llr:+.2f}" in first) and (("genuine (" in first) == (llr >= 0.1))
    assert "LOG (sd-detect) model: Trained on noise." in captured.err


@pytest.mark.parametrize(
    ("llr", "times"), [(25, "7.2e+10"), (-60, "1.14e+26"), (-12499977.8, "more than 1e+304")]
)
def test_sentence_says_how_many_times(llr, times):
    place = {"file": "a.wav", "channel": None, "start_sec": 0, "duration_sec": 2, "total_sec": 2}
    judged = {
        "no_say": "",
        "llr": llr,
        "threshold": 0,
        "posterior": 0.5,
        "prior": 0.5,
        "decision": "genuine",
        "doubts": [],
    }
    assert sentence({**place, **judged}).endswith(
        f": {times} times as probable if {'spoken live' if llr > 0 else 'replayed'}"
    )


def test_threshold_and_prior(detector):
    folder, x = detector
    llr = model.load_model(folder / "model").score(x)
    for name, threshold in THRESHOLDS.items():
        assert (
            run(
                folder,
                f"--threshold={name}",
                "--prior=0.1",
                "--json=out.json",
                "model",
                "zoo/a.wav",
            )
            == 0
        )
        (result,) = json.loads((folder / "out.json").read_text())["results"]
        assert result["decision"] == ("genuine" if llr >= threshold["threshold"] else "replayed")
        assert result["posterior"] == pytest.approx(
            0.1 * np.exp(llr) / (0.1 * np.exp(llr) + 0.9), rel=1e-9
        )


def test_channels_rate_and_silence(detector, capsys):
    """Both channels by default, of which one is silent; resampling is said."""
    folder, _ = detector
    assert run(folder, "model", "zoo/stereo.wav") == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one.startswith("zoo/stereo.wav [channel 0]: ") and one.endswith(
        "; resampled from 48 kHz, whose filter the model has not heard"
    )
    assert other == "zoo/stereo.wav [channel 1]: no score, silence: 0 % of it is above -70 dBFS"
    assert run(folder, "--channel=1", "model", "zoo/stereo.wav") == 0
    assert capsys.readouterr().out == other + "\n"
    assert run(folder, "--channel=2", "model", "zoo/stereo.wav") == 1
    assert "zoo/stereo.wav: channel: got 2, need 0..1" in capsys.readouterr().err


def test_a_long_recording_has_a_timeline(detector, capsys):
    folder, x = detector
    assert run(folder, "--window-sec=9", "--json=out.json", "model", "zoo/long.wav") == 0
    results = json.loads((folder / "out.json").read_text())["results"]
    assert [r["start_sec"] for r in results] == [0, 8, 16, 24, 32] and {
        r["duration_sec"] for r in results
    } == {8}
    loaded = model.load_model(folder / "model")
    assert [r["llr"] for r in results] == [loaded.score(np.tile(x, 4))] * 5
    *windows, last = capsys.readouterr().out.splitlines()
    assert windows[1].startswith("zoo/long.wav 0:00:08.0-0:00:16.0: ")
    num_genuine = sum(r["decision"] == "genuine" for r in results)
    assert (
        last
        == f"zoo/long.wav: {num_genuine} of 5 judged windows genuine, 0 without score; lowest LLR {results[0]['llr']:+.2f} at 0:00:00.0"
    )


def test_folder_script_file_and_standard_input(detector, capsys):
    folder, _ = detector
    assert run(folder, "model", "zoo") == 0
    files = {line.split(":")[0].split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert files == {
        "zoo/a.mp3",
        "zoo/a.wav",
        "zoo/deep/a.flac",
        "zoo/half.wav",
        "zoo/long.wav",
        "zoo/stereo.wav",
    }
    (folder / "wav.scp").write_text("u1 zoo/a.wav\nu2 zoo/half.wav\n")
    assert run(folder, "model", "scp:wav.scp") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == 2
        and lines[1].startswith("zoo/half.wav: ")
        and lines[1].endswith("; short (0.50 s)")
    )
    code = "import sys; from sdtools.bin import detect; sys.exit(detect.main(['--print-args=false', 'model', '-']))"
    with open(folder / "zoo/a.wav", "rb") as file:
        piped = subprocess.run(
            [sys.executable, "-c", code],
            stdin=file,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (
        piped.returncode == 0
        and piped.stdout.startswith("-: ")
        and lines[0].split(": ", 1)[1] in piped.stdout
    )


def test_what_cannot_be_read_is_said_and_the_rest_judged(detector, capsys):
    folder, x = detector
    (folder / "text.wav").write_text("no sound at all\n")
    soundfile.write(folder / "8k.wav", x[::2], 8000)
    for name, kind in (("cut.wav", "WAV"), ("cut.aiff", "AIFF")):
        soundfile.write(folder / name, x, RATE_HZ, format=kind)
        (folder / name).write_bytes((folder / name).read_bytes()[: len(x)])
    (folder / "a\nb.wav").write_text("no sound\n")
    (folder / "cut.flac").write_bytes((folder / "zoo/deep/a.flac").read_bytes()[:20000])
    soundfile.write(
        folder / "nan.wav", np.where(np.arange(len(x)) == 77, np.nan, x), RATE_HZ, subtype="FLOAT"
    )
    soundfile.write(folder / "empty.wav", x[:0], RATE_HZ)
    (folder / "nothing").mkdir()
    bad = {
        "text.wav": r"text\.wav: sound: .* a format that libsndfile reads, found 'Format not recognised",
        "8k.wav": r"8k\.wav: sample rate: got 8000 Hz, need 16000 or more, .* Say --allow-narrowband=true",
        "cut.wav": r"cut\.wav: the file is cut short: expected more, .* found \d+ samples",
        "cut.aiff": r"cut\.aiff: the file is cut short: expected more, .* found \d+ samples",
        "a\nb.wav": r"a\\nb\.wav: sound: .* found 'Format not recognised\.'",
        "cut.flac": r"cut\.flac: sound: ",
        "nan.wav": r"nan\.wav: sample 77 .*: expected a finite number.*, found nan",
        "empty.wav": r"empty\.wav: number of samples: expected 1 or more, found 0",
        "absent.wav": r"absent\.wav: cannot read: No such file or directory",
    }
    assert run(folder, "model", *bad, "zoo/half.wav") == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("zoo/half.wav: ") and len(captured.out.splitlines()) == 1
    errors = [line for line in captured.err.splitlines() if line.startswith("ERROR")]
    assert len(errors) == len(bad) and "Traceback" not in captured.err
    for message in bad.values():
        assert any(re.search(r"ERROR \(sd-detect\) " + message, line) for line in errors), (
            message,
            errors,
        )
    assert f"done 1 judgements, {len(bad)} files could not be read" in captured.err
    assert run(folder, "--allow-narrowband", "model", "8k.wav") == 0
    assert "narrow-band" in capsys.readouterr().out
    assert run(folder, "model", "zoo/a.wav", "nothing") == 1
    captured = capsys.readouterr()
    assert (
        captured.out == ""
        and "nothing: this folder has no sound file" in captured.err
    )
    assert run(folder, "--json=absent/out.json", "model", "zoo/a.wav") == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "absent/out.json" in captured.err


def test_a_length_that_nobody_knows(detector, capsys):
    """FLAC as an encoder writes it into a pipe."""
    folder, _ = detector
    data = bytearray((folder / "zoo/deep/a.flac").read_bytes())
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    (folder / "piped.flac").write_bytes(data)
    assert run(folder, "model", "piped.flac", "zoo/half.wav") == 1
    captured = capsys.readouterr()
    assert (
        captured.out.startswith("zoo/half.wav: ")
        and "piped.flac: the header does not tell the length" in captured.err
    )


def test_a_window_that_is_bad_keeps_those_before(detector):
    folder, x = detector
    soundfile.write(
        folder / "late.wav",
        np.concatenate([np.tile(x, 10), [np.nan] * 100]),
        RATE_HZ,
        subtype="FLOAT",
    )
    assert run(folder, "--window-sec=9", "--json=out.json", "model", "late.wav") == 1
    first = json.loads((folder / "out.json").read_text())["results"][0]
    assert first["start_sec"] == 0 and first["llr"] is not None


def test_a_threshold_that_nothing_passes(detector, capsys):
    folder, _ = detector
    about = json.loads((folder / "model/model.json").read_text())
    about["thresholds"]["thresholds"] = {"eer": {"threshold": "inf"}}
    shutil.copytree(folder / "model", folder / "strict")
    (folder / "strict/model.json").write_text(json.dumps(about))
    assert run(folder, "--json=out.json", "strict", "zoo/a.wav") == 0
    captured = capsys.readouterr()
    assert (
        "WARNING (sd-detect) strict: threshold eer is infinite" in captured.err
        and "replayed (" in captured.out
    )
    assert json.loads((folder / "out.json").read_text())["results"][0]["threshold"] == "inf"
    assert run(folder, "--threshold=bayes", "strict", "zoo/a.wav") == 1
    assert "strict: threshold: got bayes, need one of eer" in capsys.readouterr().err


def test_commands_of_a_script_file_run_only_if_allowed(detector, capsys):
    folder, _ = detector
    (folder / "pipe.scp").write_text("u1 cat zoo/a.wav |\n")
    assert run(folder, "model", "scp:pipe.scp") == 1
    assert "Use --allow-pipes=true" in capsys.readouterr().err
    assert run(folder, "--allow-pipes", "model", "scp:pipe.scp") == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--prior=1", "--prior: got 1.0, need more than 0"),
        ("--window-sec=0.5", "--window-sec: got 0.5, need 1 to 3600"),
        ("--threshold=best", "--threshold: expected eer or bayes or false_alarm, found 'best'"),
    ],
)
def test_settings_that_are_refused(detector, capsys, option, message):
    assert run(detector[0], option, "model", "zoo/a.wav") == 1
    assert message in capsys.readouterr().err


def test_info(detector, capsys):
    assert run(detector[0], "--info", "model") == 0
    about = json.loads(capsys.readouterr().out)
    assert (
        about["note"] == "Trained on noise."
        and about["thresholds"]["thresholds"] == THRESHOLDS
        and "files" not in about
    )
    assert run(detector[0], "model") == 1
    assert "sound files: got none, need one or more, or --info" in capsys.readouterr().err
    assert run(detector[0], "model", "") == 1
    assert "sound file: got an empty name, need a path" in capsys.readouterr().err
