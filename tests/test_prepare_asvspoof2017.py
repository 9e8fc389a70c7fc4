import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "local" / "prepare_asvspoof2017.py"
PROTOCOLS = {
    "train.trn": [
        "T_1000001.wav genuine M0010 S05 - - -",
        "T_1000002.wav spoof M0002 S10 E03 P01 R01",
        "T_1000003.wav genuine M0002 S01 - - -",
    ],
    "dev.trl": ["D_1000001.wav genuine M0011 S06 - - -", "D_1000002.wav spoof M0011 S06 E05 P08 R04"],
    "eval.trl": ["E_1000001.wav spoof M0029 S03 E19 P22 R22", "E_1000002.wav genuine M0029 S03 - - -"],
}


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus" / "protocol_V2").mkdir(parents=True)
    for name in PROTOCOLS:
        write_protocol(tmp_path / "corpus", name, PROTOCOLS[name])
        folder = tmp_path / "corpus" / f"ASVspoof2017_V2_{name[:-4]}"
        folder.mkdir()
        for line in PROTOCOLS[name]:
            (folder / line.split()[0]).touch()
    return tmp_path / "corpus"


def write_protocol(corpus, name, lines):
    path = corpus / "protocol_V2" / f"ASVspoof2017_V2_{name}.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def prepare(*args):
    return subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True)


def refused(corpus):
    done = prepare(corpus, corpus.parent / "data")
    assert done.returncode == 1 and done.stdout == "" and not (corpus.parent / "data").exists()
    assert done.stderr.startswith("prepare_asvspoof2017.py: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_tables_are_complete_and_sorted(corpus, tmp_path):
    done = prepare(corpus, tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "prepare_asvspoof2017.py: train: 2 genuine, 1 replayed"
    wav = corpus / "ASVspoof2017_V2_train"
    want = {
        "wav.scp": [
            f"M0002-T_1000002 {wav}/T_1000002.wav",
            f"M0002-T_1000003 {wav}/T_1000003.wav",
            f"M0010-T_1000001 {wav}/T_1000001.wav",
        ],
        "utt2spk": ["M0002-T_1000002 M0002", "M0002-T_1000003 M0002", "M0010-T_1000001 M0010"],
        "spk2utt": ["M0002 M0002-T_1000002 M0002-T_1000003", "M0010 M0010-T_1000001"],
        "utt2label": ["M0002-T_1000002 spoof", "M0002-T_1000003 genuine", "M0010-T_1000001 genuine"],
        "utt2phrase": ["M0002-T_1000002 S10", "M0002-T_1000003 S01", "M0010-T_1000001 S05"],
        "utt2env": ["M0002-T_1000002 E03", "M0002-T_1000003 -", "M0010-T_1000001 -"],
        "utt2playback": ["M0002-T_1000002 P01", "M0002-T_1000003 -", "M0010-T_1000001 -"],
        "utt2recorder": ["M0002-T_1000002 R01", "M0002-T_1000003 -", "M0010-T_1000001 -"],
    }
    assert {path.name: path.read_text() for path in (tmp_path / "data" / "train").iterdir()} == {
        name: "".join(f"{line}\n" for line in lines) for name, lines in want.items()
    }
    assert (tmp_path / "data" / "eval" / "utt2label").read_text() == "M0029-E_1000001 spoof\nM0029-E_1000002 genuine\n"


def test_corpus_may_be_given_relative_and_again(corpus, tmp_path):
    for _ in range(2):
        done = subprocess.run([sys.executable, SCRIPT, "corpus", "data"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "dev" / "wav.scp").read_text().split()[1] == f"{corpus}/ASVspoof2017_V2_dev/D_1000001.wav"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "D_1000003.wav genuine M0011 S06",
            "columns: got 4, need 7 (file label speaker phrase environment playback recorder); likely a protocol",
        ),
        ("", "columns: got 0, need 7"),
        ("T_1000003.wav genuine M0011 S06 - - -", r"file: got T_1000003.wav, need D_\d+\.wav"),
        ("D_1000003.wav human M0011 S06 - - -", "label: got human, need genuine|spoof"),
        ("D_1000003.wav genuine M-11 S06 - - -", r"speaker: got M-11, need \w+"),
        ("D_1000003.wav genuine M0011 ä - - -", r"phrase: got ä, need \w+"),
        ("D_1000003.wav genuine M0011 S06 E01 - -", "environment: got E01, need - where the label is genuine. Correct the line"),
        ("D_1000003.wav spoof M0011 S06 E01 P01 -", r"recorder: got -, need \w+ where the label is spoof"),
        ("D_1000002.wav genuine M0012 S06 - - -", "file: got D_1000002.wav again, need each once"),
    ],
)
def test_wrong_line_is_named(corpus, line, message):
    path = write_protocol(corpus, "dev.trl", [*PROTOCOLS["dev.trl"], line])
    assert f"{path}:3: {message}" in refused(corpus)


def test_missing_sounds_are_counted_and_the_first_is_named(corpus):
    for name in ("T_1000002.wav", "T_1000003.wav"):
        (corpus / "ASVspoof2017_V2_train" / name).unlink()
    assert "ASVspoof2017_V2_train/T_1000002.wav: got nothing, nor 1 others of ASVspoof2017_V2_train.trn.txt" in refused(corpus)


def test_empty_or_missing_protocol(corpus):
    path = write_protocol(corpus, "eval.trl", [])
    assert f"{path}: got no line, need one for each utterance" in refused(corpus)
    path.unlink()
    assert "No such file or directory" in refused(corpus) and str(path) in refused(corpus)


def test_usage():
    assert prepare("corpus").stderr == "prepare_asvspoof2017.py: the following arguments are required: <data-dir>. Try --help\n"
    assert prepare("--bits=8", "a", "b").returncode == 1
    shown = prepare("--help")
    assert shown.returncode == 0 and "Example: local/prepare_asvspoof2017.py /corpora/ASVspoof2017_V2 data" in shown.stdout
