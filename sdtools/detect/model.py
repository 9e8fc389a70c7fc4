"""Model directories: all that it takes to score a recording, in a folder that can be copied.

`model.json` names the systems, their training data, the thresholds and the SHA-256 of every other
file: `fusion.json`, and for each system `<system>/feats.conf`, `genuine.gmm`, `spoof.gmm` and
their `.conf`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sdtools import __version__
from sdtools.audio.decoding import RATES_HZ
from sdtools.audio.entries import AudioOptions
from sdtools.detect.quality import Ranges, measure
from sdtools.errors import SdError, warn
from sdtools.features.front_ends import load_front_ends, skips_silence
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.features.samples import check_samples
from sdtools.files import whole_folder
from sdtools.gmm.io import read_gmm
from sdtools.gmm.mixture import DiagGmm, llr
from sdtools.options import load_settings
from sdtools.scoring.deployment import Deployment
from sdtools.scoring.fusion import Fusion, apply_fusion
from sdtools.scoring.fusion_file import read_fusion, write_fusion
from sdtools.scoring.json_files import Fields, read_json, write_json

FORMAT = 1
GMM_FILES = ("genuine.gmm", "genuine.gmm.conf", "spoof.gmm", "spoof.gmm.conf")
MAX_SILENCE_SKIPPED, MAX_SILENCE_KEPT = 0.1, 0.01
"""Shares of digital silence from which on LLRs move, see docs/systems.md: left out, and not."""

NEED = "a model directory, such as a recipe's exp/<system>/model"


@dataclass(frozen=True)
class System:
    """Both GMMs of one system, and what its features go through before."""

    name: str
    genuine: DiagGmm
    spoof: DiagGmm
    post: PostOptions

    def score(self, feats: np.ndarray) -> float:
        """LLR of static features (num_frames, dim), the same as from sd-score-gmm."""
        feats = feats.astype(np.float32, copy=False)
        return llr(self.genuine, self.spoof, postprocess(feats, self.post))


@dataclass(frozen=True)
class Model:
    """A model that `load_model` has read.

    Parameters
    ----------
    path
        Its directory.
    about
        Its model.json: where the model comes from.
    systems
        In the order of the fusion.
    extract
        Function from samples (num_samples,) within -1..1 to the features of each system.
    fusion
        What turns their scores into a calibrated LLR.
    sample_rate_hz
        Rate of the recordings that the model was trained on.
    skips_silence
        Whether `extract` leaves out frames of digital silence.
    deployment
        Its thresholds and what they cost; None in models of older versions.
    recordings
        Ranges of the recordings that it was trained on; None if they were not measured.

    Examples
    --------
    >>> model = load_model("exp/fusion/model")
    >>> samples = 0.1 * np.random.default_rng(0).standard_normal(16000)
    >>> llr = model.score(samples, 16000)
    >>> "genuine" if llr >= 0 else "replayed"  # Bayes, at prior 0.5 and equal costs
    'genuine'
    """

    path: str
    about: Mapping[str, Any]
    systems: Sequence[System]
    extract: Callable[[np.ndarray], list[np.ndarray]]
    fusion: Fusion
    sample_rate_hz: int
    skips_silence: bool
    deployment: Deployment | None = None
    recordings: Ranges | None = None

    def score(
        self,
        samples: np.ndarray | Sequence[float],
        sample_rate_hz: int,
        *,
        allow_narrowband: bool = False,
    ) -> float:
        """Calibrated log-likelihood ratio of a recording; positive for genuine speech.

        Warns if the recording is resampled from a lower rate.

        Parameters
        ----------
        samples : (num_samples,)
            Floating point within -1..1, one channel.
        sample_rate_hz
            Their rate.
        allow_narrowband
            Whether the rate may be lower than the model's.

        Raises
        ------
        SdError
            If the samples or their rate cannot be used, or if they are silence or too short.
        """
        samples = check_samples(samples)
        self.check_rate("Model.score", sample_rate_hz, allow_narrowband)
        if reason := measure(samples, sample_rate_hz).unusable_reason:
            raise SdError("Model.score", reason)
        if doubt := self.doubt_of_rate(sample_rate_hz):
            warn("Model.score", doubt)
        return self.score_unchecked(samples, sample_rate_hz)

    def score_unchecked(self, samples: np.ndarray, sample_rate_hz: int) -> float:
        """Do the same as `score` without its checks and its warning."""
        if sample_rate_hz != self.sample_rate_hz:
            # Imported here because most recordings have the rate of the model.
            from scipy.signal import resample_poly

            rates_hz = np.array([self.sample_rate_hz, int(sample_rate_hz)])
            up, down = (int(rate) for rate in rates_hz // np.gcd(*rates_hz))
            samples = resample_poly(samples, up, down, window=_low_pass(up, down))
        feats = self.extract(samples)
        scores = [system.score(matrix) for system, matrix in zip(self.systems, feats, strict=True)]
        return float(apply_fusion(self.fusion, np.array([scores]))[0])

    def check_rate(self, who: str, sample_rate_hz: int, allow_narrowband: bool) -> None:
        """Refuse an impossible rate, and a rate below the model's unless it is allowed.

        Raises
        ------
        SdError
            With `who` as its place.
        """
        lowest, highest = RATES_HZ
        if not lowest <= sample_rate_hz <= highest or sample_rate_hz != int(sample_rate_hz):
            need = f"an integer within {lowest} to {highest} Hz"
            raise SdError(who, "sample rate", got=f"{sample_rate_hz} Hz", need=need)
        if sample_rate_hz < self.sample_rate_hz and not allow_narrowband:
            need = f"{self.sample_rate_hz} Hz or more, because the model was trained on that"
            hint = "Allow narrow-band recordings (--allow-narrowband=true) to judge it nevertheless"
            raise SdError(who, "sample rate", got=f"{sample_rate_hz} Hz", need=need, hint=hint)

    def doubt_of_rate(self, sample_rate_hz: int) -> str:
        """What to doubt in the score of a recording of this rate; empty if there is nothing.

        A higher rate hardly matters, see docs/conditions.md.
        """
        if sample_rate_hz >= self.sample_rate_hz:
            return ""
        rate, own_rate = (f"{hz / 1000:g} kHz" for hz in (sample_rate_hz, self.sample_rate_hz))
        return f"resampled from {rate}; the model was trained on {own_rate} recordings"

    def doubt_of_silence(self, share: float) -> str:
        """What to doubt if this share of a recording is digital silence; empty if nothing."""
        if share < (MAX_SILENCE_SKIPPED if self.skips_silence else MAX_SILENCE_KEPT):
            return ""
        end = "" if self.skips_silence else ", which shifts the scores of this model"
        return f"digital silence ({100 * share:.0f} % of it){end}"

    def threshold(self, name: str) -> float:
        """One of the thresholds of the LLR that model.json holds, such as `eer` or `false_alarm`.

        Raises
        ------
        SdError
            If the model has none of that name.
        """
        thresholds = _thresholds(self.about)["thresholds"]
        if name not in thresholds:
            raise SdError(self.path, "threshold", got=name, need=" or ".join(thresholds))
        return float(thresholds[name]["threshold"])


@lru_cache(maxsize=1)  # of an odd rate it has many taps
def _low_pass(up: int, down: int) -> np.ndarray:
    """The filter that `resample_poly` designs anew for every recording."""
    from scipy.signal import firwin

    largest = max(up, down)
    return firwin(20 * largest + 1, 1 / largest, window=("kaiser", 5.0))


def _thresholds(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of model.json that holds the thresholds; older versions wrote no deployment."""
    part: Mapping[str, Any] = about["deployment" if "deployment" in about else "thresholds"]
    return part


def write_model(
    folder: str | os.PathLike[str],
    systems: Mapping[str, Path],
    feats_confs: Mapping[str, Path],
    fusion: Fusion,
    about: Mapping[str, Any],
) -> None:
    """Write a model directory, in place of an older one.

    Parameters
    ----------
    folder
        The model directory.
    systems
        By name, in the order of the fusion, the folders that hold `genuine.gmm`, `spoof.gmm` and
        their `.conf`.
    feats_confs
        By name, the settings of the features.
    fusion
        Fusion, or calibration, of the scores of the systems.
    about
        What else model.json holds: `sample_rate_hz`, `deployment` as `Deployment.to_json` gives it,
        and what the model was trained on.
    """
    with whole_folder(folder) as new:
        for name, source in systems.items():
            (new / name).mkdir()
            shutil.copy(feats_confs[name], new / name / "feats.conf")
            for file in GMM_FILES:
                shutil.copy(source / file, new / name / file)
        write_fusion(str(new / "fusion.json"), fusion, list(systems))
        paths = sorted(path for path in new.rglob("*") if path.is_file())
        files = {str(path.relative_to(new)): _sha256(path) for path in paths}
        made = {"format": FORMAT, "sdtools": __version__, "systems": list(systems)}
        write_json(str(new / "model.json"), {**made, **about, "files": files})


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model directory, such as a recipe's exp/fusion/model.

    Raises
    ------
    SdError
        If it is not a model directory or has another format, if a file is missing or has changed,
        or if the parts do not fit together.

    Examples
    --------
    >>> model = load_model("exp/fusion/model")
    >>> model.sample_rate_hz, model.about["note"]
    (16000, 'Made of random numbers.')
    """
    folder = Path(path)
    about = _read_about(folder)
    names, files = about["systems"], about["files"]
    _check_files(folder, files)
    fusion, needed = read_fusion(str(folder / "fusion.json"))
    if names != needed:
        got, need = " ".join(names), f"{' '.join(needed)}, as in fusion.json"
        raise SdError(folder, "systems", got=got, need=need, hint="Make the model again")
    paths = [f"{name}/{file}" for name in names for file in ("feats.conf", *GMM_FILES)]
    if missing := [path for path in paths if path not in files]:
        what = f"model.json does not name {missing[0]}"
        raise SdError(folder, what, hint="Make the model again")
    rate_hz = about["sample_rate_hz"]
    systems = [_load_system(folder / name, rate_hz) for name in names]
    confs = [folder / name / "feats.conf" for name in names]
    extract, skips = load_front_ends(confs, rate_hz), all(map(skips_silence, confs))
    deployment = None
    if "deployment" in about:
        deployment = Deployment.from_json(Fields(about["deployment"]))
    usual = Ranges.from_json(Fields(about["recordings"])) if "recordings" in about else None
    model = Model(str(folder), about, systems, extract, fusion, rate_hz, skips, deployment, usual)
    noise = np.random.default_rng(0).standard_normal(rate_hz // 2) * 0.1
    model.score_unchecked(noise, rate_hz)  # raises if the parts do not fit together
    return model


def _read_about(folder: Path) -> dict[str, Any]:
    """Read model.json and check its fields."""
    if not _is_own_file(folder, "model.json"):
        raise SdError(folder, got="no file model.json there", need=NEED, hint="Check the path")
    path = str(folder / "model.json")
    about = read_json(path, "model", NEED, "Check the path")
    try:
        values = Fields(about)
        if values.any("format") != FORMAT:
            got = f"{values.any('format')} of sdtools {values.any('sdtools')}"
            raise SdError("format", got=got, need=FORMAT)
        values.texts("systems")
        values.integer("sample_rate_hz")
        if "deployment" in about:
            Deployment.from_json(values.object("deployment"))
        else:
            thresholds = values.object("thresholds").object("thresholds")
            for name in thresholds.values:
                thresholds.object(name).extended("threshold")
        if "recordings" in about:
            Ranges.from_json(values.object("recordings"))
        files = values.object("files")
        for name in files.values:
            files.text(name)
    except SdError as error:
        raise error.within(path, "Make the model again") from None
    return about


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Check that the files are those that model.json names."""
    for name, digest in files.items():
        if not _is_own_file(folder, name):
            what = "no such file, although model.json names it"
            raise SdError(folder / name, what, hint="Copy the whole directory again")
        if _sha256(folder / name) != digest:
            what = "the file has changed since model.json was written"
            raise SdError(folder / name, what, hint="Copy the whole directory again")
    if "fusion.json" not in files:
        raise SdError(folder, "model.json names no fusion.json", hint="Make the model again")


def _load_system(folder: Path, sample_rate_hz: int) -> System:
    """The system of one subfolder."""
    labels = ("genuine", "spoof")
    genuine, spoof = (read_gmm(str(folder / f"{label}.gmm")) for label in labels)
    posts = [load_settings(folder / f"{label}.gmm.conf", PostOptions) for label in labels]
    if posts[0] != posts[1]:
        got, need = f"{posts[0]} of genuine.gmm, {posts[1]} of spoof.gmm", "the same"
        raise SdError(folder, "settings", got=got, need=need, hint="Train both models again")
    rate_hz = load_settings(folder / "feats.conf", AudioOptions).sample_rate_hz
    if rate_hz != sample_rate_hz:
        got, need = f"{rate_hz} Hz", f"{sample_rate_hz} Hz as in model.json"
        raise SdError(folder, "sample rate", got=got, need=need, hint="Make the model again")
    return System(folder.name, genuine, spoof, posts[0])


def _is_own_file(folder: Path, name: str) -> bool:
    """Whether a file is in the folder: neither a pipe nor elsewhere, by `..` or a link."""
    path = os.path.realpath(folder / name)
    return os.path.isfile(path) and Path(path).is_relative_to(os.path.realpath(folder))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
