"""sd-detect: every kind of recording that people have, and each line that it prints about them."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly
from tiny_model import RATE_HZ, THRESHOLDS, make_deployment, write_tiny_model

from sdtools.bin import detect
from sdtools.detect.detection import Judgement, Segment, sentence
from sdtools.detect.model import load_model
from sdtools.detect.policy import Policy
from sdtools.detect.quality import Quality
from sdtools.detect.recordings import Recording

POLICY_FIELDS = ["policy", "threshold", "prior", "costs"]
RECORDINGS = ["a.mp3", "a.wav", "deep/a.flac", "half.wav", "long.wav", "stereo.wav"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model directory and recordings; samples of some of them."""
    folder = tmp_path_factory.mktemp("detect")
    write_tiny_model(folder / "model", folder / "sources")
    x = 0.1 * np.random.default_rng(5).standard_normal(2 * RATE_HZ)
    x = np.round(x * 2**15) / 2**15
    zoo = folder / "zoo"
    (zoo / "deep").mkdir(parents=True)
    for name in ("a.wav", "deep/a.flac", "a.mp3"):
        soundfile.write(zoo / name, x, RATE_HZ)
    faster = resample_poly(x, 3, 1)
    soundfile.write(zoo / "stereo.wav", np.stack([faster, 0 * faster], axis=1), 3 * RATE_HZ)
    soundfile.write(zoo / "half.wav", x[: RATE_HZ // 2], RATE_HZ)
    soundfile.write(zoo / "long.wav", np.tile(x, 20), RATE_HZ)
    (zoo / "notes.txt").write_text("no sound\n")
    return folder, x


@pytest.fixture
def detector(made, monkeypatch):
    """The same; the folder is the current one."""
    monkeypatch.chdir(made[0])
    return made


def run(*argv):
    return detect.main(["--print-args=false", *argv])


def results_of(*argv, status=0):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run("--format=jsonl", *argv) == status
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_formats_give_one_score(detector, capsys):
    """What is lossless exactly, and the same as from Python."""
    _, x = detector
    results = results_of("model", "zoo/a.wav", "zoo/deep/a.flac", "zoo/a.mp3")
    llr = load_model("model").score(x, RATE_HZ)
    assert [r["codec"] for r in results] == ["pcm_s16", "flac", "mp3"]
    assert [r["is_lossy"] for r in results] == [False, False, True]
    assert {r["rate_hz"] for r in results} == {RATE_HZ}
    assert [r["llr"] for r in results[:2]] == [llr, llr] and abs(llr) > 0.1
    assert results[2]["llr"] == pytest.approx(llr, abs=3) and results[2]["llr"] != llr
    capsys.readouterr()
    assert run("model", "zoo/a.wav") == 0
    captured = capsys.readouterr()
    first = captured.out.splitlines()[0]
    assert re.fullmatch(
        r"zoo/a\.wav: (genuine|replayed) "
        r"\(LLR [+-]\d+\.\d\d, bayes threshold \+0\.00, P\(genuine\) 0\.\d{3} at prior 0\.5\): "
        r"[\d.e+]+ times as probable if (spoken live|replayed)",
        first,
    )
    assert f"{llr:+.2f}" in first and ("genuine (" in first) == (llr >= 0)
    assert "LOG (sd-detect) model: Made of random numbers." in captured.err


@pytest.mark.parametrize(
    ("llr", "times"), [(25, "7.2e+10"), (-60, "1.14e+26"), (-12499977.8, "more than 1e+304")]
)
def test_sentence_says_how_many_times(llr, times):
    quality = Quality(2.0, -20.0, 0.0, 1.0, 8000.0, 0.0)
    judgement = Judgement(
        Segment(Recording("a.wav"), None, 0, 2), quality, [], llr, Policy("bayes", 0)
    )
    words = f": {times} times as probable if {'spoken live' if llr > 0 else 'replayed'}"
    assert sentence(judgement).endswith(words)
    assert judgement.posterior == pytest.approx(1 if llr > 0 else 0, abs=1e-9)


@pytest.mark.parametrize("name", ["eer", "false_alarm"])
def test_a_threshold_of_the_model(detector, name):
    llr = load_model("model").score(detector[1], RATE_HZ)
    (result,) = results_of(f"--threshold={name}", "--prior=0.1", "model", "zoo/a.wav")
    threshold = THRESHOLDS[name]["threshold"]
    assert result["decision"] == ("genuine" if llr >= threshold else "replayed")
    posterior = 0.1 * np.exp(llr) / (0.1 * np.exp(llr) + 0.9)
    assert result["posterior"] == pytest.approx(posterior, rel=1e-9)
    assert [result[field] for field in POLICY_FIELDS] == [name, threshold, 0.1, None]


def test_prior_and_costs(detector):
    llr = load_model("model").score(detector[1], RATE_HZ)
    (result,) = results_of("--prior=0.2", "--costs=1,3", "model", "zoo/a.wav")
    policy, threshold, prior, costs = (result[field] for field in POLICY_FIELDS)
    assert (policy, prior, costs) == ("bayes", 0.2, [1, 3])
    assert threshold == pytest.approx(np.log(3 * 0.8 / 0.2), rel=1e-12)
    assert result["decision"] == ("genuine" if llr >= threshold else "replayed")


def test_channels_rate_and_silence(detector, capsys):
    """Both channels by default, one of them silent; a higher rate is no doubt."""
    assert run("model", "zoo/stereo.wav") == 0
    captured = capsys.readouterr()
    one, other = captured.out.splitlines()
    assert one.startswith("zoo/stereo.wav [channel 0]: ") and "kHz" not in one
    assert other == "zoo/stereo.wav [channel 1]: no score, digital silence throughout"
    assert "WARNING" not in captured.err
    assert run("--channel=1", "model", "zoo/stereo.wav") == 0
    assert capsys.readouterr().out == other + "\n"
    assert run("--channel=2", "model", "zoo/stereo.wav") == 1
    assert "zoo/stereo.wav: channel: expected 0..1, found 2" in capsys.readouterr().err


def test_what_cannot_be_judged_has_a_reason_and_no_score(detector):
    judged, silent = results_of("model", "zoo/stereo.wav")
    assert (judged["unusable_reason"], judged["channel"]) == ("", 0)
    assert silent["unusable_reason"].startswith("digital silence") and silent["channel"] == 1
    assert silent["llr"] is silent["decision"] is silent["posterior"] is None
    assert judged.keys() - silent.keys() == set(POLICY_FIELDS)


def test_zeros_do_not_move_the_score_and_are_a_doubt(detector):
    """Zeros before and behind cost no more than the two frames where they begin and end."""
    _, x = detector
    llr = load_model("model").score(x, RATE_HZ)
    for share, doubts in ((0.08, []), (0.2, ["digital silence (19 % of it)"])):
        zeros = np.zeros(int(share / (1 - share) * len(x)) // 2 // 320 * 320)
        soundfile.write("zeros.wav", np.concatenate([zeros, x, zeros]), RATE_HZ)
        (result,) = results_of("model", "zeros.wav")
        assert result["llr"] == pytest.approx(llr, abs=0.1)
        assert result["digital_silence"] == pytest.approx(share, abs=0.02)
        assert result["doubts"] == doubts


def test_a_long_recording_has_a_timeline(detector, capsys):
    _, x = detector
    results = results_of("--window-sec=9", "model", "zoo/long.wav")
    assert [r["start_sec"] for r in results] == [0, 8, 16, 24, 32]
    assert {r["duration_sec"] for r in results} == {8}
    assert [r["llr"] for r in results] == [load_model("model").score(np.tile(x, 4), RATE_HZ)] * 5
    assert run("--window-sec=9", "model", "zoo/long.wav") == 0
    *windows, last = capsys.readouterr().out.splitlines()
    assert windows[1].startswith("zoo/long.wav 0:00:08.0-0:00:16.0: ")
    num_genuine = sum(r["decision"] == "genuine" for r in results)
    assert last == (
        f"zoo/long.wav: {num_genuine} of 5 judged windows genuine, 0 without score; "
        f"lowest LLR {results[0]['llr']:+.2f} at 0:00:00.0"
    )


def test_a_long_silence_has_a_last_line_too(detector, capsys):
    soundfile.write("silence.wav", np.zeros(40 * RATE_HZ), RATE_HZ)
    assert run("model", "silence.wav") == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "silence.wav: none of 2 windows could be judged"


def test_folder_script_file_and_standard_input(detector, capsys):
    assert run("model", "zoo") == 0
    files = {line.split(":")[0].split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert files == {f"zoo/{name}" for name in RECORDINGS}
    with open("wav.scp", "w") as file:
        file.write("u1 zoo/a.wav\nu2 zoo/half.wav\n")
    assert run("model", "scp:wav.scp") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert second.startswith("u2 zoo/half.wav: ") and second.endswith("; short (0.50 s)")
    command = [sys.executable, "-m", "sdtools.bin.detect", "model", "-"]
    with open("zoo/a.wav", "rb") as file:
        piped = subprocess.run(command, stdin=file, capture_output=True, text=True, timeout=120)
    assert piped.returncode == 0 and piped.stdout.startswith("-: ")
    assert first.split(": ", 1)[1] in piped.stdout


def test_a_stream_is_judged_in_overlapping_windows(detector):
    """Raw samples and WAV, each line with its time; the same scores as from the samples."""
    _, x = detector
    x = np.tile(x, 3)[: 5 * RATE_HZ]
    soundfile.write("five.wav", x, RATE_HZ)
    model = load_model("model")
    command = [sys.executable, "-m", "sdtools.bin.detect", "--window-sec=2", "--shift-sec=1.5"]
    for options, name in ((["--raw=s16le,16000,1"], "five.raw"), ([], "five.wav")):
        (np.round(x * 2**15)).astype("<i2").tofile("five.raw")
        more = ["--format=kaldi", *options, "model", "-"]
        with open(name, "rb") as file:
            out = subprocess.check_output([*command, *more], stdin=file, text=True, timeout=120)
        lines = dict(line.split() for line in out.splitlines())
        assert list(lines) == [
            "stdin-0000000-0000200",
            "stdin-0000150-0000350",
            "stdin-0000300-0000500",
        ]
        for start_sec, llr in zip((0, 1.5, 3), lines.values()):
            first = int(start_sec * RATE_HZ)
            want = model.score(x[first : first + 2 * RATE_HZ], RATE_HZ)
            assert float(llr) == pytest.approx(want, abs=1e-9)
    results = results_of("--window-sec=2", "--shift-sec=1.5", "model", "five.wav")
    assert [result["start_sec"] for result in results] == [0, 1.5, 3]


def write_bad_files(x):
    """Recordings that cannot be judged, and what the error line of each holds."""

    def write(path, data):
        with open(path, "wb") as file:
            file.write(data)

    write("text.wav", b"no sound at all\n")
    write("a\nb.wav", b"no sound\n")
    soundfile.write("8k.wav", x[::2], 8000)
    for name, kind in (("cut.wav", "WAV"), ("cut.aiff", "AIFF")):
        soundfile.write("whole", x, RATE_HZ, format=kind)
        with open("whole", "rb") as file:
            write(name, file.read()[: len(x)])
    with open("zoo/deep/a.flac", "rb") as file:
        write("cut.flac", file.read()[:20000])
    with_nan = np.where(np.arange(len(x)) == 77, np.nan, x)
    soundfile.write("nan.wav", with_nan, RATE_HZ, subtype="FLOAT")
    soundfile.write("empty.wav", x[:0], RATE_HZ)
    return {
        "text.wav": r"text\.wav: sound: .*Format not recognised",
        "a\nb.wav": r"a\\nb\.wav: sound: .*Format not recognised",
        "8k.wav": r"8k\.wav: sample rate: .*16000 Hz or more.*8000 Hz.*--allow-narrowband=true",
        "cut.wav": r"cut\.wav: the file is cut short: .* samples",
        "cut.aiff": r"cut\.aiff: the file is cut short: .* samples",
        "cut.flac": r"cut\.flac: (sound|the file is cut short): ",
        "nan.wav": r"nan\.wav: sample 77 .*finite number.*nan",
        "empty.wav": r"empty\.wav: number of samples: .*1 or more.*0",
        "absent.wav": r"absent\.wav: no such file",
    }


def test_what_cannot_be_read_is_reported_and_the_rest_judged(detector, capsys):
    bad = write_bad_files(detector[1])
    assert run("model", *bad, "zoo/half.wav") == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("zoo/half.wav: ") and len(captured.out.splitlines()) == 1
    errors = [line for line in captured.err.splitlines() if line.startswith("ERROR")]
    assert len(errors) == len(bad) and "Traceback" not in captured.err
    for words, line in zip(bad.values(), errors):
        assert re.match(rf"ERROR \(sd-detect\) {words}", line)
    assert f"done 1 judgements, {len(bad)} recordings skipped" in captured.err
    assert run("--allow-narrowband", "model", "8k.wav") == 0
    assert "narrow-band" in capsys.readouterr().out


def test_a_folder_without_sounds_and_an_output_that_cannot_be_written(detector, tmp_path, capsys):
    assert run("model", "zoo/a.wav", str(tmp_path)) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and f"{tmp_path}: this folder has no sound file" in captured.err
    assert run("--resume=absent/out.txt", "model", "zoo/a.wav") == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "absent/out.txt" in captured.err


def test_a_length_that_no_header_tells(detector, capsys):
    """FLAC as an encoder writes it into a pipe is judged like any other."""
    with open("zoo/deep/a.flac", "rb") as file:
        data = bytearray(file.read())
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    with open("piped.flac", "wb") as file:
        file.write(data)
    assert run("model", "piped.flac", "zoo/deep/a.flac") == 0
    lines = capsys.readouterr().out.splitlines()
    piped = [line.removeprefix("piped.flac: ") for line in lines if line.startswith("piped")]
    assert piped
    assert piped == [line.split("a.flac: ")[1] for line in lines if line.startswith("zoo")]


def test_samples_that_features_refuse_are_reported_with_their_file(detector, monkeypatch, capsys):
    def refuse(*_):
        raise ValueError("no features")

    loaded = load_model("model")
    monkeypatch.setattr("sdtools.bin.detect.load_model", lambda _: loaded)
    monkeypatch.setattr("sdtools.detect.model.System.score", refuse)
    assert run("model", "zoo/a.wav", "zoo/half.wav") == 1
    err = capsys.readouterr().err
    assert "zoo/a.wav: no features" in err and "zoo/half.wav: no features" in err


def test_a_window_that_is_bad_keeps_those_before(detector):
    late = np.concatenate([np.tile(detector[1], 10), [np.nan] * 100])
    soundfile.write("late.wav", late, RATE_HZ, subtype="FLOAT")
    first, *_ = results_of("--window-sec=9", "model", "late.wav", status=1)
    assert first["start_sec"] == 0 and first["llr"] is not None


def test_a_threshold_that_nothing_passes(detector, tmp_path, capsys):
    thresholds = {"eer": {"threshold": "inf", "p_miss": 1, "p_false_alarm": 0}}
    strict = tmp_path / "strict"
    write_tiny_model(strict, tmp_path / "sources", thresholds)
    (result,) = results_of("--threshold=eer", str(strict), "zoo/a.wav")
    assert result["threshold"] == "inf"
    assert run("--threshold=eer", str(strict), "zoo/a.wav") == 0
    captured = capsys.readouterr()
    assert f"WARNING (sd-detect) {strict}: the threshold eer is infinite" in captured.err
    assert "replayed (" in captured.out
    assert run("--threshold=false_alarm", str(strict), "zoo/a.wav") == 1
    assert f"{strict}: threshold: expected eer, found false_alarm" in capsys.readouterr().err


def test_commands_of_a_script_file_run_only_if_allowed(detector, capsys):
    with open("pipe.scp", "w") as file:
        file.write("u1 cat zoo/a.wav |\n")
    assert run("model", "scp:pipe.scp") == 1
    assert "Use --allow-pipes=true" in capsys.readouterr().err
    assert run("--allow-pipes", "model", "scp:pipe.scp") == 0


def test_threads_change_neither_lines_nor_their_order(detector, capsys):
    soundfile.write("late.wav", np.r_[np.tile(detector[1], 10), np.nan], RATE_HZ, subtype="FLOAT")
    argv = ["--window-sec=9", "--max-skip=1", "model", "zoo", "late.wav", "zoo/a.wav"]
    outs = set()
    for num_threads in (1, 2, 5):
        assert run(f"--num-threads={num_threads}", *argv) == 0
        captured = capsys.readouterr()
        outs.add(captured.out)
        assert "WARNING (sd-detect) skipped late.wav: sample 320000 " in captured.err
    (out,) = outs
    assert out.count("zoo/a.wav: ") == 2 and out.count("late.wav 0:00:") == 2


def test_max_skip(detector, capsys):
    """Every recording is tried; the status tells whether too many have no result."""
    argv = ["model", "absent.wav", "zoo/a.wav", "gone.wav", "zoo/half.wav"]
    for max_skip, status in ((1, 1), (2, 0)):
        assert run(f"--max-skip={max_skip}", *argv) == status
        captured = capsys.readouterr()
        assert [line.split(":")[0] for line in captured.out.splitlines()] == argv[2::2]
        assert captured.err.count("ERROR") == 2 - max_skip
        assert captured.err.count("WARNING (sd-detect) skipped ") == max_skip
        assert "done 2 judgements, 2 recordings skipped" in captured.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--prior=1", "--prior: expected more than 0 and less than 1, found 1.0"),
        ("--window-sec=0.5", "--window-sec: expected 1 to 3600, found 0.5"),
        (
            "--shift-sec=0",
            "--shift-sec: expected more than 0 and at most --window-sec, 30, found 0",
        ),
        ("--shift-sec=31", "--shift-sec: expected more than 0 and at most --window-sec, 30, found"),
        ("--raw=s16le", "--raw: expected <format>,<rate>,<channels> such as s16le,16000,1, "),
        ("--raw=u8,8000,1", "--raw: expected - among the sound files, for standard input"),
        ("--num-threads=0", "--num-threads: expected 1 or more, found 0"),
        ("--max-skip=-1", "--max-skip: expected 0 or more, found -1"),
        ("--format=csv", "--format: expected text or jsonl or kaldi, found 'csv'"),
        ("--threshold=best", "--threshold: expected bayes or eer or false_alarm, found 'best'"),
        ("--costs=1", "--costs: expected Cmiss,Cfa, two positive numbers, found 1"),
        ("--costs=1,0", "--costs: expected Cmiss,Cfa, two positive numbers, found 1,0"),
    ],
)
def test_settings_that_are_refused(detector, capsys, option, message):
    assert run(option, "model", "zoo/a.wav") == 1
    assert message in capsys.readouterr().err


def test_a_stream_cannot_be_resumed(detector, capsys, tmp_path):
    assert run(f"--resume={tmp_path}/out", "model", "-") == 1
    assert "--resume: expected recordings that can be read again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_costs_do_not_move_a_threshold_of_the_model(detector, capsys):
    assert run("--threshold=eer", "--costs=1,9", "model", "zoo/a.wav") == 1
    assert "--threshold=eer: expected no costs, found also --costs=1,9" in capsys.readouterr().err


def test_info(detector, capsys):
    assert run("--info", "model") == 0
    about = json.loads(capsys.readouterr().out)
    assert about["note"] == "Made of random numbers." and "files" not in about
    assert about["thresholds"]["thresholds"] == THRESHOLDS
    assert run("model") == 1
    assert "sound files: expected one or more, or --info, found none" in capsys.readouterr().err
    assert run("model", "") == 1
    assert "sound file: the name is empty" in capsys.readouterr().err


def test_info_shows_what_decisions_cost(detector, tmp_path, capsys):
    deployment = make_deployment()
    write_tiny_model(tmp_path / "model", tmp_path / "sources", deployment=deployment)
    assert run("--info", str(tmp_path / "model")) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["deployment"] == deployment.to_json()
    for name, *cells in deployment.rows()[1:]:
        (line,) = [text for text in captured.err.splitlines() if all(c in text for c in cells)]
        assert line.startswith(f"LOG (sd-detect) {name} ")
    assert "WARNING" not in captured.err
    assert run("--info", "model") == 0  # of an older version
    assert "Error rates" not in capsys.readouterr().err


def test_a_calibration_that_failed_is_a_doubt_in_every_line(detector, tmp_path, capsys):
    deployment = make_deployment(eval_shift=3)
    write_tiny_model(tmp_path / "model", tmp_path / "sources", deployment=deployment)
    doubt = f"the model's calibration failed its eval ({deployment.failures[0]})"
    results = results_of("--window-sec=9", str(tmp_path / "model"), "zoo/a.wav", "zoo/long.wav")
    assert len(results) == 6 and all(doubt in result["doubts"] for result in results)
    capsys.readouterr()
    assert run("--window-sec=9", str(tmp_path / "model"), "zoo/a.wav", "zoo/long.wav") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "(LLR" in line]
    assert len(lines) == 6 and all(f"; {doubt}" in line for line in lines)
    assert run("--info", str(tmp_path / "model")) == 0
    err = capsys.readouterr().err
    assert re.search(r"WARNING \(sd-detect\) .*model: the calibration failed its eval: ", err)


def test_thresholds_of_a_deployment_decide(detector, tmp_path):
    deployment = make_deployment()
    write_tiny_model(tmp_path / "model", tmp_path / "sources", deployment=deployment)
    for name in ("eer", "false_alarm"):
        (result,) = results_of(f"--threshold={name}", str(tmp_path / "model"), "zoo/a.wav")
        assert result["threshold"] == deployment.thresholds[name]


def test_a_model_directory_of_another_place(detector, tmp_path):
    shutil.copytree("model", tmp_path / "copy")
    (result,) = results_of(str(tmp_path / "copy"), "zoo/a.wav")
    assert result["llr"] == load_model("model").score(detector[1], RATE_HZ)
