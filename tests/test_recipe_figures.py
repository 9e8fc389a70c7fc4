"""The figures in README.md and RESULTS.md are those that egs/mini_replay/sd/run.sh prints."""

import pytest
from test_recipe import ROOT, make_copy, run, table_rows


def test_readme_and_results_are_what_the_recipe_prints(tmp_path):
    """The whole recipe with its defaults; another machine's BLAS may move a trial or two of the 300."""
    recipe = make_copy(tmp_path)
    result = run(recipe)
    assert result.returncode == 0, result.stdout + result.stderr
    printed = table_rows(result.stdout)
    assert all(5 <= eer <= 35 for row in ("CF + Δ + ΔΔ", "CM + Δ + ΔΔ") for eer in printed[row])
    for document in ("README.md", "egs/mini_replay/sd/RESULTS.md"):
        written = table_rows((ROOT / document).read_text())
        for row in printed:
            assert written[row] == pytest.approx(printed[row], abs=1.0), f"{document}: {row}"
