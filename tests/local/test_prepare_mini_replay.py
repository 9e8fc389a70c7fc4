import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "local" / "prepare_mini_replay.py"
sys.path.insert(0, str(ROOT / "local"))
import prepare_mini_replay  # noqa: E402
import synth_speech  # noqa: E402

RATE_HZ = 16000
SMALL = ["--nj=1", "--num-speakers=3,2,2", "--num-genuine=5,2,3", "--num-spoof=5,2,4"]


def prepare(*args):
    return subprocess.run([sys.executable, SCRIPT, *map(str, args)], capture_output=True, text=True)


def refused(*args):
    with pytest.raises(SystemExit) as end:
        prepare_mini_replay.main([str(arg) for arg in args])
    assert end.value.code.startswith("prepare_mini_replay.py: ") and "\n" not in end.value.code
    return end.value.code


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
    miss, false_alarm = (
        np.cumsum(is_genuine) / len(genuine),
        1 - np.cumsum(~is_genuine) / len(spoof),
    )
    return np.max(np.minimum(miss, false_alarm))


def trivial_numbers(path):
    """What a corpus made without care would give away."""
    samples, _ = soundfile.read(path)
    level = np.sqrt(np.mean(samples**2))
    frames_db = 10 * np.log10(
        np.mean(samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2, axis=1) + 1e-12
    )
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


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    corpus = tmp_path_factory.mktemp("made") / "corpus"
    done = prepare(
        "--num-speakers", "12,6,12", "--num-genuine", "40,20,60", "--num-spoof", "40,20,60", corpus
    )
    assert done.returncode == 0, done.stderr
    assert "train: 40 genuine and 40 replayed utterances" in done.stderr
    return corpus


def test_layout_is_that_of_the_challenge(corpus):
    for name, letter, num_genuine, num_spoof in (
        ("train", "T", 40, 40),
        ("dev", "D", 20, 20),
        ("eval", "E", 60, 60),
    ):
        rows = read_protocols(corpus)[name]
        assert [row[0] for row in rows] == [
            f"{letter}_{1000001 + i}.wav" for i in range(num_genuine + num_spoof)
        ]
        assert [row[1] for row in rows].count("genuine") == num_genuine
        assert {path.name for path in (corpus / f"ASVspoof2017_V2_{name}").iterdir()} == {
            row[0] for row in rows
        }
        for row in rows:
            assert len(row) == 7 and (row[4:] == ["-", "-", "-"]) == (row[1] == "genuine")
            info = soundfile.info(corpus / f"ASVspoof2017_V2_{name}" / row[0])
            assert (info.samplerate, info.channels, info.format, info.subtype) == (
                RATE_HZ,
                1,
                "WAV",
                "PCM_16",
            )
            assert 1.5 < info.duration < 5


def test_kaldi_directories_can_be_made_of_it(corpus, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT.with_name("prepare_asvspoof2017.py"), corpus, tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "eval: 60 genuine, 60 replayed" in done.stderr, done.stderr


def test_speakers_rooms_and_devices_of_no_two_sets_are_the_same(corpus):
    rows = read_protocols(corpus)
    for column in (2, 4, 5, 6):
        seen = [{row[column] for row in rows[name]} - {"-"} for name in rows]
        assert all(len(some) > 1 for some in seen)
        assert len(set.union(*seen)) == sum(map(len, seen))
    devices = json.loads((corpus / "mini_replay.json").read_text())["devices"]
    figures = [json.dumps(device) for some in devices.values() for device in some.values()]
    assert len(set(figures)) == len(figures) == 63


def test_both_classes_say_the_same(corpus):
    for rows in read_protocols(corpus).values():
        said = {
            label: {(row[2], row[3]) for row in rows if row[1] == label}
            for label in ("genuine", "spoof")
        }
        assert said["genuine"] == said["spoof"]


def test_no_trivial_number_tells_the_classes_apart(corpus):
    numbers, labels = [], []
    for name, rows in read_protocols(corpus).items():
        for row in rows:
            numbers.append(trivial_numbers(corpus / f"ASVspoof2017_V2_{name}" / row[0]))
            labels.append((name == "eval", row[1] == "genuine"))
    is_eval, is_genuine = np.array(labels).T
    for key in numbers[0]:
        values = np.array([row[key] for row in numbers], dtype=float)
        if eer(values[~is_eval & is_genuine], values[~is_eval & ~is_genuine]) > 0.5:
            values = -values  # the direction is learnt on train and dev
        error = eer(values[is_eval & is_genuine], values[is_eval & ~is_genuine])
        assert error > (0.3 if key == "crest factor" else 0.38), (
            key
        )  # reverberation does change the crest factor


def test_nothing_clips(corpus):
    for path in corpus.rglob("*.wav"):
        samples, _ = soundfile.read(path, dtype="int16")
        assert (
            np.max(np.abs(samples.astype(int))) <= 32440
            and np.sum(np.abs(samples) == np.max(np.abs(samples))) <= 2
        )


def test_same_bytes_for_any_number_of_jobs_other_bytes_for_another_seed(tmp_path):
    for name, options in (("one", []), ("other", ["--seed=5"])):
        prepare_mini_replay.main([*SMALL, *options, str(tmp_path / name)])
    done = prepare(*SMALL, "--nj=2", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert len(one) == 21 + 3 + 1 and one == two
    assert (
        one.keys() == other.keys()
        and sum(one[path] == other[path] for path in one if path.suffix == ".wav") == 0
    )


def test_corpus_is_replaced_but_nothing_else_is(tmp_path):
    prepare_mini_replay.main([*SMALL, str(tmp_path / "corpus")])
    (tmp_path / "corpus" / "left_over").touch()
    prepare_mini_replay.main([*SMALL, str(tmp_path / "corpus")])
    assert not (tmp_path / "corpus" / "left_over").exists()
    (tmp_path / "mine").mkdir()
    message = refused(tmp_path / "mine")
    assert "mine: this script did not make this directory. Choose another" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "mine"]


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
            soundfile.write(
                folder / f"speaker{i}" / "a.wav", np.stack([samples, samples], axis=1), 22050
            )
    (folder / "notes.txt").write_text("not a sound")
    soundfile.write(folder / "100-x-2.wav", np.zeros(8000), RATE_HZ)
    return folder


def test_own_speech(speech, tmp_path, capsys):
    prepare_mini_replay.main(["--speech-dir", str(speech), *SMALL, str(tmp_path / "corpus")])
    said = capsys.readouterr().err
    assert "1 files shorter than 1.5 s are not used" in said
    assert (
        "train: 3 speakers, " in said
        and "dev: 2 speakers, " in said
        and "pieces of speech for 3 genuine utterances" in said
    )
    rows = read_protocols(tmp_path / "corpus")
    speakers = [{row[2] for row in rows[name]} for name in rows]
    assert len(set.union(*speakers)) == sum(map(len, speakers))
    assert {row[3] for some in rows.values() for row in some} == {"S00"}
    durations = [soundfile.info(path).duration for path in (tmp_path / "corpus").rglob("*.wav")]
    assert len(durations) == 21 and min(durations) > 1.2 and max(durations) <= 4


def test_speech_that_cannot_serve_is_refused(speech, tmp_path):
    corpus, few = tmp_path / "corpus", tmp_path / "few"
    message = refused("--speech-dir", few, corpus)
    assert f"--speech-dir: expected a directory, found {few}" in message
    few.mkdir()
    for i in range(5):
        soundfile.write(few / f"{i}-a.wav", np.zeros(RATE_HZ * 2), RATE_HZ)
    message = refused("--speech-dir", few, corpus)
    assert f"{few}: number of speakers: expected 6 or more, two for every set, found 5." in message
    assert "Name files" in message
    soundfile.write(few / "5-a.wav", np.zeros(8000 * 2), 8000)
    message = refused("--speech-dir", few, corpus)
    assert "5-a.wav: sample rate: expected 16000 Hz or more, found 8000 Hz" in message
    soundfile.write(few / "5-a.wav", np.zeros(RATE_HZ * 2), RATE_HZ)
    message = refused("--speech-dir", few, *SMALL, corpus)
    assert "-a.wav: samples 0 to 32000 are silent or not finite. Remove" in message
    (few / "5-a.wav").write_text("no sound")
    assert "5-a.wav" in refused("--speech-dir", few, corpus)
    assert [path.name for path in tmp_path.iterdir()] == ["few"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--num-spoof=3,4", "for example 20,10,20, found 3,4. Try --help"),
        ("--num-speakers=0,1,1", "--num-speakers: expected three numbers of 1 or more"),
        ("--seed=-1", "--seed: expected 0 or more, found -1"),
        ("--nj=0", "--nj: expected 1 or more, found 0"),
        ("--nj=two", "argument --nj: invalid int value: 'two'. Try --help"),
        ("--speed=1", "unrecognized arguments: --speed=1. Try --help"),
    ],
)
def test_wrong_options_are_refused(option, message, tmp_path):
    assert message in refused(option, tmp_path / "corpus")


def test_help_shows_an_example():
    shown = prepare("--help")
    assert (
        shown.returncode == 0
        and "Example: local/prepare_mini_replay.py --nj 2 --seed 1 corpus/mini_replay"
        in shown.stdout
    )


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
