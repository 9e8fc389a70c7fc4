"""egs/mini_replay/sd/run.sh as a user runs it, on a tiny corpus: repeatability, restart, one stage alone, bad options."""

import shutil
import subprocess

import pytest
from recipe_runs import ROOT, SMALL, environment, gmms, make_copy, results, run, table_rows

FEATURE_TABLES = {"feats.scp", "utt2num_frames", "utt2dur", "frame_shift"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    recipe = make_copy(tmp_path_factory.mktemp("nj1"))
    result = run(recipe, "--nj", "1", "--orders", "0,6", "--corpus-opts", SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    return recipe, result


def test_four_jobs_give_the_bytes_of_one(small, tmp_path):
    recipe = make_copy(tmp_path)
    assert (
        run(
            recipe, "--nj", "4", "--systems", "fusion", "--orders", "6", "--corpus-opts", SMALL
        ).returncode
        == 0
    )
    one, four = results(small[0]), results(recipe)
    assert len(one) == 5 * 2 * 2 + 6 * 2 + 1 and len(four) == 2 * 2 * 2 + 3 * 2 + 1
    assert four == {name: one[name] for name in four}


def test_every_row_is_printed_and_written(small):
    recipe, result = small
    printed = table_rows(result.stdout)
    assert len(printed["CF + Δ + ΔΔ"]) == len(printed["CM + Δ + ΔΔ"]) == 2
    for row in (
        "S1: CF + Δ + ΔΔ (6 SD)",
        "S2: CM + Δ + ΔΔ (6 SD)",
        "S1 + S2 (feature level)",
        "S1 + S2 (score level)",
    ):
        assert len(printed[row]) >= 1
    assert table_rows((recipe / "exp/RESULTS.md").read_text()) == printed


def test_second_run_does_nothing_again_and_changes_nothing(small):
    recipe, _ = small
    before = results(recipe)
    times = {path: path.stat().st_mtime_ns for path in gmms(recipe)}
    result = run(
        recipe, "--nj", "1", "--orders", "0,6", "--corpus-opts", SMALL
    )  # whose first stage makes the corpus anew
    assert result.returncode == 0
    assert results(recipe) == before and times == {path: path.stat().st_mtime_ns for path in times}


def test_new_sounds_under_old_names_are_not_mistaken_for_old_ones(small, tmp_path):
    """Another corpus in the same place, then a lost archive, then a corrected label: each reaches the models."""
    recipe = tmp_path / "egs" / "mini_replay" / "sd"
    shutil.copytree(small[0], recipe, symlinks=True)
    for name in ("utils", "local"):
        (tmp_path / name).symlink_to(ROOT / name)
    before = results(recipe)
    result = run(recipe, "--nj", "1", "--orders", "6", "--corpus-opts", f"{SMALL} --seed 1")
    assert result.returncode == 0, result.stdout + result.stderr
    after = results(recipe)
    stale = [name for name in after if "sd0" not in name and before[name] == after[name]]
    assert stale == []
    assert "sd0" not in (recipe / "exp/eval.txt").read_text()
    archive = recipe / "data/cm_sd6/dev/data/raw_cm_sd6.1.ark"
    content = archive.read_bytes()
    archive.unlink()
    labels = recipe / "data/train/utt2label"
    key, label = labels.read_text().splitlines()[0].split()
    labels.write_text(
        labels.read_text().replace(
            f"{key} {label}", f"{key} {'spoof' if label == 'genuine' else 'genuine'}"
        )
    )
    assert (
        run(recipe, "--stage", "2", "--stop-stage", "3", "--nj", "1", "--orders", "6").returncode
        == 0
    )
    assert archive.read_bytes() == content
    assert (recipe / "exp/cf_sd6/genuine.gmm").read_bytes() != after["exp/cf_sd6/genuine.gmm"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "x"], "--stage: got 'x', need a whole number"),
        (["--stage", "2", "foo"], "arguments: got 'foo', need options only"),
        (["--cmd", "utils/nope.py"], "--cmd: got 'utils/nope.py', need a launcher that exists"),
        (
            ["--stage", "3", "--orders", "2"],
            "data/cf_sd2/train/feats.scp: got no such file or an empty one, need features",
        ),
        (
            ["--stage", "4", "--orders", "2"],
            "data/cf_sd2/dev/feats.scp: got no such file or an empty one, need features",
        ),
        (["--stage", "6", "--orders", "0,2"], "exp/cf_sd2/scores/eval.txt"),
        (["--compress", "yes"], "--compress: got 'yes', need true or false"),
        (["--orders", "0,,2"], "--orders: got '0,,2', need numbers such as 0,2,4,6"),
        (
            ["--systems", "cf,b4"],
            "--systems: got 'b4', need all, or some of cf,cm,cmtri,cfcm,fusion,cqcc,tc,b3",
        ),
        (["--systems", ""], "--systems: got none, need all or some"),
    ],
)
def test_what_cannot_be_run_is_said(small, options, message):
    before = results(small[0])
    result = run(small[0], *options)
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
    assert results(small[0]) == before


def test_recipe_runs_from_anywhere(small, tmp_path):
    result = subprocess.run(
        [str(small[0] / "run.sh"), "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith("Usage: ")


def test_changed_features_are_not_mistaken_for_old_ones(small, tmp_path):
    """A model is trained anew when its features were, and only then."""
    recipe = tmp_path / "egs" / "mini_replay" / "sd"
    shutil.copytree(small[0], recipe, symlinks=True)
    for name in ("utils", "local"):
        (tmp_path / name).symlink_to(ROOT / name)
    options = ["--stage", "2", "--nj", "1", "--systems", "cf", "--orders", "6"]
    assert run(recipe, *options).returncode == 0  # other place, other paths
    before = results(recipe)
    assert (recipe / "data/cf_sd6/train/frame_shift").read_text() == "0.01\n"
    (recipe / "conf/feats.conf").write_text("--bandwidth-scale=6\n--frame-shift-ms=8\n")
    assert run(recipe, *options).returncode == 0
    after = results(recipe)
    assert (recipe / "data/cf_sd6/train/frame_shift").read_text() == "0.008\n"
    assert before.keys() == after.keys()
    assert [name for name in after if before[name] == after[name] and "cf_sd6" in name] == []


def test_tables_that_left_the_data_directory_leave_those_of_its_features(small, tmp_path):
    recipe = tmp_path / "egs" / "mini_replay" / "sd"
    shutil.copytree(small[0], recipe, symlinks=True)
    for name in ("utils", "local"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert (recipe / "data/cf_sd6/train/utt2phrase").exists()
    (recipe / "data/train/utt2phrase").unlink()
    assert (
        run(
            recipe,
            "--stage",
            "2",
            "--stop-stage",
            "2",
            "--nj",
            "1",
            "--systems",
            "cf",
            "--orders",
            "6",
        ).returncode
        == 0
    )
    tables = {path.name for path in (recipe / "data/cf_sd6/train").iterdir() if path.is_file()}
    assert (
        tables
        == {path.name for path in (recipe / "data/train").iterdir() if path.is_file()}
        | FEATURE_TABLES
    )


def test_a_comma_in_the_path_is_refused(small, tmp_path):
    recipe = make_copy(tmp_path / "a,b")
    shutil.copytree(small[0] / "data/dev", recipe / "data/dev")
    result = subprocess.run(
        ["local/make_feats.sh", "data/dev", "data"], cwd=recipe, capture_output=True, text=True
    )
    assert (
        result.returncode == 1
        and "got a comma, need none in the names of archives" in result.stderr
    )


def test_archives_that_another_pass_wrote_over_are_computed_again(small, tmp_path):
    recipe = make_copy(tmp_path)
    for name in ("corpus", "data"):
        shutil.copytree(small[0] / name, recipe / name)
    stage = ["--stage", "2", "--stop-stage", "2", "--nj", "1"]
    archives = [
        recipe / f"data/{system}/train/data/raw_{system}.1.ark"
        for system in ("cf_sd6", "cm_sd6", "cf_sd0")
    ]
    assert run(recipe, *stage, "--orders", "0,6").returncode == 0
    before = [path.read_bytes() for path in archives]
    assert run(recipe, *stage, "--orders", "6", "--compress", "true").returncode == 0
    assert [path.read_bytes() == old for path, old in zip(archives, before)] == [False, False, True]
    assert run(recipe, *stage, "--orders", "0,6").returncode == 0
    assert [path.read_bytes() for path in archives] == before


def test_a_copy_of_the_script_runs_in_the_current_directory(small, tmp_path):
    """As Slurm runs what sbatch is given."""
    (tmp_path / "slurm_script").write_bytes((small[0] / "run.sh").read_bytes())
    env = environment()
    words = ["bash", str(tmp_path / "slurm_script"), "--stage", "1", "--stop-stage", "1"]
    here, elsewhere = (
        subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)
        for cwd in (small[0], tmp_path)
    )
    assert here.returncode == 0 and "Stage 1" in here.stdout
    assert elsewhere.returncode == 1 and "got no recipe, need its folder" in elsewhere.stderr


def test_a_recording_that_a_job_may_skip_is_missed(small, tmp_path):
    recipe = make_copy(tmp_path)
    shutil.copytree(small[0] / "corpus", recipe / "corpus")
    shutil.copytree(small[0] / "data", recipe / "data")
    scp = recipe / "data/train/wav.scp"
    first, *lines = scp.read_text().splitlines()
    (tmp_path / "bad.wav").write_text("no sound")
    scp.write_text("\n".join([f"{first.split()[0]} {tmp_path}/bad.wav", *lines]) + "\n")
    (recipe / "conf/feats.conf").write_text("--max-skip=1\n")
    result = run(recipe, "--stage", "2", "--nj", "1", "--systems", "cf", "--orders", "0")
    assert result.returncode == 1
    assert (
        f"feats.scp: got {len(lines)} utterances, need {len(lines) + 1} as in data/train/wav.scp: --max-skip left"
        in result.stderr
    )


def test_failure_of_a_job_ends_the_recipe_with_its_log(small, tmp_path):
    recipe = make_copy(tmp_path)
    shutil.copytree(small[0] / "corpus", recipe / "corpus")
    (recipe / "conf/gmm.conf").write_text("--num-components=65536\n")
    shutil.copytree(small[0] / "data", recipe / "data")
    result = run(recipe, "--stage", "3", "--orders", "0,6")
    assert result.returncode == 1
    assert "job failed, log is in exp/cf_sd0/train/log/train_" in result.stderr
    assert "need at least 65536" in result.stderr and "Stage 4" not in result.stdout


def test_option_that_does_not_exist(small):
    result = run(small[0], "--stge", "3")
    assert (
        result.returncode == 1
        and len(result.stderr.splitlines()) == 1
        and "--stge" in result.stderr
    )
