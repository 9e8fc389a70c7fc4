"""The layout of an experiment's folder.

```
exp/results.json                 what sd-eval-scores --json wrote
exp/RESULTS.md                   the recipe's tables
exp/<system>/scores/<set>.txt    scores of dev and eval, and cross-fitted ones of train and dev;
                                 eval_model: LLRs that the model gives eval
exp/<system>/fusion.json         if the system is a fusion
exp/<system>/model/              model directory of sd-detect
```
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdtools.scoring.fusion_file import read_fusion


@dataclass(frozen=True)
class SystemFolder:
    """The folder of one system of an experiment."""

    path: Path

    @classmethod
    def of_scores(cls, scores: str) -> SystemFolder | None:
        """The folder of the system whose `scores/<set>.txt` is given, if it is one."""
        folder = Path(scores).parent
        return cls(folder.parent) if folder.name == "scores" and folder.parent.name else None

    @property
    def name(self) -> str:
        """The name of the system."""
        return self.path.name

    @property
    def fusion(self) -> Path:
        """The file of a fusion."""
        return self.path / "fusion.json"

    @property
    def model(self) -> Path:
        """The model directory."""
        return self.path / "model"

    @property
    def is_fusion(self) -> bool:
        """Whether the system is a fusion."""
        return self.fusion.is_file()

    def scores(self, set_name: str) -> Path:
        """The scores of a set such as `dev`."""
        return self.path / "scores" / f"{set_name}.txt"

    def members(self) -> list[SystemFolder | None]:
        """The folders of the systems that the fusion was trained on; None for other files.

        Raises
        ------
        SdError
            If the fusion cannot be read.
        """
        return [self.of_scores(scores) for scores in read_fusion(str(self.fusion))[1]]

    def settings(self) -> list[Path]:
        """The files of settings in the folder."""
        return sorted([*self.path.glob("*.conf"), *self.path.glob("fusion.json")])


@dataclass(frozen=True)
class Experiment:
    """The folder of an experiment."""

    path: Path

    @property
    def results(self) -> Path:
        """The evaluation."""
        return self.path / "results.json"

    @property
    def tables(self) -> Path:
        """The tables of the recipe in Markdown."""
        return self.path / "RESULTS.md"

    def system(self, name: str) -> SystemFolder:
        """The folder of a system."""
        return SystemFolder(self.path / name)


def system_names(paths: Sequence[str]) -> list[str]:
    """A name for each score file: its system's folder, or else `short_names`.

    Examples
    --------
    >>> system_names(["exp/cf_sd6/scores/eval.txt", "exp/cm_sd6/scores/eval.txt"])
    ['cf_sd6', 'cm_sd6']
    """
    names = [os.path.basename(os.path.dirname(os.path.dirname(path))) for path in paths]
    return names if all(names) and len(set(names)) == len(names) else short_names(paths)


def short_names(paths: Sequence[str]) -> list[str]:
    """Paths without the parts at their beginning and end that all have in common.

    At least one part of each path stays; a path alone stays whole.

    Examples
    --------
    >>> short_names(["exp/a/dev.txt", "exp/b/dev.txt"])
    ['a', 'b']
    """
    if len(paths) == 1:
        return list(paths)
    parts = [path.split("/") for path in paths]
    for _ in ("beginning", "end"):  # parts are reversed after each
        most = min(map(len, parts)) - 1
        num_common = next((i for i in range(most) if len({p[i] for p in parts}) > 1), most)
        parts = [p[num_common:][::-1] for p in parts]
    return ["/".join(p) for p in parts]
