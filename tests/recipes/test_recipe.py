"""egs/mini_replay/sd/run.sh as a user runs it: repeatability, restart, one stage, bad options."""

import shutil

from recipe_runs import SMALL, SMALL_RUN, copy_of, make_copy, results, run, run_to_end, table_rows

FEATURE_TABLES = {"feats.scp", "utt2num_frames", "utt2dur", "frame_shift"}
RESUME = ["--cmd", "utils/run.py --resume true", "--nj", "1"]


def make_feats(recipe, *options):
    return run_to_end(["local/make_feats.sh", *RESUME, *options], recipe)


def test_every_row_is_printed_and_written(small):
    recipe, about = small
    printed = table_rows(about["stdout"])
    for row in ("S1: CF + Δ + ΔΔ (6 SD)", "S2: CM + Δ + ΔΔ (6 SD)", "S1 + S2 (score level)"):
        assert len(printed[row]) >= 1
    assert table_rows((recipe / "exp/RESULTS.md").read_text()) == printed


def test_a_second_run_changes_nothing_and_trains_nothing(small):
    recipe, about = small
    num_gmms = 2 * 2 * (2 + 5)  # of train, of train + dev, and of 5 folds of these
    assert len(results(recipe)) == num_gmms + 3 * 2 + 2 + 1 + 1  # cross_fit, eval_model, fusion
    assert about["changed"] == [] and about["trained_again"] == []


def test_four_jobs_give_the_bytes_of_one(small, tmp_path):
    recipe = make_copy(tmp_path)
    for name in ("train", "dev", "eval"):
        ignored = shutil.ignore_patterns("split*")
        shutil.copytree(small[0] / "data" / name, recipe / "data" / name, ignore=ignored)
    options = ["--stage", 2, "--stop-stage", 5, "--systems", "fusion", "--orders", 6]
    result = run(recipe, "--nj", 4, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert results(recipe) == results(small[0])


def test_what_is_new_reaches_the_models_and_nothing_else_is_trained(small, tmp_path):
    """Another corpus in the same place, a lost archive, a corrected label, other settings."""
    recipe = copy_of(small[0], tmp_path)
    before = results(recipe)
    other = run(recipe, *SMALL_RUN[:-1], f"{SMALL} --seed 1", "--stop-stage", 5)
    assert other.returncode == 0, other.stdout + other.stderr
    after = results(recipe)
    assert before.keys() == after.keys()
    assert [name for name in after if before[name] == after[name]] == []

    archive = recipe / "data/cm_sd6/dev/data/raw_cm_sd6.1.ark"
    content = archive.read_bytes()
    archive.unlink()
    labels = recipe / "data/train/utt2label"
    key, label = labels.read_text().splitlines()[0].split()
    corrected = "spoof" if label == "genuine" else "genuine"
    labels.write_text(labels.read_text().replace(f"{key} {label}", f"{key} {corrected}"))
    cf_alone = ["--nj", "1", "--systems", "cf", "--orders", "6"]
    options = ["--stage", "2", "--stop-stage", "3"]
    assert (
        run(recipe, *options, "--nj", "1", "--systems", "fusion", "--orders", "6").returncode == 0
    )
    assert archive.read_bytes() == content
    relabelled = results(recipe)
    assert relabelled["exp/cf_sd6/genuine.gmm"] != after["exp/cf_sd6/genuine.gmm"]

    assert (recipe / "data/cf_sd6/train/frame_shift").read_text() == "0.01\n"
    (recipe / "conf/feats.conf").write_text("--bandwidth-scale=6\n--frame-shift-ms=8\n")
    assert run(recipe, "--stage", "2", "--stop-stage", "4", *cf_alone).returncode == 0
    assert (recipe / "data/cf_sd6/train/frame_shift").read_text() == "0.008\n"
    last = results(recipe)
    assert relabelled.keys() == last.keys()
    kept = {name for name in last if relabelled[name] == last[name]}
    of_stage_5 = {name for name in last if "/folds/" in name or "cross_fit" in name}
    assert kept == {name for name in last if "cf_sd6" not in name} | of_stage_5


def test_what_cannot_be_run_is_refused(small, tmp_path):
    """One line on standard error names the option and the value, or the file that is missing."""
    recipe = copy_of(small[0], tmp_path, archives=False)
    before = results(recipe)
    for options, *words in [
        (["--stge", "3"], "--stge"),
        (["--stage", "x"], "--stage", "x"),
        (["--stage", "2", "foo"], "foo"),
        (["--cmd", "utils/nope.py"], "--cmd", "utils/nope.py"),
        (["--compress", "yes"], "--compress", "yes", "true", "false"),
        (["--orders", "0,,2"], "--orders", "0,,2"),
        (["--systems", "cf,b4"], "--systems", "b4", "all", "cf,cm,cmtri,cfcm", "cqcc", "fusion"),
        (["--systems", ""], "--systems"),
        (["--deploy", "cqcc"], "--deploy", "cqcc", "fusion"),
        (["--stage", "3", "--orders", "2"], "data/cf_sd2/train/"),
        (["--stage", "4", "--orders", "2"], "data/cf_sd2/dev/feats.scp"),
        (["--stage", "6", "--orders", "0,2"], "exp/cf_sd0/scores/eval.txt"),
    ]:
        result = run(recipe, *options)
        assert result.returncode == 1, options
        assert all(word in result.stderr for word in words), result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
    assert results(recipe) == before


def test_recipe_runs_from_anywhere(small, tmp_path):
    result = run_to_end([str(small[0] / "run.sh"), "--help"], tmp_path)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith("Usage: ")


def test_a_copy_of_the_script_runs_in_the_current_directory(small, tmp_path):
    """As Slurm runs what sbatch is given."""
    recipe = copy_of(small[0], tmp_path, archives=False)
    (tmp_path / "slurm_script").write_bytes((recipe / "run.sh").read_bytes())
    words = ["bash", str(tmp_path / "slurm_script"), "--stage", "1", "--stop-stage", "1"]
    here, elsewhere = (run_to_end(words, folder) for folder in (recipe, tmp_path))
    assert here.returncode == 0 and "Stage 1" in here.stdout
    assert elsewhere.returncode == 1 and "recipe" in elsewhere.stderr


def test_features_are_computed_again_where_they_must_be(small, tmp_path):
    """Archives that another pass wrote over; tables that left the data directory leave theirs."""
    recipe = copy_of(small[0], tmp_path)
    dev = ["data/dev", "data"]
    archives = [
        recipe / f"data/{system}/dev/data/raw_{system}.1.ark"
        for system in ("cf_sd6", "cm_sd6", "cf_sd0")
    ]
    assert make_feats(recipe, "--orders", "0,6", *dev).returncode == 0
    before = [path.read_bytes() for path in archives]
    compressed = make_feats(recipe, "--orders", "6", "--compress", "true", *dev)
    assert compressed.returncode == 0
    same = [path.read_bytes() == old for path, old in zip(archives, before)]
    assert same == [False, False, True]
    assert (recipe / "data/cf_sd6/dev/utt2phrase").exists()
    (recipe / "data/dev/utt2phrase").unlink()
    assert make_feats(recipe, "--orders", "0,6", *dev).returncode == 0
    assert [path.read_bytes() for path in archives] == before
    found = {path.name for path in (recipe / "data/cf_sd6/dev").iterdir() if path.is_file()}
    given = {path.name for path in (recipe / "data/dev").iterdir() if path.is_file()}
    assert found == given | FEATURE_TABLES


def test_a_comma_in_the_path_is_refused(small, tmp_path):
    recipe = make_copy(tmp_path / "a,b")
    shutil.copytree(small[0] / "data/dev", recipe / "data/dev")
    result = make_feats(recipe, "data/dev", "data")
    assert result.returncode == 1 and "comma" in result.stderr and "a,b" in result.stderr


def test_a_recording_that_a_job_may_skip_is_missed(small, tmp_path):
    recipe = copy_of(small[0], tmp_path, archives=False)
    scp = recipe / "data/train/wav.scp"
    first, *lines = scp.read_text().splitlines()
    (tmp_path / "bad.wav").write_text("no sound")
    scp.write_text("\n".join([f"{first.split()[0]} {tmp_path}/bad.wav", *lines]) + "\n")
    (recipe / "conf/feats.conf").write_text("--max-skip=1\n")
    options = ["--stage", "2", "--nj", "1", "--systems", "cf", "--orders", "0"]
    result = run(recipe, *options)
    assert result.returncode == 1 and "Stage 3" not in result.stdout
    needed = ("feats.scp", "data/train/wav.scp", str(len(lines)), str(len(lines) + 1), "--max-skip")
    assert all(word in result.stderr for word in needed), result.stderr


def test_failure_of_a_job_ends_the_recipe_with_its_log(small, tmp_path):
    recipe = copy_of(small[0], tmp_path, archives=False)
    (recipe / "conf/gmm.conf").write_text("--num-components=65536\n")
    result = run(recipe, "--stage", "3", "--systems", "cf", "--orders", "6")
    assert result.returncode == 1
    assert "exp/cf_sd6/train/log/train_" in result.stderr and "65536" in result.stderr
    assert "Stage 4" not in result.stdout
