import re
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scripts import run_script

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "local" / "prepare_asvspoof2017.py"
PROTOCOLS = {
    "train": [
        "T_1000001.wav genuine M0010 S05 - - -",
        "T_1000002.wav spoof M0002 S10 E03 P01 R01",
        "T_1000003.wav genuine M0002 S01 - - -",
    ],
    "dev": ["D_1000001.wav genuine M0011 S06 - - -", "D_1000002.wav spoof M0011 S06 E05 P08 R04"],
    "eval": ["E_1000001.wav spoof M0029 S03 E19 P22 R22", "E_1000002.wav genuine M0029 S03 - - -"],
}
SETS = tuple(PROTOCOLS)
SUFFIX = {"train": "trn", "dev": "trl", "eval": "trl"}
ALL_TABLES = {
    "wav.scp",
    "utt2spk",
    "spk2utt",
    "utt2label",
    "utt2phrase",
    "utt2env",
    "utt2playback",
    "utt2recorder",
}


def places(protocol, folder):
    return {name: (protocol.format(name, SUFFIX[name]), folder.format(name)) for name in PROTOCOLS}


V2 = places("protocol_V2/ASVspoof2017_V2_{}.{}.txt", "ASVspoof2017_V2_{}")
V1 = places("protocol/ASVspoof2017_{}.{}.txt", "ASVspoof2017_{}")
KEY = "ASVspoof2017_eval_v2_key.trl.txt"
LAYOUTS = {
    "V2": V2,
    "V2, zips unpacked into folders of their own": places(
        "protocol_V2/protocol_V2/ASVspoof2017_V2_{}.{}.txt",
        "ASVspoof2017_V2_{0}/ASVspoof2017_V2_{0}",
    ),
    "V2, protocols beside the sets, without .txt": places(
        "ASVspoof2017_V2_{}.{}", "ASVspoof2017_V2_{}"
    ),
    "V2, trl for every set, labels/": places(
        "labels/ASVspoof2017_V2_{}.trl.txt", "ASVspoof2017_V2_{}"
    ),
    "V2, trn for every set, wav/": places("protocols/ASVspoof2017_V2_{}.trn", "wav/{}"),
    "V1": V1,
    "V1, Protocol/, zips, the key of eval": places(
        "Protocol/ASVspoof2017_{}.{}.txt", "ASVspoof2017_{0}/ASVspoof2017_{0}"
    )
    | {"eval": (f"Protocol/{KEY}", "ASVspoof2017_eval")},
    "V1, as the challenge released it": places(
        "ASVspoof2017_train_dev/protocol/ASVspoof2017_{}.{}", "ASVspoof2017_train_dev/wav/{}"
    )
    | {"eval": ("ASVspoof2017_eval/protocol/KEY_ASVspoof2017_eval_V2.trl", "ASVspoof2017_eval")},
    "V1, the key beside the sound files": V1
    | {"eval": (f"ASVspoof2017_eval/{KEY}", "ASVspoof2017_eval")},
}


def make(corpus, layout=V2, protocols=PROTOCOLS):
    for name, (protocol, folder) in layout.items():
        (corpus / protocol).parent.mkdir(parents=True, exist_ok=True)
        (corpus / protocol).write_text("".join(f"{line}\n" for line in protocols[name]))
        for line in PROTOCOLS[name]:
            write_wav(corpus / folder / line.split()[0])
    return corpus


def write_wav(path, rate_hz=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(bytes(8))


@pytest.fixture
def corpus(tmp_path):
    return make(tmp_path / "corpus")


def protocol_of(corpus, name):
    return corpus / V2[name][0]


def write_protocol(corpus, name, lines):
    protocol_of(corpus, name).write_text("".join(f"{line}\n" for line in lines))
    return protocol_of(corpus, name)


def prepare(*args, cwd=None):
    return run_script(SCRIPT, *args, cwd=cwd)


def prepared(root, data):
    done = prepare(root, data)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    return [line.removeprefix("prepare_asvspoof2017.py: ") for line in done.stderr.splitlines()]


def validate(data):
    script = ROOT / "utils" / "validate_data_dir.py"
    for name in PROTOCOLS:
        words = [sys.executable, script, "--no-feats", "--no-text", data / name]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def says(line, *words):
    """Assert that a line has these words and whole numbers."""
    for word in words:
        pattern = rf"\b{word}\b" if isinstance(word, int) else re.escape(str(word))
        assert re.search(pattern, line), f"{word!r} is not in {line!r}"


def one_says(lines, *words):
    """Assert that one line, and only one, has the first word, and the others, too."""
    (line,) = [line for line in lines if str(words[0]) in line]
    says(line, *words)


def refused(root, *words, data=None):
    """Assert that a corpus is refused in one line that has these words."""
    data = data or root.parent / "data"
    done = prepare(root, data)
    assert done.returncode == 1 and done.stdout == "" and not data.exists()
    assert done.stderr.startswith("prepare_asvspoof2017.py: ") and done.stderr.count("\n") == 1
    says(done.stderr, *words)


def tables(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_tables_are_complete_and_sorted(corpus, tmp_path):
    said = prepared(corpus, tmp_path / "data")
    assert len(said) == 3
    for line, *words in zip(
        said, SETS, (2, 1, 1), (1, 1, 1), (1507, 760, 1298), (1507, 950, 12008)
    ):
        says(line, *words)
    validate(tmp_path / "data")
    wav = corpus / "ASVspoof2017_V2_train"
    want = {
        "wav.scp": [
            f"M0002-T_1000002 {wav}/T_1000002.wav",
            f"M0002-T_1000003 {wav}/T_1000003.wav",
            f"M0010-T_1000001 {wav}/T_1000001.wav",
        ],
        "utt2spk": ["M0002-T_1000002 M0002", "M0002-T_1000003 M0002", "M0010-T_1000001 M0010"],
        "spk2utt": ["M0002 M0002-T_1000002 M0002-T_1000003", "M0010 M0010-T_1000001"],
        "utt2label": [
            "M0002-T_1000002 spoof",
            "M0002-T_1000003 genuine",
            "M0010-T_1000001 genuine",
        ],
        "utt2phrase": ["M0002-T_1000002 S10", "M0002-T_1000003 S01", "M0010-T_1000001 S05"],
        "utt2env": ["M0002-T_1000002 E03", "M0002-T_1000003 -", "M0010-T_1000001 -"],
        "utt2playback": ["M0002-T_1000002 P01", "M0002-T_1000003 -", "M0010-T_1000001 -"],
        "utt2recorder": ["M0002-T_1000002 R01", "M0002-T_1000003 -", "M0010-T_1000001 -"],
    }
    assert tables(tmp_path / "data" / "train") == {
        name: "".join(f"{line}\n" for line in lines) for name, lines in want.items()
    }
    labels = (tmp_path / "data" / "eval" / "utt2label").read_text()
    assert labels == "M0029-E_1000001 spoof\nM0029-E_1000002 genuine\n"


def test_corpus_may_be_given_relative_and_again(corpus, tmp_path):
    for _ in range(2):
        done = prepare("corpus", "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    first = (tmp_path / "data" / "dev" / "wav.scp").read_text().split()[1]
    assert first == f"{corpus}/ASVspoof2017_V2_dev/D_1000001.wav"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    corpus = make(tmp_path / "corpus", LAYOUTS[layout])
    said = prepared(corpus, tmp_path / "data")
    is_old = layout.startswith("V1")
    assert len(said) == 3 + is_old
    if is_old:
        says(said[0], corpus, "Version 1 ")
    one_says(said, "train", 2, 1, 1508 if is_old else 1507)
    for name, (_, folder) in LAYOUTS[layout].items():
        data = tables(tmp_path / "data" / name)
        assert data.keys() == ALL_TABLES
        folders = {Path(line.split()[1]).parent for line in data["wav.scp"].splitlines()}
        assert folders == {corpus / folder}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_root_may_be_the_folder_above_or_one_below(tmp_path, layout):
    corpus = make(tmp_path / "above" / "corpus", LAYOUTS[layout])
    inside = next(path for path in sorted(corpus.iterdir()) if path.is_dir())
    for i, root in enumerate((corpus.parent, inside)):
        said = prepared(root, tmp_path / f"data{i}")
        says(said[0], f"{corpus}: ", "Version 1 " if layout.startswith("V1") else "Version 2.0")
    assert tables(tmp_path / "data0" / "train") == tables(tmp_path / "data1" / "train")


def test_version_2_is_taken_where_both_are(corpus, tmp_path):
    make(corpus, V1)
    said = prepared(corpus, tmp_path / "data")
    says(said[0], corpus, "Version 2.0", "Version 1 ")
    assert "ASVspoof2017_V2_train/" in (tmp_path / "data" / "train" / "wav.scp").read_text()


def test_key_of_eval_is_taken_before_the_list_without_labels(tmp_path):
    corpus = make(tmp_path / "corpus", V1)
    (corpus / "protocol" / "ASVspoof2017_eval.trl.txt").rename(corpus / "protocol" / KEY)
    (corpus / "protocol" / "ASVspoof2017_eval_v2.trl.txt").write_text(
        "E_1000001.wav S03\nE_1000002.wav S03\n"
    )
    one_says(prepared(corpus, tmp_path / "data"), "eval: 1 genuine, 1 replayed")


def test_links_to_one_place_are_one(corpus, tmp_path):
    (corpus / "protocol").symlink_to("protocol_V2")
    (corpus / "wav").mkdir()
    (corpus / "wav" / "train").symlink_to("../ASVspoof2017_V2_train")
    (tmp_path / "link").symlink_to("corpus")
    one_says(prepared(tmp_path, tmp_path / "data"), "dev: 1 genuine, 1 replayed")


@pytest.mark.parametrize("number", [2, 3, 4])
def test_protocols_with_fewer_columns(tmp_path, number):
    shorter = {
        name: [" ".join(line.split()[:number]) for line in lines]
        for name, lines in PROTOCOLS.items()
    }
    said = prepared(make(tmp_path / "corpus", V1, shorter), tmp_path / "data")
    one_says(said, "train: 2 genuine, 1 replayed")
    validate(tmp_path / "data")
    data = tables(tmp_path / "data" / "train")
    fourth = {"utt2phrase"} if number == 4 else set()
    assert data.keys() == {"wav.scp", "utt2spk", "spk2utt", "utt2label"} | fourth
    if number == 2:
        assert data["utt2spk"].splitlines()[1:] == ["T_1000002 T_1000002", "T_1000003 T_1000003"]
        assert data["utt2label"] == "T_1000001 genuine\nT_1000002 spoof\nT_1000003 genuine\n"
    else:
        others = ["M0002-T_1000003 M0002", "M0010-T_1000001 M0010"]
        assert data["utt2spk"].splitlines()[1:] == others


@pytest.mark.parametrize(
    "line", ["E_1000001.wav", "E_1000001.wav - - - - - -", "E_1000001.wav -", "E_1000001.wav S03"]
)
def test_eval_without_labels(corpus, tmp_path, line):
    prepared(corpus, tmp_path / "data")
    assert tables(tmp_path / "data" / "eval").keys() == ALL_TABLES
    write_protocol(corpus, "eval", [line, line.replace("1.wav", "2.wav")])
    said = prepared(corpus, tmp_path / "data")
    validate(tmp_path / "data")
    says(said[-1], "eval", 2, "label", 13306)
    folder = corpus / "ASVspoof2017_V2_eval"
    own = "E_1000001 E_1000001\nE_1000002 E_1000002\n"
    want = {
        "wav.scp": f"E_1000001 {folder}/E_1000001.wav\nE_1000002 {folder}/E_1000002.wav\n",
        "utt2spk": own,
        "spk2utt": own,
    }
    want |= {"utt2phrase": "E_1000001 S03\nE_1000002 S03\n"} if "S03" in line else {}
    assert tables(tmp_path / "data" / "eval") == want


def test_form_of_the_files_is_tolerated(corpus, tmp_path):
    prepared(corpus, tmp_path / "want")
    for name, lines in PROTOCOLS.items():
        untidy = "\r\n\r\n".join(
            line.replace(".wav", "").replace(" ", "\t") + "  " for line in lines
        )
        protocol_of(corpus, name).write_bytes(b"\xef\xbb\xbf\r\n" + untidy.encode())
    prepared(corpus, tmp_path / "data")
    for name in PROTOCOLS:
        assert tables(tmp_path / "data" / name) == tables(tmp_path / "want" / name)


def test_flac_is_taken_where_there_is_no_wav(corpus, tmp_path):
    folder = corpus / "ASVspoof2017_V2_train"
    (folder / "T_1000002.wav").unlink()
    for name in ("T_1000002", "T_1000003"):
        soundfile.write(folder / f"{name}.flac", np.zeros(4), 16000)
    (folder / "._T_1000004.wav").touch()  # what a Mac leaves behind
    assert not any("warning" in line for line in prepared(corpus, tmp_path / "data"))
    got = (tmp_path / "data" / "train" / "wav.scp").read_text().split()[1::2]
    assert [Path(path).name for path in got] == ["T_1000002.flac", "T_1000003.wav", "T_1000001.wav"]


def test_chunks_before_the_format_are_skipped(corpus, tmp_path):
    path = corpus / "ASVspoof2017_V2_dev" / "D_1000001.wav"
    plain = path.read_bytes()
    for junk in (b"", b"abc\0", bytes(5000)):
        # one more byte follows a chunk of odd length
        odd = 3 if junk == b"abc\0" else len(junk)
        path.write_bytes(plain[:12] + b"JUNK" + struct.pack("<I", odd) + junk + plain[12:])
        assert soundfile.info(path).samplerate == 16000
        prepared(corpus, tmp_path / "data")


def test_a_whole_set_is_not_remarked(corpus, tmp_path):
    lines = [f"D_{i} genuine M0011 S06 - - -" for i in range(760)]
    lines += [f"D_{i} spoof M0012 S06 E1 P1 R1" for i in range(760, 1710)]
    write_protocol(corpus, "dev", lines)
    first = corpus / "ASVspoof2017_V2_dev" / "D_1000001.wav"
    for line in lines:
        (first.parent / f"{line.split()[0]}.wav").hardlink_to(first)
    first.unlink()
    (first.parent / "D_1000002.wav").unlink()
    (line,) = [line for line in prepared(corpus, tmp_path / "data") if line.startswith("dev")]
    assert re.findall(r"\d+", line) == ["760", "950"]  # nothing of what the whole corpus has


def test_sound_files_that_no_line_names_are_counted(corpus, tmp_path):
    for number in (1000009, 1000008):
        write_wav(corpus / "ASVspoof2017_V2_dev" / f"D_{number}.wav")
    said = prepared(corpus, tmp_path / "data")
    one_says(said, "warning", f"{corpus}/ASVspoof2017_V2_dev", 2, "D_1000008.wav")


def test_files_that_are_left_out_are_counted_by_reason(corpus, tmp_path):
    folder = corpus / "ASVspoof2017_V2_dev"
    for name in ("readme.txt", "a.txt", "list", ".hidden.txt"):
        (folder / name).write_text("text")
    (folder / "D_1000001.flac").write_bytes(b"fLaC")
    said = prepared(corpus, tmp_path / "data")
    words = [4, "2 .txt", "1 without suffix", "1 a second time", "D_1000001.flac"]
    one_says(said, f"{folder}: ", *words)
    assert "D_1000001.wav" in (tmp_path / "data/dev/wav.scp").read_text()


def test_bonafide_is_genuine(corpus, tmp_path):
    lines = [line.replace("genuine", "bonafide") for line in PROTOCOLS["dev"]]
    path = write_protocol(corpus, "dev", lines)
    number = sum("bonafide" in line for line in lines)
    one_says(prepared(corpus, tmp_path / "data"), f"{path}: ", "'bonafide'", "genuine", number)
    labels = (tmp_path / "data/dev/utt2label").read_text().split()[1::2]
    assert labels.count("genuine") == number


def test_speakers_of_two_sets_are_remarked(corpus, tmp_path):
    write_protocol(corpus, "eval", [line.replace("M0029", "M0011") for line in PROTOCOLS["eval"]])
    one_says(prepared(corpus, tmp_path / "data"), "warning", "dev", "eval", 1, "M0011")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("D_1000003.wav genuine M0011 S06", ["columns", 4, 7, "playback"]),
        ("D_1000003.wav genuine M0011 S06 - - - -", ["columns", 8, 7]),
        ("d3.wav genuine M0011 S06 - - -", ["file", "d3.wav", r"[TDE]_\d+(\.wav|\.flac)?"]),
        ("D_1000003.wav human M0011 S06 - - -", ["label of D_1000003", "human", "genuine|spoof"]),
        ("D_1000003.wav Genuine M0011 S06 - - -", ["label of D_1000003", "Genuine"]),
        ("D_1000003.wav - M0011 S06 - - -", ["label", " -", "genuine|spoof"]),
        ("D_1000003.wav genuine M-11 S06 - - -", ["speaker", "M-11", r"\w+", "genuine"]),
        ("D_1000003.wav genuine M0011 ä - - -", ["phrase", "ä", r"\w+"]),
        ("D_1000003.wav genuine M0011 S06 E01 - -", ["environment", "E01", "genuine"]),
        ("D_1000003.wav spoof M0011 S06 E01 P01 -", ["recorder", " -", r"\w+", "spoof"]),
        ("D_1000002.wav genuine M0012 S06 - - -", ["D_1000002.wav ", "{dev}:2"]),
        ("D_1000002 genuine M0012 S06 - - -", ["D_1000002 ", "{dev}:2"]),
        ("T_1000003.wav genuine M0011 S06 - - -", ["T_1000003.wav ", "{train}:3"]),
        ("T_1000004.wav genuine M0011 S06 - - -", ["file", "T_1000004.wav", "D_", "train"]),
    ],
)
def test_wrong_line_is_named(corpus, line, words):
    path = write_protocol(corpus, "dev", [*PROTOCOLS["dev"], line])
    places = {f"{{{name}}}:": f"{protocol_of(corpus, name)}:" for name in PROTOCOLS}
    for mark, place in places.items():
        words = [str(word).replace(mark, place) if mark in str(word) else word for word in words]
    refused(corpus, f"{path}:3: ", *words)


def test_swapped_protocols_and_folders(corpus):
    write_protocol(corpus, "train", PROTOCOLS["dev"])
    path = write_protocol(corpus, "dev", PROTOCOLS["train"])
    refused(corpus, f"{protocol_of(corpus, 'train')}:1: ", "D_1000001.wav", "T_", "dev")
    write_protocol(corpus, "train", PROTOCOLS["train"])
    refused(corpus, f"{path}:1: ", "T_1000001.wav", f"{protocol_of(corpus, 'train')}:1")
    write_protocol(corpus, "dev", PROTOCOLS["dev"])
    (corpus / "ASVspoof2017_V2_train").rename(corpus / "other")
    (corpus / "ASVspoof2017_V2_dev").rename(corpus / "ASVspoof2017_V2_train")
    (corpus / "other").rename(corpus / "ASVspoof2017_V2_dev")
    folder = corpus / "ASVspoof2017_V2_train"
    refused(corpus, f"{folder}: ", "T_1000001.wav", 2, 3, "folder of")


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("train", [], []),
        ("eval", ["", " "], []),
        ("train", PROTOCOLS["train"][:1], ["labels", "genuine", "spoof", "train"]),
        ("dev", PROTOCOLS["dev"][1:], ["labels", "spoof", "genuine", "dev"]),
        ("dev", ["D_1000001.wav", "D_1000002.wav"], ["labels", " -", "genuine", "spoof", "dev"]),
        ("eval", ["E_1000001.wav -", "E_1000002.wav spoof"], ["labels", "- spoof"]),
    ],
)
def test_empty_or_unlabelled_protocol(corpus, name, lines, words):
    path = write_protocol(corpus, name, lines)
    refused(corpus, f"{path}: ", *words)


def test_missing_sounds_are_counted_and_the_first_is_named(corpus):
    folder = corpus / "ASVspoof2017_V2_train"
    for name in ("T_1000002.wav", "T_1000003.wav"):
        (folder / name).unlink()
    refused(corpus, f"{folder}: ", "T_1000002.wav", 1, 3)


WAV_HEADER = (
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0"
)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF\x24\0", WAV_HEADER, WAV_HEADER[:36], b"fLaC\0\0\0\x22"]
)
def test_empty_sound_files(corpus, content):
    folder = corpus / "ASVspoof2017_V2_eval"
    for name in ("E_1000001.wav", "E_1000002.wav"):
        (folder / name).write_bytes(content)
    refused(corpus, f"{folder}/E_1000001.wav: ", "samples", len(content), 1)


def test_sound_files_that_are_damaged(corpus):
    path = corpus / "ASVspoof2017_V2_eval" / "E_1000001.wav"
    path.write_bytes(WAV_HEADER[:40] + b"\x08\0\0\0" + bytes(6))
    refused(corpus, f"{path}: ", 6, 8, "cut", 0)
    path.write_bytes(b"NIST_1A\n   1024\n" + bytes(1024))
    refused(corpus, f"{path}: ", "WAV", "FLAC", 0)


def test_other_sampling_rates(corpus):
    folder = corpus / "ASVspoof2017_V2_train"
    write_wav(folder / "T_1000002.wav", 8000)
    write_wav(folder / "T_1000003.wav", 8000)
    refused(corpus, f"{folder}/T_1000002.wav: ", "rate", "8000 Hz", "16000 Hz", 1)
    for rate_hz in (8000, 44100, 48000):
        (folder / "T_1000002.wav").unlink(missing_ok=True)
        soundfile.write(folder / "T_1000002.flac", np.zeros(4), rate_hz)
        num_others = 1 if rate_hz == 8000 else 0
        refused(corpus, f"{folder}/T_1000002.flac: ", f"{rate_hz} Hz", "16000 Hz", num_others)


def test_root_without_a_corpus(tmp_path):
    root = tmp_path / "some" / "root"
    root.mkdir(parents=True)
    refused(root, f"{root}: ", "ASVspoof2017_V2_train.trn.txt", "[Pp]rotocol*", "--help")
    refused(tmp_path / "none", f"{tmp_path}/none: ")


@pytest.mark.parametrize(("layout", "version"), [(V2, "_V2"), (V1, "")])
def test_root_with_a_part_of_a_corpus(tmp_path, layout, version):
    corpus = make(tmp_path / "above" / "corpus", layout)
    (corpus / layout["dev"][0]).unlink()
    refused(corpus, f"{corpus}: ", "protocol of dev", f"ASVspoof2017{version}_dev.trl.txt")
    make(corpus, layout)
    for path in (corpus / layout["eval"][1]).iterdir():
        path.unlink()
    names = (f"ASVspoof2017{version}_eval", "wav/eval")
    refused(corpus, f"{corpus}: ", "sound files of eval", *names)


def test_two_candidates_are_refused(corpus, tmp_path):
    first, other = corpus / "protocol" / "ASVspoof2017_V2_dev.trn", protocol_of(corpus, "dev")
    make(corpus, V2 | {"dev": (first.relative_to(corpus), V2["dev"][1])})
    refused(corpus, f"{first}: ", "protocol of dev", other)
    first.unlink()
    write_wav(corpus / "wav" / "eval" / "E_1000001.wav")
    refused(corpus, f"{corpus}/ASVspoof2017_V2_eval: ", f"{corpus}/wav/eval", "eval")


def test_two_corpora_are_refused(corpus, tmp_path):
    copy = make(tmp_path / "copy")
    make(tmp_path / "version1", V1)
    refused(tmp_path, f"{copy}: ", f"{corpus}", data=tmp_path / "data")


def test_data_directory_that_cannot_be_made(corpus, tmp_path):
    (tmp_path / "data").touch()
    done = prepare(corpus, tmp_path / "data")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    says(done.stderr, "prepare_asvspoof2017.py: ", f"{tmp_path}/data/train: Not a directory")


def test_usage(corpus, tmp_path):
    says(prepare("corpus").stderr, "prepare_asvspoof2017.py: ", "<data-dir>", "--help")
    assert prepare("--bits=8", "a", "b").returncode == 1
    shown = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    example = re.search(r"^Example: (\S+) (\S+) (\S+)$", shown.stdout, re.MULTILINE)
    script, root, data = example.groups()
    assert (ROOT / script, root, data) == (SCRIPT, "/corpora/ASVspoof2017_V2", "data")
    corpus.rename(tmp_path / "ASVspoof2017_V2")
    said = prepared(tmp_path / "ASVspoof2017_V2", tmp_path / data)
    one_says(said, "dev: 1 genuine, 1 replayed")
