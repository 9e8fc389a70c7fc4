"""Odd and hostile names everywhere: handled or refused in one line, and no shell reads them."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drive import Commands
from form import IS_FULL
from recipe_runs import make_copy, results
from recipe_runs import run as run_recipe
from test_model import RATE_HZ, parts, write  # noqa: F401 - a fixture
from test_train_gmm import make_recipe

from sdtools.tables.objects import is_word

ROOT = Path(__file__).parent.parent.parent
NAMES = {
    "space": "two words",
    "spaces": " a  b ",
    "quote": "it's; touch PWNED;'",
    "double_quote": 'say "; touch PWNED; "',
    "dollar": "$(touch PWNED)",
    "backtick": "`touch PWNED`",
    "semicolon": "a; touch PWNED; b",
    "ampersand": "a & touch PWNED & b",
    "redirection": "a > PWNED",
    "pipe_at_the_end": "touch PWNED |",
    "pipe_at_the_begin": "| touch PWNED",
    "pipe_inside": "cat x | touch PWNED | cat",
    "newline": "a\nu2 touch PWNED |\nb",
    "log_line": "a\nERROR (sd-x) forged",
    "escape": "a\x1b[2J",
    "non_ascii": "é語🎤",
    "no_width": "a\u00a0\u200d",
    "not_utf8": os.fsdecode(b"a\xff\xfeb"),
    "dash": "-rf",
    "option": "--config=x",
    "home": "~",
    "glob": "*?[a-z]{a,b}",
    "offset": "x:12",
    "range": "x[0:1]",
    "table": "ark:x",
    "format": "%s%n{0}{feature}",
    "backslash": "a\\nb\\",
    "comma": "a,b",
    "equals": "a=b",
    "hash": "# a",
    "formula": r"$a_{$^\frac",
    "markup": "<img src=x onerror=alert(1)>",
    "job": "JOB",
    "long": "n" * 200,
    "too_long": "n" * 300,
}
FEW = [
    "quote",
    "dollar",
    "semicolon",
    "pipe_at_the_end",
    "newline",
    "not_utf8",
    "glob",
    "formula",
    "markup",
    "long",
    "too_long",
]
SOME = list(NAMES) if IS_FULL else FEW  # for what takes seconds
TINY = "--num-speakers 2,2,2 --num-genuine 4,4,4 --num-spoof 4,4,4"
MAX_NAME_CHARS = 250
HOSTILE = [name for name in NAMES if "PWNED" in NAMES[name]]


@pytest.fixture(scope="module")
def made(parts, tmp_path_factory):  # noqa: F811
    """A folder with a recording, a model, features, GMMs, scores and labels under plain names."""
    folder = tmp_path_factory.mktemp("names")
    thresholds = {
        name: {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}
        for name in ("eer", "bayes", "false_alarm")
    }
    write(folder / "model", parts[1], ["cm_sd0"], thresholds={"thresholds": thresholds})
    soundfile.write(
        folder / "good.wav", 0.1 * np.random.default_rng(1).standard_normal(8000), RATE_HZ
    )
    (folder / "wav.scp").write_text("u good.wav\n")
    for label in ("genuine", "spoof"):
        shutil.copy(parts[1]["cm_sd0"][0] / f"{label}.gmm", folder)
    (folder / "utt2label").write_text("a genuine\nb genuine\nc spoof\nd spoof\n")
    (folder / "scores").write_text("a 1\nb -1\nc 0.5\nd -2\n")
    (folder / "utt2spk").write_text("a s1\nb s2\nc s3\nd s4\n")
    (folder / "options.conf").write_text("--max-skip=1\n")
    with Commands() as commands:
        result = commands.call(
            "compute_feats",
            "--orders=0",
            "--features=cm",
            "scp:wav.scp",
            "ark,scp:feats.ark,feats.scp",
            cwd=folder,
        )
        assert result.status == 0
        assert (
            commands.call(
                "train_fusion", "--auto-ridge", "utt2label", "scores", "fusion.json", cwd=folder
            ).status
            == 0
        )
        yield folder, commands


def check(result, is_handled):
    """Done, or one error line; nothing on stderr but lines of ours."""
    assert "Traceback" not in result.err
    lines = result.err.splitlines()
    assert all(re.match(r"(LOG|WARNING|ERROR) \(sd-[a-z-]+\) ", line) for line in lines), lines
    errors = [line for line in lines if line.startswith("ERROR")]
    assert (result.status, len(errors)) == ((0, 0) if is_handled else (1, 1)), result


def check_nothing_ran(*folders):
    """No canary, no temporary file."""
    for folder in folders:
        left = [
            path for path in folder.rglob("*") if path.name == "PWNED" or path.name.endswith(".tmp")
        ]
        assert left == []


def copy(path, other):
    if len(other.name) < MAX_NAME_CHARS and len(other.parent.name) < MAX_NAME_CHARS:
        shutil.copy(path, other)


# What is done with a name in each place; each call is handled or refused as REFUSED says.


def in_wav_scp(folder, name):
    copy(folder / "good.wav", folder / name)
    (folder / "w.scp").write_bytes(b"u " + os.fsencode(name) + b"\n")
    yield "compute_feats", "--orders=0", "--features=cm", "scp:w.scp", "ark:x.ark"


def an_utterance(folder, name):
    (folder / "w.scp").write_bytes(os.fsencode(name) + b" good.wav\n")
    yield "compute_feats", "--orders=0", "--features=cm", "scp:w.scp", "ark:x.ark"


def in_feats_scp(folder, name):
    copy(folder / "feats.ark", folder / name)
    offset = (folder / "feats.scp").read_text().rpartition(":")[2].encode()
    line = (
        b"u " + os.fsencode(name) + b":" + offset if "|" not in name else b"u " + os.fsencode(name)
    )
    (folder / "f.scp").write_bytes(line)
    yield "post_feats", "scp:f.scp", "ark:x.ark"
    yield "train_gmm", "--num-components=1", "--deltas=false", "scp:f.scp", "x.gmm"
    yield "score_gmm", "genuine.gmm", "spoof.gmm", "scp:f.scp", "x.txt"


def in_a_script_file_to_write(folder, name):
    (folder / "out.scp").write_bytes(b"u " + os.fsencode(name) + b"\n")
    yield "copy_feats", "scp:feats.scp", "scp:out.scp"


def a_sound_file(folder, name):
    copy(folder / "good.wav", folder / name)
    yield "detect", "model", name


def a_folder_of_sounds(folder, name):
    if len(name) < MAX_NAME_CHARS:
        (folder / name).mkdir()
    copy(folder / "good.wav", folder / name / "good.wav")
    yield "detect", "model", name
    yield "simulate_replay", "--num-devices=1", "--", name, "replayed"


def a_sound_in_a_folder(folder, name):
    (folder / "sounds").mkdir()
    copy(folder / "good.wav", folder / "sounds" / f"{name}.wav")
    yield "detect", "model", "sounds"
    yield "simulate_replay", "--num-devices=1", "sounds", "replayed"


def a_model(folder, name):
    if len(name) < MAX_NAME_CHARS:
        shutil.copytree(folder / "model", folder / name)
    yield "detect", "--", name, "good.wav"


def an_archive(folder, name):
    yield "copy_feats", "scp:feats.scp", f"ark:{name}"
    yield "copy_feats", f"ark:{name}", "ark:x.ark"


def an_archive_with_a_script_file(folder, name):
    yield "copy_feats", "scp:feats.scp", f"ark,scp:{name},x.scp"
    yield "copy_feats", "scp:x.scp", "ark:y.ark"


def a_script_file(folder, name):
    yield "copy_feats", "scp:feats.scp", f"ark,scp:x.ark,{name}"
    yield "copy_feats", f"scp:{name}", "ark:y.ark"


def a_conf_file(folder, name):
    copy(folder / "options.conf", folder / name)
    yield "copy_feats", f"--config={name}", "scp:feats.scp", "ark:x.ark"


def an_option_in_a_conf_file(folder, name):
    (folder / "options.conf").write_bytes(b"--write-num-frames=ark,t:" + os.fsencode(name) + b"\n")
    yield "copy_feats", "--config=options.conf", "scp:feats.scp", "ark:x.ark"


def an_option(folder, name):
    yield "copy_feats", f"--write-num-frames=ark,t:{name}", "scp:feats.scp", "ark:x.ark"


def a_gmm(folder, name):
    yield "copy_gmm", "--", "genuine.gmm", name
    yield "score_gmm", "--", name, "spoof.gmm", "scp:feats.scp", "x.txt"


def scores(folder, name):
    yield "apply_fusion", "--", "fusion.json", "scores", name
    yield "eval_scores", "--json=x.json", "--", "utt2label", name


def a_system(folder, name):
    if len(name) < MAX_NAME_CHARS:
        (folder / "exp" / name / "scores").mkdir(parents=True)
    copy(folder / "scores", folder / "exp" / name / "scores/eval.txt")
    yield (
        "eval_scores",
        "--bootstrap=0",
        "--json=exp/results.json",
        "utt2label",
        f"exp/{name}/scores/eval.txt",
    )
    yield "report", "exp", "exp/report"


MISREAD = (
    "spaces offset table too_long"  # means something else where tables are named, or cannot be
)
BROKEN = "newline log_line not_utf8"  # no line of a script file
PLACES = {  # with the names that are refused there, for each call
    in_wav_scp: [f"{MISREAD} {BROKEN} pipe_at_the_end range"],
    an_utterance: [f"{' '.join(HOSTILE)} {BROKEN} space spaces escape no_width hash markup"],
    in_feats_scp: [f"spaces table too_long pipe_at_the_begin pipe_at_the_end pipe_inside {BROKEN}"]
    * 3,
    in_a_script_file_to_write: [
        "pipe_at_the_begin pipe_at_the_end newline not_utf8 offset range table too_long"
    ],
    a_sound_file: ["pipe_at_the_end option offset table too_long"],
    a_folder_of_sounds: ["option table too_long", f"{BROKEN} too_long"],
    a_sound_in_a_folder: ["too_long", f"{BROKEN} too_long"],
    a_model: ["table too_long"],
    an_archive: [MISREAD] * 2,
    an_archive_with_a_script_file: [f"{MISREAD} {BROKEN}", f"{MISREAD} {BROKEN} glob comma"],
    a_script_file: [MISREAD] * 2,
    a_conf_file: ["too_long"],
    an_option_in_a_conf_file: [f"{MISREAD} pipe_at_the_begin pipe_at_the_end {BROKEN}"],
    an_option: [MISREAD],
    a_gmm: ["offset table too_long"] * 2,
    scores: ["offset table too_long"] * 2,
    a_system: ["", "not_utf8"],
}
ON_THE_COMMAND_LINE = (
    an_archive,
    an_archive_with_a_script_file,
    a_script_file,
    an_option,
    a_gmm,
    scores,
)  # where a command may stand


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_name_is_handled_or_refused_in_one_line_and_never_run(made, tmp_path, fault, place):
    folder, commands = made
    for kind, name in NAMES.items():
        if (place in ON_THE_COMMAND_LINE and kind.startswith("pipe_at")) or (
            place is a_system and (kind == "too_long" or kind not in SOME)
        ):
            continue
        with fault("name"):
            here = tmp_path / kind
            shutil.copytree(folder, here)
            for argv, refused in zip(place(here, name), PLACES[place]):
                check(commands.call(*argv, cwd=here), kind not in refused.split())
                check_nothing_ran(here)
            shutil.rmtree(here)


def test_a_page_shows_names_and_no_markup(made, tmp_path, fault):
    folder, commands = made
    with fault("name"):
        here = shutil.copytree(folder, tmp_path / "here")
        for argv in a_system(here, NAMES["markup"]):
            check(commands.call(*argv, cwd=here), True)
        page = (here / "exp/report/index.html").read_text()
        assert "&lt;img src=x" in page and "<img" not in page


@pytest.mark.parametrize(
    "argv",
    [
        ["compute_feats", "--orders=0", "--features=cm", "scp:pipe.scp", "ark:x.ark"],
        ["compute_cqcc_feats", "scp:pipe.scp", "ark:x.ark"],
        ["compute_tc_feats", "scp:pipe.scp", "ark:x.ark"],
        ["compute_modulation_feats", "--features=mcf", "scp:pipe.scp", "ark:x.ark"],
        ["copy_feats", "scp:pipe.scp", "ark:x.ark"],
        ["post_feats", "scp:pipe.scp", "ark:x.ark"],
        ["post_feats", "--cmvn-stats=scp:pipe.scp", "scp:feats.scp", "ark:x.ark"],
        ["post_feats", "--utt2spk=scp:pipe.scp", "scp:feats.scp", "ark:x.ark"],
        ["train_gmm", "--num-components=1", "scp:pipe.scp", "x.gmm"],
        ["init_gmm", "scp:pipe.scp", "x.gmm"],
        ["acc_gmm", "genuine.gmm", "scp:pipe.scp", "x.acc"],
        ["score_gmm", "genuine.gmm", "spoof.gmm", "scp:pipe.scp", "x.txt"],
        ["simulate_replay", "--num-devices=1", "scp:pipe.scp", "replayed"],
        ["detect", "model", "scp:pipe.scp"],
        ["detect", "model", "touch PWNED; cat good.wav |"],
        ["copy_feats", "scp:feats.scp", "scp:pipe_out.scp"],
        ["report", "commands", "commands/report"],
        ["eval_scores", "--config=commands/by.conf", "commands/utt2label", "scores"],
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_a_command_that_stands_in_a_file_never_runs(made, tmp_path, fault, argv):
    with fault("name"):
        folder, commands = made
        here = shutil.copytree(folder, tmp_path / "here")
        (here / "pipe.scp").write_text("u touch PWNED; cat good.wav |\n")
        (here / "pipe_out.scp").write_text("u | touch PWNED; cat > x\n")
        (here / "commands").mkdir()
        shutil.copy(here / "utt2label", here / "commands")
        (here / "commands/utt2touch PWNED |").write_text("c x\nd y\n")
        (here / "commands/by.conf").write_text("--by=touch PWNED |\n")
        check(
            commands.call(
                "eval_scores",
                "--bootstrap=0",
                "--json=commands/results.json",
                "utt2label",
                "scores",
                cwd=here,
            ),
            True,
        )
        figures = json.loads((here / "commands/results.json").read_text())
        figures["utt2label"] = "touch PWNED; cat utt2label |"
        (here / "commands/results.json").write_text(json.dumps(figures))
        result = commands.call(*argv, cwd=here)
        check(result, False)
        words = "commands in a script file", "found the command", f"found {figures['utt2label']!r}"
        assert any(each in result.err for each in words)
        check_nothing_ran(here)


def test_a_command_on_the_command_line_runs(made, tmp_path, fault):
    """What the other tests would show if a name ran."""
    with fault("name", 2):
        folder, commands = made
        here = shutil.copytree(folder, tmp_path / "here")
        check(
            commands.call("copy_feats", "ark:touch PWNED; cat feats.ark |", "ark:x.ark", cwd=here),
            True,
        )
        assert (here / "PWNED").exists()
        check(
            commands.call("copy_feats", "scp:feats.scp", "ark:| touch THERE; cat > x", cwd=here),
            True,
        )
        assert (here / "THERE").exists()


def test_a_key_is_no_path(made, tmp_path, fault):
    with fault("name", 3):
        folder, commands = made
        here = shutil.copytree(folder, tmp_path / "a/b/here")
        for key in ("../../out", f"{tmp_path}/out", "a/../../out"):
            (here / "w.scp").write_text(f"{key} good.wav\n")
            result = commands.call(
                "simulate_replay", "--num-devices=1", "scp:w.scp", "replayed", cwd=here
            )
            check(result, False)
            assert "key: " in result.err and "must not contain /" in result.err
            assert [path for path in tmp_path.rglob("*out*") if path.name != "pipe_out.scp"] == []


def test_a_model_directory_reads_nothing_outside_itself(made, tmp_path, fault):
    with fault("name", 3):
        folder, commands = made
        here = shutil.copytree(folder, tmp_path / "here")
        about = json.loads((here / "model/model.json").read_text())
        for name in ("../good.wav", f"{here}/good.wav", "cm_sd0/../../good.wav"):
            (here / "model/model.json").write_text(
                json.dumps({**about, "files": {**about["files"], name: "0" * 64}})
            )
            result = commands.call("detect", "model", "good.wav", cwd=here)
            check(result, False)
            assert "no such file, although model.json names it" in result.err
        (here / "model/model.json").unlink()
        os.mkfifo(here / "model/model.json")
        result = commands.call("detect", "model", "good.wav", cwd=here)
        check(result, False)
        assert "found no file model.json there" in result.err


def test_only_inputs_and_outputs_start_a_process(fault):
    """And nothing in the toolkit evaluates text, or unpickles."""
    of_kaldiio = {  # neither unpickle nor start anything
        "GlobalHeader",
        "kOneByteUnsignedInteger",
        "kOneByteZeroOne",
        "kTwoByteSignedInteger",
        "read_int32vector",
        "read_matrix_or_vector",
        "read_token",
        "write_array",
        "write_array_ascii",
    }
    banned = {
        "os": {"system", "popen", "fork", "posix_spawn"},
        "pty": {"spawn"},
        "pickle": {"load", "loads"},
        "shelve": {"open"},
    }
    with fault("name"):
        starts = []
        for path in sorted((ROOT / "sdtools").rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    modules = {alias.name.split(".")[0] for alias in node.names} | {
                        (getattr(node, "module", "") or "").split(".")[0]
                    }
                    assert not modules & {
                        "pickle",
                        "shelve",
                        "marshal",
                        "pty",
                        "asyncio",
                        "multiprocessing",
                        "runpy",
                    }, path
                    if "kaldiio" in modules:
                        assert {alias.name for alias in node.names} <= of_kaldiio, path
                    if "subprocess" in modules:
                        starts.append(path.name)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in ("eval", "exec", "compile", "__import__"), (
                        path,
                        node.lineno,
                    )
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    starts_one = node.attr in banned.get(node.value.id, ()) or (
                        node.value.id == "os" and node.attr.startswith(("exec", "spawn"))
                    )
                    assert not starts_one, (path, node.lineno)
                if isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
                    assert isinstance(node.value, ast.Constant) and node.value.value is False, (
                        path,
                        node.value.lineno,
                    )
        assert starts == ["input.py", "output.py"]


def in_recipe(recipe, *argv):
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        argv, cwd=recipe, env=env, capture_output=True, text=True, errors="replace", timeout=120
    )


SHELL = [name for name in HOSTILE if name not in ("pipe_at_the_end", "pipe_at_the_begin")] + [
    "glob",
    "home",
    "hash",
    "backslash",
    "job",
]
SCRIPTS = {  # command lines with {} for the name
    "make_feats": [
        ["{}", "out"],
        ["data/train", "{}"],
        ["--features", "{}", "data/train", "out"],
        ["--orders", "0,{}", "data/train", "out"],
    ],
    "train_gmm": [
        ["{}", "exp"],
        ["data/train", "{}"],
        ["--gmm-config", "{}", "data/train", "exp"],
        ["--num-components", "{}", "data", "exp"],
    ],
    "score_gmm": [
        ["{}", "exp", "x.txt"],
        ["data/train", "{}", "x.txt"],
        ["data/train", "exp", "{}"],
    ],
    "fuse_scores": [
        ["{}", "exp"],
        ["exp", "{}"],
        ["--data", "{}", "exp", "x"],
        ["--fusion-config", "{}", "exp", "x"],
    ],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_refuse_what_a_shell_would_read(tmp_path, fault, script):
    """Before anything is written."""
    recipe = make_recipe(tmp_path)
    (recipe / "data/train/wav.scp").write_text("u good.wav\n")
    files = sorted(recipe.rglob("*"))
    for words in SCRIPTS[script]:
        for kind in SHELL:
            with fault("name"):
                result = in_recipe(
                    recipe, f"local/{script}.sh", *(word.format(NAMES[kind]) for word in words)
                )
                assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result
                assert "a shell would not read" in result.stderr
                assert sorted(recipe.rglob("*")) == files


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--nj", "a[$(touch PWNED)]"),
        ("--stage", "a[$(touch PWNED)]"),
        ("--orders", "0,$(touch PWNED)"),
        ("--orders", "0;touch PWNED"),
        ("--systems", "cf;touch PWNED"),
        ("--systems", "$(touch PWNED)"),
        ("--x[$(touch PWNED)]", "1"),
        ("--cmd", "`touch PWNED`"),
        ("--cmd", "$(touch PWNED)"),
        ("--corpus-opts", "$(touch PWNED)"),
        ("--corpus-opts", "; touch PWNED"),
        ("--speech-dir", "$(touch PWNED)"),
        ("--corpus", "/dev/null/$(touch PWNED)"),
    ],
)
def test_options_of_a_recipe_are_never_evaluated(tmp_path, fault, option, value):
    with fault("name"):
        recipe = make_copy(tmp_path)
        result = run_recipe(recipe, "--stop-stage", "0", option, value)
        assert result.returncode != 0 and "Traceback" not in result.stderr
        check_nothing_ran(tmp_path)


@pytest.mark.parametrize("kind", [*SHELL, "comma", "offset"])
def test_a_recipe_in_a_folder_that_a_shell_would_read_refuses_at_once(tmp_path, fault, kind):
    with fault("name"):
        recipe = make_copy(tmp_path / NAMES[kind])
        files = sorted(recipe.rglob("*"))
        result = run_recipe(recipe, "--stop-stage", "6")
        assert (
            result.returncode == 1
            and len(result.stderr.splitlines()) == 1
            and ("Rename it" in result.stderr or "Use none of" in result.stderr)
        )
        assert sorted(recipe.rglob("*")) == files
        check_nothing_ran(tmp_path)


def test_a_recipe_in_a_folder_with_blanks_and_other_letters_comes_to_its_end(tmp_path, fault):
    """In the full form with the bytes of an undisturbed run; and nothing is run again."""
    with fault("name"):
        options = [
            "--nj",
            "2",
            "--systems",
            "fusion" if IS_FULL else "cm",
            "--orders",
            "0",
            "--corpus-opts",
            TINY,
        ]
        recipe = make_copy(tmp_path / "two  words é語🎤 %20 @ +!^-")
        result = run_recipe(recipe, *options)
        assert result.returncode == 0 and "CM + Δ + ΔΔ (0 SD) |" in result.stdout, (
            result.stdout + result.stderr
        )
        assert not re.search("ERROR|Traceback", result.stdout + result.stderr)
        again = run_recipe(recipe, *options, "--stage", "2", "--stop-stage", "4")
        num_launches = 3 + (2 if IS_FULL else 1) * (4 + 2)
        assert (
            again.returncode == 0
            and len(re.findall("were done before", again.stderr)) == num_launches
        ), again.stderr
        check_nothing_ran(tmp_path)
        if IS_FULL:
            plain = make_copy(tmp_path / "plain")
            assert run_recipe(plain, *options).returncode == 0
            assert results(recipe) == results(plain)


def python(*argv, cwd):
    return subprocess.run(
        [sys.executable, *map(str, argv)],
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )


def check_script(result, is_handled):
    """Status and, of a refusal, one line."""
    assert "Traceback" not in result.err, result
    assert result.status == (0 if is_handled else 1), result
    assert is_handled or len(result.err.splitlines()) == 1, result


@pytest.mark.parametrize("kind", NAMES)
def test_recordings_of_any_name_become_a_data_directory_or_are_refused(made, tmp_path, fault, kind):
    """By folder, file and in a CSV; what comes out is valid."""
    folder, commands = made
    sound, name = folder / "good.wav", NAMES[kind]
    validate = [ROOT / "utils/validate_data_dir.py", "--no-feats", "--no-text"]
    for form in ("speaker", "file", "csv"):
        with fault("name"):
            here = tmp_path / form
            rows = ["file,label,speaker,env"]
            for label in ("genuine", "spoof"):
                for i in range(3):
                    stem = name[:200] if form != "speaker" else "x"
                    path = (
                        here
                        / label
                        / (f"{i}{name[:200]}" if form == "speaker" else f"s{i}")
                        / f"{stem}.wav"
                    )
                    path.parent.mkdir(parents=True, exist_ok=True)
                    os.link(sound, path)
                    cell = str(path.relative_to(here)).replace('"', '""')
                    rows.append(
                        f'"{cell}",{label},"{name[:200]}{i}","{name[:200]}"'.replace(
                            f'"{name[:200]}', '"' + name[:200].replace('"', '""')
                        )
                    )
            (here / "list.csv").write_bytes(os.fsencode("\n".join(rows)))
            argv = (
                ["--csv", "list.csv"]
                if form == "csv"
                else ["--genuine", "genuine", "--replayed", "spoof"]
            )
            result = commands.call(f"{ROOT}/local/prepare_folder.py", *argv, "data", cwd=here)
            is_handled = kind not in BROKEN.split()
            check_script(result, is_handled)
            for part in ("train", "dev", "eval") if is_handled else ():
                assert (
                    part != "train"
                    or python("-S", *validate, f"data/{part}", cwd=here).returncode == 0
                )
                for table in ("utt2spk", "utt2label", *(["utt2env"] if form == "csv" else [])):
                    text = (here / "data" / part / table).read_text()
                    assert all(
                        is_word(word) for line in text.split("\n")[:-1] for word in line.split(" ")
                    ), text
                for line in (here / "data" / part / "wav.scp").read_text().splitlines():
                    assert Path(line.split(None, 1)[1]).is_file()
            check_nothing_ran(here)


@pytest.mark.parametrize("kind", SOME)
def test_protocols_with_any_word_are_refused(made, tmp_path, fault, kind):
    name = NAMES[kind].split()[0]
    lines = {
        "train": ["T_1000001.wav genuine M1 S1 - - -", "T_1000002.wav spoof M1 S1 E1 P1 R1"],
        "dev": ["D_1000001.wav genuine M2 S1 - - -", "D_1000002.wav spoof M2 S1 E1 P1 R1"],
        "eval": ["E_1000001.wav genuine M3 S1 - - -", "E_1000002.wav spoof M3 S1 E1 P1 R1"],
    }
    for column in range(7):
        with fault("name"):
            corpus = tmp_path / str(column)
            for part, rows in lines.items():
                (corpus / f"ASVspoof2017_V2_{part}").mkdir(parents=True)
                words = [row.split() for row in rows]
                for row in words:
                    soundfile.write(
                        corpus / f"ASVspoof2017_V2_{part}" / row[0], np.zeros(100), RATE_HZ
                    )
                if part == "train":
                    words[1][column] = name
                text = "\n".join(map(" ".join, words)) + "\n"
                (
                    corpus / f"ASVspoof2017_V2_{part}.{'trn' if part == 'train' else 'trl'}.txt"
                ).write_bytes(os.fsencode(text))
            result = made[1].call(
                f"{ROOT}/local/prepare_asvspoof2017.py", corpus, tmp_path / "data", cwd=tmp_path
            )
            is_word = re.fullmatch(r"\w+", name, re.ASCII) and column > 1
            check_script(result, bool(is_word)) if not is_word else check_nothing_ran(tmp_path)
            assert is_word or not (tmp_path / "data").exists()
            check_nothing_ran(tmp_path)


@pytest.mark.parametrize("kind", SOME)
def test_data_directories_of_any_name(tmp_path, fault, kind):
    name = NAMES[kind]
    with fault("name"):
        if kind != "too_long":
            (tmp_path / name).mkdir()
            (tmp_path / name / "utt2spk").write_text("a-1 a\nb-1 b\n")
            (tmp_path / name / "wav.scp").write_text("a-1 touch PWNED |\nb-1 $(touch PWNED)\n")
            (tmp_path / name / "spk2utt").write_text("a a-1\nb b-1\n")
        for script, argv in (
            ("validate_data_dir", ["--no-feats", "--no-text", "--", name]),
            ("fix_data_dir", ["--", name]),
            ("split_data", ["--", name, "2"]),
            ("subset_data_dir", ["--", name, "1", "subset"]),
            ("copy_data_dir", ["--", name, "copy"]),
            ("combine_data", ["--", "combined", name]),
        ):
            result = python("-S", ROOT / f"utils/{script}.py", *argv, cwd=tmp_path)
            assert "Traceback" not in result.stderr and (result.returncode == 0) == (
                kind != "too_long"
            ), result
        check_nothing_ran(tmp_path)


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("who", ["run", "slurm", "queue"])
def test_launchers_run_nothing_but_the_command(tmp_path, fake, fault, who, kind):
    """Names of logs and values of options."""
    with fault("name", 2):
        name = NAMES[kind].replace("-", "_", 1) if kind in ("dash", "option") else NAMES[kind]
        here = tmp_path / "here"
        here.mkdir()
        launch = [ROOT / f"utils/{who}.py"]
        result = python("-S", *launch, "JOB=1:2", f"log/{name}.JOB.log", "echo", "done", cwd=here)
        assert "Traceback" not in result.stderr and (result.returncode == 0) == (
            kind != "too_long"
        ), result
        if kind not in ("too_long", "job"):
            assert "done" in (here / "log" / f"{name}.2.log").read_text()
        for option in ("--mem", "--max-jobs-run", "--num-threads", "--time"):
            result = python("-S", *launch, option, name, "x.log", "true", cwd=here)
            assert (
                result.returncode == 1
                and result.stderr.startswith(f"{who}.py: {option}: ")
                and "expected a " in result.stderr
            )
        check_nothing_ran(here)
