"""local/train_gmm.sh: EM in array jobs, restart, schedule, what ends it."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from children import processes_in
from recipe_runs import ROOT, environment, link_tools
from test_gmm_commands import done, make_features

from sdtools.bin import score_gmm
from sdtools.features.postprocess import PostOptions
from sdtools.gmm.io import read_gmm
from sdtools.gmm.training import GmmOptions, em_schedule
from sdtools.options import save_settings

pytestmark = pytest.mark.usefixtures("commands_that_start_at_once")


def make_recipe(folder):
    """Two classes of features and the tools of this checkout, as a recipe directory."""
    recipe = folder / "egs" / "corpus" / "sd"
    data = recipe / "data" / "train"
    data.mkdir(parents=True)
    link_tools(folder)
    link_tools(recipe)
    shutil.copy(ROOT / "egs/mini_replay/sd/path.sh", recipe)
    (recipe / "conf").mkdir()
    (recipe / "conf/gmm.conf").write_text(
        "--num-components=2\n--final-iters=2\n--cmvn=false\n--delta-order=1\n"
    )
    for name, num_utts in (("genuine", 1), ("spoof", 2)):
        make_features(data, name, num_utts=num_utts, shift_hz=500.0 * (name == "spoof"))
    (data / "feats.scp").write_text(
        (data / "genuine.scp").read_text() + (data / "spoof.scp").read_text()
    )
    keys = [line.split()[0] for line in (data / "feats.scp").read_text().splitlines()]
    (data / "utt2label").write_text("".join(f"{key} {key.split('-')[0]}\n" for key in keys))
    return recipe


def start(recipe, *argv):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    words = ["local/train_gmm.sh", *argv]
    return subprocess.Popen(words, cwd=recipe, env=environment(), **pipes)


def train(recipe, *argv):
    process = start(recipe, *argv)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def models(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.gmm*")}


def logs(recipe):
    return {path.name: path.stat().st_mtime_ns for path in (recipe / "exp/jobs/log").glob("*.log")}


RESUME = "utils/run.py --resume true --max-jobs-run 2"
ARRAY = ["--nj", "8", "--cmd", RESUME, "data/train", "exp/jobs"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    recipe = make_recipe(tmp_path_factory.mktemp("trained"))
    assert train(recipe, "data/train", "exp/one") == (0, "")
    status, output = train(recipe, *ARRAY)
    assert status == 0
    (recipe / "exp/jobs/output").write_text(output)
    return recipe


def test_array_jobs_give_the_bytes_of_one_job(trained):
    """With 1 and 2 jobs for so many utterances: 8 were asked for."""
    one = models(trained / "exp/one")
    assert sorted(one) == ["genuine.gmm", "genuine.gmm.conf", "spoof.gmm", "spoof.gmm.conf"]
    assert models(trained / "exp/jobs") == one
    passes = trained / "exp/jobs/passes/spoof"
    assert [len(read_gmm(passes / f"{n}.gmm").weights) for n in range(3)] == [2, 2, 2]
    assert sorted(path.name for path in passes.iterdir()) == sorted(
        ["schedule", *(f"{n}.gmm{end}" for n in range(3) for end in ("", ".conf"))]
    )
    assert len(list((trained / "exp/jobs/log").glob("acc_spoof.1.*.log"))) == 2
    assert len(list((trained / "exp/jobs/log").glob("acc_genuine.1.*.log"))) == 1


def test_a_line_for_every_pass(trained):
    """With the log-likelihood that sd-train-gmm logs; here it is the sum over both jobs."""
    logged = {}
    for name in ("genuine", "spoof"):
        text = (trained / f"exp/one/log/train_{name}.log").read_text()
        logged[name] = [
            float(value)
            for value in re.findall(r"2 components, pass \d of 2: (\S+) per frame", text)
        ]
    lines = (trained / "exp/jobs/output").read_text().splitlines()
    head = r"\d\d:\d\d:\d\d 2 of 2 components, pass (\d) of 2: "
    form = head + r"log-likelihood per frame (\S+) genuine, (\S+) spoof"
    found = [re.fullmatch(form, line).groups() for line in lines]
    assert [number for number, _, _ in found] == ["1", "2"]
    for index, name in ((1, "genuine"), (2, "spoof")):
        assert [float(words[index]) for words in found] == pytest.approx(logged[name], abs=6e-5)


def test_options_of_the_input_reach_all_jobs(tmp_path):
    """One matrix is missing and to be skipped, one is behind a command."""
    recipe = make_recipe(tmp_path)
    data = recipe / "data" / "train"
    (recipe / "conf/gmm.conf").write_text(
        "--max-skip=1 # of 3\n--num-components=2\n--final-iters=1\n --Allow_Pipes\n",
        encoding="utf-8-sig",
    )
    key, place = (data / "genuine.scp").read_text().split()
    path, offset = place.rsplit(":", 1)
    lines = [
        f"{key} tail -c +{int(offset) + 1} {path} |\n",
        (data / "spoof.scp").read_text(),
        "spoof-bad missing.ark:5\n",
    ]
    (data / "feats.scp").write_text("".join([*lines, "\r\n"]))  # with an empty last line
    with (data / "utt2label").open("a") as file:
        file.write("spoof-bad spoof\n")
    assert train(recipe, "data/train", "exp/one") == (0, "")
    status, output = train(recipe, "--nj", "2", "data/train", "exp/jobs")
    assert status == 0, output
    assert models(recipe / "exp/jobs") == models(recipe / "exp/one") != {}


@pytest.mark.parametrize("nj", ["1", "2"])
def test_an_utterance_in_two_data_directories(tmp_path, nj):
    recipe = make_recipe(tmp_path)
    shutil.copytree(recipe / "data/train", recipe / "data/dev")
    (recipe / "data/dev/feats.scp").write_text((recipe / "data/dev/spoof.scp").read_text())
    status, output = train(recipe, "--nj", nj, "data/train", "data/dev", "exp/jobs")
    assert status == 1 and len(output.splitlines()) == 1
    assert "data/dev/feats.scp:1: the utterance 'spoof-000' is already in data/train" in output


@pytest.mark.parametrize("nj", ["0", "-1", "00", "9999999", "two", "1.5"])
def test_a_number_of_jobs_that_is_none(tmp_path, nj):
    recipe = make_recipe(tmp_path)
    status, output = train(recipe, "--nj", nj, "data/train", "exp/jobs")
    assert status == 1 and re.fullmatch(
        rf"local/train_gmm.sh: --nj: .*expected .*found '{re.escape(nj)}'.*\n", output
    )
    assert not (recipe / "exp").exists()


def test_models_from_array_jobs_score(trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    argv = [
        "--cmvn=false",
        "--delta-order=1",
        "exp/jobs/genuine.gmm",
        "exp/jobs/spoof.gmm",
        "scp:data/train/feats.scp",
        tmp_path / "s.txt",
    ]
    done(score_gmm, *argv)
    scores = dict(line.split() for line in (tmp_path / "s.txt").read_text().splitlines())
    assert len(scores) == 3 and all(
        (float(llr) > 0) == key.startswith("genuine") for key, llr in scores.items()
    )


def test_a_launcher_that_resumes_goes_on_from_the_last_pass(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "egs" / "corpus" / "sd", symlinks=True)
    link_tools(tmp_path)
    recipe = tmp_path / "egs" / "corpus" / "sd"
    expected, before = models(recipe / "exp/jobs"), logs(recipe)
    status, output = train(recipe, *ARRAY)
    assert (
        status == 0
        and output.count("log-likelihood per frame done before genuine, done before spoof\n") == 2
    )
    assert logs(recipe) == before
    (recipe / "exp/jobs/passes/spoof/2.gmm").unlink()
    (recipe / "exp/jobs/passes/spoof/1.99.acc").write_text("of another number of jobs")
    assert train(recipe, *ARRAY)[0] == 0
    renewed = {name for name, moment in logs(recipe).items() if moment != before[name]}
    assert renewed == {
        *(f"acc_spoof.1.{job}.log" for job in range(1, 3)),
        "est_spoof.1.log",
        "copy_spoof.log",
    }
    assert models(recipe / "exp/jobs") == expected
    (recipe / "conf/gmm.conf").write_text("--num-components=1\n--cmvn=false\n--delta-order=1\n")
    assert train(recipe, *ARRAY)[0] == 0
    assert train(recipe, "data/train", "exp/one")[0] == 0
    assert models(recipe / "exp/jobs") == models(recipe / "exp/one")
    assert len(read_gmm(recipe / "exp/jobs/spoof.gmm").weights) == 1


def test_the_script_runs_the_passes_of_the_library(tmp_path):
    """A launcher only takes notes: subsampling and splits are those of the schedule."""
    recipe = make_recipe(tmp_path)
    launcher = recipe / "note.sh"
    launcher.write_text(
        '#!/bin/sh\ncase "$*" in *genuine*) echo "$*" >>notes;; esac\nfor last; do :; done\n'
        'case "$*" in *sd-init-gmm*) : >"$last"; cp all.conf "$last.conf"\n'
        'cp schedule "$(dirname "$last")";; esac\n'
        'case "$*" in *sd-acc-gmm*) for i in 1 2; do\n'
        '  acc=$(echo "$last" | sed "s/JOB/$i/"); : >"$acc"; echo 1 1 >"${acc%acc}loglike"\n'
        "done;; esac\n"
    )
    launcher.chmod(0o755)
    options = GmmOptions(num_components=16, final_iters=3, subsample=7)
    save_settings(recipe / "all.conf", options, PostOptions(cmvn=False))
    schedule = em_schedule(options)
    lines = [" ".join(map(str, em_pass)).lower() + "\n" for em_pass in schedule]
    (recipe / "schedule").write_text("".join(lines))
    assert train(recipe, "--nj", "2", "--cmd", "./note.sh", "data/train", "exp/jobs")[0] == 0
    first, *notes, last = (recipe / "notes").read_text().splitlines()
    assert (
        " sd-init-gmm --config=conf/gmm.conf " in first
        and " sd-copy-gmm exp/jobs/passes/genuine/13.gmm " in last
    )
    steps = [
        int(note)
        for note in re.findall(r"--subsample=(\d+) --deltas=true .*--cmvn=false ", "\n".join(notes))
    ]
    splits = re.findall(r"--variance-floor=0.1 --split=(\w+) ", "\n".join(notes))
    assert steps == [em_pass.subsample for em_pass in schedule]
    assert splits == [str(em_pass.is_split_after).lower() for em_pass in schedule]


def test_killed_training_leaves_no_job_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])  # commands without the server
    recipe = make_recipe(tmp_path)
    (recipe / "conf/gmm.conf").write_text("--num-components=2\n--final-iters=9999\n--cmvn=false\n")
    process = start(recipe, "--nj", "2", "data/train", "exp/jobs")
    deadline = time.monotonic() + 60
    while not list(recipe.glob("exp/jobs/log/acc_*.0.1.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_in(recipe)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "got SIGTERM, killing the jobs" in output
    assert processes_in(recipe) == []


def test_a_failed_pass_ends_the_training(tmp_path):
    recipe = make_recipe(tmp_path)
    (recipe / "conf/gmm.conf").write_text("--max-memory=1\n")
    status, output = train(recipe, "--nj", "2", "data/train", "exp/jobs")
    assert status == 1 and "'--max-memory=1'" in output
    assert not list(recipe.glob("exp/jobs/log/acc*")) and models(recipe / "exp/jobs") == {}
