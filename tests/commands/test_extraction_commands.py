"""sd-compute-*-feats against the extractors of the library, and sd-filterbank."""

import re
from pathlib import Path

import numpy as np
import pytest

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.bin import (
    compute_cqcc_feats,
    compute_feats,
    compute_modulation_feats,
    compute_tc_feats,
    filterbank,
)
from sdtools.features.cqcc import CqccExtractor, CqccOptions
from sdtools.features.fdlp import FdlpExtractor
from sdtools.features.modulation import ModulationExtractor
from sdtools.features.subbands import TriangularExtractor
from sdtools.features.triangular import TriangularOptions
from sdtools.tables.table import open_table

ROOT = Path(__file__).parents[2]
RATE_HZ = 16000
BANDS = TriangularOptions(num_ceps=20)
COMMANDS = {
    "cqcc": (
        compute_cqcc_feats,
        ["--num-ceps=13"],
        CqccExtractor(CqccOptions(num_ceps=13), sample_rate_hz=RATE_HZ),
        "--frame-shift-ms=8.5",
    ),
    "tc": (
        compute_tc_feats,
        ["--num-ceps=20"],
        FdlpExtractor(BANDS, sample_rate_hz=RATE_HZ),
        "--poles-per-sec=100.0",
    ),
    "modulation": (
        compute_modulation_feats,
        ["--num-ceps=20"],
        ModulationExtractor(BANDS, sample_rate_hz=RATE_HZ),
        "--modulation-window-ms=500.0",
    ),
    "triangular": (
        compute_feats,
        ["--bank=triangular", "--features=cm", "--orders=0,6"],
        TriangularExtractor(sample_rate_hz=RATE_HZ, orders=(0, 6)),
        "--bank=triangular",
    ),
}


def noise(num_samples, seed=0):
    samples = 0.1 * np.random.default_rng(seed).standard_normal(num_samples)
    return np.clip(samples, -1, 1)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """wav.scp with recordings of noise, of different lengths, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for i, num_samples in enumerate((544, 3001, 6400)):
        write_audio(f"{i}.wav", noise(num_samples, i), RATE_HZ)
    Path("wav.scp").write_text("".join(f"utt-{i} {i}.wav\n" for i in range(3)))


@pytest.mark.parametrize("name", COMMANDS)
def test_features_are_those_of_the_library_whatever_the_threads(recordings, name):
    command, options, extractor, setting = COMMANDS[name]
    for num_threads in (1, 3):
        argv = [f"--num-threads={num_threads}", *options]
        assert command.main([*argv, "scp:wav.scp", f"ark:{{system}}.{num_threads}.ark"]) == 0
    for output in extractor.output_names:
        assert Path(f"{output}.1.ark").read_bytes() == Path(f"{output}.3.ark").read_bytes()
        with open_table(f"ark:{output}.1.ark") as table:
            for i, entry in enumerate(table):
                samples, _ = load_audio(f"{i}.wav")
                np.testing.assert_array_equal(entry.load(), extractor(samples)[output])
        settings = Path(f"{output}.1.ark.conf").read_text().splitlines()
        assert {setting, "--sample-rate-hz=16000"} <= set(settings)
        assert command.main([f"--config={output}.1.ark.conf", "scp:wav.scp", "ark:again.ark"]) == 0
        assert Path("again.ark").read_bytes() == Path(f"{output}.1.ark").read_bytes()


def test_bad_recordings_are_one_line_or_a_counted_skip(recordings, capsys):
    write_audio("short.wav", noise(543), RATE_HZ)
    write_audio("rate.wav", noise(800), 8000)
    for name, needs in (("short", ("543", "544")), ("rate", ("8000 Hz", "16000 Hz"))):
        Path("bad.scp").write_text(f"{name} {name}.wav\nutt 2.wav\n")
        argv = ["--print-args=false", "scp:bad.scp", "ark:out.ark"]
        assert compute_cqcc_feats.main(argv) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert all(need in line for need in needs) and f"{name} (bad.scp:1): " in line
        assert not Path("out.ark").exists()
    assert compute_cqcc_feats.main(["--max-skip=1", "scp:bad.scp", "ark:out.ark"]) == 0
    assert "done 1 of 2, 1 skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "argv", "words"),
    [
        ("modulation", ["ark:y"], ["ark:y", "{system}"]),
        ("modulation", ["--features=mcf,mcf", "ark:{system}"], ["--features", "mcf,mcf"]),
        ("modulation", ["--features=cf", "ark:{system}"], ["--features", "mcf or mse or stcc"]),
        ("modulation", ["--num-threads=0", "ark:{system}"], ["--num-threads", "1 or more"]),
        ("tc", ["--num-threads=0", "ark:y"], ["--num-threads", "1 or more"]),
        ("cqcc", ["--num-threads=0", "ark:y"], ["--num-threads", "1 or more"]),
        ("cqcc", ["--sample-rate-hz=0", "ark:y"], ["--sample-rate-hz", "1 or more"]),
        ("triangular", ["--bank=gabor", "ark:y"], ["--bank", "'gabor'", "iir or triangular"]),
    ],
)
def test_settings_that_make_no_features(recordings, name, argv, words, capsys):
    assert COMMANDS[name][0].main([*argv[:-1], "scp:wav.scp", argv[-1]]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("ERROR (sd-compute-") and all(word in line for word in words)


# --- sd-filterbank


def test_commands_in_the_page_on_differentiation_print_what_it_shows(capsys):
    page = (ROOT / "docs" / "differentiation.md").read_text()
    blocks = re.findall(r"```sh\nsd-filterbank ([^\n]+)\n```\n```text\n(.+?)```\n", page, re.DOTALL)
    assert len(blocks) == 2
    for command_line, output in blocks:
        assert filterbank.main(command_line.split()) == 0
        assert capsys.readouterr().out == output


def test_filterbank_draws_the_whole_picture_or_none(tmp_path, capsys):
    argv = ["--num-filters=4", "--orders=0,2"]
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        assert filterbank.main([*argv, f"--plot={tmp_path}/{name}"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4 * (1 + 4 * 2)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert filterbank.main([f"--plot={tmp_path}/none/a.svg", *argv]) == 1
    assert f"{tmp_path}/none/a.svg" in capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--orders=-1", ["--orders", "'-1'", "from 0"]),
        ("--orders=", ["--orders", "''"]),
        ("--filters=0", ["--filters", "'0'", "from 1"]),
        ("--filters=5,5", ["--filters", "'5,5'"]),
        ("--filters=81", ["--filters", "81", "at most 80"]),
        ("--sample-rate-hz=0", ["--sample-rate-hz", "1 or more"]),
        ("--plot=a.pdf", ["--plot", "'a.pdf'", ".svg or .png"]),
    ],
)
def test_settings_that_make_no_table(option, words, capsys):
    assert filterbank.main([option]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert all(word in line for word in words)


def test_digital_silence_is_left_out_unless_asked(recordings, capsys):
    """Frames, their numbers and the setting; the duration is that of the recording."""
    write_audio("0.wav", np.concatenate([np.zeros(8000), noise(8000)]), RATE_HZ)
    write_audio("1.wav", np.zeros(8000), RATE_HZ)
    argv = ["--features=cf", "--orders=0", "--write-num-frames=ark,t:frames"]
    argv += ["--write-utt2dur=ark,t:utt2dur"]
    assert compute_feats.main([*argv, "--max-skip=1", "scp:wav.scp", "ark:skip.ark"]) == 0
    assert "skipped utt-1 " in (err := capsys.readouterr().err)
    assert "every frame is digital silence" in err
    assert Path("frames").read_text().split() == ["utt-0", "49", "utt-2", "39"]
    assert Path("utt2dur").read_text().split()[:2] == ["utt-0", "1"]
    keep = "--skip-digital-silence=false"
    assert compute_feats.main([*argv, keep, "scp:wav.scp", "ark:keep.ark"]) == 0
    assert Path("frames").read_text().split() == ["utt-0", "99", "utt-1", "49", "utt-2", "39"]
    for name, lines in (("skip", "true"), ("keep", "false")):
        assert f"--skip-digital-silence={lines}\n" in Path(f"{name}.ark.conf").read_text()
    with open_table("ark:skip.ark") as skipped, open_table("ark:keep.ark") as kept:
        short, whole = (next(iter(table)).load() for table in (skipped, kept))
    np.testing.assert_array_equal(short, whole[50:])
