"""Data directories for tests, and the scripts of utils/ as functions and as processes."""

import contextlib
import functools
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
FILES = {  # three speakers with 3, 2 and 1 utterances
    "utt2spk": "a-1 a\na-2 a\na-3 a\nb-1 b\nb-2 b\nc-1 c\n",
    "spk2utt": "a a-1 a-2 a-3\nb b-1 b-2\nc c-1\n",
    "wav.scp": "a-1 1.wav\na-2 2.wav\na-3 sph2pipe x  y |\nb-1 4.wav\nb-2 5.wav\nc-1 6.wav\n",
    "feats.scp": "a-1 f.ark:4\na-2 f.ark:9\na-3 f.ark:14\n"
    "b-1 f.ark:19\nb-2 f.ark:24\nc-1 f.ark:29\n",
    "text": "a-1 one\na-2 two  words\na-3\nb-1 ä\nb-2 x\nc-1 y\n",
    "utt2label": "a-1 genuine\na-2 spoof\na-3 spoof\nb-1 genuine\nb-2 spoof\nc-1 genuine\n",
    "utt2env": "a-1 E1\na-2 E2\na-3 E1\nb-1 -\nb-2 E3\nc-1 E1\n",
    "utt2dur": "a-1 1.5\na-2 2\na-3 3e0\nb-1 4\nb-2 .5\nc-1 1\n",
    "utt2num_frames": "a-1 15\na-2 20\na-3 30\nb-1 40\nb-2 5\nc-1 10\n",
    "reco2dur": "a-1 1.5\na-2 2\na-3 3\nb-1 4\nb-2 .5\nc-1 1\n",
    "cmvn.scp": "a c.ark:2\nb c.ark:3\nc c.ark:4\n",
    "spk2gender": "a m\nb f\nc f\n",
}
SEGMENTS = {  # the same utterances, cut from two recordings
    "segments": "a-1 R1 0 1.5\na-2 R1 1.5 3\na-3 R2 0 3\nb-1 R1 4 8\nb-2 R2 7 7.5\nc-1 R1 9 10\n",
    "wav.scp": "R1 1.wav\nR2 2.wav\n",
    "reco2dur": "R1 10\nR2 20\n",
    "reco2file_and_channel": "R1 one A\nR2 two B\n",
}


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def read(directory):
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


def edit(path, *replacements):
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


@functools.cache
def load(name):
    """A module of utils/; run.py and queue.py are no modules of their names elsewhere."""
    sys.path.insert(0, str(UTILS))
    try:
        if name not in ("run", "queue"):
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(f"utils_{name}", UTILS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(UTILS))


def run_process(script, *words, **options):
    """Run a script without site: with the standard library only."""
    command = [sys.executable, "-S", UTILS / script, *words]
    pipes = {"capture_output": True, "text": True, "errors": "surrogateescape"}
    return subprocess.run(command, timeout=60, **pipes, **options)


def run(script, *words, cwd=None):
    """Run a script in this process without waiting for the disk, in a tenth of the time."""
    if script == "copy_data_dir.py":  # it starts a process, whose output would be lost
        return run_process(script, *words, cwd=cwd)
    module, err = load(script.removesuffix(".py")), io.StringIO()
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(os.fspath, words)])
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.chdir(cwd or ".")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = load("messages").status_of(module.main)
            except SystemExit as end:
                status = end.code or 0
    out.flush()
    text = out.buffer.getvalue().decode(errors="surrogateescape")
    return subprocess.CompletedProcess(words, status, text, err.getvalue())


def succeed(script, *words, **options):
    done = run(script, *words, **options)
    assert done.returncode == 0, done.stderr
    return done


def fail(script, *words, run=run, **options):
    """The one line that a failing script prints, without the script's name."""
    done = run(script, *words, **options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"{script}: ")
    return done.stderr.removeprefix(f"{script}: ")


def missing(text, words):
    """Those of the words that are not in the text."""
    return [word for word in words if word not in text]
