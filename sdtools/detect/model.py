"""Model directories: all that it takes to score a recording, in one folder that can be copied elsewhere.

`model.json` names the systems, their training data, the thresholds and the SHA-256 of every other file: `fusion.json`, and for each
system `<system>/feats.conf`, `genuine.gmm`, `spoof.gmm` and their `.conf`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdtools import __version__
from sdtools.audio.decoding import AudioOptions
from sdtools.features.front_ends import load_front_end
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import DiagGmm, llr
from sdtools.options import load_settings
from sdtools.scoring.fusion import Fusion, apply_fusion
from sdtools.scoring.fusion_file import read_fusion, write_fusion
from sdtools.scoring.json_files import read_json

FORMAT = 1
GMM_FILES = ("genuine.gmm", "genuine.gmm.conf", "spoof.gmm", "spoof.gmm.conf")


@dataclass(frozen=True)
class System:
    """Features and both GMMs of one system."""

    name: str
    extract: Callable[[np.ndarray], np.ndarray]
    genuine: DiagGmm
    spoof: DiagGmm
    post: PostOptions

    def score(self, samples: np.ndarray) -> float:
        """LLR of samples (num_samples,) within -1..1, as sd-score-gmm gives it."""
        feats = self.extract(samples).astype(np.float32, copy=False)
        return llr(self.genuine, self.spoof, postprocess(feats, self.post))


@dataclass(frozen=True)
class Model:
    """A loaded model directory; `about` is its model.json."""

    path: str
    about: Mapping
    systems: Sequence[System]
    fusion: Fusion
    sample_rate_hz: int

    def score(self, samples: np.ndarray) -> float:
        """Calibrated LLR of samples (num_samples,) within -1..1 at the model's rate.

        Raises
        ------
        ValueError
            Samples shorter than a frame, or otherwise without features.
        """
        return float(
            apply_fusion(
                self.fusion, np.array([[system.score(samples) for system in self.systems]])
            )[0]
        )


def write_model(
    folder: str | os.PathLike,
    systems: Mapping[str, Path],
    feats_confs: Mapping[str, Path],
    fusion: Fusion,
    about: Mapping,
) -> None:
    """Write a model directory, in place of an older one.

    Parameters
    ----------
    folder
        What is written.
    systems
        By name, the folders with `genuine.gmm`, `spoof.gmm` and their `.conf`, in the order of the fusion.
    feats_confs
        By name, the settings of the features.
    fusion
        Fusion, or calibration, of the scores of the systems.
    about
        What else model.json shall hold: `thresholds`, as sd-eval-scores --thresholds writes them, and whatever tells of the training.
    """
    folder = Path(folder).resolve()
    new, old = (folder.with_name(f".{folder.name}.{what}") for what in ("tmp", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for name, source in systems.items():
            (new / name).mkdir(parents=True)
            shutil.copy(feats_confs[name], new / name / "feats.conf")
            for file in GMM_FILES:
                shutil.copy(source / file, new / name / file)
        write_fusion(str(new / "fusion.json"), fusion, list(systems))
        files = {
            str(path.relative_to(new)): _sha256(path)
            for path in sorted(new.rglob("*"))
            if path.is_file()
        }
        record = {
            "format": FORMAT,
            "sdtools": __version__,
            "systems": list(systems),
            **about,
            "files": files,
        }
        (new / "model.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def load_model(path: str | os.PathLike) -> Model:
    """Read a model directory and try it on half a second of noise.

    Raises
    ------
    ValueError
        No model directory, one of another format, a file that is missing or not as it was written, parts that do not fit together.
    """
    folder, need = Path(path), "a directory like a recipe's exp/<system>/model. Check the path"
    if not _is_own_file(folder, "model.json"):
        raise ValueError(f"{folder}: model: got no file model.json there, need {need}")
    about = read_json(
        str(folder / "model.json"),
        "model",
        "a directory like a recipe's exp/<system>/model",
        "Check the path",
    )
    try:
        names, files, made_by = about["systems"], about["files"], about["sdtools"]
        is_known = about["format"] == FORMAT and isinstance(files, dict)
        sample_rate_hz = int(about["sample_rate_hz"])
        for threshold in about["thresholds"]["thresholds"].values():
            if math.isnan(float(threshold["threshold"])):
                raise ValueError("a threshold that is NaN")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}: model: got {error!r}, need {need}") from None
    if not is_known:
        raise ValueError(
            f"{folder}: model: got format {about['format']} of sdtools {made_by}, need format {FORMAT}. Make it again"
        )
    for name, digest in files.items():
        if not _is_own_file(folder, name) or _sha256(folder / name) != digest:
            raise ValueError(
                f"{folder}: {name}: got another file, or none, need the one that model.json names. Copy the whole directory again"
            )
    if "fusion.json" not in files:
        raise ValueError(
            f"{folder}: model: got no fusion.json among its files, need it. Make it again"
        )
    fusion, trained_on = read_fusion(str(folder / "fusion.json"))
    if trained_on != names or not all(
        {f"{name}/{file}" for file in ("feats.conf", *GMM_FILES)} <= files.keys() for name in names
    ):
        raise ValueError(
            f"{folder}: model: got parts of other systems than {names}, need theirs. Make it again"
        )
    systems = [_load_system(folder / name, sample_rate_hz) for name in names]
    model = Model(str(folder), about, systems, fusion, sample_rate_hz)
    model.score(
        np.random.default_rng(0).standard_normal(sample_rate_hz // 2) * 0.1
    )  # raises where the parts do not fit together
    return model


def _load_system(folder: Path, sample_rate_hz: int) -> System:
    """The system of one subfolder."""
    gmms = [gmm_io.read_gmm(str(folder / f"{label}.gmm")) for label in ("genuine", "spoof")]
    posts = [
        load_settings(folder / f"{label}.gmm.conf", PostOptions) for label in ("genuine", "spoof")
    ]
    if posts[0] != posts[1]:
        raise ValueError(
            f"{folder}: settings: got {posts[0]} and {posts[1]} for genuine and spoof, need the same. Train them again"
        )
    rate_hz = load_settings(folder / "feats.conf", AudioOptions).sample_rate_hz
    if rate_hz != sample_rate_hz:
        raise ValueError(
            f"{folder}: sample rate: got {rate_hz} Hz, need {sample_rate_hz} Hz as in model.json. Make the model again"
        )
    return System(folder.name, load_front_end(folder / "feats.conf", rate_hz), *gmms, posts[0])


def _is_own_file(folder: Path, name: str) -> bool:
    """Whether a name is that of a file in the folder, not of one elsewhere, by `..` or a link, nor of a pipe."""
    path = os.path.realpath(folder / name)
    return os.path.isfile(path) and Path(path).is_relative_to(os.path.realpath(folder))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
