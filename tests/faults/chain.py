"""Every command that writes a file, on small inputs in a folder that `make_inputs` fills."""

import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from sdtools.audio.encoding import write_audio
from sdtools.detect.model import write_model
from sdtools.scoring.fusion_file import read_fusion

ROOT = Path(__file__).parent.parent.parent
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # of recipes
RATE_HZ = 16000
NUM_UTTS = 12
FEATS, GMMS = "out/compute-feats/cf.scp", "out/train-gmm/genuine.gmm out/copy-gmm/spoof.gmm"
LINES = {  # in an order in which each finds what it reads; OUT is out/<name>
    "compute-feats": "--features=cf --orders=0 --write-num-frames=ark,t:OUT/frames scp:wav.scp "
    "ark,scp:OUT/cf.ark,OUT/cf.scp",
    "compute-cqcc-feats": "scp:wav.scp ark,scp:OUT/cqcc.ark,OUT/cqcc.scp",
    "compute-modulation-feats": "--features=mcf scp:wav.scp ark,scp:OUT/mcf.ark,OUT/mcf.scp",
    "compute-tc-feats": "scp:wav.scp ark,scp:OUT/tc.ark,OUT/tc.scp",
    "copy-feats": f"--compress=true --write-num-frames=ark,t:OUT/frames scp:{FEATS} "
    "ark,scp:OUT/cf.ark,OUT/cf.scp",
    "post-feats": f"--write-cmvn-stats=ark,scp:OUT/cmvn.ark,OUT/cmvn.scp scp:{FEATS} "
    "ark,scp:OUT/post.ark,OUT/post.scp",
    "train-gmm": "--num-components=2 --final-iters=2 scp:genuine.scp OUT/genuine.gmm",
    "init-gmm": "--num-components=2 scp:spoof.scp OUT/0.gmm",
    "acc-gmm": "out/init-gmm/0.gmm scp:spoof.scp OUT/0.acc",
    "est-gmm": "out/init-gmm/0.gmm out/acc-gmm/0.acc OUT/1.gmm",
    "copy-gmm": "out/est-gmm/1.gmm OUT/spoof.gmm",
    "score-gmm": f"{GMMS} scp:{FEATS} OUT/scores/eval.txt",
    "train-fusion": "--auto-ridge --num-folds=2 --held-out=OUT/held.txt utt2label "
    "out/score-gmm/scores/eval.txt OUT/fusion.json",
    "apply-fusion": "out/train-fusion/fusion.json out/score-gmm/scores/eval.txt OUT/eval.txt",
    "eval-scores": "--bootstrap=0 --json=OUT/results.json --thresholds=OUT/thresholds.json "
    "utt2label out/score-gmm/scores/eval.txt",
    "eval-tandem": "--json=OUT/tandem.json asv.txt utt2label out/score-gmm/scores/eval.txt",
    "simulate-replay": "--num-devices=2 scp:wav.scp OUT/replayed",
    "detect": "--format=kaldi --resume=OUT/scores.txt model wav",
    "report": "out/eval-scores OUT/page",
    "filterbank": "--filters=3 --orders=0 --plot=OUT/figure.png",
}


def program(name):
    """Path of the command as it is installed."""
    return str(Path(sys.executable).parent / f"sd-{name}")


def words(name):
    """Arguments of a command."""
    return shlex.split(LINES[name].replace("OUT", f"out/{name}"))


def make_inputs(folder):
    """Make recordings, labels and scores of a verifier; then run all commands, in this process."""
    rng = np.random.default_rng(0)
    keys = [f"s{i % 4}-{i:02}" for i in range(NUM_UTTS)]
    keys.sort()
    (folder / "wav").mkdir(parents=True)
    for i, key in enumerate(keys):
        gate = 1 if (i % 2) != (i % 5 == 0) else 0.1 + np.arange(4800) // 400 % 2
        write_audio(folder / "wav" / f"{key}.wav", 0.05 * gate * rng.standard_normal(4800), RATE_HZ)
    labels = {key: ("spoof", "genuine")[i % 2] for i, key in enumerate(keys)}
    (folder / "wav.scp").write_text("".join(f"{key} wav/{key}.wav\n" for key in keys))
    (folder / "utt2label").write_text("".join(f"{key} {label}\n" for key, label in labels.items()))
    (folder / "utt2spk").write_text("".join(f"{key} {key[:2]}\n" for key in keys))
    trials = [
        (("nontarget", "spoof", "target")[i % 3], i % 7 + 4 * (i % 3 > 0) + i / 1000)
        for i in range(60)
    ]
    (folder / "asv.txt").write_text("".join(f"- {key} {score}\n" for key, score in trials))
    old, said = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        for name in LINES:
            if name == "detect":
                write_a_model()
            Path(f"out/{name}/scores").mkdir(parents=True)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                assert (
                    importlib.import_module(f"sdtools.bin.{name.replace('-', '_')}").main(
                        words(name)
                    )
                    == 0
                ), said.getvalue()
            if name == "compute-feats":
                for label in ("genuine", "spoof"):
                    lines = [
                        line
                        for line in Path(FEATS).read_text().splitlines(True)
                        if labels[line.split()[0]] == label
                    ]
                    Path(f"{label}.scp").write_text("".join(lines))
    finally:
        os.chdir(old)


def write_a_model():
    """The model that sd-detect takes."""
    Path("gmms").mkdir()
    for path, name in zip(GMMS.split(), ("genuine.gmm", "spoof.gmm")):
        for end in ("", ".conf"):
            shutil.copy(path + end, f"gmms/{name}{end}")
    threshold = {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}
    about = {"sample_rate_hz": RATE_HZ, "thresholds": {"thresholds": {"eer": threshold}}}
    fusion = read_fusion("out/train-fusion/fusion.json")[0]
    write_model(
        "model", {"cf": Path("gmms")}, {"cf": Path("out/compute-feats/cf.ark.conf")}, fusion, about
    )


def files(folder):
    """Bytes of every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def temporaries(content):
    """Names among those of files that are temporary ones."""
    return [name for name in content if re.search(r"(^|/)\.|tmp", name)]


def run(name, folder, given=None, **options):
    """Run a command in a folder of `make_inputs`, with the usual words or those given."""
    return subprocess.run(
        [program(name), *(given or words(name))],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def is_one_error(text):
    """Whether a command says in a single line why it failed, warnings and settings aside."""
    lines = text.splitlines()
    return (
        "Traceback" not in text
        and len([line for line in lines if line.startswith("ERROR (sd-")]) == 1
        and lines[-1].startswith("ERROR")
    )


def ended_by(signum):
    """Statuses of a process that a signal has ended."""
    return (-signum, 128 + signum)


def processes_in(folder):
    """Command lines of the processes that work in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes())
        except OSError:  # ended meanwhile
            pass
    return found
