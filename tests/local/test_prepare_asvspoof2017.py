import re
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from local_scripts import call

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


def prepare(*args):
    return call("prepare_asvspoof2017", *args)


def prepared(root, data):
    done = prepare(root, data)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    return [line.removeprefix("prepare_asvspoof2017.py: ") for line in done.stderr.splitlines()]


def validate(data):
    for name in PROTOCOLS:
        command = [
            sys.executable,
            ROOT / "utils" / "validate_data_dir.py",
            "--no-feats",
            "--no-text",
            data / name,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def refused(root, data=None):
    data = data or root.parent / "data"
    done = prepare(root, data)
    assert done.returncode == 1 and done.stdout == "" and not data.exists()
    assert done.stderr.startswith("prepare_asvspoof2017.py: ") and done.stderr.count("\n") == 1
    return done.stderr.removeprefix("prepare_asvspoof2017.py: ").strip()


def tables(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_tables_are_complete_and_sorted(corpus, tmp_path):
    assert prepared(corpus, tmp_path / "data") == [
        "train: 2 genuine, 1 replayed; the whole corpus has 1507, 1507",
        "dev: 1 genuine, 1 replayed; the whole corpus has 760, 950",
        "eval: 1 genuine, 1 replayed; the whole corpus has 1298, 12008",
    ]
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
    assert (
        tmp_path / "data" / "eval" / "utt2label"
    ).read_text() == "M0029-E_1000001 spoof\nM0029-E_1000002 genuine\n"


def test_corpus_may_be_given_relative_and_again(corpus, tmp_path):
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, SCRIPT, "corpus", "data"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "dev" / "wav.scp").read_text().split()[
        1
    ] == f"{corpus}/ASVspoof2017_V2_dev/D_1000001.wav"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    corpus = make(tmp_path / "corpus", LAYOUTS[layout])
    said = prepared(corpus, tmp_path / "data")
    assert [line for line in said if "is used" in line] == (
        [f"{corpus}: Version 1 is used"] if layout.startswith("V1") else []
    )
    whole = "1508, 1508" if layout.startswith("V1") else "1507, 1507"
    assert f"train: 2 genuine, 1 replayed; the whole corpus has {whole}" in said
    for name, (_, folder) in LAYOUTS[layout].items():
        data = tables(tmp_path / "data" / name)
        assert data.keys() == ALL_TABLES
        assert {Path(line.split()[1]).parent for line in data["wav.scp"].splitlines()} == {
            corpus / folder
        }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_root_may_be_the_folder_above_or_one_below(tmp_path, layout):
    corpus = make(tmp_path / "above" / "corpus", LAYOUTS[layout])
    inside = next(path for path in sorted(corpus.iterdir()) if path.is_dir())
    for i, root in enumerate((corpus.parent, inside)):
        said = prepared(root, tmp_path / f"data{i}")
        assert said[0] == f"{corpus}: Version {'1' if layout.startswith('V1') else '2.0'} is used"
    assert tables(tmp_path / "data0" / "train") == tables(tmp_path / "data1" / "train")


def test_version_2_is_taken_where_both_are(corpus, tmp_path):
    make(corpus, V1)
    said = prepared(corpus, tmp_path / "data")
    assert said[0] == f"{corpus}: Version 2.0 is used, Version 1 in {corpus} is not"
    assert "ASVspoof2017_V2_train/" in (tmp_path / "data" / "train" / "wav.scp").read_text()


def test_key_of_eval_is_taken_before_the_list_without_labels(tmp_path):
    corpus = make(tmp_path / "corpus", V1)
    (corpus / "protocol" / "ASVspoof2017_eval.trl.txt").rename(corpus / "protocol" / KEY)
    (corpus / "protocol" / "ASVspoof2017_eval_v2.trl.txt").write_text(
        "E_1000001.wav S03\nE_1000002.wav S03\n"
    )
    assert "eval: 1 genuine, 1 replayed" in "".join(prepared(corpus, tmp_path / "data"))


def test_links_to_one_place_are_one(corpus, tmp_path):
    (corpus / "protocol").symlink_to("protocol_V2")
    (corpus / "wav").mkdir()
    (corpus / "wav" / "train").symlink_to("../ASVspoof2017_V2_train")
    (tmp_path / "link").symlink_to("corpus")
    assert "dev: 1 genuine, 1 replayed" in "".join(prepared(tmp_path, tmp_path / "data"))


@pytest.mark.parametrize("number", [2, 3, 4])
def test_protocols_with_fewer_columns(tmp_path, number):
    shorter = {
        name: [" ".join(line.split()[:number]) for line in lines]
        for name, lines in PROTOCOLS.items()
    }
    assert "train: 2 genuine, 1 replayed" in "".join(
        prepared(make(tmp_path / "corpus", V1, shorter), tmp_path / "data")
    )
    validate(tmp_path / "data")
    data = tables(tmp_path / "data" / "train")
    assert data.keys() == {"wav.scp", "utt2spk", "spk2utt", "utt2label"} | (
        {"utt2phrase"} if number == 4 else set()
    )
    if number == 2:
        assert data["utt2spk"].splitlines()[1:] == ["T_1000002 T_1000002", "T_1000003 T_1000003"]
        assert data["utt2label"] == "T_1000001 genuine\nT_1000002 spoof\nT_1000003 genuine\n"
    else:
        assert data["utt2spk"].splitlines()[1:] == [
            "M0002-T_1000003 M0002",
            "M0010-T_1000001 M0010",
        ]


@pytest.mark.parametrize(
    "line", ["E_1000001.wav", "E_1000001.wav - - - - - -", "E_1000001.wav -", "E_1000001.wav S03"]
)
def test_eval_without_labels(corpus, tmp_path, line):
    prepared(corpus, tmp_path / "data")
    assert tables(tmp_path / "data" / "eval").keys() == ALL_TABLES
    write_protocol(corpus, "eval", [line, line.replace("1.wav", "2.wav")])
    said = prepared(corpus, tmp_path / "data")
    validate(tmp_path / "data")
    unlabelled = "eval: 2 utterances without labels: they can be scored, not evaluated"
    assert said[-1] == f"{unlabelled}; the whole corpus has 13306"
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
        odd = (
            3 if junk == b"abc\0" else len(junk)
        )  # a chunk of odd length is followed by one more byte
        path.write_bytes(plain[:12] + b"JUNK" + struct.pack("<I", odd) + junk + plain[12:])
        assert soundfile.info(path).samplerate == 16000
        prepared(corpus, tmp_path / "data")


def test_a_whole_set_is_not_remarked(corpus, tmp_path):
    lines = [f"D_{i} genuine M0011 S06 - - -" for i in range(760)] + [
        f"D_{i} spoof M0012 S06 E1 P1 R1" for i in range(760, 1710)
    ]
    write_protocol(corpus, "dev", lines)
    first = corpus / "ASVspoof2017_V2_dev" / "D_1000001.wav"
    for line in lines:
        (first.parent / f"{line.split()[0]}.wav").hardlink_to(first)
    first.unlink()
    (first.parent / "D_1000002.wav").unlink()
    assert [line for line in prepared(corpus, tmp_path / "data") if line.startswith("dev")] == [
        "dev: 760 genuine, 950 replayed"
    ]


def test_sound_files_that_no_line_names_are_counted(corpus, tmp_path):
    for number in (1000009, 1000008):
        write_wav(corpus / "ASVspoof2017_V2_dev" / f"D_{number}.wav")
    folder = corpus / "ASVspoof2017_V2_dev"
    assert (
        f"warning: {folder}: the protocol does not list 2 sound files, for example D_1000008.wav"
        in prepared(corpus, tmp_path / "data")
    )


def test_speakers_of_two_sets_are_remarked(corpus, tmp_path):
    write_protocol(corpus, "eval", [line.replace("M0029", "M0011") for line in PROTOCOLS["eval"]])
    assert (
        "warning: dev and eval: 1 speakers are in both, for example M0011; "
        "the original corpus has none" in prepared(corpus, tmp_path / "data")
    )


@pytest.mark.parametrize(
    ("line", "what", "sides"),
    [
        (
            "D_1000003.wav genuine M0011 S06",
            "number of columns",
            "7 (file label speaker phrase environment playback recorder), found 4. Unpack",
        ),
        ("D_1000003.wav genuine M0011 S06 - - - -", "number of columns", "7 (file"),
        ("d3.wav genuine M0011 S06 - - -", "file", r"[TDE]_\d+(\.wav|\.flac)?, found d3.wav."),
        ("D_1000003.wav human M0011 S06 - - -", "label", "genuine|spoof, found human. Correct"),
        ("D_1000003.wav - M0011 S06 - - -", "label", "genuine|spoof, found -."),
        (
            "D_1000003.wav genuine M-11 S06 - - -",
            "speaker",
            r"\w+ where the label is genuine, found M-11",
        ),
        (
            "D_1000003.wav genuine M0011 ä - - -",
            "phrase",
            r"\w+ where the label is genuine, found ä",
        ),
        (
            "D_1000003.wav genuine M0011 S06 E01 - -",
            "environment",
            "- where the label is genuine, found E01. Correct the line",
        ),
        (
            "D_1000003.wav spoof M0011 S06 E01 P01 -",
            "recorder",
            r"\w+ where the label is spoof, found -",
        ),
        ("T_1000004.wav genuine M0011 S06 - - -", "file", "D_ in dev, found T_1000004.wav."),
    ],
)
def test_wrong_line_is_named(corpus, line, what, sides):
    path = write_protocol(corpus, "dev", [*PROTOCOLS["dev"], line])
    assert refused(corpus).startswith(f"{path}:3: {what}: expected {sides}")


@pytest.mark.parametrize(
    ("line", "name", "number"),
    [
        ("D_1000002.wav genuine M0012 S06 - - -", "dev", 2),
        ("D_1000002 genuine M0012 S06 - - -", "dev", 2),
        ("T_1000003.wav genuine M0011 S06 - - -", "train", 3),
    ],
)
def test_each_file_is_listed_once(corpus, line, name, number):
    path = write_protocol(corpus, "dev", [*PROTOCOLS["dev"], line])
    also = f"{line.split()[0]} is also in {protocol_of(corpus, name)}:{number}"
    assert refused(corpus) == f"{path}:3: {also}. Remove one line."


def test_swapped_protocols_and_folders(corpus):
    write_protocol(corpus, "train", PROTOCOLS["dev"])
    path = write_protocol(corpus, "dev", PROTOCOLS["train"])
    message = refused(corpus)
    assert message.startswith(f"{protocol_of(corpus, 'train')}:1: file: expected T_ in train, ")
    assert "found D_1000001.wav" in message and "swap train and dev" in message
    write_protocol(corpus, "train", PROTOCOLS["train"])
    also = f"T_1000001.wav is also in {protocol_of(corpus, 'train')}:1"
    assert f"{path}:1: {also}" in refused(corpus)
    write_protocol(corpus, "dev", PROTOCOLS["dev"])
    (corpus / "ASVspoof2017_V2_train").rename(corpus / "other")
    (corpus / "ASVspoof2017_V2_dev").rename(corpus / "ASVspoof2017_V2_train")
    (corpus / "other").rename(corpus / "ASVspoof2017_V2_dev")
    message = refused(corpus)
    assert message.startswith(f"{corpus}/ASVspoof2017_V2_train: sound files of train: ")
    assert "no T_1000001.wav, and 2 others are missing" in message
    assert "the 3 files of the protocol" in message
    assert message.endswith("Unpack ASVspoof2017_V2_train again, or give the folder of train.")


@pytest.mark.parametrize("lines", [[], ["", " "]])
@pytest.mark.parametrize("name", ["train", "eval"])
def test_empty_protocol(corpus, name, lines):
    path = write_protocol(corpus, name, lines)
    assert refused(corpus) == f"{path}: the protocol is empty. Unpack the protocols again."


@pytest.mark.parametrize(
    ("name", "lines", "sides"),
    [
        ("train", PROTOCOLS["train"][:1], "genuine and spoof in train, found genuine."),
        ("dev", PROTOCOLS["dev"][1:], "genuine and spoof in dev, found spoof."),
        ("dev", ["D_1000001.wav", "D_1000002.wav"], "genuine and spoof in dev, found -."),
        (
            "eval",
            ["E_1000001.wav -", "E_1000002.wav spoof"],
            "a label on every line or on none, found - spoof.",
        ),
    ],
)
def test_unlabelled_protocol(corpus, name, lines, sides):
    path = write_protocol(corpus, name, lines)
    message = refused(corpus)
    assert message == f"{path}: labels: expected {sides} Use a whole protocol with labels."


def test_missing_sounds_are_counted_and_the_first_is_named(corpus):
    for name in ("T_1000002.wav", "T_1000003.wav"):
        (corpus / "ASVspoof2017_V2_train" / name).unlink()
    message = refused(corpus)
    assert message.startswith(f"{corpus}/ASVspoof2017_V2_train: sound files of train: ")
    assert "no T_1000002.wav, and 1 others are missing" in message
    assert "the 3 files of the protocol" in message
    assert message.endswith(". Unpack ASVspoof2017_V2_train again.")


WAV_HEADER = (
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0"
)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF\x24\0", WAV_HEADER, WAV_HEADER[:36], b"fLaC\0\0\0\x22"]
)
def test_empty_sound_files(corpus, content):
    for name in ("E_1000001.wav", "E_1000002.wav"):
        (corpus / "ASVspoof2017_V2_eval" / name).write_bytes(content)
    assert refused(corpus) == (
        f"{corpus}/ASVspoof2017_V2_eval/E_1000001.wav: samples: expected some, "
        f"found none in {len(content)} bytes. 1 others of eval are like it. "
        "Unpack ASVspoof2017_V2_eval again."
    )


def test_sound_file_cut_off(corpus):
    path = corpus / "ASVspoof2017_V2_eval" / "E_1000001.wav"
    path.write_bytes(WAV_HEADER[:40] + b"\x08\0\0\0" + bytes(6))
    message = refused(corpus)
    assert message.startswith(f"{path}: the file is cut short: expected 8 bytes by the header, ")
    assert "found 6 bytes. 0 others of eval" in message
    assert message.endswith("Unpack ASVspoof2017_V2_eval again.")


def test_other_sound_files(corpus):
    path = corpus / "ASVspoof2017_V2_eval" / "E_1000001.wav"
    path.write_bytes(b"NIST_1A\n   1024\n" + bytes(1024))
    assert refused(corpus).startswith(f"{path}: header: expected one of them, found neither WAV")


def test_other_sampling_rates(corpus):
    folder = corpus / "ASVspoof2017_V2_train"
    write_wav(folder / "T_1000002.wav", 8000)
    write_wav(folder / "T_1000003.wav", 8000)
    text = "sample rate: expected 16000 Hz, found {} Hz. {} others of train"
    assert refused(corpus).startswith(f"{folder}/T_1000002.wav: {text.format(8000, 1)}")
    for rate_hz in (8000, 44100, 48000):
        (folder / "T_1000002.wav").unlink(missing_ok=True)
        soundfile.write(folder / "T_1000002.flac", np.zeros(4), rate_hz)
        message = text.format(rate_hz, 1 if rate_hz == 8000 else 0)
        assert refused(corpus).startswith(f"{folder}/T_1000002.flac: {message}")


def test_root_without_a_corpus(tmp_path):
    (tmp_path / "some" / "root").mkdir(parents=True)
    message = refused(tmp_path / "some" / "root")
    assert message.startswith(
        f"{tmp_path}/some/root: no protocol of train: expected ASVspoof2017_V2_train.trn.txt there "
        "or in one of [Pp]rotocol* [Pp]rotocol*/[Pp]rotocol* [Ll]abels ASVspoof2017_eval "
        "ASVspoof2017_[te]*/[Pp]rotocol. "
    )
    assert "Give the folder that holds ASVspoof2017_V2_train" in message and "--help" in message
    missing = "there is no such directory. Check the path."
    assert refused(tmp_path / "none") == f"{tmp_path}/none: {missing}"


@pytest.mark.parametrize(("layout", "version"), [(V2, "_V2"), (V1, "")])
def test_root_with_a_part_of_a_corpus(tmp_path, layout, version):
    corpus = make(tmp_path / "above" / "corpus", layout)
    (corpus / layout["dev"][0]).unlink()
    message = refused(corpus)
    assert message.startswith(
        f"{corpus}: no protocol of dev: expected ASVspoof2017{version}_dev.trl.txt there or in one"
    )
    assert message.endswith(". Unpack the protocols there.")
    make(corpus, layout)
    for path in (corpus / layout["eval"][1]).iterdir():
        path.unlink()
    message = refused(corpus)
    assert message.startswith(
        f"{corpus}: no sound files of eval: expected them in ASVspoof2017{version}_eval or ASV"
    )
    assert message.endswith(f" or wav/eval. Unpack ASVspoof2017{version}_eval there.")


def test_two_candidates_are_refused(corpus, tmp_path):
    first, other = corpus / "protocol" / "ASVspoof2017_V2_dev.trn", protocol_of(corpus, "dev")
    make(corpus, V2 | {"dev": (first.relative_to(corpus), V2["dev"][1])})
    text = "Move one of them away."
    assert refused(corpus) == f"{first}: a second protocol of dev is {other}. {text}"
    first.unlink()
    write_wav(corpus / "wav" / "eval" / "E_1000001.wav")
    second = f"a second folder of sound files of eval is {corpus}/wav/eval"
    assert refused(corpus) == f"{corpus}/ASVspoof2017_V2_eval: {second}. {text}"


def test_two_corpora_are_refused(corpus, tmp_path):
    copy = make(tmp_path / "copy")
    make(tmp_path / "version1", V1)
    assert refused(tmp_path, tmp_path / "data") == (
        f"{copy}: the same version is in {corpus}. Give one of the two folders."
    )


def test_data_directory_that_cannot_be_made(corpus, tmp_path):
    (tmp_path / "data").touch()
    done = prepare(corpus, tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr == f"prepare_asvspoof2017.py: {tmp_path}/data/train: Not a directory\n"


def test_usage(corpus, tmp_path):
    assert (
        prepare("corpus").stderr
        == "prepare_asvspoof2017.py: the following arguments are required: <data-dir>. Try --help\n"
    )
    assert prepare("--bits=8", "a", "b").returncode == 1
    shown = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    script, root, data = re.search(
        r"^Example: (\S+) (\S+) (\S+)$", shown.stdout, re.MULTILINE
    ).groups()
    assert (ROOT / script, root, data) == (SCRIPT, "/corpora/ASVspoof2017_V2", "data")
    corpus.rename(tmp_path / "ASVspoof2017_V2")
    assert "dev: 1 genuine, 1 replayed" in "".join(
        prepared(tmp_path / "ASVspoof2017_V2", tmp_path / data)
    )
