"""sd-report: an experiment's folder -> one page with its tables, plots and settings."""

from __future__ import annotations

import os
from pathlib import Path

from sdtools.cli.command import Command, Context
from sdtools.errors import printable
from sdtools.scoring import evaluation as summary
from sdtools.scoring import files as scores
from sdtools.scoring.metrics import eer, sort_scores
from sdtools.tables.output import open_output

COMMAND = Command(
    name="sd-report",
    summary="Writes <out-dir>/index.html: tables, error trade-off, scores, calibration, conditions and settings of the systems in\n"
    "<exp-dir>/results.json, which sd-eval-scores --json wrote there. The page needs no network. Run it where sd-eval-scores ran.",
    positionals=("<exp-dir>", "<out-dir>"),
    example="sd-report exp exp/report",
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, draw, write."""
    exp, out = map(Path, context.positionals)
    path = exp / "results.json"
    figures = summary.read_figures(str(path))
    paths = [system["system"] for system in figures["systems"]]
    trials, is_genuine = scores.read_trials(figures["utt2label"], paths, "drop")
    if trials.num_dropped != figures["num_dropped"]:
        got, need = trials.num_dropped, figures["num_dropped"]
        raise ValueError(
            f"{path}: trials: got {got} without a score, need {need} as when it was written. Evaluate again"
        )
    results = exp / "RESULTS.md"
    settings = {str(path): path.read_text("utf-8", "replace") for path in _settings(exp, paths)}
    from sdtools.report import page as report  # here, so that --help does not wait for matplotlib

    columns = [sort_scores(llrs[is_genuine], llrs[~is_genuine]) for llrs in trials.scores.T]
    for system, of_class in zip(figures["systems"], columns):
        got, need = eer(of_class, figures["options"]["eer"][0]).value, summary.first_eer(system)
        if abs(got - need) > 1e-12:
            raise ValueError(
                f"{system['system']}: EER: got {got:.6f}, need {need:.6f} as in {path}; other scores by now. Evaluate again"
            )
    page = report.page(
        figures,
        names(paths),
        columns,
        results.read_text("utf-8", "replace") if results.is_file() else None,
        settings,
    )
    out.mkdir(parents=True, exist_ok=True)
    with open_output(str(out / "index.html")) as file:
        file.write(page.encode(errors="backslashreplace"))
    context.log.info(f"wrote {out / 'index.html'}")
    return 0


def names(paths: list[str]) -> list[str]:
    """The folders of the systems, or whatever tells the paths apart."""
    folders = [os.path.basename(os.path.dirname(os.path.dirname(path))) for path in paths]
    return list(
        map(
            printable,
            folders
            if all(folders) and len(set(folders)) == len(folders)
            else scores.short_names(paths),
        )
    )


def _settings(exp: Path, paths: list[str]) -> list[Path]:
    """Files of settings beside the results and in the folders of the systems."""
    folders = [exp, *dict.fromkeys(Path(path).parent.parent for path in paths)]
    return [
        path
        for folder in folders
        for path in sorted([*folder.glob("*.conf"), *folder.glob("fusion.json")])
    ]


if __name__ == "__main__":
    raise SystemExit(main())
