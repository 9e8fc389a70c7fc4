import json
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scripts import run_script

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "local" / "prepare_mini_replay.py"
sys.path.insert(0, str(ROOT / "local"))
import synth_speech  # noqa: E402

RATE_HZ = 16000
LABELS = ("genuine", "spoof")
SMALL = ["--nj=1", "--num-speakers=3,2,2", "--num-genuine=5,2,3", "--num-spoof=5,2,4"]


def prepare(*args):
    return run_script(SCRIPT, *args)


def prepared(*args):
    done = prepare(*args)
    assert done.returncode == 0, done.stderr
    return done.stderr


def refused(*args):
    """Return the line with which a command line is refused."""
    done = prepare(*args)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("prepare_mini_replay.py: ")
    return line


def read_protocols(corpus):
    names = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
    lines = {
        name: (corpus / "protocol_V2" / f"ASVspoof2017_V2_{file}.txt").read_text().splitlines()
        for name, file in names.items()
    }
    return {name: [line.split() for line in some] for name, some in lines.items()}


def contents(corpus):
    return {
        path.relative_to(corpus): path.read_bytes() for path in corpus.rglob("*") if path.is_file()
    }


def eer(genuine, spoof):
    """Equal error rate of one number, ties in random order."""
    values = np.concatenate([genuine, spoof])
    order = np.lexsort([np.random.default_rng(0).random(len(values)), values])
    is_genuine = order < len(genuine)
    miss = np.cumsum(is_genuine) / len(genuine)
    false_alarm = 1 - np.cumsum(~is_genuine) / len(spoof)
    return np.max(np.minimum(miss, false_alarm))


def trivial_numbers(path):
    """What a corpus made without care would give away."""
    samples, _ = soundfile.read(path)
    level = np.sqrt(np.mean(samples**2))
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    frames_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(frames_db > frames_db.max() - 25)
    return {
        "level": level,
        "peak": np.max(np.abs(samples)),
        "crest factor": np.max(np.abs(samples)) / level,
        "length": len(samples),
        "samples at the peak": np.sum(np.abs(samples) > 0.999 * np.max(np.abs(samples))),
        "leading silence": loud[0],
        "trailing silence": len(frames_db) - loud[-1],
        "mean": np.mean(samples),
        "zeros": np.mean(samples == 0),
        "noise floor": np.percentile(frames_db, 5) - 20 * np.log10(level),
    }


def test_layout_is_that_of_the_challenge(corpus):
    folder, printed = corpus
    for name, num_genuine, num_spoof in (("train", 120, 120), ("dev", 60, 60), ("eval", 100, 200)):
        assert f"{name}: {num_genuine} genuine" in printed and f"{num_spoof} replayed" in printed
        rows, sounds = read_protocols(folder)[name], folder / f"ASVspoof2017_V2_{name}"
        numbers = range(1000001, 1000001 + num_genuine + num_spoof)
        assert [row[0] for row in rows] == [f"{name[0].upper()}_{i}.wav" for i in numbers]
        assert [row[1] for row in rows].count("genuine") == num_genuine
        assert {path.name for path in sounds.iterdir()} == {row[0] for row in rows}
        for row in rows:
            assert len(row) == 7 and (row[4:] == ["-", "-", "-"]) == (row[1] == "genuine")
            info = soundfile.info(sounds / row[0])
            assert (info.samplerate, info.channels) == (RATE_HZ, 1)
            assert (info.format, info.subtype) == ("WAV", "PCM_16")
            assert 1.5 < info.duration < 5


def test_kaldi_directories_can_be_made_of_it(corpus, tmp_path):
    done = run_script(SCRIPT.with_name("prepare_asvspoof2017.py"), corpus[0], tmp_path)
    assert done.returncode == 0 and "eval: 100 genuine, 200 replayed" in done.stderr, done.stderr


def test_speakers_rooms_and_devices_of_no_two_sets_are_the_same(corpus):
    rows = read_protocols(corpus[0])
    for column in (2, 4, 5, 6):
        seen = [{row[column] for row in rows[name]} - {"-"} for name in rows]
        assert all(len(some) > 1 for some in seen)
        assert len(set.union(*seen)) == sum(map(len, seen))
    devices = json.loads((corpus[0] / "mini_replay.json").read_text())["devices"]
    figures = [json.dumps(device) for some in devices.values() for device in some.values()]
    assert len(set(figures)) == len(figures) == 63


def test_both_classes_say_the_same(corpus):
    for rows in read_protocols(corpus[0]).values():
        said = [{(row[2], row[3]) for row in rows if row[1] == label} for label in LABELS]
        assert said[0] == said[1]


def test_no_trivial_number_tells_the_classes_apart(corpus):
    numbers, labels = [], []
    for name, rows in read_protocols(corpus[0]).items():
        for row in rows:
            numbers.append(trivial_numbers(corpus[0] / f"ASVspoof2017_V2_{name}" / row[0]))
            labels.append((name == "eval", row[1] == "genuine"))
    is_eval, is_genuine = np.array(labels).T
    for key in numbers[0]:
        values = np.array([row[key] for row in numbers], dtype=float)
        if eer(values[~is_eval & is_genuine], values[~is_eval & ~is_genuine]) > 0.5:
            values = -values  # the direction is learnt on train and dev
        error = eer(values[is_eval & is_genuine], values[is_eval & ~is_genuine])
        # Reverberation does change the crest factor.
        assert error > (0.3 if key == "crest factor" else 0.38), key


def test_nothing_clips(corpus):
    for path in corpus[0].rglob("*.wav"):
        magnitudes = np.abs(soundfile.read(path, dtype="int16")[0].astype(int))
        assert magnitudes.max() <= 32440 and np.sum(magnitudes == magnitudes.max()) <= 2


def test_same_bytes_for_any_number_of_jobs_and_whatever_was_there(tmp_path):
    """Another seed gives other bytes; a corpus is replaced, and nothing else is."""
    prepared(*SMALL, tmp_path / "one")
    words = [sys.executable, SCRIPT, *SMALL, "--nj=2", tmp_path / "two"]
    subprocess.run(words, check=True, capture_output=True)  # jobs need a script of their own
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert len(one) == 21 + 3 + 1 and one == two
    (tmp_path / "two" / "left_over").touch()
    prepared(*SMALL, "--seed=5", tmp_path / "two")
    other = contents(tmp_path / "two")
    assert one.keys() == other.keys()
    assert not any(one[path] == other[path] for path in one if path.suffix == ".wav")
    (tmp_path / "mine").mkdir()
    assert f"{tmp_path}/mine: " in refused(tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "one", "two"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    for i in range(7):
        rng = np.random.default_rng([9, i])
        samples = synth_speech.synthesise(synth_speech.draw_speaker(rng), 1 + i, rng)
        samples = np.concatenate([samples, samples]) / np.max(np.abs(samples))
        if i < 4:
            soundfile.write(folder / f"{100 + i}-x-1.flac", samples, RATE_HZ)
        else:  # stereo, 22.05 kHz, named by the folder
            (folder / f"speaker{i}").mkdir()
            stereo = np.stack([samples, samples], axis=1)
            soundfile.write(folder / f"speaker{i}" / "a.wav", stereo, 22050)
    (folder / "notes.txt").write_text("not a sound")
    soundfile.write(folder / "100-x-2.wav", np.zeros(8000), RATE_HZ)
    return folder


def test_own_speech(speech, tmp_path):
    said = prepared("--speech-dir", speech, *SMALL, tmp_path / "corpus")
    assert re.search(r"\b1 .*\b1\.5 s", said)  # file that is too short
    assert "train: 3 speakers" in said and "dev: 2 speakers" in said
    assert re.search(r"\b3 genuine utterances", said)
    rows = read_protocols(tmp_path / "corpus")
    speakers = [{row[2] for row in rows[name]} for name in rows]
    assert len(set.union(*speakers)) == sum(map(len, speakers))
    assert {row[3] for some in rows.values() for row in some} == {"S00"}
    durations = [soundfile.info(path).duration for path in (tmp_path / "corpus").rglob("*.wav")]
    assert len(durations) == 21 and min(durations) > 1.2 and max(durations) <= 4


def test_speech_that_cannot_serve_is_refused(speech, tmp_path):
    corpus, few = tmp_path / "corpus", tmp_path / "few"
    line = refused("--speech-dir", few, corpus)
    assert "--speech-dir" in line and str(few) in line
    few.mkdir()
    for i in range(5):
        soundfile.write(few / f"{i}-a.wav", np.zeros(RATE_HZ * 2), RATE_HZ)
    line = refused("--speech-dir", few, corpus)
    assert f"{few}: " in line and "5" in line and "6" in line
    soundfile.write(few / "5-a.wav", np.zeros(8000 * 2), 8000)
    line = refused("--speech-dir", few, corpus)
    assert "5-a.wav: sample rate" in line and "8000" in line and "16000" in line
    soundfile.write(few / "5-a.wav", np.zeros(RATE_HZ * 2), RATE_HZ)
    line = refused("--speech-dir", few, *SMALL, corpus)
    assert "-a.wav: " in line and "0 to 32000" in line and "silen" in line
    (few / "5-a.wav").write_text("no sound")
    assert "5-a.wav" in refused("--speech-dir", few, corpus)
    assert [path.name for path in tmp_path.iterdir()] == ["few"]


@pytest.mark.parametrize(
    "option",
    [
        "--num-spoof=3,4",
        "--num-speakers=0,1,1",
        "--seed=-1",
        "--nj=0",
        "--nj=two",
        "--speed=1",
    ],
)
def test_wrong_options_are_refused(option, tmp_path):
    line = refused(option, tmp_path / "corpus")
    name, _, value = option.partition("=")
    assert name in line and value in line


def test_help_shows_an_example():
    shown = prepare("--help")
    assert shown.returncode == 0
    assert re.search(r"^Example: local/prepare_mini_replay\.py .*--seed 1 ", shown.stdout, re.M)


def test_voice_has_the_speakers_pitch_and_the_vowels_of_its_vocal_tract():
    rng = np.random.default_rng(4)
    speaker = synth_speech.draw_speaker(rng)
    steady = {name: np.zeros(200) for name in synth_speech.SMOOTHING} | {
        "voice": np.ones(200),
        "centre": np.full(200, 3000.0),
    }
    steady |= {
        "f1": np.full(200, 500.0),
        "f2": np.full(200, 1500.0),
        "f3": np.full(200, 2500.0),
        "bandwidth": np.full(200, 3000.0),
    }
    num_samples = 200 * synth_speech.HOP
    click = np.zeros(num_samples)
    click[8000] = 1.0
    spectrum = np.abs(
        np.fft.rfft(synth_speech._vocal_tract(speaker, steady, click, np.zeros(num_samples)))
    )  # 1 Hz a bin
    for formant_hz in (500, 1500, 2500):
        assert abs(np.argmax(spectrum[formant_hz - 300 : formant_hz + 300]) - 300) < 60
    pulses, flow = synth_speech._glottis(speaker, np.zeros(200), rng)
    harmonics = np.abs(np.fft.rfft(pulses * np.hanning(len(pulses))))
    assert (
        np.argmax(harmonics[50:350]) + 50 == pytest.approx(speaker.f0_hz, rel=0.3)
        and flow.min() >= 0
        and 0.9 < flow.max() <= 1
    )


def test_phrases_differ_more_than_takes():
    speaker = synth_speech.draw_speaker(np.random.default_rng(1))
    lengths = [
        [
            len(synth_speech.synthesise(speaker, phrase, np.random.default_rng(take)))
            for take in range(3)
        ]
        for phrase in range(1, 11)
    ]
    assert np.std(np.mean(lengths, axis=1)) > np.mean(np.std(lengths, axis=1)) > 0
    assert np.min(lengths) > 1.4 * RATE_HZ and np.max(lengths) < 4.5 * RATE_HZ


def test_pieces_of_a_recording_whose_header_claims_nothing_or_that_only_pyav_reads(tmp_path):
    from prepare_mini_replay import Piece  # needs the path of local/

    samples = 0.3 * np.random.default_rng(0).standard_normal((5 * RATE_HZ, 2)).clip(-3, 3)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    soundfile.write(tmp_path / "a.flac", samples, RATE_HZ)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "unknown.flac").write_bytes(data)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("alac", rate=RATE_HZ, layout="stereo")
        planes = np.round(samples.T * 32768).clip(-32768, 32767).astype(np.int16)
        for first in range(0, planes.shape[1], 4096):
            block = np.ascontiguousarray(planes[:, first : first + 4096])
            frame = av.AudioFrame.from_ndarray(block, "s16p", "stereo")
            frame.sample_rate = RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    expected = Piece(str(tmp_path / "a.wav"), 20000, 60000).read()
    assert len(expected) == 40000
    for name in ("a.flac", "unknown.flac", "a.m4a"):
        piece = Piece(str(tmp_path / name), 20000, 60000).read()
        np.testing.assert_allclose(piece, expected, atol=4e-5)  # one step of 16 bits
