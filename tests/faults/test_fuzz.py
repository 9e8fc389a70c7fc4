"""Coverage-guided fuzz of every reader of tables and text.

A mutated input that takes a new step from line to line of our code joins the corpus.

The inputs are the same in every run; time bounds how many are tried. For longer:

    SD_FUZZ_SEC=1800 pytest -s tests/faults/test_fuzz.py
"""

import contextlib
import importlib
import io
import json
import os
import pickle
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from form import IS_FULL

from sdtools.audio.decoding import load_audio, read_header, read_windows
from sdtools.audio.encoding import write_audio
from sdtools.audio.entries import open_audio
from sdtools.bin import (
    apply_fusion,
    compute_feats,
    copy_feats,
    copy_gmm,
    detect,
    est_gmm,
    eval_scores,
    eval_tandem,
    post_feats,
    simulate_replay,
    train_fusion,
    train_gmm,
)
from sdtools.bin import report as sd_report
from sdtools.cli import extraction
from sdtools.cli.command import MAX_MESSAGE, Log
from sdtools.detect import model
from sdtools.errors import SdWarning
from sdtools.features.cqcc import CqccOptions
from sdtools.features.front_ends import Output
from sdtools.features.postprocess import PostOptions
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import DiagGmm
from sdtools.gmm.statistics import GmmStats
from sdtools.options import load_settings, save_settings
from sdtools.report import page as report
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.fusion_file import read_fusion, write_fusion
from sdtools.scoring.json_files import MAX_JSON_BYTES
from sdtools.tables import specifiers
from sdtools.tables import table as tables
from sdtools.tables.input import split_offset
from sdtools.tables.random_table import open_random_table

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / folder}/" for folder in ("sdtools", "utils", "local"))
RUNS = 10**9 if IS_FULL else 350  # of a reader
FUZZ_SEC = float(os.environ.get("SD_FUZZ_SEC", "300" if IS_FULL else "45"))  # for all of them
MAX_SEC = 2  # of processor time, under trace
HANG_SEC = 120  # on the clock, beside all that else goes on
SPARE_BYTES = 100_000_000
MAX_MESSAGE = MAX_MESSAGE + 100  # characters
BAD_EVENTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.startfile",
    "pickle.find_class",
)


# ---- what is watched


class Hang(BaseException):
    """The alarm."""


class Lost(Exception):
    """An outcome that is none of those promised."""


class Steps:
    """Steps from line to line in our files, of all inputs so far."""

    def __init__(self):
        self.seen = set()

    def __enter__(self):
        self.old = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *exc):
        sys.settrace(self.old)

    def _trace(self, frame, event, arg):
        path = frame.f_code.co_filename
        if not path.startswith(OURS):
            return None
        last, add = 0, self.seen.add

        def step(frame, event, arg):
            nonlocal last
            if event == "line":
                add((path, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step


WATCH = {"events": None}


def _audit(event, args):
    if WATCH["events"] is None:
        return
    if event.startswith(BAD_EVENTS):
        WATCH["events"].append(f"{event} {args!r}"[:200])
    elif event == "open" and isinstance(args[0], (str, bytes)):
        WATCH["events"].append(os.fsdecode(args[0]))


sys.addaudithook(_audit)  # stays for the life of the process, and does nothing outside of an input


def memory_bytes():
    """Address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def watched(num_bytes, max_sec=MAX_SEC):
    """Turn a hang, too much memory and foreign warnings into errors; yield what was opened and run.

    Too much is more than ten times the input and 100 MB.
    """

    def ring(*_):
        raise Hang

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    old = signal.signal(signal.SIGALRM, ring)
    started, WATCH["events"] = time.process_time(), []
    try:
        resource.setrlimit(
            resource.RLIMIT_AS, (memory_bytes() + 10 * num_bytes + SPARE_BYTES, hard)
        )
        signal.setitimer(signal.ITIMER_REAL, HANG_SEC)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield WATCH["events"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        WATCH["events"] = None
        signal.signal(signal.SIGALRM, old)
    if time.process_time() - started > max_sec:
        raise Lost(f"took {time.process_time() - started:.1f} s")
    for warning in caught:
        if warning.category not in (UserWarning, SdWarning):
            raise Lost(f"{warning.category.__name__}: {warning.message}")


class Refused(Exception):
    """A command said in a line why it failed."""


def command(main, *argv):
    """A call of a command: its status must fit its lines."""

    def call():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["--print-args=false", *argv])
        lines = err.getvalue().splitlines()
        is_line = re.compile(r"(LOG|WARNING|ERROR) \(sd-[a-z-]+\) .").match
        bad = [
            line
            for line in lines
            if not is_line(line) or not line.isprintable() or len(line) > MAX_MESSAGE
        ]
        errors = [line for line in lines if line.startswith("ERROR")]
        if bad or status not in (0, 1) or len(errors) != status:
            raise Lost(f"status {status}, lines {lines}")
        if errors:
            raise Refused(errors[0])

    return call


def script(module, *argv):
    """A call of a script of utils/ or local/."""

    def call():
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape"), io.StringIO()
        old, sys.argv = sys.argv, [f"{module.__name__}.py", *argv]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = module.main()
        except SystemExit as end:
            status = end.code
        finally:
            sys.argv = old
        lines = err.getvalue().splitlines()
        if any(not line.isprintable() for line in lines):
            raise Lost(f"lines {lines}")
        if isinstance(status, str):
            raise Refused(status)
        if status:
            raise Refused(lines[-1])

    return call


def outcome(call, messages=None):
    """Done or refused; raises Lost if it is neither."""
    try:
        call()
        return "done"
    except OSError as error:
        message = (
            f"got {error.strerror}, need" if error.filename and error.strerror else repr(error)
        )
    except (ValueError, ArithmeticError) as error:
        message = str(error)
    except Refused as error:
        message = str(error)
        if not message.isprintable():
            raise Lost(f"message {message!r}") from None
    except Lost:
        raise
    except Hang:
        raise Lost("hang") from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        raise Lost(
            f"{error!r:.300} at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
        ) from None
    if messages is not None:
        messages.append(message)
    if re.match(r"ERROR \(sd-[a-z-]+\) memory:", message):
        raise Lost(message)
    is_system = re.match(r"(?:ERROR \(sd-[a-z-]+\) |[a-z_0-9]+\.py: )?\S.*: [A-Z][a-z ]+$", message)
    is_plain = re.search(
        r"\b(got|not)\b.*\bneed\b|: (expected|found) |\. [A-Z].*\.$", message, re.DOTALL
    )
    if not is_system and not is_plain:
        raise Lost(f"message without values or remedy: {message[:300]!r}")
    return "refused"


# ---- mutations


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("CANARY",))


RUN = [
    b"touch CANARY |",
    b"| touch CANARY",
    b"$(touch CANARY)",
    b"`touch CANARY`",
    b";touch CANARY;",
    b"PKL" + pickle.dumps(Bomb()),
]
PATHS = [
    b"..",
    b"../outside",
    b"../outside/secret",
    b"/etc/passwd",
    b"/dev/zero",
    b"-",
    b".",
    b"/",
    b"~",
    b"a/../../outside/secret",
]
NUMBERS = [
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-1",
    b"0",
    b"-0.0",
    b"1e-320",
    b"2147483648",
    b"9" * 25,
    b"9" * 400,
    b"9" * 5000,
    b"1_0",
    b"1e308",
]
TAGS = [
    b"\0B",
    b"FM ",
    b"DM ",
    b"FV ",
    b"CM ",
    b"CM2 ",
    b"CM3 ",
    b"\4",
    b"RIFF",
    b"PK\3\4",
    b"<NUMCOMPONENTS> ",
    b"</DiagGMM> ",
]
MARKS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b"'",
    b'"',
    b"\\",
    b"\n",
    b" ",
    b"\t",
    b"\r",
    b"\0",
    b",",
    b":",
    b"=",
    b"#",
    b"--",
    b"|",
    b";",
    b"[0:1]",
]
BYTES = [
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc2\xa0",
    b"\x1b[31m",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"\x0c",
    b"\x1c",
    b"\xd9\xa3",
]
DEEP = [b"[" * 3000, b'{"a":' * 3000, b"[" * 20_000, b"(" * 300, b"-" * 3000]
WORDS = [
    b"genuine",
    b"spoof",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"ark:",
    b"scp,p:",
    b"ark,scp:",
    b"target",
    b"A",
    b"E_1",
]
TOKENS = [*RUN, *PATHS, *NUMBERS, *TAGS, *MARKS, *BYTES, *DEEP, *WORDS]
INTS = [
    0,
    1,
    2,
    4,
    8,
    255,
    256,
    32767,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
]
VALUES = [
    None,
    True,
    [],
    {},
    "",
    "-",
    "..",
    "/etc/passwd",
    "touch CANARY |",
    "\x1b[31m\n",
    "\ud800",
    -1,
    0,
    1,
    2**31,
    10**300,
    10**5000,
    1e308,
]
VALUES += [
    float("nan"),
    float("inf"),
    "nan",
    "inf",
    [[]],
    [1, [2]],
    {"": None},
    "x" * 5000,
    [0] * 2000,
    "a/b/c",
]


def nodes(value, at=()):
    """Paths to all parts of what JSON holds."""
    yield at
    for key, part in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from nodes(part, (*at, key))


def mutated_json(rng, data):
    """With a part replaced or without it."""
    with contextlib.suppress(ValueError, RecursionError):
        value = {"": json.loads(data)}
        *at, last = rng.choice([at for at in nodes(value) if at])
        place = value
        for key in at:
            place = place[key]
        if at and rng.random() < 0.2:
            del place[last]
        else:
            other = rng.choice(list(nodes(value[""])))
            place[last] = rng.choice([*VALUES, len(other)])
        return bytearray(json.dumps(value[""]).encode())
    return data


def mutated(rng, name, data, others):
    """Bytes with a few changes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4, 12))):
        i = rng.randrange(len(data) + 1)
        j = min(len(data), i + int(2 ** rng.uniform(0, 7)))
        match rng.randrange(13):
            case 0 if i < len(data):
                data[i] ^= 1 << rng.randrange(8)
            case 1:
                size = rng.choice((4, 8))
                data[i : i + size] = (rng.choice(INTS) % 256**size).to_bytes(
                    size, rng.choice(("little", "little", "big"))
                )
            case 2:
                del data[i:j]
            case 3:
                data[i:i] = data[i:j] * rng.choice((1, 1, 50))
            case 4:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                data[i:j] = other[start : start + j - i]
            case 5 if rng.random() < 0.3:
                del data[i:]
            case 6:
                data[i:i] = rng.choice(TOKENS)
            case 7 | 8:
                if words := list(re.finditer(rb"[^\s,:\[\]\"=]+", data[:20_000])):
                    first, last = rng.choice(words).span()
                    data[first:last] = rng.choice([rng.choice(TOKENS), rng.choice(words)[0]])
            case 9 | 10:
                lines = bytes(data).split(b"\n")
                k = rng.randrange(len(lines))
                data[:] = b"\n".join(
                    lines[:k]
                    + rng.choice(([], [lines[k]] * 2, [rng.choice(lines), lines[k]]))
                    + lines[k + 1 :]
                )
            case 11 | 12 if name.endswith("json"):
                data = mutated_json(rng, data)
    return bytes(data[:1_000_000])


def mutant(rng, corpus):
    """Files of an input of the corpus, one or two of them changed."""
    files = dict(
        rng.choice(corpus)
        if rng.random() < 0.5
        else corpus[-1 - int(len(corpus) * rng.random() ** 2)]
    )
    for _ in range(rng.choice((1, 1, 1, 2))):
        name = rng.choice(sorted(files))
        files[name] = mutated(rng, name, files[name], list(rng.choice(corpus).values()))
    return files


# ---- readers


class Reader(NamedTuple):
    """Inputs {name: bytes}, calls that read them, and how to correct a mutant's checksums."""

    seeds: list
    calls: list
    names_files: bool = False  # whether an input may name any file
    mend: object = lambda files: files


def load(folder, name):
    """A script as a module, which is not run."""
    sys.path.insert(0, str(ROOT / folder))
    try:
        if folder == "utils":
            importlib.import_module("data_dir").run = lambda main: None
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / folder))


def collected(folder):
    """{name: bytes} of all files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def table_readers():
    rng = np.random.default_rng(7)
    matrix, words = rng.standard_normal((9, 3)).astype(np.float32), ["a", "b-c", "päng"]
    values = {
        "matrix": [[matrix, matrix[:1]], [matrix.astype(np.float64), np.empty((0, 0))]],
        "vector": [[matrix[0], matrix[:, 0]], [matrix[0].astype(np.float64), np.empty(0)]],
        "int": [[3, -70000]],
        "float": [[0.5, -1e10]],
        "int_vector": [[np.array([1, -2, 70000]), np.array([], int)]],
        "token": [["ab", "λ"]],
        "tokens": [[words, []]],
    }
    made = {
        kind: [("ark" + option, 0, pair) for pair in pairs for option in ("", ",t")]
        for kind, pairs in values.items()
    }
    made["matrix"] += [("ark", method, [matrix, matrix[:3]]) for method in range(1, 8)]
    for kind, cases in made.items():
        seeds = []
        for form, method, pair in cases:
            with tables.open_writer(
                f"{form},scp:in,in.scp" if form == "ark" else "ark,scp,t:in,in.scp", kind, method
            ) as writer:
                for key, value in zip("ab", pair):
                    writer.write(key, value)
            script_file = Path("in.scp").read_bytes()
            if kind in ("matrix", "vector"):
                script_file += (
                    b"c in:2[0:1]\nd in:2[1:3,0:0]\n" if kind == "matrix" else b"c in:2[0:1]\n"
                )
            seeds.append({"in": Path("in").read_bytes(), "in.scp": script_file})

        def in_order(rspecifier, kind=kind):
            is_compressed = not re.search(
                rb"\0B[FD]M|\[", Path("in").read_bytes()
            ) and rspecifier.startswith("ark")
            with tables.open_table(rspecifier, kind) as table:
                for entry in table:
                    value = entry.load()
                    assert kind != "matrix" or not is_compressed or np.isfinite(value).all()

        def by_key(rspecifier, kind=kind):
            with open_random_table(rspecifier, kind) as table:
                for key in ("a", "b", "zz"):
                    if key in table:
                        assert table[key] is not None

        calls = [
            lambda name=name, read=in_order: read(name)
            for name in ("ark:in", "ark,p:in", "scp:in.scp", "scp,p:in.scp")
        ]
        calls += [lambda name=name, read=by_key: read(name) for name in ("ark,s:in", "scp:in.scp")]
        if kind == "matrix":
            calls += [
                command(copy_feats.main, "scp:in.scp", "ark,t:out"),
                command(post_feats.main, "ark:in", "ark:out"),
            ]
        yield f"table of {kind}", Reader(seeds, calls, names_files=True)


def wave_reader():
    seeds = []
    for options in (
        {"format": "WAV", "subtype": "PCM_16"},
        {"format": "WAV", "subtype": "FLOAT"},
        {"format": "WAV", "subtype": "ULAW"},
    ):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.linspace(-0.9, 0.9, 50), 8000, **options)
        wave = buffer.getvalue()
        seeds.append(
            {
                "in": b"a " + wave + b"b " + wave,
                "in.scp": b"a in:2\nb in:%d\n" % (4 + len(wave)),
                "a.wav": wave,
            }
        )

    def read(rspecifier):
        with open_audio(rspecifier) as table:
            for entry in table:
                assert np.isfinite(entry.load()[0]).all()

    def windows():
        for window in read_windows("a.wav", 1.0):
            assert np.isfinite(window.samples).all()

    calls = [lambda name=name: read(name) for name in ("ark:in", "scp:in.scp", "scp,p:in.scp")]
    return Reader(
        seeds, [*calls, windows, lambda: load_audio("a.wav", channel=0)], names_files=True
    )


CODED = {  # FFmpeg's options for short files of all containers; a bar is a pipe
    "m4a": ["-c:a", "aac"],
    "mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "mov": ["-c:a", "pcm_s16le"],
    "3gp": ["-c:a", "libopencore_amrnb"],
    "webm": ["-c:a", "libopus"],
    "webm|": ["-c:a", "libopus", "-f", "webm"],
    "mka": ["-c:a", "flac"],
    "amr": ["-c:a", "libopencore_amrnb"],
    "aac": ["-c:a", "aac"],
    "wma": ["-c:a", "wmav2"],
    "wv": ["-c:a", "wavpack"],
    "ogg": ["-c:a", "flac"],
    "opus": ["-c:a", "libopus"],
    "mp3": ["-c:a", "libmp3lame"],
    "aiff|": ["-f", "aiff"],
    "caf|": ["-f", "caf"],
    "rf64|": ["-rf64", "always", "-f", "wav"],
    "w64": [],
    "au": [],
}


def sound_reader():
    seeds = []
    t = np.arange(2000) / 8000
    soundfile.write("source.wav", 0.3 * np.sin(2 * np.pi * 300 * t), 8000)
    for form, options in CODED.items():
        words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", "source.wav"]
        words += [*options, "-" if form.endswith("|") else f"coded.{form}"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        seeds.append({"a": done.stdout or Path(f"coded.{form}").read_bytes()})

    def windows():
        num_frames = 0
        for window in read_windows("a", 0.1):
            assert np.isfinite(window.samples).all()
            num_frames += len(window.samples)
        assert num_frames == read_header("a", count=True).num_frames

    return Reader(seeds, [windows, lambda: load_audio("a", channel=0)])


def small_gmm(dim=3, num_components=2):
    rng = np.random.default_rng(1)
    return DiagGmm(
        np.full(num_components, 1 / num_components),
        rng.standard_normal((num_components, dim)),
        1 + rng.random((num_components, dim)),
    )


def gmm_readers():
    seeds, stats_seeds = [], []
    for name, options in (
        ("in", {}),
        ("in", {"text": True}),
        ("in", {"double": True}),
        ("in", {"double": True, "text": True}),
    ):
        gmm_io.write_gmm(name, small_gmm(), **options)
        seeds.append({"in": Path(name).read_bytes(), "in.conf": b"--variance-floor=0.1\n"})
    gmm_io.write_gmm("in.npz", small_gmm())
    npz = [{"in.npz": Path("in.npz").read_bytes()}]
    np.savez_compressed("in.npz", **{name: getattr(small_gmm(), name) for name in gmm_io.NPZ_NAMES})
    npz.append({"in.npz": Path("in.npz").read_bytes()})
    gmm, rng = small_gmm(), np.random.default_rng(2)
    first, second = rng.standard_normal((2, 3)), 50 + rng.random((2, 3))
    for text in (False, True):
        gmm_io.write_stats(
            "in", GmmStats(np.array([20.0, 30.0]), first, second, 0.0, 50), text=text
        )
        stats_seeds.append(
            {
                "acc": Path("in").read_bytes(),
                **{f"gmm{name[2:]}": data for name, data in seeds[text].items()},
            }
        )

    def read(path):
        got = gmm_io.read_gmm(path)
        assert all(np.isfinite(values).all() for values in (got.weights, got.means, got.variances))

    yield (
        "DiagGmm",
        Reader(seeds, [lambda: read("in"), command(copy_gmm.main, "--binary=false", "in", "out")]),
    )
    yield "npz", Reader(npz, [lambda: read("in.npz")])
    yield (
        "accumulators",
        Reader(
            stats_seeds,
            [
                lambda: gmm_io.read_stats("acc"),
                command(est_gmm.main, "--split=true", "gmm", "acc", "out"),
            ],
        ),
    )
    del gmm


UTTS = [f"s{i % 4}-u{i:02}" for i in range(40)]


def score_files():
    rng = np.random.default_rng(3)
    files = {
        "utt2label": "".join(
            f"{utt} {'genuine' if i % 2 else 'spoof'}\n" for i, utt in enumerate(UTTS)
        )
    }
    for name in ("a", "b"):
        files[f"exp/{name}/scores/eval.txt"] = "".join(
            f"{utt} {x + i % 2!r}\n"
            for i, (utt, x) in enumerate(zip(UTTS, rng.normal(size=40).tolist()))
        )
    files["utt2env"] = "".join(f"{utt} E{i % 3}\n" for i, utt in enumerate(UTTS))
    files["utt2spk"] = "".join(f"{utt} {utt[:2]}\n" for utt in UTTS)
    files["weights"] = "".join(f"{utt} {1 + i % 3}\n" for i, utt in enumerate(UTTS))
    files["asv"] = "".join(
        f"x {key} {x!r}\n"
        for key, x in zip(["target", "nontarget", "spoof"] * 20, rng.normal(size=60).tolist())
    )
    return {name: text.encode() for name, text in files.items()}


def lay(files):
    """Write the files into the current directory, which is emptied."""
    for path in os.listdir():
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    for name, data in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(data)


def score_readers():
    files = score_files()
    lay(files)
    paths = ["exp/a/scores/eval.txt", "exp/b/scores/eval.txt"]
    weighted = command(
        train_fusion.main,
        "--trial-weights=weights",
        "--held-out=held",
        "--auto-ridge=true",
        "utt2label",
        *paths,
        "f",
    )
    calls = [command(eval_scores.main, "--bootstrap=5", "--by=env", "utt2label", *paths), weighted]
    calls.append(command(eval_tandem.main, "asv", "utt2label", paths[0]))
    yield "scores, labels, weights", Reader([files], calls)

    write_fusion("fusion.json", Fusion(np.array([1.0, 0.5]), 0.1, 0.5, 0.0, 0.4, 20, 20), paths)
    plain = {"fusion.json": Path("fusion.json").read_bytes()}
    write_fusion(
        "fusion.json",
        Fusion(
            np.array([1.0]), 0.1, 0.5, 0.0, 0.4, 20, 20, np.zeros(1), np.array([[0.0, 1], [2, 3]])
        ),
        paths[:1],
    )
    seeds = [
        {"fusion.json": data, **{path: files[path] for path in paths}}
        for data in (plain["fusion.json"], Path("fusion.json").read_bytes())
    ]

    def apply():
        _, systems = read_fusion("fusion.json")
        command(apply_fusion.main, "fusion.json", *paths[: len(systems)], "out")()

    yield "fusion", Reader(seeds, [apply])

    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(io.StringIO()):
        assert (
            eval_scores.main(
                [
                    "--print-args=false",
                    "--by=env",
                    "--bootstrap=9",
                    "--json=exp/results.json",
                    "utt2label",
                    *paths,
                ]
            )
            == 0
        )
    Path("exp/RESULTS.md").write_text("Made by `./run.sh`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    results = {
        **files,
        **plain,
        "exp/a/genuine.gmm.conf": b"--num-components=4\n",
        "exp/b/fusion.json": plain["fusion.json"],
    }
    results |= {name: Path(name).read_bytes() for name in ("exp/results.json", "exp/RESULTS.md")}
    paper_tables = load("local", "paper_tables")
    calls = [
        command(sd_report.main, "exp", "exp/report"),
        script(paper_tables, "--paper", "exp/results.json", "out"),
    ]
    yield "results", Reader([results], calls)


def model_reader():
    """Feature settings are left to the fuzz of .conf files: they decide time and memory."""
    gmm_io.write_gmm("genuine.gmm", small_gmm(3))
    gmm_io.write_gmm("spoof.gmm", small_gmm(3, 1))
    for label in ("genuine", "spoof"):
        save_settings(f"{label}.gmm.conf", PostOptions(deltas=False, cmvn=False))
    options = CqccOptions(bins_per_octave=12, num_octaves=3, num_ceps=2, frame_shift_ms=1.0)
    save_settings("feats.conf", options, extraction.AudioOptions())
    fusion = Fusion(np.array([1.0]), 0.1, 0.5, 0.0, 0.4, 20, 20)
    thresholds = {
        "thresholds": {
            name: {"threshold": 0.1, "p_miss": 0.1, "p_false_alarm": 0.1}
            for name in ("eer", "bayes")
        }
    }
    about = {"note": "Ours.", "sample_rate_hz": 16000, "thresholds": thresholds}
    model.write_model("model", {"cqcc": Path()}, {"cqcc": Path("feats.conf")}, fusion, about)
    write_audio("a.wav", np.random.default_rng(0).standard_normal(16000).clip(-3, 3) / 4, 16000)
    files = {
        name: data
        for name, data in collected(".").items()
        if name.startswith("model/") or name == "a.wav"
    }

    def mend(files):
        files = {
            **files,
            "model/cqcc/feats.conf": Path(kept, "feats.conf").read_bytes(),
            "a.wav": Path(kept, "a.wav").read_bytes(),
        }
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            record = json.loads(files["model/model.json"])
            for name in record["files"]:
                if f"model/{name}" in files:
                    record["files"][name] = model.hashlib.sha256(files[f"model/{name}"]).hexdigest()
            files["model/model.json"] = json.dumps(record).encode()
        return files

    kept = Path.cwd()
    return Reader(
        [files],
        [command(detect.main, "--info=true", "model", "a.wav")],
        mend=mend,
    )


def text_readers():
    compute = {
        "in.conf": Path(ROOT, "egs/mini_replay/sd/conf/feats.conf").read_bytes()
        + b"--channel=1\n--write-utt2dur=ark,t:out # x\n"
    }
    gmm = {"in.conf": b"--num-components=512\n--final-iters=3\n--cmvn=false\n--delta_window=2\n"}
    fusion = {"in.conf": b"--prior=0.4\n--nonnegative\n--costs=\n--missing=zero\n--num-folds=3\n"}
    simulate = {"in.conf": b"--copies=2\n--codecs=none,mp3\n--snr-db=20,40\n--max-skip=3\n"}
    calls = []
    for module in (compute_feats, train_gmm, train_fusion, detect, simulate_replay, eval_tandem):
        parse = module.COMMAND.parse
        calls.append(
            lambda parse=parse: parse(
                ["--print-args=false", "--config=in.conf", "a", "b", "c"], Log("sd-x")
            )
        )
    calls += [
        lambda cls=cls: load_settings("in.conf", cls)
        for cls in (*compute_feats.COMMAND.options, PostOptions, CqccOptions)
    ]
    yield "conf", Reader([compute, gmm, fusion, simulate], calls)

    names = [
        b"ark:a.ark",
        b"scp,p:a.scp",
        b"ark,scp,t:a.ark,a.scp",
        b"ark,o,s,cs:-",
        b"ark:gunzip -c a |",
        b"ark,scp:{feature}_{order},x_{feature}_{order}",
    ]

    outputs = [
        Output(f"{feature}_sd{order}", {"feature": feature, "order": order}, None)
        for feature in ("cf", "cm")
        for order in "06"
    ]

    def word():
        return os.fsdecode(Path("in").read_bytes().replace(b"\0", b"")[:4096])

    def fill():
        extraction.fill(word(), outputs)

    def opened():
        if "|" not in word() and not word().endswith(("-", ":")):
            with tables.open_table(word()) as table:
                list(table)

    def written():
        _, ark, _ = specifiers.parse_wspecifier(word())
        assert ark is None or not ark.endswith("|") or ark.startswith("|")

    calls = [
        lambda: specifiers.parse_rspecifier(word()),
        written,
        fill,
        opened,
        lambda: split_offset(word()),
    ]
    yield "specifiers", Reader([{"in": name} for name in names], calls, names_files=True)


def data_readers():
    values = {
        "wav.scp": "/x/{}.wav",
        "utt2label": "genuine",
        "utt2dur": "{}.5",
        "text": "hello {}",
        "utt2num_frames": "{}",
        "utt2env": "E{}",
    }
    data = {
        f"d/{name}": "".join(f"s{i // 2}-u{i} {value.format(i)}\n" for i in range(1, 7)).encode()
        for name, value in values.items()
    }
    data["d/utt2spk"] = b"".join(b"s%d-u%d s%d\n" % (i // 2, i, i // 2) for i in range(1, 7))
    data["d/spk2utt"] = b"s0 s0-u1\ns1 s1-u2 s1-u3\ns2 s2-u4 s2-u5\ns3 s3-u6\n"
    data["d/frame_shift"] = b"0.01\n"
    segments = {
        **data,
        "d/segments": b"".join(
            b"s%d-u%d r%d 0.5 1.%d\n" % (i // 2, i, i % 2, i) for i in range(1, 7)
        ),
    }
    segments |= {
        "d/wav.scp": b"r0 /x/0.wav\nr1 cat x |\n",
        "d/reco2dur": b"r0 3\nr1 4\n",
        "d/reco2file_and_channel": b"r0 x A\nr1 x B\n",
    }
    other = {
        f"e/{name[2:]}": value.replace(b"s", b"z") if name[2:] in ("utt2spk", "wav.scp") else value
        for name, value in data.items()
    }
    names = (
        "validate_data_dir",
        "subset_data_dir",
        "combine_data",
        "fix_data_dir",
        "utt2spk_to_spk2utt",
        "split_data",
    )
    validate, subset, combine, fix, invert, split = (load("utils", name) for name in names)
    calls = [
        script(validate, "--no-feats", "d"),
        script(subset, "--shortest", "d", "2", "o"),
        script(subset, "--per-spk", "d", "1", "p"),
    ]
    calls += [
        script(combine, "q", "d", "e"),
        script(invert, "d/utt2spk"),
        script(split, "d", "2"),
        script(fix, "d"),
    ]
    yield (
        "data directories",
        Reader(
            [data | {"e/utt2spk": other["e/utt2spk"], "e/wav.scp": other["e/wav.scp"]}, segments],
            calls,
        ),
    )

    make_models = load("local", "make_models")
    tables_beside = {
        "d/utt2spk": data["d/utt2spk"],
        "d/utt2label": data["d/utt2label"],
        "d/utt2dur": data["d/utt2dur"],
        "d/wav.scp": data["d/wav.scp"],
    }
    write_fusion("f", Fusion(np.array([1.0]), 0.1, 0.5, 0.0, 0.4, 20, 20), ["exp/a/scores/dev.txt"])
    tables_beside |= {"exp/x/fusion.json": Path("f").read_bytes()}

    def members():
        make_models.make_model(Path("none"), make_models.Experiment(Path("exp")), "x", None, None)

    calls = [
        lambda: make_models.count_data([Path("d")]),
        members,
        lambda: simulate_replay._recordings("scp:d/wav.scp", Path("o")),
    ]
    yield "tables beside", Reader([tables_beside], calls)

    prepare, prepare_folder = load("local", "prepare_asvspoof2017"), load("local", "prepare_folder")
    write_audio("a.wav", np.linspace(-0.5, 0.5, 40), 16000)
    wave = Path("a.wav").read_bytes()
    corpus = {
        f"c/ASVspoof2017_V2_{name}/{letter}_{i}.wav": wave
        for name, letter in prepare.SETS.items()
        for i in (1, 2)
    }
    for name, letter in prepare.SETS.items():
        lines = f"{letter}_1.wav genuine M{letter} S01 - - -\n"
        lines += f"{letter}_2.wav spoof M{letter} S02 E1 P1 R1\n"
        corpus[
            f"c/protocol_V2/ASVspoof2017_V2_{name}.{'trn' if name == 'train' else 'trl'}.txt"
        ] = lines.encode()
    protocols = {name: data for name, data in corpus.items() if "protocol" in name}
    calls = [script(prepare, "c", "data")]
    calls += [
        lambda name=name: prepare.read_protocol(
            Path(name), next(s for s in prepare.SETS if s in name), []
        )
        for name in protocols
    ]
    yield (
        "protocols",
        Reader(
            [
                corpus,
                corpus
                | {
                    name: data.replace(b" - - -", b"").replace(b" E1 P1 R1", b"")
                    for name, data in protocols.items()
                },
            ],
            calls,
        ),
    )

    csv = {"in.csv": b'file,label,speaker,env\na.wav,genuine,m1,E1\nb/c.wav,spoof,m2,"E,2"\n'}
    yield "csv", Reader([csv], [lambda: prepare_folder.from_table("in.csv")])

    launcher, arrays = load("utils", "launcher"), load("utils", "arrays")
    Path("log").write_text("x")
    launcher.mark_done(launcher.Task(1, "log", ["echo", "in.scp"], "echo in.scp"), {"files": {}})
    state = {
        "log": b"x",
        "log.done": Path("log.done").read_bytes(),
        "in.scp": b"a in:2\nb cat |\n",
        "queue.conf": arrays_conf(),
    }
    task, scheduler = (
        launcher.Task(1, "log", ["echo", "in.scp"], "echo in.scp"),
        SimpleNamespace(passed_words=list, config_path=""),
    )
    calls = [
        lambda: launcher.is_done(task),
        lambda: launcher.mark_done(task, launcher.record_of(task)),
    ]
    launch = launcher.Launch({"config": "queue.conf", "mem": "2G"}, [], "JOB", [], "", [])
    calls.append(lambda: arrays.submit_words(scheduler, launch))
    yield "state files", Reader([state], calls, names_files=True)


def arrays_conf():
    return (
        b"command sbatch --export=ALL\noption mem=* --mem-per-cpu=$0\noption mem=0 # none\n"
        b"default gpu=0\noption gpu=0 -p 'shared x'\n"
    )


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """All readers, by name; their seeds are what our own writers wrote."""
    folder = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as patch:
        made = {}
        for make in (table_readers, gmm_readers, score_readers, text_readers, data_readers):
            (folder / make.__name__).mkdir()
            patch.chdir(folder / make.__name__)
            made.update(make())
        for name, make in (("wave", wave_reader), ("sound", sound_reader), ("model", model_reader)):
            (folder / make.__name__).mkdir()
            patch.chdir(folder / make.__name__)
            made[name] = make()
        patch.setattr(report, "plots", NoPlots())
        patch.setattr(os, "fsync", lambda descriptor: None)  # ten times as many inputs
        yield made


class NoPlots:
    """Plots take a second each and read nothing."""

    def __getattr__(self, name):
        return lambda *args, **options: ""


NAMES = [
    f"table of {kind}"
    for kind in ("matrix", "vector", "int", "float", "int_vector", "token", "tokens")
]
NAMES += [
    "wave",
    "sound",
    "DiagGmm",
    "npz",
    "accumulators",
    "scores, labels, weights",
    "fusion",
    "results",
    "model",
    "conf",
    "specifiers",
]
NAMES += ["data directories", "tables beside", "protocols", "csv", "state files"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current directory, beside which is what nobody named."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("a 1\n")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    nothing, old = os.open(os.devnull, os.O_RDONLY), os.dup(0)
    os.dup2(nothing, 0)
    yield tmp_path / "in"
    os.dup2(old, 0)
    os.close(old)
    os.close(nothing)


def is_allowed(path, folder):
    """Whether a reader may open a file that no input names: its own, Python's, ours."""
    whole = os.path.realpath(path)
    return whole.startswith(
        (
            f"{folder}/",
            sys.prefix,
            sys.base_prefix,
            str(ROOT),
            "/dev/null",
            "/proc/",
            "/sys/",
            "/usr/",
        )
    )


def tried(reader, files, folder, steps=None, messages=None):
    """Outcomes of the calls on an input; raises Lost. Messages go into a list, if one is given."""
    outcomes = []
    lay(files)
    for call in reader.calls:
        with watched(sum(map(len, files.values()))) as events, steps or contextlib.nullcontext():
            outcomes.append(outcome(call, messages))
        if bad := [event for event in events if event.startswith(BAD_EVENTS)]:
            raise Lost(f"ran {bad[0]}")
        if not reader.names_files and (
            bad := [path for path in events if not is_allowed(path, folder)]
        ):
            raise Lost(f"opened {bad[0]}")
        if any(
            "CANARY" in name for _, folders, names in os.walk(folder) for name in (*folders, *names)
        ):
            raise Lost("the canary")
    return outcomes


@pytest.mark.parametrize("name", NAMES)
def test_every_mutated_input_is_read_or_refused_in_a_line(readers, folder, fault, name):
    assert set(readers) == set(NAMES)
    reader, rng, steps = readers[name], random.Random(name), Steps()
    corpus, lost, counts, num_runs = [], {}, {"done": 0, "refused": 0}, 0
    for seed in reader.seeds:
        for call in reader.calls:  # imports and caches of libraries are nobody's fault
            lay(seed)
            with contextlib.suppress(Exception):
                call()
        tried(reader, seed, folder, steps)
        corpus.append(seed)
    num_seed_steps, end = len(steps.seen), time.monotonic() + FUZZ_SEC / len(NAMES)
    while num_runs < RUNS and time.monotonic() < end:
        files, before = reader.mend(mutant(rng, corpus)), len(steps.seen)
        num_runs += 1
        try:
            for kind in tried(reader, files, folder, steps):
                counts[kind] += 1
        except Lost as error:
            lost.setdefault(
                re.sub(r"[0-9]+|'.*?'|\(.*?\)", "0", str(error))[:60], (str(error), files)
            )
        else:
            if len(steps.seen) > before:
                corpus.append(files)
    lines = len({(path, line) for path, _, line in steps.seen})
    print(
        f"\n{name}: {num_runs} inputs, {counts['done']} calls done, {counts['refused']} refused;",
        end=" ",
    )
    print(
        f"steps {num_seed_steps} -> {len(steps.seen)}, {lines} lines, corpus {len(corpus)}; "
        f"{len(lost)} kinds lost"
    )
    with fault("fuzz of tables and text", num_runs):
        for message, files in lost.values():
            print(f"LOST {name}: {message}\n{changed(files, reader.seeds)}"[:2000])
        assert not lost and all(counts.values())


def changed(files, seeds):
    """Those files that no seed has, as a literal."""
    return {
        name: data for name, data in files.items() if all(seed.get(name) != data for seed in seeds)
    }


# ---- what was lost once


def fusion_of(**changes):
    record = {
        "systems": ["a"],
        "weights": [1.0],
        "offset": 0,
        "prior": 0.5,
        "ridge": 0,
        "objective": 1,
        "num_genuine": 1,
        "num_spoof": 1,
    }
    return json.dumps({**record, **changes}).encode()


def npz_of(compression=0, **members):
    """An .npz with these bytes for members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in gmm_io.NPZ_NAMES:
            archive.writestr(f"{name}.npy", members.get(name, b""))
    return buffer.getvalue()


def npy_of(array, head=None):
    """An array as numpy writes it, perhaps with another header."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    data = buffer.getvalue()
    return data if head is None else data[:8] + len(head).to_bytes(2, "little") + head + b"\n"


def huge_sums():
    """Statistics whose sum of frames is beyond float64."""
    ones = np.ones((2, 3))
    gmm_io.write_stats("huge", GmmStats(np.array([1.5e308, 1.5e308]), ones, ones, 0.0, 0))
    return Path("huge").read_bytes()


def changed_json(name, *at, value):
    """A change of the seed: a part of its JSON replaced."""

    def change(seed):
        record = json.loads(seed[name])
        place = record
        for key in at[:-1]:
            place = place[key]
        place[at[-1]] = value
        return {name: json.dumps(record).encode()}

    return change


DEEP_JSON = b"[" * 100_000
LOST = [
    ("fusion", {"fusion.json": DEEP_JSON}, "nested too deeply"),
    ("fusion", {"fusion.json": fusion_of(offset=10**400)}, "an integer of 401 digits"),
    (
        "fusion",
        {"fusion.json": fusion_of().replace(b'"offset": 0', b'"offset": 1e999')},
        "1e999 is not finite",
    ),
    ("fusion", {"fusion.json": fusion_of(systems=["\ud800"])}, "surrogates not allowed"),
    (
        "fusion",
        lambda _: {"fusion.json": bytes(MAX_JSON_BYTES + 1)},
        "at most 16777216 bytes",
    ),
    (
        "results",
        changed_json("exp/results.json", "systems", 0, "system", value="touch CANARY |"),
        "reading results runs no command",
    ),
    (
        "results",
        changed_json("exp/results.json", "utt2label", value="touch CANARY |"),
        "reading results runs no command",
    ),
    ("results", changed_json("exp/results.json", "systems", value=[]), "systems: expected one"),
    (
        "results",
        changed_json("exp/results.json", "systems", 0, "min_cllr", value="1"),
        "min_cllr: expected a number",
    ),
    (
        "results",
        changed_json("exp/results.json", "systems", 1, "by", value={}),
        "they have different conditions",
    ),
    (
        "results",
        changed_json("exp/results.json", "systems", 1, "by", "env", value={}),
        "they have different conditions",
    ),
    (
        "results",
        changed_json("exp/results.json", "options", "eer", value=["interp", "x"]),
        "eer.x: no such field",
    ),
    ("results", {"exp/results.json": DEEP_JSON}, "nested too deeply"),
    ("results", {"exp/RESULTS.md": b"\xff", "exp/a/genuine.gmm.conf": b"\xff"}, None),
    ("model", {"model/model.json": DEEP_JSON}, "nested too deeply"),
    (
        "model",
        changed_json("model/model.json", "systems", value=[1, "\x1b[31m\n"]),
        r"systems\[0\]: expected a string, found 1",
    ),
    ("model", changed_json("model/model.json", "systems", value=3), "systems: expected a list"),
    ("model", changed_json("model/model.json", "note", value="two\nlines\x1b[31m"), None),
    (
        "model",
        changed_json(
            "model/model.json", "thresholds", "thresholds", "eer", "threshold", value="nan"
        ),
        "threshold: expected a number, found 'nan'",
    ),
    (
        "model",
        changed_json("model/model.json", "files", value={}),
        "names no fusion.json",
    ),
    (
        "model",
        {"model/cqcc/genuine.gmm.conf": b"--delta-window=1000000000\n"},
        "--delta-window: expected 1 to 1000",
    ),
    ("conf", {"in.conf": b"--prior=\xff\n"}, "expected UTF-8"),
    (
        "npz",
        {
            "in.npz": npy_of(np.ones(3))
            + npz_of(**{name: npy_of(np.ones((2, 2))) for name in gmm_io.NPZ_NAMES})
        },
        "DiagGmm: shapes: ",
    ),
    ("npz", {"in.npz": npz_of(weights=npy_of(np.ones(1), b"-" * 9000))}, "expected float arrays"),
    ("npz", {"in.npz": npz_of(weights=npy_of(np.ones(1), b"(\n'"))}, "expected float arrays"),
    (
        "npz",
        {"in.npz": npz_of(zipfile.ZIP_DEFLATED, weights=npy_of(np.zeros(10**7)))},
        "80000128 bytes out of",
    ),
    ("accumulators", lambda _: {"acc": huge_sums()}, "nan, inf or a negative number of frames"),
    ("accumulators", {"gmm.conf": b"--variance-floor=" + b"[" * 200_000}, " ... "),
    (
        "wave",
        {"in.scp": b"a /dev/zero\n"},
        "this device has no end",
    ),
    ("tables beside", {"d/utt2spk": b"a\n"}, "expected a word"),
    ("tables beside", {"d/utt2dur": b"a\n"}, "expected a number"),
    (
        "tables beside",
        {"exp/x/fusion.json": fusion_of(systems=["s.txt"])},
        "expected <exp>/<system>/scores/dev.txt",
    ),
    (
        "tables beside",
        {"exp/x/fusion.json": fusion_of(systems=["../../scores/s.txt"])},
        "expected <exp>/<system>/scores/dev.txt",
    ),
    (
        "protocols",
        {"c/ASVspoof2017_V2_dev/D_1.wav": b"RIFF\0\0\0\0WAVE" + bytes(5 * 10**7)},
        "sampling rate|samples",
    ),
    (
        "protocols",
        {"c/protocol_V2/ASVspoof2017_V2_dev.trl.txt": b"D_1\x1b[31m genuine\n"},
        r"D_1\\x1b\[31m",
    ),
    ("data directories", {"d/utt2spk": b"s0-u1\x1b[31m s0\n"}, "no utterance is in all files"),
    ("csv", {"in.csv": b"file,label\n.,genuine\n"}, "sound file"),
    ("csv", {"in.csv": b"file,label\n\xff,genuine\n"}, "UTF-8"),
    (
        "csv",
        {"in.csv": b"file,label\n" + b"x" * 140_000 + b",genuine\n"},
        "field larger|field limit|commas",
    ),
    ("state files", {"log.done": DEEP_JSON}, None),
    ("state files", {"queue.conf": b"command a 'b\n"}, "No closing quotation"),
    ("state files", {"queue.conf": b"command \xff\noption mem=*\n"}, None),
]


@pytest.mark.parametrize(("name", "changes", "message"), LOST, ids=range(len(LOST)))
def test_what_was_lost_once_is_read_or_refused(readers, folder, fault, name, changes, message):
    reader = readers[name]
    for seed in reader.seeds[:1]:
        files = reader.mend({**seed, **(changes(seed) if callable(changes) else changes)})
    lay(reader.seeds[0])
    for call in reader.calls:  # imports are not what is measured
        with contextlib.suppress(Exception):
            call()
    messages = []
    with fault("fuzz of tables and text"):
        tried(reader, files, folder, messages=messages)
        assert (
            any(re.search(message, text) for text in messages)
            if message
            else len(messages) < len(reader.calls)
        )


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("matrix", b"a \0BCM " + struct.pack("<ffii", 0, 1, 2 * 10**7, 1) + bytes(8 + 2 * 10**7)),
        ("matrix", b"a [ " + b"1\n" * 1_000_000 + b"]\n"),
        ("vector", b"a [ " + b"12 " * 4_000_000 + b"]\n"),
        ("int_vector", b"a " + b"300 " * 3_000_000 + b"\n"),
    ],
    ids=["codes", "rows", "vector", "integers"],
)
def test_many_small_numbers_take_no_more_than_ten_times_their_bytes(folder, fault, kind, data):
    Path("in").write_bytes(data)
    with (
        fault("fuzz of tables and text"),
        watched(len(data), 60),
        tables.open_table("ark:in", kind) as table,
    ):
        assert next(entry.load().size for entry in table) >= 1_000_000


@pytest.mark.parametrize(
    "target", ["../../outside/secret", "../../../outside/secret", "/dev/zero", "fusion.json"]
)
@pytest.mark.parametrize("name", ["model.json", "fusion.json", "cqcc/spoof.gmm"])
def test_a_model_does_not_reach_outside_by_a_link(readers, folder, fault, name, target):
    lay(readers["model"].seeds[0])
    os.unlink(f"model/{name}")
    os.symlink(target, f"model/{name}")
    with fault("fuzz of tables and text"), watched(10_000) as events:
        with pytest.raises(
            ValueError,
            match=r"no file model\.json|no such file|has changed|no JSON|no such field",
        ):
            model.load_model("model")
        assert not any(
            "secret" in path or path == "/dev/zero" for path in map(os.path.realpath, events)
        )


@pytest.mark.parametrize("name", ["model.json", "fusion.json"])
def test_a_pipe_in_a_model_is_refused_at_once(readers, folder, fault, name):
    lay(readers["model"].seeds[0])
    os.unlink(f"model/{name}")
    os.mkfifo(f"model/{name}")
    with (
        fault("fuzz of tables and text"),
        watched(10_000),
        pytest.raises(ValueError, match=r"no file model\.json|no such file"),
    ):
        model.load_model("model")


def test_a_link_to_itself_in_a_corpus_is_passed_over(readers, folder, fault):
    lay(readers["protocols"].seeds[0])
    os.symlink("ASVspoof2017_dev", "c/ASVspoof2017_dev")
    os.symlink(".", "c/wav")
    with fault("fuzz of tables and text"), watched(10_000):
        readers["protocols"].calls[0]()
        assert Path("data/eval/utt2label").read_text() == "ME-E_1 genuine\nME-E_2 spoof\n"
